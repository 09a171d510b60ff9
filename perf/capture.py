"""What it costs to record and to drain: from Python, from compiled code, and in the agent.

All of it goes through a real segment of the default size, which is emptied between two batches, so
that nothing is dropped; `lost` says whether that held.
"""

import struct
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import repeat
from typing import Any

import numpy as np

import rnts
from rnts import jit
from rnts.audit import read_lanes
from rnts.collector import Collector
from rnts.model import SLOT_WORDS
from rnts.perf import emitters
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.perf.timing import call_times_ns
from rnts.producer import LANE_SLOTS_DEFAULT, PROCESS

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


def _measured(
    prepare: Callable[[], dict[str, Callable[[], int]]], repeats: int
) -> dict[str, float | int]:
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


def _python_contenders(calls: int) -> dict[str, Callable[[], int]]:
    """Batches of so many calls each; every loop costs the 4 ns of `repeat` on top."""
    neuron = rnts.neuron("bench")
    record, activation = neuron.record, neuron.activation
    silent = _silent_neuron().record
    values: Any = (10_482_113, 52_817, 12, 81_264_640, 8_123, 7_456, 1_893_042, 17)
    values += (42.3, 17.5, 0.934, -58.12, 0.0512, -64.71)
    fields = struct.Struct("<BBHIQQ" + "Q" * 8 + "d" * 3 + "I" * 2 + "f" * 3 + "B")
    packed = (1, 1, 0, 0xFFFF, 1, 2, *values[:8], *values[11:], 12, 17, *values[8:11], 0)
    buffer, pack_into = bytearray(fields.size), fields.pack_into
    clock = time.perf_counter_ns

    def snapshot() -> int:
        for _ in repeat(None, calls):
            record(*values)
        return calls

    def three_metrics() -> int:
        for _ in repeat(None, calls):
            record(processing_time_ns=52_817, queue_depth=12, memory_bytes=81_264_640)
        return calls

    def one_metric() -> int:
        for _ in repeat(None, calls):
            record(queue_depth=12)
        return calls

    def timed_block() -> int:
        for _ in repeat(None, calls):
            with activation():
                pass
        return calls

    def disabled() -> int:
        for _ in repeat(None, calls):
            silent(*values)
        return calls

    def struct_pack() -> int:
        for _ in repeat(None, calls):
            pack_into(buffer, 0, *packed)
        return calls

    def read_clock() -> int:
        for _ in repeat(None, calls):
            clock()
        return calls

    return {
        "snapshot_python_ns": snapshot,
        "three_metrics_python_ns": three_metrics,
        "one_metric_python_ns": one_metric,
        "activation_ns": timed_block,
        "disabled_python_ns": disabled,
        "pack_into_ns": struct_pack,
        "clock_python_ns": read_clock,
        **_prometheus(calls),
    }


def _silent_neuron() -> rnts.Neuron:
    """A neuron of a program in which telemetry is off."""
    import os

    from rnts.producer import Producer

    os.environ["RNTS_DISABLE"] = "1"
    try:
        return Producer().neuron("silent")
    finally:
        del os.environ["RNTS_DISABLE"]


def _prometheus(calls: int) -> dict[str, Callable[[], int]]:
    """One increment of a counter of prometheus_client, where that is installed."""
    if find_spec("prometheus_client") is None:
        return {}
    client = import_module("prometheus_client")
    increment = client.Counter("bench", "a peer", registry=None).inc

    def batch() -> int:
        for _ in repeat(None, calls):
            increment()
        return calls

    return {"prometheus_counter_ns": batch}


def record_njit(smoke: bool) -> dict[str, Any]:
    """Record from inside compiled code, with the clock and without."""
    count, repeats = (_BATCH // 8, 3) if smoke else (_BATCH, 100)
    rows = emitters.rows(count, _NEURONS, _SEED)

    def prepare() -> dict[str, Callable[[], int]]:
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
