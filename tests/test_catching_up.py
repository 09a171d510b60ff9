"""An agent that finds lanes full takes what is in them in the order of time."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnts.catching_up import CatchingUp
from rnts.kernels.lane import ALL_TIMES

MS, SECOND = 1_000_000, 1_000_000_000
NOW_NS = 1_790_000_000 * SECOND


class Lanes:
    """Lanes of plain lists, each with times in its own order."""

    def __init__(self, lanes: list[list[int]]) -> None:
        self.lanes = lanes

    def oldest_ns(self) -> int:
        """As a collector says it."""
        return min((lane[0] for lane in self.lanes if lane), default=ALL_TIMES)

    def take(self, until_ns: int, room: int = 1 << 30) -> list[int]:
        """What one pass takes: at most `room` of each lane, up to a time."""
        found = []
        for lane in self.lanes:
            count = 0
            while lane and count < room and lane[0] <= until_ns:
                found.append(lane.pop(0))
                count += 1
        return found


def passes(
    lanes: Lanes, slice_ns: int, room: int = 1 << 30, between: Callable[[], None] = lambda: None
) -> list[list[int]]:
    """What each pass takes until nothing is left."""
    order, found, now_ns = CatchingUp(slice_ns), [], NOW_NS
    while lanes.oldest_ns() != ALL_TIMES:
        found.append(lanes.take(order.until_ns(now_ns, lanes.oldest_ns), room))
        assert len(found) < 10_000, "it does not come to an end"
        now_ns += MS
        between()
    return found


@given(
    lanes=st.lists(
        st.lists(st.integers(0, 60_000).map(lambda ms: NOW_NS - ms * MS), max_size=40), max_size=6
    )
)
def test_no_pass_is_ahead_of_what_waits_by_more_than_a_slice(lanes: list[list[int]]) -> None:
    """Whatever waits, what was taken is at most a slice newer; each pass takes something."""
    waiting = Lanes([sorted(lane) for lane in lanes])
    newest = 0
    for taken in passes(waiting, SECOND):
        assert taken
        assert min(taken) >= newest - SECOND
        newest = max(newest, *taken)


def test_lanes_that_do_not_fit_stay_together() -> None:
    """Where a pass has no room for a slice, a quick lane lags by little, and all is taken."""
    times = np.arange(NOW_NS - 10 * SECOND, NOW_NS, 5 * MS).tolist()
    quick, slow = times, times[::50]
    behind, newest = 0, 0
    for taken in passes(Lanes([quick, slow]), SECOND, room=64):
        newest = max(newest, *taken)
        behind = max(behind, newest - min(taken))
    assert behind < 3 * SECOND


def test_who_goes_on_telling_of_long_ago_holds_nobody_up() -> None:
    """A lane that always has something of 1970 is waited for no longer than a while."""
    lanes = Lanes([[1], [NOW_NS - SECOND]])
    made = iter(range(10_000))

    def more() -> None:
        if lanes.lanes[1]:
            lanes.lanes[0].append(1 + next(made) % 7)

    taken = passes(lanes, SECOND, between=more)
    assert taken[-1][-1] == NOW_NS - SECOND
    assert len(taken) < 3_000


def test_an_agent_at_work_takes_all_there_is() -> None:
    """When nothing is left that waited, times do not matter, until it did not look for long."""
    order, asked = CatchingUp(SECOND), []

    def oldest_ns() -> int:
        asked.append(1)
        return NOW_NS - 10 * SECOND

    assert order.until_ns(NOW_NS, lambda: ALL_TIMES) == ALL_TIMES
    assert order.until_ns(NOW_NS + MS, oldest_ns) == ALL_TIMES
    assert not asked
    assert order.until_ns(NOW_NS + SECOND, oldest_ns) == NOW_NS - 9 * SECOND
    assert order.until_ns(NOW_NS + SECOND, lambda: ALL_TIMES) == ALL_TIMES
    order.begin()
    assert order.until_ns(NOW_NS + SECOND + MS, oldest_ns) == NOW_NS - 9 * SECOND
