"""The whole road under load: producers, shared memory, agent, ZeroMQ over ipc, aggregator, windows.

All are processes of their own. Producers report all 14 metrics of the common workload from
compiled code, each at an even rate and at the time of the clock. The offered rate rises in steps; a
rate is sustained if no record is lost, the producers keep it up, and no more than 100 ms of it is
on its way at the end of the step. A step that fails is tried again: the machine may have had other
work, and `other_cpu_percent` says how much it had while the figures were taken.
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rnts.audit import Audit, examine, read_lanes
from rnts.errors import ConnectError, RntsError
from rnts.perf.processes import Process, start_road
from rnts.perf.sandbox import Sandbox, cpu_ns, sandbox
from rnts.query import Client

RATES = tuple(round(m * 1e6) for m in (0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8))
REFERENCE_RATES = {1_000_000: "1m", 2_000_000: "2m"}  # at which latency is told besides
PRODUCERS, NEURONS, SEED = 2, 256, 1
LANE_SLOTS = 1 << 18  # 32 MiB and a quarter of a second at 1 M/s: longer than an agent is held up
_STEP_S, _SMOKE_STEP_S = 4.0, 1.0
_WINDOW_MS, _SMOKE_WINDOW_MS = 1000, 100
_ASK_S = 0.25
_IN_FLIGHT_NS_MAX = 100_000_000
_KEPT_UP = 0.98
_SETTLE_S = 10.0
_TRIES = 3
_PERCENTILES = {"50": "p50", "99": "p99", "99.9": "p999"}
_ROLES = ("producer", "agent", "aggregator")


@dataclass
class Step:
    """What was seen at one offered rate, in records a second."""

    rate: int
    attempted: int = 0
    taken: int = 0
    seconds: float = 0.0
    in_flight: int = 0  # at the end
    dropped: dict[str, int] = field(default_factory=dict)
    cpu_ns: dict[str, int] = field(default_factory=dict)
    other_cpu_ns: int = 0  # of programs that have nothing to do with this
    frames: int = 0
    frame_bytes: int = 0
    latencies: dict[int, dict[str, Any]] = field(default_factory=dict)  # by start of the window

    @property
    def lost(self) -> int:
        """Records that were not taken, or taken and lost later."""
        return max(self.attempted - self.taken, sum(self.dropped.values()))

    @property
    def is_sustained(self) -> bool:
        """Whether the road carried this rate."""
        in_flight_max = self.rate * _IN_FLIGHT_NS_MAX // 10**9
        kept_up = self.attempted >= _KEPT_UP * self.rate * self.seconds
        return self.lost == 0 and kept_up and self.in_flight <= in_flight_max

    def latency(self, prefix: str) -> dict[str, float]:
        """Medians over the windows of this step of their percentiles; nothing without windows."""
        found = {}
        for percentile, name in _PERCENTILES.items():
            values = [seen["percentiles"][percentile] for seen in self.latencies.values()]
            if values:
                found[f"{prefix}_ns_{name}"] = float(statistics.median(values))
        return found


class Road:
    """The running processes, and what they say of themselves."""

    def __init__(
        self,
        box: Sandbox,
        client: Client,
        window_ms: int,
        producers: int = PRODUCERS,
        **others: str,
    ) -> None:
        self._box, self._client = box, client
        settings = {
            "RNTS_COLLECTION__RING_BUFFER_SIZE": str(LANE_SLOTS),
            "RNTS_AGGREGATION__WINDOW_MS": str(window_ms),
            **others,
        }
        aggregator, agent = start_road(box, client, "--no-host", **settings)
        share = NEURONS // producers
        self._producers = [
            box.start("rnts.perf.producer", str(share), str(SEED + n)) for n in range(producers)
        ]
        self._roles = {"producer": self._producers, "agent": [agent], "aggregator": [aggregator]}
        for producer in self._producers:
            self._answer(producer)

    @staticmethod
    def _answer(producer: Process) -> list[str]:
        assert producer.stdout is not None
        return producer.stdout.readline().split()

    def audit(self) -> Audit:
        """Producers' counters against the aggregator's books, as of now."""
        return examine(read_lanes([self._box.folder]), self._ask("accounting"))

    def _cpu_ns(self) -> dict[str, int]:
        return {who: sum(cpu_ns(p.pid) for p in found) for who, found in self._roles.items()}

    def _ask(self, what: str) -> dict[str, Any]:
        try:
            return self._client.ask({"type": what}, timeout_ms=10_000)
        except ConnectError:
            self._box.require_alive()
            raise

    def run(self, rate: int, seconds: float) -> Step:
        """Offer `rate` records a second for so long, and wait until all have arrived."""
        step = Step(rate, seconds=seconds)
        before, cpu_before, busy_before = self._ask("snapshot"), self._cpu_ns(), _busy_ns()
        start_ns = time.time_ns()
        for producer in self._producers:
            assert producer.stdin is not None
            producer.stdin.write(f"{rate / len(self._producers)} {seconds}\n")
            producer.stdin.flush()
        self._watch(step, start_ns, start_ns + round(seconds * 1e9))
        for producer in self._producers:
            attempted, taken, _ = map(int, self._answer(producer))
            step.attempted += attempted
            step.taken += taken
        if not step.taken:
            raise RntsError("no record was taken: there is no shared memory, or telemetry is off")
        step.in_flight = self.audit().in_flight
        self.settle()
        used, after = self._cpu_ns(), self._ask("snapshot")
        step.cpu_ns = {who: used[who] - cpu_before[who] for who in used}
        step.other_cpu_ns = max(0, _busy_ns() - busy_before - sum(step.cpu_ns.values()))
        for name in ("frames", "frame_bytes"):
            setattr(step, name, after["aggregator"][name] - before["aggregator"][name])
        lost_before = before["accounting"]["dropped"]
        for reason, count in after["accounting"]["dropped"].items():
            if more := count - lost_before.get(reason, 0):
                step.dropped[reason] = more
        return step

    @contextmanager
    def under_load(self, rate: int, seconds: float) -> Iterator[Step]:
        """Offer `rate` records a second for so long, while the block does what it does.

        Behind the block the load is over, and the step says how many records were taken and lost.
        """
        step = Step(rate, seconds=seconds)
        for producer in self._producers:
            assert producer.stdin is not None
            producer.stdin.write(f"{rate / len(self._producers)} {seconds}\n")
            producer.stdin.flush()
        yield step
        for producer in self._producers:
            attempted, taken, _ = map(int, self._answer(producer))
            step.attempted += attempted
            step.taken += taken
        self.settle()

    def _watch(self, step: Step, start_ns: int, end_ns: int) -> None:
        """Collect the latencies of windows that lie within the step."""
        while (now_ns := time.time_ns()) < end_ns:
            time.sleep(min(_ASK_S, (end_ns - now_ns) / 1e9))
            document = self._ask("snapshot")
            window, latency = document["window"], document["latency_ns"]
            if window and latency and window["complete"] and window["start_ns"] >= start_ns:
                step.latencies[window["start_ns"]] = latency

    def settle(self) -> None:
        """Wait until nothing is on its way."""
        deadline = time.monotonic() + _SETTLE_S
        while self.audit().in_flight and time.monotonic() < deadline:
            time.sleep(0.02)


def _busy_ns() -> int:
    """CPU time that all programs on this machine have used so far, and the kernel for them."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def climb(road: Road, rates: tuple[int, ...], seconds: float) -> list[Step]:
    """One step for each rate, until one fails each time that it is tried; that one is the last."""
    steps: list[Step] = []
    for rate in rates:
        for _ in range(_TRIES):
            step = road.run(rate, seconds)
            if step.is_sustained:
                break
        steps.append(step)
        if not step.is_sustained:
            break
    return steps


