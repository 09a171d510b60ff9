"""How a process that starts does what `rnts tune` has asked of it; it works without, too.

Whatever cannot be done is said once in the log, and the process goes on as it would untuned.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from functools import partial

from rnts import own_memory, scheduling, wish
from rnts.cpu_list import format_cpus, parse_cpus
from rnts.errors import UsageError
from rnts.process import settle

log = logging.getLogger("rnts")

_before: list[tuple[set[int], int]] = []  # processors and niceness of this process at its start


def asked() -> dict[str, str]:
    """What this user's file asks for; nothing where there is none that can be read."""
    try:
        return wish.read_wish()
    except (OSError, ValueError) as error:
        log.warning("what `rnts tune` asked for is left out: %s", error)
        return {}


def take_place(role: str, wanted: dict[str, str] | None = None) -> None:
    """Give all threads of this process, and those to come, the processors and precedence of a role.

    Some run already: libraries start their own when they are loaded.
    """
    wanted = asked() if wanted is None else wanted
    _before.append((os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)))
    set_nice, set_slice = partial(os.setpriority, os.PRIO_PROCESS), scheduling.set_slice_ns
    if cores := wanted.get(wish.CORES + role):
        _try(cores, _pin)
    if nice := wanted.get(wish.NICE):
        _try(nice, lambda value: _each(lambda thread: set_nice(thread, int(value))))
    if slice_ns := wanted.get(wish.SLICE_NS):
        _try(slice_ns, lambda value: _each(lambda thread: set_slice(thread, int(value))))
    # A session that another program began holds that program, too.
    if (nice := wanted.get(wish.GROUP_NICE)) and os.getsid(0) == os.getpid():
        _try(nice, _nice_session)


def give_place(process: int) -> None:
    """Have a child be scheduled as this process was at its start: it is a program of a user's.

    What it takes is not accounted for, so neither cores nor precedence of RNTS are for it.
    """
    if not _before:
        return
    cpus, nice = _before[0]
    for do in (
        lambda: os.sched_setaffinity(process, cpus),
        lambda: os.setpriority(os.PRIO_PROCESS, process, nice),
        lambda: scheduling.set_slice_ns(process, 0),
    ):
        try:
            do()
        except OSError as error:
            log.debug("a command runs as RNTS does: %s", error)


def _try(value: str, do: Callable[[str], None]) -> None:
    """Do one thing; what cannot be had keeps nothing else from being done."""
    try:
        do(value)
    except (OSError, ValueError, UsageError) as error:
        log.warning("what `rnts tune` asked for, %s, cannot be had here: %s", value, error)


def _each(do: Callable[[int], None]) -> None:
    """For each thread that there is; one that ends meanwhile needs nothing."""
    for name in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            do(int(name))


def _pin(cores: str) -> None:
    """Keep to these processors, or to those of them that this process may have."""
    cpus = parse_cpus(cores) & os.sched_getaffinity(0)
    if not cpus:
        here = format_cpus(os.sched_getaffinity(0))
        raise UsageError(f"processors {cores} are not among those of this process, {here}")
    _each(lambda thread: os.sched_setaffinity(thread, cpus))


def _nice_session(nice: str) -> None:
    """Where each session is a group of the scheduler (autogroup), niceness counts in it only."""
    try:
        with open("/proc/self/autogroup", "r+") as file:
            file.write(nice)
    except FileNotFoundError:
        log.debug("sessions are no groups of the scheduler here")


def settle_tuned(wanted: dict[str, str] | None = None) -> None:
    """Take what is loaded as there to stay, and hold its memory ready where that is asked for."""
    settle()
    wanted = asked() if wanted is None else wanted
    is_locked, is_huge = wish.LOCK_MEMORY in wanted, wish.HUGE_PAGES in wanted
    if not is_locked and not is_huge:
        return
    held = own_memory.hold_own(is_locked, is_huge)
    log.info(
        "memory: %d KiB locked, %d KiB touched, %d KiB in large pages, %d KiB left as they were",
        *(size // 1024 for size in held),
    )


def socket_buffer_bytes() -> int | None:
    """The size that buffers of sockets are to have; None where nobody asked."""
    size = asked().get(wish.SOCKET_BUFFER_BYTES, "")
    return int(size) if size.isdecimal() else None
