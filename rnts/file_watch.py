"""Notices that files were changed, replaced, made or removed, by looking at them once a second."""

import os
from collections.abc import Iterable
from pathlib import Path

LOOK_EVERY_NS = 1_000_000_000


class FileWatch:
    """Files by their paths; those that are not there yet count too."""

    def __init__(self, paths: Iterable[Path], now_ns: int) -> None:
        self._paths = tuple(paths)
        self._seen = self._look()
        self._due_ns = now_ns + LOOK_EVERY_NS

    def has_changed(self, now_ns: int, is_asked: bool = False) -> bool:
        """Whether any is another than at the last look; who asks need not wait for the next."""
        if now_ns < self._due_ns and not is_asked:
            return False
        self._due_ns = now_ns + LOOK_EVERY_NS
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(map(_facts, self._paths))


def _facts(path: Path) -> tuple[int, int, int] | None:
    """What is different after each change of a file; None where there is none to be read."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
