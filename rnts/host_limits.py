"""Finds the limits of a process: how much memory its control group allows, how many open files."""

from pathlib import Path

from rnts.host_proc import ProcReader, Unreadable

_UNLIMITED_BYTES = 1 << 60  # version 1 says "no limit" by a number near 2^63
_LINE = b"Max open files"


class Limits:
    """Looks limits up; those of control groups are read once between calls of `renew`."""

    def __init__(self, reader: ProcReader, groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._reader = reader
        self._root = groups
        self._of_groups: dict[bytes, int | None] = {}

    def renew(self) -> None:
        """Forget what was read, for limits can be changed."""
        self._of_groups.clear()

    def memory_bytes(self, pid: int) -> int | None:
        """The smallest memory limit above the process; None if there is none, or it is hidden."""
        try:
            groups = self._reader.read(f"{pid}/cgroup")
        except Unreadable as error:
            if error.reason == "forbidden":
                return None
            raise
        if groups not in self._of_groups:
            self._of_groups[groups] = self._memory_bytes(groups)
        return self._of_groups[groups]

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

    def _memory_bytes(self, groups: bytes) -> int | None:
        limits = []
        # Each line has the number of a hierarchy, its controllers, and the path of the group.
        for line in groups.decode("utf-8", "replace").splitlines():
            number, controllers, path = [*line.split(":", 2), "", ""][:3]
            if number == "0":
                limits.append(self._smallest(self._root, path, "memory.max"))
            elif "memory" in controllers.split(","):
                limits.append(self._smallest(self._root / "memory", path, "memory.limit_in_bytes"))
        return min((limit for limit in limits if limit is not None), default=None)

    def _smallest(self, root: Path, path: str, name: str) -> int | None:
        """Over the group itself and all groups around it, since each of them limits."""
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        folders = (root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))
        limits = (_read_limit(folder / name) for folder in folders)
        return min((limit for limit in limits if limit is not None), default=None)


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None  # the root has no such file, and a container may not show the outer ones
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED_BYTES else None
