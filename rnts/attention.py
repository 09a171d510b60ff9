"""A steady clock that runs only while its owner is at work, to measure the silence of others by.

A process that was stopped, starved or suspended finds messages waiting that it could not hear: that
silence was its own.
"""

from collections.abc import Callable

LOOK_NS_MAX = 100_000_000  # what may pass between two looks and still count


class Attention:
    """Begins at 0 and moves at each look, by what has passed but by no more than the most.

    `steady_ns` reads the clock behind it, in nanoseconds.
    """

    def __init__(self, steady_ns: Callable[[], int]) -> None:
        self._steady_ns = steady_ns
        self._now_ns = 0
        self._looked_ns = steady_ns()

    def look(self) -> int:
        """Say that the owner is at work; the time that counts, in nanoseconds."""
        steady_ns = self._steady_ns()
        self._now_ns += min(steady_ns - self._looked_ns, LOOK_NS_MAX)
        self._looked_ns = steady_ns
        return self._now_ns
