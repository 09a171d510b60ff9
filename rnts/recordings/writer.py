"""Writes a recording: whole records only, whatever the disk says and however it ends."""

import contextlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rnts.errors import FrameError, UsageError
from rnts.frame_header import frame_header
from rnts.recordings.records import Kind, Record, pack_header
from rnts.tap_client import Lost, Tapped

BUFFER_BYTES = 1 << 20
FLUSH_NS = 1_000_000_000  # what a kill loses
LIVES_MAX = 65_536  # whose last numbers are known, so that nothing is written twice


def require_free(path: Path, replaces: bool) -> None:
    """Raise UsageError where a recording would destroy what is there, or has no folder."""
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: {path.parent} is no folder")
    if path.exists() and not replaces:
        raise UsageError(f"{path} is there already; --force replaces it")


class _Waiting(NamedTuple):
    """A record that is not written yet: where it will end, and the records of neurons in it."""

    end: int
    kind: int
    records: int


class Writer:
    """One recording as it is made. `problem` says why nothing is written any more."""

    def __init__(self, path: Path, started_ns: int, replaces: bool = False) -> None:
        """Raises UsageError where the file is there already, or cannot be made."""
        self.path, self.problem = path, ""
        self.frames = self.records = self.bytes = 0
        self.lost: Counter[str] = Counter()  # frames that are missing, by reason
        self.gaps = 0
        self._last: dict[tuple[int, int], int] = {}
        self._buffer = bytearray(pack_header(started_ns))
        self._waiting: deque[_Waiting] = deque()  # what is in the buffer
        self._whole_bytes = self._flushed_ns = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags | (os.O_TRUNC if replaces else os.O_EXCL), 0o600)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error
        self.flush()
        self._whole_bytes = self.bytes

    def take_all(self, found: Iterable[Tapped | Lost], now_ns: int) -> bool:
        """Write down what a tap has told, each second to the disk; whether that goes on."""
        for each in found:
            self.take(each)
        if now_ns - self._flushed_ns >= FLUSH_NS:
            self._flushed_ns = now_ns
            self.flush()
        return not self.problem

    def take(self, found: Tapped | Lost) -> None:
        """Write down what a tap has told."""
        if isinstance(found, Lost):
            self._note_gap(found)
            return
        message, payload, at_ns = found
        life = (message.speaker, message.incarnation)
        # An aggregator that restarts is sent again what the one before it has folded.
        if message.first <= self._last.get(life, 0):
            self.lost["repeated"] += 1
            return
        try:
            records = frame_header(payload).record_count
        except FrameError:  # it was whole when it was folded
            self.lost["damaged"] += 1
            return
        if len(self._last) >= LIVES_MAX:
            del self._last[next(iter(self._last))]
        self._last[life] = message.last
        where = (*life, message.first, message.last)
        self._append(Record(Kind.ENTRY, at_ns, *where, payload), records)

    def _note_gap(self, lost: Lost) -> None:
        self.gaps += 1
        self.lost[lost.reason] += lost.frames
        about = json.dumps({"reason": lost.reason, "frames": lost.frames}).encode()
        self._append(Record(Kind.GAP, lost.at_ns, first=lost.frames, payload=about))

    def _append(self, record: Record, records: int = 0) -> None:
        """Add a record to what waits to be written, as long as that goes on."""
        if self.problem:
            self.lost["not_written"] += record.kind == Kind.ENTRY
            return
        self._buffer += record.pack()
        self._waiting.append(_Waiting(self.bytes + len(self._buffer), record.kind, records))
        if len(self._buffer) >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits; where the disk refuses, the file ends with what is whole."""
        while self._buffer and not self.problem:
            try:
                written = os.write(self._file, self._buffer)
            except OSError as error:
                self.problem = f"{self.path}: {error.strerror}"
                self._cut_off()
                return
            del self._buffer[:written]
            self.bytes += written
            while self._waiting and self._waiting[0].end <= self.bytes:
                done = self._waiting.popleft()
                self._whole_bytes = done.end
                self.frames += done.kind == Kind.ENTRY
                self.records += done.records

    def _cut_off(self) -> None:
        """Leave no half record at the end, and count what was not written."""
        self.lost["not_written"] += sum(each.kind == Kind.ENTRY for each in self._waiting)
        self._waiting.clear()
        self._buffer.clear()
        with contextlib.suppress(OSError):  # a reader steps over half a record, too
            os.ftruncate(self._file, self._whole_bytes)
            self.bytes = self._whole_bytes

    def document(self) -> dict[str, Any]:
        """What there is, as JSON shows it; when the recording is closed."""
        return {
            "version": 1,
            "file": str(self.path),
            "frames": self.frames,
            "records": self.records,
            "bytes": self.bytes,
            "gaps": self.gaps,
            "frames_lost": dict(self.lost),
            "problem": self.problem or None,
        }

    def close(self, now_ns: int) -> None:
        """End the recording in peace: the last record says how much there is."""
        about = {"frames": self.frames, "records": self.records, "lost": dict(self.lost)}
        if not self.problem:
            self._append(Record(Kind.END, now_ns, payload=json.dumps(about).encode()))
            self.flush()
        with contextlib.suppress(OSError):  # what a disk says that late, no one can mend
            os.close(self._file)
