"""What alerts remember: a journal with what each tick changed, and a snapshot each second.

A tick's changes are one line, so they are remembered together or not at all. The snapshot holds
everything and the ages that no line says; lines that it covers are known by their numbers and
skipped, so it does not matter where between the two somebody dies.
"""

import errno
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from rnts.alerts.journal import (
    open_private,
    pack_line,
    read_file,
    read_line,
    read_lines,
    replace_file,
    write_whole,
)
from rnts.alerts.life_documents import read_documents
from rnts.alerts.rule import SECOND_NS
from rnts.errors import UsageError

SNAPSHOT_EVERY_NS = SECOND_NS
JOURNAL, SNAPSHOT = "alerts.journal", "alerts.snapshot"
_CONDITIONS = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "read_only"}

log = logging.getLogger("rnts.alerts")


class Remembered(NamedTuple):
    """All documents by name, and what the steady clock showed when the newest was written."""

    documents: dict[str, Any]
    steady_ns: int


class Memory:
    """Two files in a folder. `condition` names why they cannot be written, while that is so."""

    def __init__(self, folder: Path) -> None:
        self.condition: str | None = None
        self.counts: Counter[str] = Counter()
        self._journal_path, self._snapshot_path = folder / JOURNAL, folder / SNAPSHOT
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._journal = open_private(self._journal_path, os.O_RDWR | os.O_APPEND)
        self._number = 0  # of the newest line
        self._bytes = 0  # of the journal that are good
        self._snapshot_due_ns: int | None = None
        self._is_whole = True  # whether the files hold all that was handed in

    def restore(self) -> Remembered | None:
        """What there is from before, or None; a torn tail is cut off and counted.

        Raises UsageError where it cannot be read: to go on without it would forget everything.
        """
        try:
            said, raw = read_file(self._snapshot_path), read_file(self._journal_path)
        except OSError as error:
            raise UsageError(
                f"what alerts remember in {self._snapshot_path.parent} cannot be read: "
                f"{error.strerror}; alerting.folder names another folder"
            ) from error
        snapshot = read_line(said.removesuffix(b"\n"))
        if snapshot is None and self._snapshot_path.exists():
            self.counts["snapshot_damaged"] += 1
            log.warning("%s is damaged; only the journal counts", self._snapshot_path)
        lines, good = read_lines(raw)
        if good < len(raw):
            self.counts["torn_bytes"] += len(raw) - good
            log.warning("%d bytes at the end of %s were torn", len(raw) - good, self._journal_path)
            os.ftruncate(self._journal, good)
        self._bytes = good
        if snapshot is None and not lines:
            return None
        documents, newest = {}, snapshot or lines[0]
        for line in (snapshot, *lines) if snapshot else lines:
            if snapshot is None or line is snapshot or line["number"] > snapshot["number"]:
                documents.update(read_documents(line["documents"], self.counts))
                newest = line
        self._number = newest["number"]
        found = {name: each for name, each in documents.items() if each is not None}
        return Remembered(found, newest["steady_ns"])

    def append(self, changes: dict[str, Any], steady_ns: int) -> None:
        """Remember what a tick has changed; does not raise, `condition` says what is wrong."""
        if not changes or not self._is_whole:
            return  # the next snapshot makes it whole
        line = pack_line(self._document(changes, steady_ns, self._number + 1))
        try:
            write_whole(self._journal, line)
        except OSError as error:
            self._fail(error)
            self._cut()
            return
        self._number += 1
        self._bytes += len(line)

    def _cut(self) -> None:
        """Take away what a failed write may have left."""
        try:
            os.ftruncate(self._journal, self._bytes)
        except OSError as error:
            log.debug("the journal keeps a torn line: %s", error.strerror)
            self.counts["uncut_lines"] += 1

    def is_snapshot_due(self, steady_ns: int) -> bool:
        """Whether a second has passed since the last one, or since the last try."""
        return self._snapshot_due_ns is None or steady_ns >= self._snapshot_due_ns

    def snapshot(self, everything: dict[str, Any], steady_ns: int) -> None:
        """Write everything, then begin the journal anew; does not raise."""
        self._snapshot_due_ns = steady_ns + SNAPSHOT_EVERY_NS
        number = self._number + 1
        try:
            document = self._document(everything, steady_ns, number)
            replace_file(self._snapshot_path, pack_line(document))
            self._number = number
            os.ftruncate(self._journal, 0)
        except OSError as error:
            self._fail(error)
            return
        self._bytes = 0
        if self.condition:
            log.warning("alerts can be remembered again")
        self.condition, self._is_whole = None, True

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._journal)

    def _fail(self, error: OSError) -> None:
        condition = _CONDITIONS.get(error.errno or 0, "unwritable")
        self.counts[condition] += 1
        if self.condition != condition:
            log.warning(
                "alerts cannot be remembered (%s: %s); they go on, but a restart would forget "
                "what happens now",
                condition,
                error.strerror,
            )
        self.condition, self._is_whole = condition, False

    def _document(self, documents: dict[str, Any], steady_ns: int, number: int) -> dict[str, Any]:
        return {"number": number, "steady_ns": steady_ns, "documents": documents}
