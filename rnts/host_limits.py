"""Finds the limits of a process: how much memory its control group allows, how many open files."""

from pathlib import Path

from rnts.host_proc import ProcReader, Unreadable

_UNLIMITED_BYTES = 1 << 60  # version 1 says "no limit" by a number near 2^63
_LINE = b"Max open files"


class Limits:
    """Looks limits up; those of a control group are read once between two calls of `renew`."""

    def __init__(self, reader: ProcReader, groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._reader = reader
        self._groups = groups
        self._known: dict[str, int | None] = {}

    def renew(self) -> None:
        """Forget what was read, for limits can be changed."""
        self._known.clear()

    def memory_bytes(self, pid: int) -> int | None:
        """The smallest memory limit above the process; None if there is none, or it is hidden."""
        try:
            lines = self._reader.read(f"{pid}/cgroup").decode("utf-8", "replace").splitlines()
        except Unreadable as error:
            if error.reason == "forbidden":
                return None
            raise
        limits = []
        for line in lines:  # hierarchy number : controllers : path
            number, controllers, path = [*line.split(":", 2), "", ""][:3]
            if number == "0":
                limits.append(self._smallest(self._groups, path, "memory.max"))
            elif "memory" in controllers.split(","):
                folder = self._groups / "memory"
                limits.append(self._smallest(folder, path, "memory.limit_in_bytes"))
        return min((limit for limit in limits if limit is not None), default=None)

    def descriptors(self, pid: int) -> int | None:
        """The soft limit of open files; None if there is none, or it is hidden."""
        try:
            lines = self._reader.read(f"{pid}/limits").splitlines()
        except Unreadable as error:
            if error.reason == "forbidden":
                return None
            raise
        for line in lines:
            if line.startswith(_LINE):
                soft = line[len(_LINE) :].split()[0]
                return int(soft) if soft.isdigit() else None
        raise Unreadable("malformed", "limits")

    def _smallest(self, root: Path, path: str, name: str) -> int | None:
        """Over the group itself and all groups around it, since each of them limits."""
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        smallest = None
        for depth in range(len(parts) + 1):
            limit = self._read(root.joinpath(*parts[:depth], name))
            if limit is not None and (smallest is None or limit < smallest):
                smallest = limit
        return smallest

    def _read(self, file: Path) -> int | None:
        key = str(file)
        if key not in self._known:
            try:
                text = file.read_text().strip()
            except (OSError, UnicodeDecodeError):
                text = ""  # the root has no such file, and a container may not show the outer ones
            limit = int(text) if text.isdecimal() else _UNLIMITED_BYTES
            self._known[key] = limit if limit < _UNLIMITED_BYTES else None
        return self._known[key]
