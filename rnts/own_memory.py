"""A process's own memory held ready: touched before it is needed, in large pages, kept in RAM.

Only what `rnts tune` asked for is done, and no more than RLIMIT_MEMLOCK allows. Mappings that are
reserved far beyond what is used are locked as they are touched, and never touched for their own
sake.
"""

import ctypes
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TOUCHED_BYTES_MAX = 64 << 20  # of one mapping; what is larger is reserved, and filled by and by
ALL_TOUCHED_BYTES_MAX = 256 << 20
HUGE_BYTES_MIN = 2 << 20
_MADV_HUGEPAGE, _MADV_POPULATE_WRITE = 14, 23  # of Linux 5.14 on
_MLOCK_ONFAULT = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)")


class Mapping(NamedTuple):
    """A stretch of addresses of this process."""

    start: int
    size: int


class Held(NamedTuple):
    """What was done, in bytes; `left` could not be locked, by the limit or by the kernel."""

    locked: int = 0
    touched: int = 0
    huge: int = 0
    left: int = 0


class Calls(NamedTuple):
    """What is asked of the kernel; each returns whether it was done."""

    lock: Callable[[Mapping], bool]
    touch: Callable[[Mapping], bool]
    enlarge: Callable[[Mapping], bool]


def mappings(text: str | None = None) -> Iterator[Mapping]:
    """What is written to and belongs to this process alone: heap, stacks, arrays; not its code."""
    lines = (Path("/proc/self/maps").read_text() if text is None else text).splitlines()
    for line in lines:
        if (found := _LINE.match(line)) and found[3] == "rw-p" and found[4] in ("", "[heap]"):
            start, end = int(found[1], 16), int(found[2], 16)
            yield Mapping(start, end - start)


def hold(
    found: list[Mapping], limit_bytes: int, is_locked: bool, is_huge: bool, calls: Calls
) -> Held:
    """Lock and touch these mappings, the smallest first, as far as the limit goes."""
    locked = touched = huge = left = 0
    for mapping in sorted(found, key=lambda mapping: (mapping.size, mapping.start)):
        if is_huge and mapping.size >= HUGE_BYTES_MIN and calls.enlarge(mapping):
            huge += mapping.size
        if not is_locked:
            continue
        if locked + mapping.size > limit_bytes or not calls.lock(mapping):
            left += mapping.size
            continue
        locked += mapping.size
        fits = mapping.size <= min(TOUCHED_BYTES_MAX, ALL_TOUCHED_BYTES_MAX - touched)
        if fits and calls.touch(mapping):
            touched += mapping.size
    return Held(locked, touched, huge, left)


def lock_limit_bytes() -> int:
    """What this process may lock: no end where there is no limit, or it has the right to more."""
    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    status = Path("/proc/self/status").read_text()
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    has_right = effective is not None and bool(int(effective[1], 16) >> 14 & 1)  # CAP_IPC_LOCK
    return 1 << 62 if soft < 0 or has_right else soft


def own_calls() -> Calls:
    """Those of Linux."""
    _LIBC.mlock2.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    _LIBC.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def advise(mapping: Mapping, advice: int) -> bool:
        return bool(_LIBC.madvise(mapping.start, mapping.size, advice) == 0)

    return Calls(
        lambda mapping: bool(_LIBC.mlock2(mapping.start, mapping.size, _MLOCK_ONFAULT) == 0),
        lambda mapping: advise(mapping, _MADV_POPULATE_WRITE),
        lambda mapping: advise(mapping, _MADV_HUGEPAGE),
    )


def hold_own(is_locked: bool, is_huge: bool, limit_bytes: int | None = None) -> Held:
    """Do so with all of this process's memory, as it is now."""
    limit = lock_limit_bytes() if limit_bytes is None else limit_bytes
    # A quarter of the machine at most: telemetry must not take the memory that it looks after.
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return hold(list(mappings()), min(limit, machine // 4), is_locked, is_huge, own_calls())
