"""Writing a lane from plain Python: the emitter that serves where nothing is compiled.

One thread owns a writer. A signal handler or a finaliser that runs in the middle of a record and
makes another finds the writer busy; that record is dropped and counted, never woven in. Whatever
interrupts (KeyboardInterrupt included), `attempts` stays the sum of what was published and dropped.
"""

import platform
import struct
import threading
import time
from typing import Any

from rnts import layout
from rnts.model import (
    FIELD,
    FIELDS,
    METRIC_NAMES,
    SLOT_BYTES,
    SLOTS_MAX,
    Field,
    Kind,
    Storage,
)
from rnts.segment import Segment

_CODES = {
    Storage.U64: "Q",
    Storage.U32: "I",
    Storage.F32: "f",
    Storage.F64: "d",
    Storage.U8: "B",
}
_HEADER = "BBHIQQ"
_BAD_VALUE = (struct.error, TypeError, ValueError, OverflowError)
# x86-64 keeps stores in order. Elsewhere letting go of a held lock and taking it again is the one
# release barrier that plain Python has.
_ORDERED_STORES = platform.machine() in ("x86_64", "AMD64")
_barrier = threading.Lock()
_barrier.acquire()


def _fields_of(kind: Kind) -> list[Field]:
    return sorted((f for f in FIELDS if f.kind is kind), key=lambda f: (f.word, f.shift))


def _format(kind: Kind) -> struct.Struct:
    """The struct that packs a record's first slot: header, then the fields in slot order."""
    return struct.Struct("<" + _HEADER + "".join(_CODES[f.storage] for f in _fields_of(kind)))


