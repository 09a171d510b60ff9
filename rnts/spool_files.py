"""The files of a spool, as little of a file system as it takes, and what its errors are called."""

import contextlib
import errno
import os
from pathlib import Path

CONDITIONS = {
    "full": "the disk has no room",
    "denied": "the folder cannot be written to",
    "failed": "the disk refuses for another reason",
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def condition_of(error: OSError) -> str:
    """The name under which an error of the disk is counted."""
    return "full" if error.errno in _FULL else "denied" if error.errno in _DENIED else "failed"


class Files:
    """Files of one folder, by their names. All raise OSError as the system does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[tuple[str, bool], int] = {}  # by name and whether it is written to

    def make(self) -> None:
        """Make the folder, for its owner only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """The files that are there."""
        try:
            return sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int:
        """Bytes of a file; 0 if there is none."""
        try:
            return os.stat(self.folder / name).st_size
        except FileNotFoundError:
            return 0

    def append(self, name: str, parts: list[bytes], at: int) -> None:
        """Write at the end, which is `at`; what is written in part is cut off again."""
        descriptor = self._descriptor(name, True)
        wanted = sum(map(len, parts))
        try:
            written = os.pwritev(descriptor, parts, at)
            if written != wanted:
                raise OSError(errno.ENOSPC, "no room for all of it")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, at)
            raise

    def read(self, name: str, at: int, size: int) -> bytes:
        """Bytes from `at` on, as many as there are."""
        return os.pread(self._descriptor(name), size, at)

    def replace(self, name: str, content: bytes) -> None:
        """Write a whole file, which is the former one or the new one at every moment."""
        new = self.folder / f"{name}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, "no room for all of it")
        finally:
            os.close(descriptor)
        self.close(name)
        os.replace(new, self.folder / name)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to its first bytes."""
        os.ftruncate(self._descriptor(name, True), size)

    def sync(self, name: str) -> None:
        """Wait until a file would outlive a power cut."""
        os.fdatasync(self._descriptor(name, True))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self.close(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.folder / name)

    def remove_folder(self) -> None:
        """Remove all files and the folder."""
        for name in self.names():
            self.remove(name)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.folder)

    def close(self, name: str | None = None) -> None:
        """Let go of a file's descriptor, or of all."""
        for key in [key for key in self._open if name is None or key[0] == name]:
            os.close(self._open.pop(key))

    def _descriptor(self, name: str, is_written: bool = False) -> int:
        descriptor = self._open.get((name, is_written))
        if descriptor is None:
            flags = os.O_RDWR | os.O_CREAT if is_written else os.O_RDONLY
            descriptor = os.open(self.folder / name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._open[name, is_written] = descriptor
        return descriptor
