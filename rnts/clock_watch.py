"""Notices that the clock of the day was set, or that the machine slept, and counts it.

CLOCK_MONOTONIC stands still while the machine sleeps, CLOCK_BOOTTIME does not, and CLOCK_REALTIME
can be set. What NTP slews (up to 500 ppm) it slews on all three, so between them it does not show.
"""

import time
from typing import NamedTuple

STEP_NS_MIN = 50_000_000  # what differs by less is no step
_TRIES, _SPREAD_NS_WANTED = 5, 100_000


class Reading(NamedTuple):
    """Three clocks at about one moment: they were read within `spread_ns`."""

    wall_ns: int
    steady_ns: int
    boot_ns: int
    spread_ns: int = 0


def read_clocks() -> Reading:
    """Read the clocks, again if something came between: the tightest of a few tries."""
    best: Reading | None = None
    for _ in range(_TRIES):
        before_ns = time.monotonic_ns()
        wall_ns, boot_ns = time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        spread_ns = time.monotonic_ns() - before_ns
        if best is None or spread_ns < best.spread_ns:
            best = Reading(wall_ns, before_ns, boot_ns, spread_ns)
        if spread_ns <= _SPREAD_NS_WANTED:
            break
    assert best is not None
    return best


class ClockWatch:
    """Compares each reading with the one before; time comes in from outside."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._counts = dict.fromkeys(
            (
                "clock_steps",
                "clock_step_ns_last",
                "clock_step_seen_ns",
                "suspends",
                "suspend_ns_last",
                "suspend_seen_ns",
            ),
            0,
        )

    def look(self, now: Reading) -> dict[str, int]:
        """Take a reading in; the counts since the start, and the size and time of the last ones.

        A step is below 0 if the clock was set back.
        """
        last, self._last = self._last, now
        if last is not None:
            boot_ns = now.boot_ns - last.boot_ns
            step_ns = now.wall_ns - last.wall_ns - boot_ns
            asleep_ns = boot_ns - (now.steady_ns - last.steady_ns)
            least_ns = STEP_NS_MIN + last.spread_ns + now.spread_ns
            if abs(step_ns) > least_ns:
                self._note("clock_step", step_ns, now)
            if asleep_ns > least_ns:
                self._note("suspend", asleep_ns, now)
        return dict(self._counts)

    def _note(self, what: str, size_ns: int, now: Reading) -> None:
        self._counts[f"{what}s"] += 1
        self._counts[f"{what}_ns_last"] = size_ns
        self._counts[f"{what}_seen_ns"] = now.wall_ns
