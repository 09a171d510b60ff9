"""Writing a lane from plain Python: the emitter that serves where nothing is compiled.

One thread owns a writer. A signal handler or a finaliser that runs in the middle of a record and
makes another finds the writer busy; that record is dropped and counted, never woven in. Whatever
interrupts (KeyboardInterrupt included), `attempts` stays the sum of what was published and dropped:
of what ends a record one store decides, and `settle` can do the rest at any time, and again.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from types import FrameType

from rnts import layout
from rnts.fence import IS_ORDERED, Fence
from rnts.model import FIELDS, SLOT_BYTES, SLOTS_MAX, Field, Kind, Storage
from rnts.segment import Segment
from rnts.text import join_strings

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

_CODES = {
    Storage.U64: "Q",
    Storage.U32: "I",
    Storage.F32: "f",
    Storage.F64: "d",
    Storage.U8: "B",
}
_HEADER = "BBHIQQ"


def fields_of(kind: Kind) -> list[Field]:
    """The fields of a kind of record in slot order."""
    return sorted((f for f in FIELDS if f.kind is kind), key=lambda f: (f.word, f.shift))


def _format(kind: Kind) -> struct.Struct:
    """The struct that packs a record's first slot: header, then the fields in slot order."""
    return struct.Struct("<" + _HEADER + "".join(_CODES[f.storage] for f in fields_of(kind)))


class LaneWriter:
    """The producer's end of one lane.

    `Neuron.record`, which is generated, does by itself what `begin` and `publish` do.
    """

    is_compiled = False

    def __init__(self, segment: Segment, lane: int) -> None:
        control = layout.lane_offset(lane)
        self.lane = lane
        self.busy = False
        self.buffer = segment.buffer
        self.words = segment.words
        self.slots = layout.slots_offset(lane, segment.lanes, segment.lane_slots)
        self.capacity = segment.lane_slots
        self.slot_mask = segment.lane_slots - 1
        self._fence = Fence()
        self._control = control
        self.tail_index = (control + layout.LANE_TAIL) // 8
        self.head_index = (control + layout.LANE_HEAD) // 8
        self.attempts_index = (control + layout.LANE_ATTEMPTS) // 8
        # A lane has owners one after another; the next one goes on where the last one stopped.
        self.tail = self.words[self.tail_index]
        self.head_cache = self.words[self.head_index]
        self.completed = self.words[self.attempts_index]
        self._dropping: tuple[int, int] | None = None  # index and value that a counter is to have

    def begin(self, slots: int) -> int:
        """Start a record of `slots` slots; its byte offset, or -1 (counted) if the lane is full."""
        self.busy = True
        self.words[self.attempts_index] = self.completed + 1
        if self.tail + slots - self.head_cache > self.capacity and self.is_full(slots):
            self.drop("lane_full")
            return -1
        return self.slots + (self.tail & self.slot_mask) * SLOT_BYTES

    def is_full(self, slots: int) -> bool:
        """Look how far the agent is; whether a record of `slots` slots has no room."""
        self.head_cache = self.words[self.head_index]
        return self.tail + slots - self.head_cache > self.capacity

    def publish(self, slots: int, count: int = 1) -> None:
        """Make the record (or `count` of them) visible, by one store."""
        if not IS_ORDERED:
            self._fence.order_stores()
        self.words[self.tail_index] = self.tail + slots
        self.completed += count
        self.tail += slots
        self.busy = False

    def drop(self, reason: str) -> None:
        """Give up what was begun, under `reason`."""
        index = (self._control + layout.LANE_DROP[reason]) // 8
        begun = self.words[self.attempts_index] - self.completed
        self._dropping = index, self.words[index] + begun
        self.settle()

    def settle(self) -> None:
        """End what an exception left open: published if its store happened, else dropped."""
        words = self.words
        is_published = words[self.tail_index] != self.tail
        if self._dropping is not None:
            index, total = self._dropping
            words[index] = total
        elif not is_published and words[self.attempts_index] != self.completed:
            return self.drop("invalid")
        self.completed = words[self.attempts_index]
        self.tail = words[self.tail_index]
        self._dropping = None
        self.busy = False

    def refuse(self, reason: str, count: int = 1) -> bool:
        """Count records that are not even begun; while another one is, they are `reentrant`."""
        if self.busy:
            self.words[self.attempts_index] += count
            self.words[(self._control + layout.LANE_DROP["reentrant"]) // 8] += count
            self.completed += count
        else:
            self.busy = True
            self.words[self.attempts_index] = self.completed + count
            self.drop(reason)
        return False

    def is_reentered(self) -> bool:
        """Whether a busy writer's record is under way, or was left by an interrupt; that is ended.

        An interrupt can hit the very code that cleans up after one.
        """
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code not in EMITTERS:
            frame = frame.f_back
        if frame is None:
            self.settle()
        return frame is not None

    def write(
        self, record: struct.Struct, values: tuple[Any, ...], strings: Iterable[Any] = ()
    ) -> bool:
        """Write one record of any kind: its first slot's values, then its strings.

        `values` are those of `record` less kind, slots and text_bytes: (kind, mask, id, time, …).
        """
        if self.busy and self.is_reentered():
            return self.refuse("reentrant")
        try:
            text = join_strings(*map(str, strings)) if strings else b""
            slots = 1 + -(-len(text) // SLOT_BYTES)
            if slots > SLOTS_MAX:
                return self.refuse("too_big")
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
        except Exception:  # noqa: BLE001 - also what an argument's own __index__ raises
            if not self.busy:
                self.refuse("invalid")
            return False
        finally:
            if self.busy:
                self.settle()

    def _next_slot(self, offset: int) -> int:
        following = offset + SLOT_BYTES
        return following if following < self.slots + self.capacity * SLOT_BYTES else self.slots

    def write_slots(self, rows: Any) -> int:
        """Write single-slot records given as an int64 array [n, 16]; how many were taken.

        The rest, for which there is no room, is counted as `lane_full`.
        """
        count = len(rows)
        if self.busy and self.is_reentered():
            return int(self.refuse("reentrant", count))
        self.head_cache = self.words[self.head_index]
        room = min(count, self.capacity - (self.tail - self.head_cache))
        try:
            self.busy = True
            self.words[self.attempts_index] = self.completed + room
            self._copy(rows[:room])
            self.publish(room, room)
        finally:
            if self.busy:
                self.settle()
        if room < count:
            self.refuse("lane_full", count - room)
        return room

    def _copy(self, rows: Any) -> None:
        """Copy slots to where the tail stands, in one piece or, around the end, in two."""
        first = self.tail & self.slot_mask
        before_wrap = min(len(rows), self.capacity - first)
        for start, piece in ((first, rows[:before_wrap]), (0, rows[before_wrap:])):
            offset = self.slots + start * SLOT_BYTES
            self.buffer[offset : offset + len(piece) * SLOT_BYTES] = piece.tobytes()


EVENT_FORMAT = _format(Kind.EVENT)
LINK_FORMAT = _format(Kind.LINK)
SAMPLE_FORMAT = _format(Kind.SAMPLE)

# Whose frames tell that a record is under way; the generated `record` joins them.
EMITTERS = {
    function.__code__ for function in (LaneWriter.write, LaneWriter.write_slots, LaneWriter.refuse)
}
