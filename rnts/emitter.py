"""`Neuron.record` as plain functions, generated from the model: one writes, one is off."""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterable

from rnts.fence import IS_ORDERED
from rnts.misuse import RECORD_ARGUMENTS, TIME_MAX, plain_time, plain_values
from rnts.model import FIELD, METRIC_NAMES, SLOT_BYTES, Kind
from rnts.writer import ATTEMPTS, BELL, CODES, EMITTERS, TAIL, fields_of

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

_RECORD_DOC = """Report what the neuron did; True if the record is on its way to the agent.

Pass what you know, by name or in this order; what is left out, or is None, stays absent. One that
sampling leaves out is on its way, too: others stand for it. A full lane drops the record under
`lane_full`. A value of a wrong type is a TypeError and one that does
not fit an OverflowError, as with any builtin; the record then counts as `invalid`.
"""
_SIGNATURE = ", ".join(f"{name}=None" for name in RECORD_ARGUMENTS)
_NAMES = ", ".join(RECORD_ARGUMENTS)
_IN_SLOT = [field for field in fields_of(Kind.SAMPLE) if field.name in RECORD_ARGUMENTS]


def _format(start: str, names: Collection[str]) -> struct.Struct:
    """The struct of a sample's slot that has these fields behind its start, and else zeros."""
    codes = (
        CODES[field.storage] if field.name in names else f"{field.storage.bits // 8}x"
        for field in _IN_SLOT
    )
    return struct.Struct(f"<{start}{''.join(codes)}")


def _first_word(names: Iterable[str]) -> int:
    """The first word of a sample that has these fields."""
    return int(Kind.SAMPLE) | 1 << 8 | sum(FIELD[name].mask for name in names) << 32


def snapshot_start(neuron_id: int) -> bytes:
    """The first two words of a neuron's snapshots, which are always the same."""
    return struct.pack("<QQ", _first_word(METRIC_NAMES), neuron_id)


def _compile_record() -> Any:
    """Build `Neuron.record` from the model: one flat function, since this is the hot path.

    What `LaneWriter.begin` and `publish` do stands in it: two calls more took a quarter longer. A
    snapshot, which has all metrics and nothing else, has a struct of its own: each item that need
    not be packed saves a fiftieth.
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
        *_WRITING,
    ]
    return _built(lines)


_SNAPSHOT = " and ".join(
    [f"{name} is not None" for name in METRIC_NAMES]
    + [f"{name} is None" for name in RECORD_ARGUMENTS[len(METRIC_NAMES) :]]
)
_WRITING = [
    "    try:",
    "        is_sampling = lane.sampler.is_on",
    "        if is_sampling:",
    "            state = health",  # below, None becomes 0
    "            chance = lane.sampler.admit(self.id, self.importance, state)",
    "            if chance is None:",
    "                lane.refuse('sampled_out')",
    "                return True",
    "            if chance != 1.0:",
    "                weight = lane.sampler.weigh(chance, weight)",
    "        lane.busy = True",
    "        words = lane.words",
    "        tail = lane.tail",
    "        following = tail + 1",
    f"        words[{ATTEMPTS}] = following + lane.surplus",
    "        if tail >= lane.limit and lane.room() < 1:",
    "            lane.drop('lane_full')",
    "            return False",
    "        if timestamp_ns is None:",
    "            timestamp_ns = time_ns()",
    f"        elif not 0 < timestamp_ns <= {TIME_MAX}:",
    "            plain_time(timestamp_ns)",
    f"        if {_SNAPSHOT}:",
    "            pack_snapshot(",
    f"                lane.buffer, lane.base + tail * {SLOT_BYTES},",
    "                self._start, timestamp_ns,",
    f"                {', '.join(f.name for f in _IN_SLOT if f.name in METRIC_NAMES)})",
    "        else:",
    f"            first_word = {_first_word(())}",
    *(
        line
        for name in RECORD_ARGUMENTS
        for line in (
            f"            if {name} is None: {name} = 0",
            f"            else: first_word |= {FIELD[name].mask << 32}",
        )
    ),
    "            pack_record(",
    f"                lane.buffer, lane.base + tail * {SLOT_BYTES},",
    "                first_word, self.id, timestamp_ns,",
    f"                {', '.join(f.name for f in _IN_SLOT)})",
    *([] if IS_ORDERED else ["        lane.fence.order_stores()"]),
    f"        words[{TAIL}] = following",
    "        lane.tail = following",
    "        lane.busy = False",
    "        if is_sampling:",
    "            lane.sampler.told(self.id, state)",
    f"        if words[{BELL}]:",
    "            lane.ring()",
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
        "pack_snapshot": _format("16sQ", METRIC_NAMES).pack_into,
        "pack_record": _format("QQQ", RECORD_ARGUMENTS).pack_into,
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
