"""Reads the files of `/proc`: every failure has a name, and files of busy processes stay open.

Opening is the dear part: 12.6 µs for open, read and close of a `stat` against 6.0 µs for a
`pread` of one that is kept open (6.2 against 2.1 for `schedstat`, 7.2 against 3.0 for `io`). A
kept file also belongs to its process for good: once that has gone it reads as vanished, even
where another process has been given the number.
"""

import os
import re
import resource
from pathlib import Path
from typing import NamedTuple

# Why a process, or a part of it, could not be read; the names under which it is counted.
REASONS = {
    "vanished": "the process ended while it was looked at",
    "forbidden": "the process belongs to somebody who does not share",
    "malformed": "a file does not hold what the kernel documents",
    "failed": "the system refused for another cause, such as too many open files",
}
READ_BYTES = 8192  # more than any file of one process that is read here, but for its command line
KEPT_FILES_MAX = 3072
_REASON_OF = {
    FileNotFoundError: "vanished",
    ProcessLookupError: "vanished",
    NotADirectoryError: "vanished",
    PermissionError: "forbidden",
}
_KERNEL_THREAD_FLAG = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_IO_NAMES = b"rchar:wchar:syscr:syscw:"
# A kernel worker shows behind its name what it works at, which changes by the millisecond.
_WORKER = re.compile(rb"(kworker/[^-+]*:[^-+]*)[-+].*")
_EXIT_CODE = 49  # counted like the fields below, from the state on


class Unreadable(Exception):
    """Something below `/proc` could not be had; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class ProcReader:
    """Reads below one `/proc`, and limits how many files are kept open."""

    def __init__(self, root: Path = Path("/proc"), kept_max: int | None = None) -> None:
        self.root = os.fspath(root)
        self.kept = 0
        if kept_max is None:
            # Half of what the process may open: the other half is for those who share it with us.
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            half = KEPT_FILES_MAX if soft == resource.RLIM_INFINITY else soft // 2
            kept_max = min(KEPT_FILES_MAX, half)
        self.kept_max = kept_max

    def read(self, name: str) -> bytes:
        """The first `READ_BYTES` of a file; raises Unreadable."""
        try:
            descriptor = self.open(name)
            try:
                return os.read(descriptor, READ_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(error, name) from None

    def read_lines(self, name: str) -> list[bytes]:
        """All lines of a file of any length; raises Unreadable."""
        try:
            with open(f"{self.root}/{name}", "rb") as file:
                return file.read().splitlines()
        except OSError as error:
            raise _unreadable(error, name) from None

    def names(self, name: str = "") -> list[str]:
        """What is in a folder; raises Unreadable."""
        try:
            return os.listdir(f"{self.root}/{name}")
        except OSError as error:
            raise _unreadable(error, name) from None

    def link(self, name: str) -> str:
        """Where a symbolic link points to; raises Unreadable."""
        try:
            return os.readlink(f"{self.root}/{name}")
        except OSError as error:
            raise _unreadable(error, name) from None

    def open(self, name: str) -> int:
        """A descriptor for reading; raises OSError."""
        return os.open(f"{self.root}/{name}", os.O_RDONLY)

    def pids(self) -> list[int]:
        """The processes of this moment; raises Unreadable."""
        return [int(name) for name in self.names() if name.isdecimal()]


class ProcFile:
    """One file that is read time and again; `keep` saves the next reads from opening it."""

    __slots__ = ("_descriptor", "_name", "_reader")

    def __init__(self, reader: ProcReader, name: str) -> None:
        self._reader = reader
        self._name = name
        self._descriptor = -1

    def read(self) -> bytes:
        """What the file holds now; raises Unreadable."""
        if self._descriptor < 0:
            return self._reader.read(self._name)
        try:
            return os.pread(self._descriptor, READ_BYTES, 0)
        except OSError as error:
            raise _unreadable(error, self._name) from None

    def keep(self) -> None:
        """Keep the file open from now on, unless too many are."""
        if self._descriptor >= 0 or self._reader.kept >= self._reader.kept_max:
            return
        try:
            self._descriptor = self._reader.open(self._name)
        except OSError as error:
            raise _unreadable(error, self._name) from None
        self._reader.kept += 1

    def close(self) -> None:
        """Do not keep the file open any longer; it can still be read."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._reader.kept -= 1


