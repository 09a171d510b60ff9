"""The CPU clocks of processes: one call of 0.6 µs tells whether a process has run, and how long.

Such a clock covers all threads of a process, ended ones too, by the ns. As read by others it is as
old as the last tick or switch of the running thread. It needs no rights.
"""

import os
import time
from collections.abc import Callable

from rnts.host_proc import ProcReader, Unreadable

CpuClock = Callable[[int], int]  # the ns of a clock, by its number; raises OSError if it is gone

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def clock_number(pid: int) -> int:
    """The number of a process's clock, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2  # CPUCLOCK_SCHED of include/linux/posix-timers.h


def no_clock(_: int) -> int:
    """Stands for the clocks of a machine that cannot be asked: then nobody ever looks idle."""
    return -1


def or_ticks(cpu_ns: int, ticks: int) -> int:
    """CPU time from the clock; where there is none, from a file, in ticks of 10 ms."""
    return ticks * TICK_NS if cpu_ns < 0 else cpu_ns


def is_live(reader: ProcReader) -> bool:
    """Whether this `/proc` shows process numbers as we have them, and their clocks answer."""
    try:
        own = os.getpid()
        return int(reader.link("self")) == own and time.clock_gettime_ns(clock_number(own)) > 0
    except (Unreadable, OSError, ValueError):
        return False
