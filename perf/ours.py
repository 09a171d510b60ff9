"""Our own contenders: every way to record, each as it stands in a program of a user."""

import os
import struct
import time
from typing import Any

import numpy as np

import rnts
from rnts import jit
from rnts.perf import emitters
from rnts.perf.batches import Contender, Group
from rnts.perf.drain import Drain
from rnts.producer import PROCESS, Producer

_NJIT_CALLS = 400  # in a batch; those of a turn fit into a lane
_SILENT_CALLS = 4000  # which take no room, and hardly any time
_NEURONS, _SEED = 256, 1
_VALUES = (
    "10482113, 52817, 12, 81264640, 8123, 7456, 1893042, 17, "
    "42.3, 17.5, 0.934, -58.12, 0.0512, -64.71"
)
_NAMES = (
    "activation_count", "processing_time_ns", "queue_depth", "memory_bytes", "messages_sent",
    "messages_received", "bytes_transmitted", "connection_count", "cpu_usage_percent",
    "gpu_usage_percent", "cache_hit_rate", "signal_strength", "noise_ratio",
    "activation_potential",
)  # fmt: skip
KEYWORDS = ", ".join(f"{n}={v}" for n, v in zip(_NAMES, _VALUES.split(", "), strict=True))
_STATEMENTS = {
    "snapshot_python_ns": f"neuron.record({_VALUES})",
    "snapshot_python_keywords_ns": f"neuron.record({KEYWORDS})",
    "three_metrics_python_ns": (
        "neuron.record(queue_depth=12, processing_time_ns=52817, memory_bytes=81)"
    ),
    "one_metric_python_ns": "neuron.record(queue_depth=12)",
    "struct_ns": f"plain.record({_VALUES})",
    "disabled_python_ns": f"silent.record({_VALUES})",
    "disabled_one_metric_python_ns": "silent.record(queue_depth=12)",
    "activation_ns": "with neuron.activation(): pass",
    "untraced_ns": "untraced()",
    "pack_into_ns": f"pack_into(buffer, 0, 1, 1, 0, 65535, 1, 2, {_VALUES})",
    "clock_python_ns": "clock_ns()",
}
# The same fields as a snapshot, in the order of the arguments.
_ROW = struct.Struct("<BBHIQQ" + "QQIQQQQI" + "fffddd")
_NJIT_STATEMENTS = {  # where {count} records of values at hand are to report, or {rows}
    "njit_ns": "own(lane, {count})",
    "njit_no_clock_ns": "own_at(lane, 1, {count})",
    "njit_rows_ns": "snapshots(lane, {rows})",
    "njit_rows_no_clock_ns": "snapshots_at(lane, 1, {rows})",
    "three_metrics_njit_ns": "three(lane, {rows})",
    "three_metrics_njit_no_clock_ns": "three_at(lane, 1, {rows})",
}
FIGURES = (*_STATEMENTS, "trace_ns", *_NJIT_STATEMENTS, "disabled_njit_ns", "clock_njit_ns")


def ours() -> Group:
    """From Python by the compiled emitter and the plain one, from compiled code, and off."""
    if rnts.attach(jit=True) != "compiled":
        raise RuntimeError("the compiled emitter does not serve here: `rnts doctor` says why")
    plain, silent = Producer(lanes=1), _silent_producer()
    plain.attach(jit=False)
    names: dict[str, Any] = {
        "neuron": rnts.neuron("bench"),
        "plain": plain.neuron("bench-plain"),
        "silent": silent.neuron("bench-silent"),
        "buffer": bytearray(_ROW.size),
        "pack_into": _ROW.pack_into,
        "clock_ns": time.perf_counter_ns,
        "untraced": _nothing,
    }
    statements = dict(_STATEMENTS)
    if trace := getattr(rnts, "trace", None):
        names["traced"] = trace(_nothing)
        statements["trace_ns"] = "traced()"
    contenders = {name: Contender(statement) for name, statement in statements.items()}
    names |= _njit_names()
    drain = Drain()
    drain.empty()

    def finish() -> dict[str, Any]:
        drain.empty()
        lost = drain.lost()
        drain.close()
        for producer in (plain, PROCESS):
            producer.close(unlink=True)
        return {"lost": lost}

    return Group(contenders | _njit_contenders(), names, drain.empty, finish)


def _njit_names() -> dict[str, Any]:
    """What the statements of compiled contenders use; a lane of 0 is one that is off."""
    many_rows = emitters.rows(_SILENT_CALLS, _NEURONS, _SEED)
    rows = many_rows.first(_NJIT_CALLS)
    return {
        "lane": jit.lane(),
        "no_lanes": np.zeros(_SILENT_CALLS, np.int64),
        "many_rows": many_rows,
        "rows": rows,
        "no_rows": rows.first(0),
        "own": emitters.report_own,
        "own_at": emitters.report_own_at,
        "snapshots": emitters.report_snapshots,
        "snapshots_at": emitters.report_snapshots_at,
        "three": emitters.report_three,
        "three_at": emitters.report_three_at,
        "each": emitters.report_each,
        "read_clock": emitters.read_clock,
    }


def _njit_contenders() -> dict[str, Contender]:
    """Loops in compiled code; what it costs to call them with no rows is not theirs."""
    found = {
        name: Contender(
            text.format(rows="*rows", count=_NJIT_CALLS),
            _NJIT_CALLS,
            text.format(rows="*no_rows", count=0),
        )
        for name, text in _NJIT_STATEMENTS.items()
    }
    off, off_nothing = (f"each(no_lanes, *{rows})" for rows in ("many_rows", "no_rows"))
    found["disabled_njit_ns"] = Contender(off, _SILENT_CALLS, off_nothing)
    clock = Contender(f"read_clock({_NJIT_CALLS})", _NJIT_CALLS, "read_clock(0)")
    return found | {"clock_njit_ns": clock}


def _nothing() -> None:
    """What is traced, or not."""


def _silent_producer() -> Producer:
    """That of a program in which telemetry is off."""
    os.environ["RNTS_DISABLE"] = "1"
    try:
        return Producer()
    finally:
        del os.environ["RNTS_DISABLE"]
