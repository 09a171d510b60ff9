"""The spool of one life of an agent: what memory does not hold, in checked segments on disk.

A segment is `NUMBER.data`, a record and a payload for each entry, and `NUMBER.index` with the same
records alone (`rnts/spool_records.py`). Data that are given up are removed, the index stays until
all of it is committed: so what was lost can be told exactly. `state` says whose life it is, what is
committed, and where each source stood then. All that is written is there after a kill, since it is
with the kernel; whether it is after a power cut is a question of `sync`.
"""

import logging
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from rnts.entries import Entry
from rnts.spool_files import Files, condition_of
from rnts.spool_parts import STATE, Budget, Place, Segment, SpoolLimits, State
from rnts.spool_records import LOST, Record, merge

RETRY_S = 1.0  # after the disk has refused
_COMPACT_SHARE = 16  # of the limit, that counts of what is lost may take before they are summed up

log = logging.getLogger("rnts.spool")


class Spool:
    """Entries on disk. No method raises for what the disk does: `condition` says it, and counts.

    `describe() -> State` is asked before the first entry is written, and at each `mark`.
    """

    def __init__(
        self,
        files: Files,
        limits: SpoolLimits,
        describe: Callable[[], State],
        budget: Budget | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.files, self.limits = files, limits
        self.segments: list[Segment] = []
        self.condition = ""  # why nothing is written at present
        self.failures: Counter[str] = Counter()  # by condition, and "damaged" payloads
        self._describe, self._clock_s = describe, clock_s
        self._budget = budget or Budget()
        self._is_growing = False  # whether the last segment is
        self._retry_s = 0.0

    @property
    def size_bytes(self) -> int:
        """What its files take."""
        return sum(segment.size_bytes for segment in self.segments)

    def adopt(self, segments: list[Segment]) -> None:
        """Take over the segments of a life that is over."""
        self.segments = segments
        self._budget.used += self.size_bytes

    def has_room(self, payload_bytes: int) -> bool:
        """Whether a payload still fits under the limit; True while the disk refuses anyway."""
        return bool(self.condition) or self._budget.used + payload_bytes <= self.limits.bytes_max

    def append(self, entry: Entry) -> Place | None:
        """Write an entry; its place, or None where that failed."""
        assert entry.payload is not None
        return self._write(entry, entry.payload)

    def append_lost(self, entry: Entry) -> None:
        """Note of an entry in memory that it was given up, with its counts, if there is a spool."""
        if self.segments:
            self._write(entry, None)

    def _write(self, entry: Entry, payload: bytes | None) -> Place | None:
        if self.condition and self._clock_s() < self._retry_s:
            return None
        body = payload or b""
        flags, crc = (LOST if payload is None else 0), zlib.crc32(body)
        try:
            segment = self._segment_to_grow()
            at = segment.data_bytes
            numbers = entry.first, entry.last, entry.base
            head = Record(flags, *numbers, at, len(body), crc, entry.counts).pack()
            if payload is not None:
                self.files.append(segment.data, [head, payload], at)
            self.files.append(segment.index, [head], segment.index_bytes)
            if self.limits.sync == "entry":
                self._sync(segment)
        except OSError as error:
            self._fail(error)
            return None
        self.condition = ""
        segment.index_bytes += len(head)
        segment.note(entry.first, entry.last)
        self._budget.used += len(head)
        if payload is None:
            return None
        segment.data_bytes += len(head) + len(payload)
        segment.needed += 1
        self._budget.used += len(head) + len(payload)
        return Place(segment.number, at + len(head), len(payload), crc)

    def _segment_to_grow(self) -> Segment:
        """The last segment, or a new one where that is full or a write to it has failed."""
        if self._is_growing and self.segments[-1].size_bytes < self.limits.segment_bytes:
            return self.segments[-1]
        if not self.segments:
            self.files.make()
            self._put_state()
        elif self._is_growing and self.limits.sync == "segment":
            self._sync(self.segments[-1])
        number = self.segments[-1].number + 1 if self.segments else 1
        self.segments.append(Segment(number))
        self._is_growing = True
        self._clean(self.segments[:-1])
        return self.segments[-1]

    def _sync(self, segment: Segment) -> None:
        for name in (segment.data, segment.index):
            self.files.sync(name)

    def _put_state(self) -> None:
        self.files.replace(STATE, self._describe().pack())

    def mark(self) -> None:
        """Put down what is committed by now, if there is anything that a successor could find."""
        if self.segments:
            try:
                self._put_state()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        """The disk refused: nothing is written for a while; what is there stays."""
        condition = condition_of(error)
        if condition != self.condition:
            log.warning("spool: %s; frames are kept in memory as far as that reaches", error)
        self.condition = condition
        self.failures[condition] += 1
        self._retry_s = self._clock_s() + RETRY_S
        if self._is_growing:
            self._is_growing = False
            segment = self.segments[-1]
            with suppress(OSError):  # else what was written in part is stepped over
                self.files.truncate(segment.data, segment.data_bytes)

    def read(self, place: object) -> bytes | None:
        """A payload; None if it is damaged or gone, which is counted."""
        assert isinstance(place, Place)
        try:
            payload = self.files.read(f"{place.segment:08d}.data", place.offset, place.size)
        except OSError as error:
            log.warning("spool: %s", error)
            payload = b""
        if len(payload) != place.size or zlib.crc32(payload) != place.crc:
            self.failures["damaged"] += 1
            return None
        return payload

    def drop(self, place: object) -> None:
        """A payload is needed no more; data go when none of a segment is, its counts stay."""
        assert isinstance(place, Place)
        segment = next(s for s in self.segments if s.number == place.segment)
        segment.needed -= 1
        if not segment.needed:
            self._clean([segment])

    def _clean(self, segments: list[Segment]) -> None:
        for segment in segments:
            is_growing = self._is_growing and segment is self.segments[-1]
            if not segment.needed and segment.data_bytes and not is_growing:
                self._remove(segment.data)
                self._budget.used -= segment.data_bytes
                segment.data_bytes = 0

    def compact(self, first: int, last: int) -> None:
        """All these numbers are one hole that never went out: keep their counts in one record."""
        lost = [s for s in self.segments[:-1] if first <= s.first and s.last <= last]
        index_bytes = sum(segment.index_bytes for segment in lost)
        if len(lost) < 2 or index_bytes * _COMPACT_SHARE < self.limits.bytes_max:
            return
        if any(segment.needed for segment in lost):
            return
        try:
            self._clean(lost)
            record = merge(self.files.read(s.index, 0, s.index_bytes) for s in lost)
            if record is not None:
                kept, raw = lost[0], record.pack()
                self.files.replace(kept.index, raw)  # from now on the others say nothing new
                self._budget.used += len(raw) - kept.index_bytes
                kept.index_bytes, kept.last = len(raw), record.last
                for segment in lost[1:]:
                    self._discard(segment)
                    self.segments.remove(segment)
        except OSError as error:
            self._fail(error)

    def release(self, before: int) -> None:
        """All entries before this number are needed no more."""
        while self.segments and self.segments[0].last < before:
            self._discard(self.segments.pop(0))
            self._is_growing &= bool(self.segments)

    def _discard(self, segment: Segment) -> None:
        for name in (segment.data, segment.index):
            self._remove(name)
        self._budget.used -= segment.size_bytes

    def _remove(self, name: str) -> None:
        try:
            self.files.remove(name)
        except OSError as error:
            self.failures[condition_of(error)] += 1
            log.warning("spool: %s stays: %s", name, error)

    def end(self) -> None:
        """Close all files; without entries the folder is removed as well."""
        self.files.close()
        if not self.segments:
            with suppress(OSError):  # there was none, or it stays as it is
                self.files.remove_folder()
