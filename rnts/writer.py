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
from rnts.bell import address_of, wake
from rnts.fence import IS_ORDERED, Fence
from rnts.model import FIELDS, SLOT_BYTES, SLOTS_MAX, Field, Kind, Storage
from rnts.plain_sampling import PlainSampler
from rnts.segment import Segment
from rnts.text import join_strings

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

CODES = {
    Storage.U64: "Q",
    Storage.U32: "I",
    Storage.F32: "f",
    Storage.F64: "d",
    Storage.U8: "B",
}
_HEADER = "BBHIQQ"
# Words of a lane's block.
BELL = layout.LANE_BELL // 8
TAIL = layout.LANE_TAIL // 8
ATTEMPTS = layout.LANE_ATTEMPTS // 8
HEAD = layout.LANE_HEAD // 8
DROP = {reason: offset // 8 for reason, offset in layout.LANE_DROP.items()}
DROP["sampled_out"] = layout.LANE_SAMPLED_OUT // 8  # which is no drop


def fields_of(kind: Kind) -> list[Field]:
    """The fields of a kind of record in slot order."""
    return sorted((f for f in FIELDS if f.kind is kind), key=lambda f: (f.word, f.shift))


def _format(kind: Kind) -> struct.Struct:
    """The struct that packs a record's first slot: header, then the fields in slot order."""
    return struct.Struct("<" + _HEADER + "".join(CODES[f.storage] for f in fields_of(kind)))


class LaneWriter:
    """The producer's end of one lane.

    `Neuron.record`, which is generated, does by itself what `begin` and `publish` do.
    """

    is_compiled = False

    def __init__(self, segment: Segment, lane: int) -> None:
        control = layout.lane_offset(lane) // 8
        self.lane = lane
        self.busy = False
        self.buffer = segment.buffer
        self.words = segment.words[control : control + layout.LANE_BYTES // 8]
        self._bell = address_of(segment.buffer) + layout.lane_offset(lane) + layout.LANE_BELL
        self.sampler = PlainSampler(
            segment.words[control + layout.LANE_RATES // 8 : control + layout.LANE_TAIL // 8]
        )
        self.slots = layout.slots_offset(lane, segment.lanes, segment.lane_slots)
        self.capacity = segment.lane_slots
        self.fence = Fence()
        # A lane has owners one after another; the next one goes on where the last one stopped.
        self.tail = self.words[TAIL]
        self.surplus = self.words[ATTEMPTS] - self.tail  # attempts that are settled, less slots
        # As long as `tail` is below the limit, and no look at the agent is needed, its slot is at
        # `base + tail * SLOT_BYTES`: there is room, and the ring does not begin anew before it.
        self.base = self.limit = 0
        self._dropping: tuple[int, int] | None = None  # index and value that a counter is to have

    def begin(self, slots: int) -> int:
        """Start a record of `slots` slots; its byte offset, or -1 (counted) if the lane is full."""
        self.busy = True
        self.words[ATTEMPTS] = self.tail + self.surplus + 1
        if self.tail + slots > self.limit and self.room() < slots:
            self.drop("lane_full")
            return -1
        return self.base + self.tail * SLOT_BYTES

    def room(self) -> int:
        """Look how far the agent is; for how many slots there is room."""
        first = self.tail % self.capacity
        room = self.words[HEAD] + self.capacity - self.tail
        # In this order: below a new limit an old base would be wrong.
        self.base = self.slots + (first - self.tail) * SLOT_BYTES
        self.limit = self.tail + min(room, self.capacity - first)
        return room

    def publish(self, slots: int) -> None:
        """Make what was begun visible, by one store."""
        if not IS_ORDERED:
            self.fence.order_stores()
        self.words[TAIL] = self.tail + slots
        self.settle()
        if self.words[BELL]:
            self.ring()

    def ring(self) -> None:
        """Wake the agent, which was asleep."""
        self.words[BELL] = 0
        wake(self._bell)

    def drop(self, reason: str) -> None:
        """Give up what was begun, under `reason`."""
        index = DROP[reason]
        begun = self.words[ATTEMPTS] - self.tail - self.surplus
        self._dropping = index, self.words[index] + begun
        self.settle()

    def settle(self) -> None:
        """End what an exception left open: published if its store happened, else dropped."""
        words = self.words
        is_published = words[TAIL] != self.tail
        if self._dropping is not None:
            index, total = self._dropping
            words[index] = total
        elif not is_published and words[ATTEMPTS] != self.tail + self.surplus:
            return self.drop("invalid")
        # In this order: with an old tail, what was published will be seen again.
        self.surplus = words[ATTEMPTS] - words[TAIL]
        self.tail = words[TAIL]
        self._dropping = None
        self.busy = False

    def refuse(self, reason: str, count: int = 1) -> bool:
        """Count records that are not even begun; while another one is, they are `reentrant`."""
        if self.busy:
            self.words[ATTEMPTS] += count
            self.words[DROP["reentrant"]] += count
            self.surplus += count
        else:
            self.busy = True
            self.words[ATTEMPTS] = self.tail + self.surplus + count
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
            if self.sampler.is_on:
                self.sampler.note(values)
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
        """Write single-slot samples given as an int64 array [n, 16]; how many were taken.

        Those that sampling leaves out count as taken. The rest, for which there is no room, is
        counted as `lane_full`.
        """
        if self.busy and self.is_reentered():
            return int(self.refuse("reentrant", len(rows)))
        left_out = 0
        if self.sampler.is_on:
            kept = self.sampler.thin(rows)
            rows, left_out = kept, len(rows) - len(kept)
            if left_out:
                self.refuse("sampled_out", left_out)
        count = len(rows)
        room = min(count, self.room())
        try:
            self.busy = True
            self.words[ATTEMPTS] = self.tail + self.surplus + room
            self._copy(rows[:room])
            self.publish(room)
        finally:
            if self.busy:
                self.settle()
        if room < count:
            self.refuse("lane_full", count - room)
            if self.sampler.is_on:
                self.sampler.forget(rows[room:])
        return room + left_out

    def _copy(self, rows: Any) -> None:
        """Copy slots to where the tail stands, in one piece or, around the end, in two."""
        first = self.tail % self.capacity
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
