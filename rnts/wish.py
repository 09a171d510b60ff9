"""What `rnts tune` asks of processes that start: a small file in the folder of the state.

Names and values are texts, so that a step of a plan can tell the former value and the wanted one:
`cores.agent` is a list of processors; `nice`, `group_nice`, `slice_ns` and `socket_buffer_bytes`
are numbers, `lock_memory` and `huge_pages` are `true`. What is not there is not asked for.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rnts.runtime import state_folder

NAME = "tune.json"
ROLES = ("agent", "aggregate", "alert")
CORES, NICE, GROUP_NICE, SLICE_NS = "cores.", "nice", "group_nice", "slice_ns"
LOCK_MEMORY, HUGE_PAGES, SOCKET_BUFFER_BYTES = "lock_memory", "huge_pages", "socket_buffer_bytes"
_VERSION = 1


def wish_path() -> Path:
    """The file of this user, or of who works apart."""
    return Path(state_folder(), NAME)


def read_wish(path: Path | None = None) -> dict[str, str]:
    """What is asked for; nothing where there is no file. Raises OSError or ValueError otherwise."""
    try:
        document = json.loads((path or wish_path()).read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError(f"{path or wish_path()} is not of this version of rnts")
    wish = document.get("wish")
    if not isinstance(wish, dict) or not all(isinstance(value, str) for value in wish.values()):
        raise ValueError(f"{path or wish_path()} is damaged")
    return wish


def write_wish(wish: Mapping[str, str], path: Path) -> None:
    """Replace the file in one step; an empty wish has none."""
    make_folder(path.parent)
    if wish:
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with open(create_for_owner(part), "w") as file:
            json.dump({"version": _VERSION, "wish": dict(sorted(wish.items()))}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    else:
        path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(folder: Path) -> None:
    """Make a folder of state and those above it, private to whom the first that is there belongs.

    Root may tune for a user, who is to find what it wrote as if it were their own.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder.parent, lambda user, group: os.chown(folder, user, group))


def create_for_owner(path: Path) -> int:
    """Create a file to write to, which belongs to whom its folder does; it must not be there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    _give(path.parent, lambda user, group: os.fchown(descriptor, user, group))
    return descriptor


def _give(folder: Path, give: Callable[[int, int], None]) -> None:
    """Have root give to the owner of a folder what it has made in there."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        give(owner.st_uid, owner.st_gid)
