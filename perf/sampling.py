"""What sampling costs: a sample that is left out and one that is kept, and a flood of ten times.

Calls take turns in one process, with the lane told to keep everything or as little as can be. The
flood is the whole road, whose agent is told to follow the load: programs offer ten times what is
carried easily, and what it costs them and the agent is told, and what is lost after its start.
"""

from typing import Any

import numpy as np

import rnts
from rnts import jit, layout
from rnts.perf import emitters
from rnts.perf.drain import Drain
from rnts.perf.ours import KEYWORDS
from rnts.perf.pipeline import PRODUCERS, Road
from rnts.perf.sandbox import sandbox
from rnts.perf.timing import Batch, call_times_ns
from rnts.producer import PROCESS
from rnts.query import Client

_CALLS, _REPEATS, _REPEATS_SMOKE = 2_000, 200, 3
_NEVER = 1  # the threshold of a rate: one sample of 2^32
_ON = 1 << 6  # a switch: the first generation
_FLOOD, _FLOOD_S = 5_000_000, 3.0
_FLOOD_SMOKE, _FLOOD_SMOKE_S = 200_000, 0.5


class _Lanes:
    """The lanes of this process, whose rates are set as an agent would."""

    def __init__(self) -> None:
        segment = PROCESS.segment()
        assert segment is not None
        self._words = np.frombuffer(segment.buffer, np.int64)

    def keep(self, everything: bool) -> None:
        """Have all lanes keep everything, or next to nothing."""
        for lane in range(int(self._words[layout.HEADER_LANES_USED // 8])):
            block = self._words[layout.lane_offset(lane) // 8 :]
            block[layout.LANE_RATES // 8 : layout.LANE_SWITCH // 8] = 0 if everything else _NEVER
            block[layout.LANE_SWITCH // 8] = 0 if everything else _ON


def sampling(smoke: bool) -> dict[str, Any]:
    """Nanoseconds a sample, kept and left out; a flood."""
    with sandbox() as box, Client() as client:
        figures = _calls(_REPEATS_SMOKE if smoke else _REPEATS)
        producers = 1 if smoke else PRODUCERS
        road = Road(box, client, 1000, producers, RNTS_SAMPLING__ADAPTIVE="true")
        rate, seconds = (_FLOOD_SMOKE, _FLOOD_SMOKE_S) if smoke else (_FLOOD, _FLOOD_S)
        first = road.run(rate, seconds / 3)
        step = road.run(rate, seconds)
        audit = road.audit()
    kept = step.taken - audit.sampled_out * step.taken / max(1, step.taken + first.taken)
    return figures | {
        "flood_records_per_second": step.attempted / step.seconds,
        "flood_kept_percent": 100 * max(0.0, kept) / step.taken,
        "flood_agent_percent": step.cpu_ns["agent"] / step.seconds / 1e7,
        "flood_producer_ns": step.cpu_ns["producer"] / step.attempted,
        "flood_lost_at_first": first.lost,
        "flood_lost": step.lost,
        "balanced": audit.is_balanced,
        "other_cpu_percent": step.other_cpu_ns / step.seconds / 1e7,
    }


def _calls(repeats: int) -> dict[str, Any]:
    """What calls cost, by turns."""
    if rnts.attach(jit=True) != "compiled":
        raise RuntimeError("the compiled emitter does not serve here: `rnts doctor` says why")
    neuron, lane = rnts.neuron("bench"), jit.lane()
    lanes, drain = _Lanes(), Drain()
    scope = {"neuron": neuron, "calls": range(_CALLS)}
    code = {
        "python": f"for _ in calls: neuron.record({KEYWORDS})",
        "one_metric_python": "for _ in calls: neuron.record(queue_depth=12)",
        "activation": "for _ in calls:\n  with neuron.activation(): pass",
    }

    def batch(text: str, everything: bool) -> Batch:
        compiled = compile(text, "sampling", "exec")

        def run() -> int:
            lanes.keep(everything)
            exec(compiled, scope)  # noqa: S102 - the statement stands above
            return _CALLS

        return run

    def in_njit(everything: bool) -> Batch:
        def run() -> int:
            lanes.keep(everything)
            emitters.report_own_at(lane, 1, _CALLS)
            return _CALLS

        return run

    contenders: dict[str, Batch] = {}
    for everything, name in ((True, "kept"), (False, "left_out")):
        contenders |= {f"{name}_{key}_ns": batch(text, everything) for key, text in code.items()}
        contenders[f"{name}_njit_ns"] = in_njit(everything)
    drain.empty()
    try:
        return dict(call_times_ns(contenders, repeats, drain.empty))
    finally:
        drain.close()
        PROCESS.close(unlink=True)
