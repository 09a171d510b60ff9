"""The frames of a recording, opened: each against those of its life before it, or left out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rnts.errors import FrameError
from rnts.frame import DecoderSession, Frame, FrameDecoder, FrameHeader, frame_header
from rnts.recordings.records import Kind, Record

LIVES_MAX = 4_096  # whose frames can be followed at a time; the one that began first goes


class Opened(NamedTuple):
    """A frame with its record; what it says is overwritten by the next one."""

    record: Record
    header: FrameHeader
    frame: Frame


class Opener:
    """Opens entries in the order in which they were folded, each against those of its life before.

    `skipped` counts what cannot be opened by the reason of `FrameError`: after a gap all frames of
    a life are `base` until its next keyframe. Holes count as `hole`.
    """

    def __init__(self, skipped: "Counter[str]") -> None:
        self._skipped = skipped
        self._decoder = FrameDecoder()
        self._sessions: dict[tuple[int, int], DecoderSession] = {}

    def open(self, record: Record) -> Opened | None:
        """The frame of an entry, or None."""
        try:
            header = frame_header(record.payload)
            if (header.agent_id, header.incarnation) != record.life:
                raise FrameError("sender", 0, record.payload)
            if header.sequence == 0:
                self._skipped["hole"] += 1
                return None
            frame = self._decoder.decode(record.payload, header, self._session(record.life))
        except FrameError as error:
            self._skipped[error.reason] += 1
            return None
        return Opened(record, header, frame)

    def _session(self, life: tuple[int, int]) -> DecoderSession:
        session = self._sessions.get(life)
        if session is None:
            if len(self._sessions) >= LIVES_MAX:
                del self._sessions[next(iter(self._sessions))]
            session = self._sessions[life] = DecoderSession()
        return session


def opened(records: Iterable[Record], skipped: "Counter[str]") -> Iterator[Opened]:
    """All frames of a recording that can be opened; see `Opener`."""
    opener = Opener(skipped)
    for record in records:
        if record.kind == Kind.ENTRY:
            found = opener.open(record)
            if found is not None:
                yield found
