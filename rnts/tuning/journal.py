"""What was done, written down before it is done: one line an entry, each with a checksum.

An entry is on the disk before its step begins, with the value that was there. So whatever a death
leaves is either as it was or one that an entry tells of. A last line that is torn is none: its step
has not begun. Anything else that cannot be read is damage: a person is told, the file is left.
"""

import errno
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnts.errors import RntsError
from rnts.tuning.plan import Asked, Kind, Step
from rnts.wish import create_for_owner, make_folder

NAME = "tune.journal"


@dataclass
class Entry:
    """A step that was begun; `took` is what became of the place where that was not `wanted`."""

    number: int
    part: str
    kind: Kind
    place: str
    former: str
    wanted: str
    boot: str
    took: str = ""

    @property
    def ours(self) -> str:
        """The value by which the place is known as changed by us."""
        return self.took or self.wanted


class Journal:
    """The file; opened with what it says, and appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[int, Entry] = {}  # those that are not undone, in their order
        self.asked: Asked | None = None
        self._next = 0
        self._size = 0
        # The step that begins in the last line: whoever wrote it may have died over it.
        self.begun: Entry | None = None
        *lines, torn = _read(path).split(b"\n")
        for number, line in enumerate(lines, 1):
            document = _opened(line)
            if document is None and number == len(lines) and not torn:
                break
            try:
                self._take(document or {})
            except (LookupError, TypeError) as error:
                raise RntsError(
                    f"{path}:{number} is damaged, or of another version of rnts; the lines tell "
                    "what was where: put that back by hand, then remove the file"
                ) from error
            self._size += len(line) + 1

    @property
    def newest_first(self) -> list[Entry]:
        """What is to be undone, in that order."""
        return list(reversed(self.entries.values()))

    def has(self, kind: Kind, place: str, wanted: str, present: str) -> bool:
        """Whether a present value is what the kernel made of the one that we wanted."""
        return any(
            (one.kind, one.place, one.wanted, one.ours) == (kind, place, wanted, present)
            for one in self.entries.values()
        )

    def begin(self, asked: Asked) -> None:
        """Remember what is asked for, together with what was before."""
        both = self.asked.joined(asked) if self.asked else asked
        if both != self.asked:
            self._append({"asked": both.document()})

    def note(self, part: str, step: Step, former: str, boot: str) -> Entry:
        """Say that a step begins now, and what its place holds."""
        entry = Entry(self._next, part, step.kind, step.place, former, step.wanted, boot)
        self._append({"do": vars(entry)})
        return self.entries[entry.number]

    def took(self, entry: Entry, value: str) -> None:
        """Say that the kernel made something else of a value."""
        self._append({"took": entry.number, "value": value})

    def settle(self, entry: Entry) -> None:
        """Say that the step of an entry, and all before it, are over."""
        self._append({"settled": entry.number})

    def undone(self, entry: Entry) -> None:
        """Say that an entry needs no more thought."""
        self._append({"undone": entry.number})

    def end(self) -> None:
        """Remove the file, once all is undone."""
        assert not self.entries, "there is something left to undo"
        self.path.unlink(missing_ok=True)
        self.asked, self.begun, self._size, self._next = None, None, 0, 0
        _sync(self.path.parent)

    def _take(self, document: dict[str, Any]) -> None:
        self.begun = None
        if "asked" in document:
            self.asked = Asked.of(document["asked"])
        elif "do" in document:
            entry = Entry(**document["do"])
            self.entries[entry.number] = entry
            self._next = entry.number + 1
            self.begun = entry
        elif "took" in document:
            self.entries[document["took"]].took = document["value"]
        elif "settled" not in document:
            self.entries.pop(document["undone"], None)

    def _append(self, document: dict[str, Any]) -> None:
        body = json.dumps(document, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        make_folder(self.path.parent)
        is_new = not self.path.exists()
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = create_for_owner(self.path) if is_new else os.open(self.path, flags)
        try:
            os.ftruncate(descriptor, self._size)  # behind it is only what was torn
            if os.pwrite(descriptor, line, self._size) < len(line):  # the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync(self.path.parent)
        self._size += len(line)
        self._take(document)


def _read(path: Path) -> bytes:
    """All that it says, nothing where there is none. Raises RntsError where we may not read it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RntsError(f"{path} cannot be read: {error.strerror}") from error


def _opened(line: bytes) -> dict[str, Any] | None:
    """An entry; None where it is not whole."""
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    document = json.loads(body)
    assert isinstance(document, dict)
    return document


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
