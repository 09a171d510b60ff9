"""A lock for code that signal handlers, finalisers and log handlers may enter again."""

import contextlib
import threading
from collections.abc import Callable, Iterator


class Solitude:
    """At most one thread is inside; who interrupts its own thread there is told so.

    `afterwards` is called by whoever was inside, when others may be.
    """

    def __init__(self, afterwards: Callable[[], None]) -> None:
        self._afterwards = afterwards
        self._lock = threading.Lock()
        self._holder = 0  # the thread that has the lock

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the lock; False, without it, where it would never come free."""
        me = threading.get_ident()
        if self._holder == me:
            yield False
            return
        with self._lock:
            self._holder = me
            try:
                yield True
            finally:
                self._holder = 0
        self._afterwards()
