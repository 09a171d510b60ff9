"""What it costs to record and to drain: from Python, from compiled code, and in the agent.

All of it goes through a real segment of the default size, which is emptied between two batches, so
that nothing is dropped; `lost` says whether that held.
"""

import os
import struct
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from timeit import Timer
from typing import Any

import numpy as np

import rnts
from rnts import jit
from rnts.audit import read_lanes
from rnts.collector import Collector
from rnts.model import SLOT_WORDS
from rnts.perf import emitters
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.perf.timing import Batch, call_times_ns
from rnts.producer import LANE_SLOTS_DEFAULT, PROCESS, Producer

_BATCH = LANE_SLOTS_DEFAULT // 2  # records of one batch: they must fit into the lane
_NEURONS = 256
_SEED = 1


class _Drain:
    """The agent's side of this process's own segment."""

    def __init__(self, box: Sandbox) -> None:
        self._folder = box.folder
        self._slots = np.zeros((4 * LANE_SLOTS_DEFAULT, SLOT_WORDS), np.int64)
        self._collector = Collector(lambda: [box.folder])

    def take(self) -> int:
        """Take over what the known lanes hold; how many slots."""
        return self._collector.drain(self._slots, 0, LANE_SLOTS_DEFAULT)

    def empty(self) -> None:
        """Find the lanes that are in use by now, and take over what they hold."""
        self._collector.discover()
        self.take()

    def lost(self) -> int:
        """Records that were attempted and dropped."""
        return sum(sum(lane.dropped.values()) for lane in read_lanes([self._folder]))

    def close(self) -> None:
        """Let go of the segment."""
        self._collector.close()


def _measured(prepare: Callable[[], dict[str, Batch]], repeats: int) -> dict[str, float | int]:
    """Times of the contenders that `prepare` makes, in a segment that is drained between them."""
    with sandbox() as box:
        drain = _Drain(box)
        contenders = prepare()
        times = call_times_ns(contenders, repeats, drain.empty)
        lost = drain.lost()
        drain.close()
        PROCESS.close(unlink=True)
    return {**times, "lost": lost}


def record_python(smoke: bool) -> dict[str, Any]:
    """Record from Python, beside what struct, the clock and prometheus_client take."""
    calls, repeats = (500, 3) if smoke else (5_000, 25)
    figures: dict[str, Any] = _measured(lambda: _python_contenders(calls), repeats)
    figures.setdefault("prometheus_counter_ns", None)
    return figures


_VALUES = (
    "10482113, 52817, 12, 81264640, 8123, 7456, 1893042, 17, 42.3, 17.5, 0.934, -58.12, 0.0512"
)
_STATEMENTS = {
    "snapshot_python_ns": f"record({_VALUES}, -64.71)",
    "three_metrics_python_ns": "record(queue_depth=12, processing_time_ns=52817, memory_bytes=81)",
    "one_metric_python_ns": "record(queue_depth=12)",
    "activation_ns": "with activation(): pass",
    "trace_ns": "traced()",
    "untraced_ns": "plain()",
    "disabled_python_ns": f"silent({_VALUES}, -64.71)",
    "pack_into_ns": f"pack_into(buffer, 0, 1, 1, 0, 65535, 1, 2, {_VALUES}, -64.71)",
    "clock_python_ns": "clock()",
}
# The same fields as a snapshot, in the order of the arguments.
_ROW = struct.Struct("<BBHIQQ" + "QQIQQQQI" + "fffddd")


def _nothing() -> None:
    """What is traced."""


def _python_contenders(calls: int) -> dict[str, Batch]:
    """Batches of so many calls each; `timeit` makes their loop, which costs 4 ns a call."""
    neuron = rnts.neuron("bench")
    names: dict[str, Any] = {
        "record": neuron.record,
        "activation": neuron.activation,
        "traced": neuron.trace(_nothing),
        "plain": _nothing,
        "silent": _silent_neuron().record,
        "buffer": bytearray(_ROW.size),
        "pack_into": _ROW.pack_into,
        "clock": time.perf_counter_ns,
    }
    statements = dict(_STATEMENTS)
    if find_spec("prometheus_client") is not None:
        client = import_module("prometheus_client")
        names["increment"] = client.Counter("bench", "a peer", registry=None).inc
        statements["prometheus_counter_ns"] = "increment()"
    setup = "; ".join(f"{name} = {name}_" for name in names)  # so that they are local in the loop
    scope = {f"{name}_": value for name, value in names.items()}
    timers = {name: Timer(text, setup, globals=scope) for name, text in statements.items()}
    return {name: _calls(timer, calls) for name, timer in timers.items()}


def _calls(timer: Timer, calls: int) -> Batch:
    """A batch of `calls` turns of the loop."""

    def batch() -> int:
        timer.timeit(calls)
        return calls

    return batch


def _silent_neuron() -> rnts.Neuron:
    """A neuron of a program in which telemetry is off."""
    os.environ["RNTS_DISABLE"] = "1"
    try:
        return Producer().neuron("silent")
    finally:
        del os.environ["RNTS_DISABLE"]


def record_njit(smoke: bool) -> dict[str, Any]:
    """Record from inside compiled code, with the clock and without."""
    count, repeats = (_BATCH // 8, 3) if smoke else (_BATCH, 100)
    rows = emitters.rows(count, _NEURONS, _SEED)

    def prepare() -> dict[str, Batch]:
        lane = jit.lane()
        return {
            "njit_ns": lambda: emitters.report_snapshots(lane, *rows),
            "njit_no_clock_ns": lambda: emitters.report_snapshots_at(lane, 1, *rows),
            "three_metrics_njit_ns": lambda: emitters.report_three(lane, *rows),
            "three_metrics_njit_no_clock_ns": lambda: emitters.report_three_at(lane, 1, *rows),
            "clock_njit_ns": lambda: count if emitters.read_clock(count) else 0,
        }

    return _measured(prepare, repeats)


def drain(smoke: bool) -> dict[str, Any]:
    """Take full snapshots out of four lanes in one pass, as the agent does."""
    count, repeats = (_BATCH // 8, 3) if smoke else (_BATCH, 50)
    rows = emitters.rows(count, _NEURONS, _SEED)
    with sandbox() as box:
        lanes = [jit.lane() for _ in range(4)]
        drain = _Drain(box)

        def fill() -> None:
            for lane in lanes:
                emitters.report_snapshots_at(lane, 1, *rows)

        drain.empty()
        fill()
        figures: dict[str, Any] = call_times_ns({"drain_ns": drain.take}, repeats, fill)
        drain.empty()
        lost = drain.lost()
        drain.close()
        PROCESS.close(unlink=True)
    source, target = np.ones((4 * count, SLOT_WORDS), np.int64), np.zeros((4 * count, SLOT_WORDS))

    def copy() -> int:
        np.copyto(target, source.view(np.float64))
        return len(source)

    figures |= call_times_ns({"memory_copy_ns": copy}, repeats)
    return {"records_per_second": 1e9 / figures["drain_ns"], **figures, "lost": lost}
