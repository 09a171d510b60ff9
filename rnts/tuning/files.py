"""The kernel's files below a given /proc and /sys, so that tests can show a made-up machine."""

import re
from pathlib import Path
from typing import NamedTuple


class Files(NamedTuple):
    """Where /proc and /sys are; paths are given as the kernel has them."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def locate(self, path: str) -> Path:
        """Where the file of that name is."""
        top, _, rest = path.lstrip("/").partition("/")
        return (self.proc if top == "proc" else self.sys) / rest

    def text(self, path: str) -> str:
        """What a file says; empty where there is none for us."""
        try:
            return self.locate(path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def names(self, path: str, pattern: str = "") -> list[str]:
        """Entries of a folder whose whole name fits, by number where they have one."""
        try:
            found = [entry.name for entry in self.locate(path).iterdir()]
        except OSError:
            return []
        wanted = [name for name in found if not pattern or re.fullmatch(pattern, name)]
        return sorted(wanted, key=lambda name: (int(re.sub(r"\D", "", name) or 0), name))

    def write(self, path: str, value: str) -> None:
        """Tell the kernel a value. Raises OSError where it is refused."""
        with self.locate(path).open("r+") as file:  # never makes a file that is not there
            file.write(value)