class Stat(NamedTuple):
    """What is used of `/proc/PID/stat`; proc_pid_stat(5) numbers and explains the fields."""

    comm: bytes
    state: str
    is_kernel: bool
    minor_faults: int
    major_faults: int
    cpu_ticks: int
    threads: int
    start_ticks: int
    resident_pages: int
    wait_status: int  # of a zombie, as wait(2) gives it; 0 where it is not shown

    @property
    def has_memory(self) -> bool:
        """Whether it has an address space: kernel threads and zombies have none."""
        return not self.is_kernel and self.state != "Z"


def parse_stat(raw: bytes) -> Stat:
    """The fields of a `stat` file; a name may hold spaces, parentheses and line ends.

    The last closing parenthesis ends the name, since all that follows are numbers and the state.
    """
    try:
        start, end = raw.index(b"(") + 1, raw.rindex(b")")
        # Fields from the state on; the rest behind the resident size is left in one piece.
        fields = raw[end + 2 :].split(maxsplit=22)
        state = fields[0].decode("ascii")
        if len(state) != 1 or not state.isalpha():
            raise ValueError(state)
        comm, is_kernel = raw[start:end], bool(int(fields[6]) & _KERNEL_THREAD_FLAG)
        return Stat(
            _WORKER.sub(rb"\1", comm) if is_kernel else comm,
            state,
            is_kernel,
            int(fields[7]),
            int(fields[9]),
            int(fields[11]) + int(fields[12]),
            int(fields[17]),
            int(fields[19]),
            int(fields[21]),
            _wait_status(raw[end + 2 :]) if state == "Z" else 0,
        )
    except (ValueError, IndexError):
        raise Unreadable("malformed", "stat") from None


def _wait_status(raw: bytes) -> int:
    fields = raw.split()
    return int(fields[_EXIT_CODE]) if len(fields) > _EXIT_CODE else 0


def parse_schedstat(raw: bytes) -> tuple[int, int, int]:
    """CPU time in ns, run-queue wait in ns, and how many times it was put on a CPU."""
    try:
        run_ns, wait_ns, slices = raw.split()
        return int(run_ns), int(wait_ns), int(slices)
    except ValueError:
        raise Unreadable("malformed", "schedstat") from None


class InputOutput(NamedTuple):
    """What is used of `/proc/PID/io`: calls of the read and the write family, and their bytes."""

    read_bytes: int
    write_bytes: int
    read_calls: int
    write_calls: int


def parse_io(raw: bytes) -> InputOutput:
    """The first four counters; those of the disk follow and are left."""
    try:
        first, rchar, second, wchar, third, syscr, fourth, syscw, _ = raw.split(None, 8)
        if first + second + third + fourth != _IO_NAMES:
            raise ValueError(raw)
        return InputOutput(int(rchar), int(wchar), int(syscr), int(syscw))
    except ValueError:
        raise Unreadable("malformed", "io") from None


def status_number(raw: bytes, name: bytes, column: int = 0) -> int | None:
    """A number of the line `name:` of a `status` file; None if there is no such line."""
    start = raw.find(b"\n" + name + b":")
    if start < 0:
        return None
    line = raw[start + len(name) + 2 :].split(b"\n", 1)[0]
    try:
        return int(line.split()[column])
    except (ValueError, IndexError):
        raise Unreadable("malformed", "status") from None


def _unreadable(error: OSError, name: str) -> Unreadable:
    return Unreadable(_REASON_OF.get(type(error), "failed"), name)
