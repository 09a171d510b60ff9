"""`Neuron.record` as plain functions, generated from the model: one writes, one is off."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rnts.fence import IS_ORDERED
from rnts.misuse import RECORD_ARGUMENTS, TIME_MAX, plain_time, plain_values
from rnts.model import FIELD, METRIC_NAMES, SLOT_BYTES, Kind
from rnts.writer import EMITTERS, SAMPLE_FORMAT, fields_of

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

_RECORD_DOC = """Report what the neuron did; True if the record is on its way to the agent.

Pass what you know, by name or in this order; what is left out, or is None, stays absent. A full
lane drops the record under `lane_full`. A value of a wrong type is a TypeError and one that does
not fit an OverflowError, as with any builtin; the record then counts as `invalid`.
"""
_SIGNATURE = ", ".join(f"{name}=None" for name in RECORD_ARGUMENTS)
_NAMES = ", ".join(RECORD_ARGUMENTS)


def _compile_record() -> Any:
    """Build `Neuron.record` from the model: one flat function, since this is the hot path.

    What `LaneWriter.begin` and `publish` do stands in it: two calls more took a quarter longer. So
    did a test of each argument where all fourteen metrics are given, as a snapshot has them.
    """
    lines = [
        f"def record(self, {_SIGNATURE}, *, timestamp_ns=None):",
        "    try:",
        "        lane = self._producer.local.lane",
        "    except AttributeError:",
        "        lane = self._producer.attach_thread()",
        "        if lane is not None and lane.is_compiled:",
        "            lane.adopt(self)",
        f"            return lane.record(self, {_NAMES}, timestamp_ns=timestamp_ns)",
        "    if lane is None:",
        "        return False",
        "    if lane.busy and lane.is_reentered():",
        "        return lane.refuse('reentrant')",
        f"    if {' and '.join(f'{name} is not None' for name in METRIC_NAMES)}:",
        f"        mask = {sum(FIELD[name].mask for name in METRIC_NAMES)}",
        "    else:",
        "        mask = 0",
        *_absent_as_zero(METRIC_NAMES, "        "),
        *_absent_as_zero(RECORD_ARGUMENTS[len(METRIC_NAMES) :], "    "),
        *_WRITING,
    ]
    return _built(lines)


def _absent_as_zero(names: Sequence[str], indent: str) -> list[str]:
    """Lines that give what is absent a value to pack, and the rest its bit in the mask."""
    return [
        line
        for name in names
        for line in (
            f"{indent}if {name} is None: {name} = 0",
            f"{indent}else: mask |= {FIELD[name].mask}",
        )
    ]


_WRITING = [
    "    try:",
    "        lane.busy = True",
    "        words = lane.words",
    "        words[lane.attempts_index] = lane.completed + 1",
    "        tail = lane.tail",
    "        if tail - lane.head_cache >= lane.capacity and lane.is_full(1):",
    "            lane.drop('lane_full')",
    "            return False",
    "        if timestamp_ns is None:",
    "            timestamp_ns = time_ns()",
    f"        elif not 0 < timestamp_ns <= {TIME_MAX}:",
    "            plain_time(timestamp_ns)",
    "        pack_into(",
    f"            lane.buffer, lane.slots + (tail & lane.slot_mask) * {SLOT_BYTES},",
    f"            {int(Kind.SAMPLE)}, 1, 0, mask, self.id, timestamp_ns,",
    f"            {', '.join(f.name for f in fields_of(Kind.SAMPLE))})",
    *(
        [
            "        words[lane.tail_index] = tail + 1",
            "        lane.completed += 1",
            "        lane.tail = tail + 1",
            "        lane.busy = False",
        ]
        if IS_ORDERED
        else ["        lane.publish(1)"]
    ),
    "        return True",
    "    except Exception:",
    f"        plain_values(({_NAMES}))",
    "        plain_time(timestamp_ns)",
    "        return False",
    "    finally:",
    "        if lane.busy:",
    "            lane.settle()",
]


def _compile_silent() -> Any:
    """Build `record` for a process without telemetry: nothing is faster in Python."""
    return _built(
        [f"def record(self, {_SIGNATURE}, *, timestamp_ns=None):", "    return False"],
    )


def _compile_values() -> Any:
    """Build the function that puts the arguments of a call of `record` in order."""
    return _built(
        [
            f"def record({_SIGNATURE}, *, timestamp_ns=None):",
            f"    return ({_NAMES}), timestamp_ns",
        ]
    )


def _built(lines: list[str]) -> Any:
    """The function `record` that the lines define."""
    scope: dict[str, Any] = {
        "time_ns": time.time_ns,
        "pack_into": SAMPLE_FORMAT.pack_into,
        "plain_values": plain_values,
        "plain_time": plain_time,
    }
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of names of the model only
    record = scope["record"]
    record.__doc__ = _RECORD_DOC
    record.__module__ = "rnts"
    return record


record = _compile_record()
record_silently = _compile_silent()
record_values = _compile_values()  # (values in order, time) of the arguments of a call
EMITTERS.add(record.__code__)
