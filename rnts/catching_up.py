"""In which order an agent takes what has waited for it in lanes: by time, and not by lane.

Lanes fill while no agent is there. If one were emptied after the other, the first would push out
the windows that lie open for the others' records, and these would be late.
"""

from collections.abc import Callable

from rnts.kernels.lane import ALL_TIMES

_PAUSE_NS = 500_000_000  # an agent that did not look for longer finds what has waited
# Programs say what time it was, and may go on saying that it was long ago: then nobody waits for
# them, and the rest is taken in so many steps, each a share of what is left.
_STEPS = 64


class CatchingUp:
    """Says up to which time lanes are emptied; times since the epoch.

    Records of at most `slice_ns` are taken at a time, until no lane holds any that waited.
    """

    def __init__(self, slice_ns: int) -> None:
        self._slice_ns = slice_ns
        self._is_on = True
        self._until_ns = -ALL_TIMES
        self._looked_ns = 0

    def begin(self) -> None:
        """There are lanes that nobody has emptied so far."""
        self._is_on = True

    def until_ns(self, now_ns: int, oldest_ns: Callable[[], int]) -> int:
        """The newest time that is taken now; `oldest_ns` says what is next, or ALL_TIMES."""
        self._is_on |= abs(now_ns - self._looked_ns) > _PAUSE_NS
        self._looked_ns = now_ns
        if not self._is_on:
            return ALL_TIMES
        next_ns = oldest_ns()
        if next_ns > self._until_ns:
            self._until_ns = next_ns + self._slice_ns
        else:  # there was no room for all up to then, or what is old comes only now
            self._until_ns += max(1, (now_ns - self._until_ns) // _STEPS)
        if self._until_ns >= now_ns:
            self._is_on, self._until_ns = False, -ALL_TIMES
            return ALL_TIMES
        return self._until_ns
