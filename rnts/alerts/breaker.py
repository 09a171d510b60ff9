"""A circuit breaker: what has failed again and again is left alone for a while."""

import threading


class Breaker:
    """Opens after `failures_max` failures in a row; after `open_ns` one try decides."""

    def __init__(self, failures_max: int, open_ns: int) -> None:
        self._failures_max, self._open_ns = failures_max, open_ns
        self._failures = 0
        self._closed_again_ns = 0
        self._lock = threading.Lock()

    def is_closed(self, now_ns: int) -> bool:
        """Whether tries are let through."""
        return self._failures < self._failures_max or now_ns >= self._closed_again_ns

    def may_try(self, now_ns: int) -> bool:
        """Whether this try is let through; of several after a failure only one is."""
        with self._lock:
            if self._failures < self._failures_max:
                return True
            if now_ns < self._closed_again_ns:
                return False
            self._closed_again_ns = now_ns + self._open_ns
            return True

    def succeed(self) -> None:
        """It works again."""
        with self._lock:
            self._failures = 0

    def fail(self, now_ns: int) -> None:
        """It has failed once more."""
        with self._lock:
            self._failures += 1
            self._closed_again_ns = now_ns + self._open_ns
