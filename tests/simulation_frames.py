"""Frames of the simulation: played ones, which cost little, and real ones, which have to agree."""

import struct
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from wire_tools import sample, to_slots

from rnts.accounting import SOURCE_COLUMNS
from rnts.delivery import Message
from rnts.frame import FrameEncoder
from rnts.model import FIELD
from rnts.records import Records

_HEAD = struct.Struct("<QQIIqII")  # agent, life, from record, to record, watermark, base, number
_ROW_BYTES = 8 * len(SOURCE_COLUMNS)
_NUMBER = FIELD["queue_depth"].bit  # the field in which a real record says which one it is
Row = NDArray[np.int64]


class PlayedRecords:
    """The records of a played frame: numbers from `start` on, and their times."""

    def __init__(self, agent_id: int, start: int, times: list[int]) -> None:
        self.agent_id, self.start, self.times = agent_id, start, times
        self.count = len(times)

    @cached_property
    def times_ns(self) -> Row:
        """The times as an array."""
        return np.array(self.times, np.int64)


def numbered(records: Any) -> tuple[int, list[tuple[int, int]]]:
    """Whose records these are, and of each its number and its time."""
    if isinstance(records, PlayedRecords):
        return records.agent_id, list(enumerate(records.times, records.start))
    assert isinstance(records, Records)
    if not records.count:
        return 0, []
    numbers = records.values[: records.count, _NUMBER].tolist()
    times = records.times_ns[: records.count].tolist()
    return int(records.ids[0]), list(zip(numbers, times, strict=True))


class PlayedFrame:
    """What a played frame says; it is its own header."""

    meta = b""

    def __init__(self, payload: bytes, times: dict[int, list[int]]) -> None:
        (
            self.agent_id, self.incarnation, start, end, self.watermark_ns, self.base, self.number
        ) = _HEAD.unpack_from(payload)  # fmt: skip
        rows = (len(payload) - _HEAD.size) // _ROW_BYTES
        table = np.frombuffer(payload, np.int64, rows * len(SOURCE_COLUMNS), _HEAD.size)
        self.sources = table.reshape(rows, len(SOURCE_COLUMNS))
        self.records = PlayedRecords(self.agent_id, start, times[self.agent_id][start:end])


class PlayedEncoder:
    """Makes played frames of one life of an agent; `pad` is what the rest of the columns takes."""

    def __init__(self, agent_id: int, incarnation: int) -> None:
        self._life = agent_id, incarnation

    def encode(self, start: int, times: list[int], watermark: int, base: int, number: int,
               table: Row, pad: int = 0) -> bytes:  # fmt: skip
        """One frame; number 0: of no group."""
        head = _HEAD.pack(*self._life, start, start + len(times), watermark, base, number)
        return b"".join((head, table.tobytes(), bytes(min(pad, _ROW_BYTES - 1))))


class RealEncoder:
    """The same with frames as agents make them."""

    def __init__(self, agent_id: int, incarnation: int) -> None:
        self._encoder, self._agent_id = FrameEncoder(agent_id, incarnation, "none"), agent_id

    def encode(self, start: int, times: list[int], watermark: int, base: int, number: int,
               table: Row, pad: int = 0) -> bytes:  # fmt: skip
        """One frame; number 0: of no group."""
        records = [sample(self._agent_id, t, queue_depth=n) for n, t in enumerate(times, start)]
        return self._encoder.encode(
            to_slots(records), sequence=number, watermark_ns=watermark, sources=table,
            is_keyframe=base == number,
        )  # fmt: skip


class PlayedOpening:
    """Stands for `rnts.opening.Opening`, for played frames; `times` has those of all records."""

    def __init__(self, refused: "Counter[str]", times: dict[int, list[int]]) -> None:
        self._refused, self._times = refused, times
        self._sessions: dict[int, tuple[int, int]] = {}  # base and next frame, by agent
        self._before: tuple[int, int] | None = None

    def begin(self, agent_id: int) -> None:
        """An agent begins with a keyframe."""
        self._sessions[agent_id] = 0, 0

    def forget(self, agent_id: int) -> None:
        """The agent has been away for good."""
        self._sessions.pop(agent_id, None)

    def open(
        self,
        payload: bytes,
        message: Message,
        may_come_again: Callable[[Any], bool] = lambda _: False,
    ) -> tuple[PlayedFrame | None, str]:
        """The frame; None, counted, and why, where it cannot be opened."""
        self._before, reason = None, ""
        session = self._sessions.get(message.speaker, (0, 0))
        if len(payload) < _HEAD.size:
            reason = "truncated"
        else:
            frame = PlayedFrame(payload, self._times)
            is_due = session == (frame.base, frame.number) and frame.base > 0
            is_keyframe = frame.base == frame.number
            if (frame.agent_id, frame.incarnation) != (message.speaker, message.incarnation):
                reason = "sender"
            elif frame.records.count and not is_due and not is_keyframe:
                reason = "base"
        if reason:
            self._refused[reason] += 1
            return None, reason
        if may_come_again(frame):
            self._before = session
        if frame.number and (is_due or is_keyframe):
            self._sessions[message.speaker] = frame.base, frame.number + 1
        return frame, ""

    def undo(self, agent_id: int) -> None:
        """The last frame was not taken."""
        if self._before is not None:
            self._sessions[agent_id] = self._before
