"""When the agent does what, and how it sleeps between: often under load, seldom in silence."""

import time
from collections.abc import Callable

# A producer can be interrupted between reading the clock and publishing, on a busy machine for
# tens of milliseconds. The watermark stays this far behind, so that its record is not late.
WATERMARK_SLACK_NS = 100_000_000

# From one pass to the next while records come: what a pass costs in Python is shared by more. Where
# one takes long, of a slow core or many records, the next comes later, so that others have most of
# the core; and however long it took, a short sleep follows.
_PASS_NS, _PASS_NS_MAX, _SLEEP_NS_MIN = 1_000_000, 2_000_000, 200_000
_SHARE = 4  # of the time between two passes the agent works one part
_BUSY_SLOTS = 8192  # a pass that took as many is followed by the next at once
# Between looks at the lanes while nothing comes: a look costs 20 to 40 us of a virtual machine, so
# 1,000 a second would be 3 %. Programs ring when nothing came for a while: not where one comes
# every 4 ms or sooner, as each would be paid for with a system call. A record of a program
# that cannot ring, and that ends a long silence, waits up to 7 ms.
_IDLE_STEP_NS, _SILENT_STEP_NS = 1_000_000, 7_000_000
_QUIET_AFTER_NS, _SILENT_AFTER_NS = 4_000_000, 100_000_000
_IDLE_NS = 20_000_000  # until messages and housekeeping are looked after all the same
_SILENT_NS = 200_000_000
_HEARTBEAT_NS, _HEARTBEAT_NS_MAX = 200_000_000, 1_000_000_000
_INTERVALS_NS = {"discover": 50_000_000, "status": 1_000_000_000}


class Rhythm:
    """The times at which things are due. All are steady nanoseconds, given by the caller.

    `window_ns` is that of the aggregator, which closes one when the watermark has passed its end.
    `rings`: whether programs are asked to wake us.
    """

    def __init__(self, window_ns: int, rings: bool = False) -> None:
        self._rings = rings
        self._window_ns = min(window_ns, _HEARTBEAT_NS_MAX)
        self._active_ns = 0  # when there was last something to do
        self._taken_ns = 0  # and when records came
        self._heartbeat_ns = 0
        self._due = dict.fromkeys(_INTERVALS_NS, 0)

    def is_due(self, what: str, now_ns: int) -> bool:
        """Whether it is time for `what`, which then is due again after its interval."""
        if now_ns < self._due[what]:
            return False
        self._due[what] = now_ns + _INTERVALS_NS[what]
        return True

    def is_heartbeat_due(self, now_ns: int) -> bool:
        """Whether no frame went out for so long that an empty one has to."""
        return now_ns >= self._heartbeat_ns

    def on_frame(self, now_ns: int, wall_ns: int) -> None:
        """A frame goes out, so the next heartbeat is put off."""
        self._heartbeat_ns = now_ns + self._until_heartbeat_ns(now_ns, wall_ns)

    def _until_heartbeat_ns(self, now_ns: int, wall_ns: int) -> int:
        """Time to the next heartbeat; in silence one a window is enough, when that can close."""
        if now_ns - self._active_ns < _SILENT_AFTER_NS:
            return _HEARTBEAT_NS
        passed_ns = (wall_ns - WATERMARK_SLACK_NS) % self._window_ns
        return max(_HEARTBEAT_NS, self._window_ns - passed_ns)

    def stir(self, now_ns: int) -> None:
        """There is something to do, if not with records: silence begins anew."""
        self._active_ns = now_ns

    def rest(
        self, started_ns: int, took: int, holds: bool, wait: Callable[[int, int, bool], bool]
    ) -> None:
        """Sleep after a pass that took so many slots, and `holds` some that are to go out soon.

        `wait(step_ns, timeout_ns, with_bells)` sleeps until a lane holds something, looking every
        `step_ns`, or, with bells, until a program rings.
        """
        if took >= _BUSY_SLOTS:
            return
        now_ns = time.monotonic_ns()
        if took or holds:
            self._active_ns = self._taken_ns = started_ns
            spent_ns = now_ns - started_ns
            pass_ns = min(max(_PASS_NS, _SHARE * spent_ns), _PASS_NS_MAX)
            time.sleep(max(_SLEEP_NS_MIN, pass_ns - spent_ns) / 1e9)
            return
        quiet_ns = started_ns - self._taken_ns
        if quiet_ns < _QUIET_AFTER_NS:
            wait(_IDLE_STEP_NS, _QUIET_AFTER_NS - quiet_ns, False)
        elif started_ns - self._active_ns < _SILENT_AFTER_NS:
            wait(_IDLE_STEP_NS, _IDLE_NS, self._rings)
        else:
            until_ns = max(0, min(_SILENT_NS, self._heartbeat_ns - now_ns))
            wait(_SILENT_STEP_NS, until_ns, self._rings)
