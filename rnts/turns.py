"""The turns of a main loop as the signs of life that a service manager is told.

A loop asks before each turn whether it is to end. That question is the sign of life: no thread and
no timer gives it, so a loop that is stuck gives none, and the manager's watchdog notices.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnts.notify import Manager, status_line
from rnts.process import Stop

NEVER_NS = 1 << 62
_SECOND_NS = 1_000_000_000
EVERY_NS = 5 * _SECOND_NS  # how old the status may be that a person sees
_AGAIN_NS = _SECOND_NS // 10  # after what was not told, and while there is nothing to tell


class Turns:
    """A `Stop` that tells `manager` when the loop has begun, that it goes on, and that it ends.

    `status` says in one line how the process is; None as long as it does not do its work yet. The
    first turn has to be over, too, before the process counts as ready.
    """

    def __init__(
        self,
        stop: Stop,
        manager: Manager,
        status: Callable[[], str | None],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._stop, self._manager, self._status = stop, manager, status
        self._clock_ns = clock_ns
        self._is_ready = self._is_ending = self._has_begun = False
        # A third, so that two signs of life may be late before the process is killed.
        self._every_ns = min(EVERY_NS, manager.watchdog_ns // 3 or EVERY_NS)
        self.due_ns = 0 if manager.is_there else NEVER_NS  # a turn should begin by then

    def is_set(self) -> bool:
        """Whether the loop is to end; called before each turn."""
        if self._stop.is_set():
            if not self._is_ending:
                self._is_ending = True
                self._manager.tell("STOPPING=1", status_line("is ending"))
            return True
        if self.due_ns != NEVER_NS and self._clock_ns() >= self.due_ns:
            self._tell()
        return False

    def _tell(self) -> None:
        """Say what is due, and set when the next is."""
        status = self._status() if self._has_begun else None
        self._has_begun = True
        is_told = False
        if self._is_ready or status is not None:
            word = [] if self._is_ready else ["READY=1"]
            word += ["WATCHDOG=1"] if self._manager.watchdog_ns else []
            is_told = self._manager.tell(
                *word, status_line(status or "does not work at the moment")
            )
            self._is_ready = self._is_ready or is_told
        # The first turn is not slept through where it is all that is waited for.
        self.due_ns = self._clock_ns() + (self._every_ns if is_told else _AGAIN_NS)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that settings are read again while the block lasts, and then that it is over."""
        now_us = self._clock_ns() // 1000  # which newer managers use to tell two reloads apart
        self._manager.tell("RELOADING=1", f"MONOTONIC_USEC={now_us}")
        try:
            yield
        finally:
            self._is_ready = False  # so that READY=1 is said again, until it is heard
            self.due_ns = 0 if self._manager.is_there else NEVER_NS
