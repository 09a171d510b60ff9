"""Reads a recording: whole records one after the other, and what is damaged, as counts."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rnts.errors import FrameError, RntsError, UsageError
from rnts.frame_header import frame_header
from rnts.recordings.records import (
    HEADER_BYTES,
    RECORD_BYTES,
    RECORD_MAGIC,
    Head,
    Kind,
    Record,
    parse_head,
    parse_header,
)

_SEARCH_BYTES = 1 << 20  # looked at in one piece for where a damaged file goes on


class Reader:
    """A recording, which may be read again and again; nothing of it is kept in memory.

    damaged_bytes: what lay between whole records; torn_bytes: what is behind the last of them.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError where there is no such file, RntsError where it is no recording."""
        self.path = path
        self.damaged_bytes = self.torn_bytes = 0
        self.is_ended = False  # whether who made it ended in peace
        try:
            with path.open("rb") as file:
                raw = file.read(HEADER_BYTES)
                self.bytes = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        self.started_ns, self._first_at = parse_header(raw, str(path))

    def records(self, with_payloads: bool = True) -> Iterator[Record]:
        """All whole records in their order; counts of what is damaged are of this pass.

        Without payloads these are not checked either, which takes a fraction of the time.
        """
        self.damaged_bytes = self.torn_bytes = 0
        self.is_ended = False
        with self.path.open("rb") as file:
            at = whole_to = self._first_at
            while (found := self._next(file, at, with_payloads)) is not None:
                start, end, record = found
                self.damaged_bytes += start - whole_to
                at = whole_to = end
                self.is_ended = record.kind == Kind.END
                yield record
            self.torn_bytes = max(0, os.fstat(file.fileno()).st_size - whole_to)

    def _next(self, file: BinaryIO, at: int, with_payloads: bool) -> tuple[int, int, Record] | None:
        """The next whole record from `at` on: where it starts and ends, and what it says."""
        size = os.fstat(file.fileno()).st_size
        while True:
            file.seek(at)
            head = parse_head(file.read(RECORD_BYTES))
            if head is not None:
                end = at + RECORD_BYTES + head.payload_bytes
                record = self._complete(file, head, end <= size, with_payloads)
                if record is not None:
                    return at, end, record
            found = _find_magic(file, at + 1)
            if found is None:
                return None
            at = found

    @staticmethod
    def _complete(file: BinaryIO, head: Head, is_there: bool, with_payload: bool) -> Record | None:
        if not is_there:
            return None
        if with_payload or head.record.kind != Kind.ENTRY:
            return head.with_payload(file.read(head.payload_bytes))
        return head.record

    def summary(self) -> dict[str, Any]:
        """What is in it, by one pass over all records."""
        lives: dict[tuple[int, int], dict[str, int]] = {}
        lost: Counter[str] = Counter()
        gaps = damaged_frames = 0
        first_ns = last_ns = None
        for record in self.records():
            if record.kind == Kind.GAP:
                gaps += 1
                lost[gap_reason(record)] += record.first
            if record.kind != Kind.ENTRY:
                continue
            first_ns, last_ns = record.at_ns if first_ns is None else first_ns, record.at_ns
            try:
                header = frame_header(record.payload)
            except FrameError:
                damaged_frames += 1
                continue
            life = lives.setdefault(record.life, dict.fromkeys(_LIFE, 0))
            life["frames"] += 1
            life["keyframes"] += header.is_keyframe
            life["records"] += header.record_count
            life["bytes"] += len(record.payload)
        return {
            "version": 1,
            "file": str(self.path),
            "bytes": self.bytes,
            "started_ns": self.started_ns,
            "first_ns": first_ns,
            "last_ns": last_ns,
            **{name: sum(life[name] for life in lives.values()) for name in _LIFE},
            "gaps": gaps,
            "frames_lost": dict(lost),
            "ended": self.is_ended,
            "damaged_bytes": self.damaged_bytes,
            "torn_bytes": self.torn_bytes,
            "damaged_frames": damaged_frames,
            "lives": [
                {"agent_id": str(agent), "incarnation": incarnation, **life}
                for (agent, incarnation), life in lives.items()
            ],
        }


_LIFE = ("frames", "keyframes", "records", "bytes")


def _find_magic(file: BinaryIO, start: int) -> int | None:
    """Where the next record may begin."""
    while True:
        file.seek(start)
        raw = file.read(_SEARCH_BYTES)
        found = raw.find(RECORD_MAGIC)
        if found >= 0:
            return start + found
        if len(raw) < _SEARCH_BYTES:
            return None
        start += len(raw) - len(RECORD_MAGIC) + 1


def gap_reason(record: Record) -> str:
    """Why frames are missing at a gap."""
    try:
        return str(json.loads(record.payload)["reason"])
    except (ValueError, KeyError, TypeError) as error:
        raise RntsError(f"a gap in the recording has no reason: {record.payload!r}") from error
