"""Finds the files of segments, reading a folder only when something in it has changed."""

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from rnts.runtime import SEGMENT_SUFFIX, has_ended, watch_process

_NAME = re.compile(rf"(\d+)-(\d+)-\d+{re.escape(SEGMENT_SUFFIX)}")  # as Segment makes them

# The time of a folder moves in ticks of its file system: a file made in the tick in which the
# folder was read would not show in it. tmpfs has 4 ms, others a second.
_TICK_NS = 2_000_000_000

log = logging.getLogger("rnts.collector")


class SegmentFiles:
    """The files in some folders; `folders` says which they are at the moment."""

    def __init__(self, folders: Callable[[], list[Path]]) -> None:
        self._folders = folders
        self._seen: dict[Path, int] = {}  # the time that each folder had when it was read
        self._look_again = False

    def changed(self) -> set[Path] | None:
        """All files, if there may be others than at the last call; None if there cannot be."""
        times = {folder: _changed_ns(folder) for folder in self._folders()}
        settled_ns = time.time_ns() - _TICK_NS
        if times == self._seen and not self._look_again:
            return None
        self._look_again = any(changed_ns > settled_ns for changed_ns in times.values())
        self._seen = times
        return {path for folder in times for path in _segment_files(folder)}

    def look_again(self) -> None:
        """Give all files at the next call, too: some of them were not ready."""
        self._look_again = True


def _changed_ns(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _segment_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if e.name.endswith(SEGMENT_SUFFIX)]
    except OSError:
        return []


def is_unready(path: Path) -> bool:
    """Whether a file bears the name of a segment and is none yet: its magic number comes last."""
    if _NAME.fullmatch(path.name) is None:
        return False
    try:
        # Neither through a link nor waiting for whoever may write to a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return not any(os.read(descriptor, 8))
        finally:
            os.close(descriptor)
    except OSError:
        return False


def is_maker_dead(path: Path) -> bool:
    """Whether the process in the name of a segment's file is gone; of any other file, False."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        return False
    try:
        watch = watch_process(int(name[1]), int(name[2]))
    except (OSError, OverflowError):
        return False
    ended = has_ended(watch)
    if watch >= 0:
        os.close(watch)
    return ended


def remove_file(path: Path) -> None:
    """Remove a file that nobody needs any more; where that fails it stays, and the log says so."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("segment of a process that is gone stays behind: %s", error)
