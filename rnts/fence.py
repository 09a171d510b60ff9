"""Keeps stores in order where the processor does not: the one barrier that plain Python has."""

import os
import threading

IS_ORDERED = os.uname().machine in ("x86_64", "AMD64")  # stores become visible one after another


class Fence:
    """A barrier of one thread at a time: give a held lock back, and take it again.

    Each user has its own. A shared one could be given back twice by two threads, which raises. An
    interrupt between the two calls leaves it free, so it is first made sure that it is held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def order_stores(self) -> None:
        """Whoever sees a later store of this thread sees all earlier ones, too."""
        if not IS_ORDERED:
            self._lock.acquire(blocking=False)
            self._lock.release()
            self._lock.acquire(blocking=False)
