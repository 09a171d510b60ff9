"""A population for tests, benchmarks and newcomers: spiking neurons that report themselves."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rnts
from rnts import jit
from rnts.demo_network import (
    EXCITATORY,
    GROUP_NAMES,
    INHIBITORY,
    STEP_NS,
    STORM_PER_STEP,
    Network,
    build_network,
    neuron_names,
    poisson_table,
    role_of,
)
from rnts.demo_pace import TICK_NS, Pacer
from rnts.demo_report import (
    CALM,
    GROUP_FAREWELL,
    GROUP_PLAN,
    PACE_RECORDS,
    PACE_SPIN_NS,
    PLAN_AVERAGE,
    PLAN_STRIDE,
    STORM,
    TOTAL_INPUTS,
    TOTAL_RECORDS,
    TOTAL_REFUSED,
    TOTAL_SPIKES,
    allocate_reports,
)
from rnts.demo_steps import run_steps
from rnts.errors import UsageError
from rnts.kernels.spiking import (
    GROUP_FIRST,
    GROUP_MODE,
    HEADER_STEP,
    MODE_DEAD,
    MODE_SLOW,
)
from rnts.model import Health

FAULTS = {
    "kill": "the group's neurons say that they leave, and are gone",
    "storm": "the group fires without pause and reports all of it",
    "silence": "the group stops firing and reporting, without a word",
    "slow": "the group takes ever longer for a spike, and its inputs pile up",
}
GROUP_DEFAULT = "cortex-1"
RATE_PER_NEURON, RATE_MAX_DEFAULT = 40, 200_000  # records a second, unless a rate is given
RATE_MAX = 100_000_000
PROGRESS_NS = 1_000_000_000
SPIN_NS_FIRST, SPIN_NS_MAX = 20_000, 200_000  # per spike of a slow group; doubles each second
SPIN_SHARE = 0.25  # of the wall time that all slow spikes of a step may burn
_NS = 1_000_000_000
_NAMES_AT_ONCE = 5_000


@dataclass(frozen=True)
class Fault:
    """A failure of one group, `at_ns` after the start."""

    kind: str
    at_ns: int = 10 * _NS
    group: str = GROUP_DEFAULT

    def __post_init__(self) -> None:
        for what, value, known in (
            ("fault", self.kind, tuple(FAULTS)),
            ("group", self.group, GROUP_NAMES),
        ):
            if value not in known:
                near = get_close_matches(value, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"there is no {what} {value!r}, only {', '.join(known)}{hint}")


class Demo:
    """One network, ready to run; all memory is allocated here.

    `rate` is the number of records a second to aim at; a storm may bring more. Once `is_stopping`
    is true, `announce` and `run` return soon. Raises UsageError for sizes, seeds and rates that
    cannot be.
    """

    def __init__(
        self,
        neurons: int = 1_000,
        seed: int = 1,
        rate: int | None = None,
        fault: Fault | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        if rate is not None and not 0 < rate <= RATE_MAX:
            raise UsageError(f"a rate is 1 to {RATE_MAX:,} records a second, not {rate:,}")
        self.network: Network = build_network(neurons, seed)
        self.seed, self.fault = seed, fault
        self.rate = rate or min(neurons * RATE_PER_NEURON, RATE_MAX_DEFAULT)
        self.reports = allocate_reports(self.network, np.zeros(neurons, np.uint64))
        self.fault_ns: int | None = None  # when it began, after the start
        self.elapsed_ns = 0
        self.lane = 0
        self._arrays = (tuple(self.network), tuple(self.reports))
        self._is_stopping = is_stopping
        run_steps(0, 0, *self._arrays)  # compiles, so that the first step is as quick as any

    def announce(self) -> None:
        """Tell the names, groups and roles of all neurons; ids are the hashes of the names."""
        for group, start, names in neuron_names(self.network):
            for begin in range(0, len(names), _NAMES_AT_ONCE):
                if self._is_stopping():
                    return
                some = names[begin : begin + _NAMES_AT_ONCE]
                ids = np.array([rnts.name_to_id(name) for name in some], np.uint64)
                self.reports.ids[start + begin : start + begin + len(some)] = ids
                _announce_roles(ids, some, group, start + begin)

    def run(
        self,
        duration_ns: int | None = None,
        progress: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Step with the clock until `duration_ns` have passed.

        `progress` is called about once a second. Call `announce` before: ids are 0 until then.
        """
        self.lane = jit.lane()
        start_ns = clock()
        pacer, told_ns = Pacer(start_ns, STEP_NS), 0
        while not self._is_stopping():
            now_ns = clock()
            self.elapsed_ns = now_ns - start_ns
            if duration_ns is not None and self.elapsed_ns >= duration_ns:
                break
            if self.elapsed_ns - told_ns >= PROGRESS_NS:
                told_ns = self.elapsed_ns
                progress()
            self._prepare(pacer)
            steps = pacer.steps_due(now_ns)
            if steps == 0:
                sleep(TICK_NS / _NS)
                continue
            run_steps(self.lane, steps, *self._arrays)
            pacer.note(steps, clock() - now_ns)

    def _prepare(self, pacer: Pacer) -> None:
        """Set the records of a step, begin the fault when it is due, and let a slow group slow."""
        pace = self.reports.pace
        pace[PACE_RECORDS] = self.rate * pacer.interval_ns / _NS
        if self.fault is None or self.elapsed_ns < self.fault.at_ns:
            return
        if self.fault_ns is None:
            self.fault_ns = self.elapsed_ns
            self._begin(self.fault)
        if self.fault.kind == "slow":
            pace[PACE_SPIN_NS] = self._spin_ns(pacer.interval_ns)

    def _begin(self, fault: Fault) -> None:
        """Break the group."""
        group = GROUP_NAMES.index(fault.group)
        groups, reports = self.network.groups, self.reports
        if fault.kind in ("kill", "silence"):
            groups[group, GROUP_MODE] = MODE_DEAD
        if fault.kind == "kill":
            reports.groups[group, GROUP_FAREWELL] = groups[group, GROUP_FIRST]
        if fault.kind == "storm":
            self.network.drive[group] = poisson_table(STORM_PER_STEP)
            reports.groups[group, GROUP_PLAN] = STORM
        if fault.kind == "slow":
            groups[group, GROUP_MODE] = MODE_SLOW

    def _spin_ns(self, interval_ns: float) -> float:
        """What a slow spike has to take by now, within what one step may burn."""
        age_s = (self.elapsed_ns - (self.fault_ns or 0)) / _NS
        plans = self.reports.plans[CALM]
        spikes = plans[PLAN_AVERAGE] / plans[PLAN_STRIDE] / len(GROUP_NAMES)
        wanted_ns = min(SPIN_NS_FIRST * 2.0 ** min(age_s, 10.0), SPIN_NS_MAX)
        return min(wanted_ns, SPIN_SHARE * interval_ns / max(spikes, 1.0))

    def summary(self) -> dict[str, Any]:
        """What has been so far, as a document; `docs/demo.md` says what each part is."""
        steps, totals = int(self.network.header[HEADER_STEP]), self.reports.totals
        seconds = max(self.elapsed_ns, 1) / _NS
        offered, refused = (int(totals[i]) for i in (TOTAL_RECORDS, TOTAL_REFUSED))
        if self.lane == 0:
            offered = refused = 0  # they went nowhere: telemetry is off
        spikes, model_seconds = int(totals[TOTAL_SPIKES]), steps * STEP_NS / _NS
        neurons = self.network.neurons
        states = np.bincount(self.reports.health, minlength=len(Health))
        return {
            "version": 1,
            "neurons": neurons,
            "synapses": len(self.network.targets),
            "seed": self.seed,
            "telemetry": self.lane != 0,
            "seconds": round(seconds, 3),
            "model_seconds": round(model_seconds, 3),
            "real_time_factor": round(model_seconds / seconds, 4),
            "spikes": spikes,
            "spikes_per_second": round(spikes / seconds, 1),
            "synaptic_inputs": int(totals[TOTAL_INPUTS]),
            "mean_rate_hz": round(spikes / neurons / max(model_seconds, STEP_NS / _NS), 3),
            "records": {
                "offered": offered,
                "accepted": offered - refused,
                "refused": refused,
                "per_second": round(offered / seconds, 1),
            },
            "health": {state.name.lower(): int(states[state]) for state in Health},
            "fault": self._fault_summary(),
        }

    def _fault_summary(self) -> dict[str, Any] | None:
        if self.fault is None:
            return None
        began = self.fault_ns
        return {
            "kind": self.fault.kind,
            "group": self.fault.group,
            "at_seconds": None if began is None else round(began / _NS, 3),
        }


def _announce_roles(ids: NDArray[np.uint64], names: list[str], group: str, first: int) -> None:
    """Announce neurons that follow on `first`, each with its role."""
    for role in (EXCITATORY, INHIBITORY):
        chosen = [i for i in range(len(names)) if role_of(first + i) == role]
        rnts.announce([int(ids[i]) for i in chosen], [names[i] for i in chosen], group, role)
