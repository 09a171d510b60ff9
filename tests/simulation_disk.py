"""The disk of the simulation: files in memory, and writing that is refused when it shall be."""

import errno
import os


class MemoryFiles:
    """Stands for `rnts.spool_files.Files`; `refusal` is the error that all writing meets."""

    def __init__(self) -> None:
        self.content: dict[str, bytearray] = {}
        self.refusal = 0

    def _write(self) -> None:
        if self.refusal:
            raise OSError(self.refusal, os.strerror(self.refusal))

    def make(self) -> None:
        """Make the folder."""
        self._write()

    def names(self) -> list[str]:
        """The files that are there."""
        return sorted(self.content)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return len(self.content.get(name, b""))

    def append(self, name: str, parts: list[bytes], at: int) -> None:
        """Write at `at`."""
        self._write()
        file = self.content.setdefault(name, bytearray())
        file[at:] = b"".join(parts)

    def read(self, name: str, at: int, size: int) -> bytes:
        """Bytes from `at` on."""
        if name not in self.content:
            raise FileNotFoundError(errno.ENOENT, name)
        return bytes(self.content[name][at : at + size])

    def replace(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        self._write()
        self.content[name] = bytearray(content)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file."""
        del self.content.get(name, bytearray())[size:]

    def sync(self, name: str) -> None:
        """Nothing is to be waited for."""

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.content.pop(name, None)

    def remove_folder(self) -> None:
        """Remove all files."""
        self.content.clear()

    def close(self, name: str | None = None) -> None:
        """Nothing is open."""