class LaneWriter:
    """The producer's end of one lane."""

    def __init__(self, segment: Segment, lane: int) -> None:
        control = layout.lane_offset(lane)
        self.lane = lane
        self.busy = False
        self.buffer = segment.buffer
        self._words = segment.words
        self._slots = layout.slots_offset(lane, segment.lanes, segment.lane_slots)
        self._capacity = segment.lane_slots
        self._control = control
        self._tail_index = (control + layout.LANE_TAIL) // 8
        self._head_index = (control + layout.LANE_HEAD) // 8
        self._attempts_index = (control + layout.LANE_ATTEMPTS) // 8
        # A lane has owners one after another; the next one goes on where the last one stopped.
        self._tail = self._words[self._tail_index]
        self._head_cache = self._words[self._head_index]
        self._completed = self._words[self._attempts_index]

    def begin(self, slots: int) -> int:
        """Start a record of `slots` slots; its byte offset, or -1 (counted) if the lane is full."""
        self.busy = True
        self._words[self._attempts_index] = self._completed + 1
        if self._tail + slots - self._head_cache > self._capacity:
            self._head_cache = self._words[self._head_index]
            if self._tail + slots - self._head_cache > self._capacity:
                self.drop("lane_full")
                return -1
        return self._slots + (self._tail & (self._capacity - 1)) * SLOT_BYTES

    def publish(self, slots: int) -> None:
        """Make the record visible, by one store."""
        if not _ORDERED_STORES:
            _barrier.release()
            _barrier.acquire()
        self._words[self._tail_index] = self._tail + slots
        self._tail += slots
        self._completed += 1
        self.busy = False

    def drop(self, reason: str, count: int = 1) -> None:
        """Give up the record (or `count` of them) that was begun, under `reason`."""
        self._words[(self._control + layout.LANE_DROP[reason]) // 8] += count
        self._completed += count
        self.busy = False

    def settle(self, count: int = 1) -> None:
        """End what an exception left open: published if its store happened, else dropped."""
        published = self._words[self._tail_index]
        if published != self._tail:
            self._tail = published
            self._completed += count
            self.busy = False
        else:
            self.drop("invalid", count)

    def refuse(self, reason: str) -> bool:
        """Count a record that is not even begun; also while another one of this thread is."""
        self._completed += 1
        self._words[self._attempts_index] += 1
        self._words[(self._control + layout.LANE_DROP[reason]) // 8] += 1
        return False

    def write(self, record: struct.Struct, values: tuple[Any, ...], text: bytes = b"") -> bool:
        """Write one record of any kind: its first slot's values, then its text.

        `values` are those of `record` less kind, slots and text_bytes: (kind, mask, id, time, …).
        """
        if self.busy:
            return self.refuse("reentrant")
        slots = 1 + -(-len(text) // SLOT_BYTES)
        if slots > SLOTS_MAX:
            return self.refuse("too_big")
        try:
            offset = self.begin(slots)
            if offset < 0:
                return False
            kind, *rest = values
            record.pack_into(self.buffer, offset, kind, slots, len(text), *rest)
            for start in range(0, len(text), SLOT_BYTES):
                offset = self._next_slot(offset)
                piece = text[start : start + SLOT_BYTES]
                self.buffer[offset : offset + len(piece)] = piece
            self.publish(slots)
            return True
        except _BAD_VALUE:
            return False
        finally:
            if self.busy:
                self.settle()

    def _next_slot(self, offset: int) -> int:
        following = offset + SLOT_BYTES
        return following if following < self._slots + self._capacity * SLOT_BYTES else self._slots

    def write_slots(self, rows: Any) -> int:
        """Write single-slot records given as an int64 array [n, 16]; how many were taken.

        The rest, for which there is no room, is counted as `lane_full`.
        """
        if self.busy:
            return int(self.refuse("reentrant"))
        self.busy = True
        count = len(rows)
        try:
            self._words[self._attempts_index] = self._completed + count
            self._head_cache = self._words[self._head_index]
            room = min(count, self._capacity - (self._tail - self._head_cache))
            self._completed += count - room
            self._words[(self._control + layout.LANE_DROP["lane_full"]) // 8] += count - room
            count = room
            self._copy(rows[:room])
            self._completed += room - 1  # `publish` adds the last one
            self.publish(room)
            return room
        finally:
            if self.busy:
                self.settle(count)

    def _copy(self, rows: Any) -> None:
        """Copy slots to where the tail stands, in one piece or, around the end, in two."""
        first = self._tail & (self._capacity - 1)
        before_wrap = min(len(rows), self._capacity - first)
        for start, piece in ((first, rows[:before_wrap]), (0, rows[before_wrap:])):
            offset = self._slots + start * SLOT_BYTES
            self.buffer[offset : offset + len(piece) * SLOT_BYTES] = piece.tobytes()


EVENT_FORMAT = _format(Kind.EVENT)
LINK_FORMAT = _format(Kind.LINK)
SAMPLE_FORMAT = _format(Kind.SAMPLE)

_RECORD_DOC = """Report what the neuron did; True if the record is on its way to the agent.

Pass what you know, by name or in this order; what is left out stays absent. Never raises: a
value of a wrong type or range drops the record under the reason `invalid`, a full lane under
`lane_full`, and an unknown metric is left out, counted and warned about once.
"""


def _compile_record() -> Any:
    """Build `Neuron.record` from the model: one flat function, since this is the hot path.

    A loop over keyword arguments took twice the time of these tests and one `pack_into`.
    """
    names = [*METRIC_NAMES, "health", "weight"]
    order = [f.name for f in _fields_of(Kind.SAMPLE)]
    arguments = ", ".join(f"{name}=None" for name in names)
    lines = [
        f"def record(self, {arguments}, *, timestamp_ns=None, **unknown):",
        "    try:",
        "        lane = self._producer.local.writer",
        "    except AttributeError:",
        "        lane = self._producer.attach_thread()",
        "    if lane is None:",
        "        return False",
        "    if lane.busy:",
        "        return lane.refuse('reentrant')",
        "    if unknown:",
        "        self._producer.warn_unknown(unknown)",
        "    mask = 0",
    ]
    for name in names:
        lines += [
            f"    if {name} is None: {name} = 0",
            f"    else: mask |= {FIELD[name].mask}",
        ]
    lines += [
        "    try:",
        "        offset = lane.begin(1)",
        "        if offset < 0:",
        "            return False",
        "        if timestamp_ns is None:",
        "            timestamp_ns = time_ns()",
        f"        pack_into(lane.buffer, offset, {int(Kind.SAMPLE)}, 1, 0, mask, self.id,",
        f"            timestamp_ns, {', '.join(order)})",
        "        lane.publish(1)",
        "        return True",
        "    except bad_value:",
        "        return False",
        "    finally:",
        "        if lane.busy:",
        "            lane.settle()",
    ]
    scope: dict[str, Any] = {
        "time_ns": time.time_ns,
        "pack_into": SAMPLE_FORMAT.pack_into,
        "bad_value": _BAD_VALUE,
    }
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of names of the model only
    record = scope["record"]
    record.__doc__ = _RECORD_DOC
    record.__module__ = "rnts"
    return record


record = _compile_record()