def pipeline(smoke: bool) -> dict[str, Any]:
    """Find the highest rate without loss; say what it costs, how late records are, what is lost."""
    rates = RATES[:1] if smoke else RATES
    with sandbox() as box, Client() as client:
        road = Road(box, client, _SMOKE_WINDOW_MS if smoke else _WINDOW_MS)
        steps = climb(road, rates, _SMOKE_STEP_S if smoke else _STEP_S)
        audit = road.audit()
    return figures(steps, audit)


def figures(steps: list[Step], audit: Audit) -> dict[str, Any]:
    """The best step that was sustained, the one at the reference rate, what broke the last."""
    best = next((step for step in reversed(steps) if step.is_sustained), steps[0])
    millions = best.taken / 1e6
    found: dict[str, Any] = {
        "records_per_second": best.taken / best.seconds,
        "bytes_per_record": best.frame_bytes / best.taken,
        "records_per_frame": best.taken / best.frames,
        **best.latency("latency"),
    }
    for role in _ROLES:
        found[f"{role}_cpu_seconds_per_million"] = best.cpu_ns[role] / 1e9 / millions
    for step in steps:
        if name := REFERENCE_RATES.get(step.rate):
            found |= step.latency(f"latency_at_{name}")
    found |= {"lost": best.lost, "balanced": audit.is_balanced}
    found["other_cpu_percent"] = best.other_cpu_ns / best.seconds / 1e7
    if steps[-1] is not best:
        found["overload_records_per_second"] = steps[-1].attempted / steps[-1].seconds
        found["overload_lost"] = steps[-1].lost
        for reason, count in steps[-1].dropped.items():
            found[f"overload_lost_{reason}"] = count
    return found | {"lane_slots": LANE_SLOTS, "producers": PRODUCERS, "neurons": NEURONS}
