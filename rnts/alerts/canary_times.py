"""How long canaries took over the last minute or hour: every time, so that nothing is rounded.

At the least interval an hour is 36,000 of them, 2 MB. A histogram would need NumPy, which a process
of alerts does without: 11 MB and a tenth of a second at its start.
"""

import math
from bisect import bisect_left, insort
from collections import Counter, deque
from typing import Any

PERCENTILES = (50.0, 99.0, 99.9)


class SlidingTimes:
    """Times, and losses, of the last `window_ns`. Moments are of a steady clock and do not fall."""

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self._times: deque[tuple[int, int]] = deque()  # when, and how long
        self._sorted: list[int] = []
        self._lost: deque[tuple[int, str]] = deque()  # when, and why

    def add(self, at_ns: int, time_ns: int) -> None:
        """One came back, and took so long."""
        self._times.append((at_ns, time_ns))
        insort(self._sorted, time_ns)

    def lose(self, at_ns: int, reason: str) -> None:
        """One was given up."""
        self._lost.append((at_ns, reason))

    def forget(self, now_ns: int) -> None:
        """Let go of what is older than the window."""
        since_ns = now_ns - self.window_ns
        while self._times and self._times[0][0] <= since_ns:
            _, time_ns = self._times.popleft()
            del self._sorted[bisect_left(self._sorted, time_ns)]
        while self._lost and self._lost[0][0] <= since_ns:
            self._lost.popleft()

    def document(self, now_ns: int) -> dict[str, Any]:
        """How many came back, how many were lost and why, and percentiles by the nearest rank."""
        self.forget(now_ns)
        found, count = self._sorted, len(self._sorted)
        percentiles = {
            f"{percentile:g}": found[max(0, math.ceil(percentile * count / 100) - 1)]
            for percentile in (PERCENTILES if found else ())
        }
        return {
            "window_ns": self.window_ns,
            "count": count,
            "lost": dict(Counter(reason for _, reason in self._lost)),
            "percentiles": percentiles,
            "max": found[-1] if found else None,
        }
