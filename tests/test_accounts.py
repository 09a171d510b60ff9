"""The aggregator's books: what fits is counted under its reason, what does not is shown."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnts import accounts as module
from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS, SOURCE_FINAL, SOURCE_LOST
from rnts.accounts import Accounts

AGENT, SUCCESSOR = (7, 100), (7, 200)
KEY = -5


def row(**columns: int) -> NDArray[np.int64]:
    """A row of the table of sources; what is not given is 0, and the key is `KEY`."""
    made = np.zeros(len(SOURCE_COLUMNS), np.int64)
    for name, value in {"key": KEY, **columns}.items():
        made[COLUMN[name]] = value
    return made


def table(*rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A frame's table of sources."""
    return np.array(rows, np.int64).reshape(len(rows), len(SOURCE_COLUMNS))


def baseline(**columns: int) -> NDArray[np.int64]:
    """The row with which an agent introduces a source."""
    return row(flags=SOURCE_BASELINE, **columns)


def books(*frames: list[NDArray[np.int64]], agent: tuple[int, int] = AGENT) -> Accounts:
    """Accounts that have taken in some frames of one agent."""
    accounts = Accounts()
    for frame in frames:
        accounts.enter(agent, table(*frame))
    return accounts


def account(accounts: Accounts, folded: int, late: int = 0, future: int = 0) -> dict[str, Any]:
    """The document, less what is zero."""
    document = accounts.document(folded, late, future)
    return {name: value for name, value in document.items() if value or name == "balanced"}


FIRST = [baseline(), row(attempts=10, delivered=8, in_frame=8, lane_full=2)]
SECOND = [row(attempts=21, delivered=15, in_frame=7, lane_full=2, invalid=3)]
LAST = [
    row(
        attempts=25, delivered=18, in_frame=3, lane_full=2, invalid=3, torn=1, corrupt=1,
        flags=SOURCE_FINAL,
    )
]  # fmt: skip


def test_rows_in_order_are_accounted() -> None:
    """Emitted is what was attempted, and each record is aggregated, dropped or on its way."""
    assert account(books(FIRST), 8) == {
        "emitted": 10, "aggregated": 8, "dropped": {"lane_full": 2}, "balanced": True,
    }  # fmt: skip
    assert account(books(FIRST, SECOND), 15) == {
        "emitted": 21, "aggregated": 15, "in_flight": 1, "balanced": True,
        "dropped": {"lane_full": 2, "invalid": 3},
    }  # fmt: skip


def test_ended_sources_live_on_in_the_sums() -> None:
    """The last row settles a source; a replay of it, or of any row of it, changes nothing."""
    accounts = books(FIRST, SECOND, LAST)
    expected = {
        "emitted": 25, "aggregated": 18, "balanced": True,
        "dropped": {"lane_full": 2, "invalid": 3, "corrupt": 1, "torn": 1},
    }  # fmt: skip
    assert account(accounts, 18) == expected
    assert accounts.sources() == []
    for frame in (FIRST, SECOND, LAST, [row(flags=SOURCE_LOST, in_frame=4)]):
        accounts.enter(AGENT, table(*frame))
        accounts.begin_session(SUCCESSOR, table(baseline(delivered=3)))
    assert account(accounts, 18) == expected


def test_memory_of_ended_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest keys are forgotten beyond the limit; the sums stay."""
    monkeypatch.setattr(module, "_RETIRED_MAX", 10)
    accounts = Accounts()
    for key in range(100):
        final = row(key=key, attempts=2, delivered=2, in_frame=2, flags=SOURCE_FINAL)
        accounts.enter(AGENT, table(baseline(key=key), final))
    assert len(accounts.retired) == 10
    assert account(accounts, 200) == {"emitted": 200, "aggregated": 200, "balanced": True}


def test_late_and_future_records_are_drops() -> None:
    """What the windows did not take has arrived all the same."""
    assert account(books(FIRST), 5, late=2, future=1) == {
        "emitted": 10, "aggregated": 5, "balanced": True,
        "dropped": {"lane_full": 2, "late": 2, "future": 1},
    }  # fmt: skip


@pytest.mark.parametrize(("folded", "late"), [(7, 0), (9, 0), (8, 1), (0, 0)])
def test_windows_must_have_got_what_rows_say(folded: int, late: int) -> None:
    """A frame whose records are not those of its table makes the books wrong."""
    assert account(books(FIRST), folded, late)["balanced"] is False


@pytest.mark.parametrize("step", [1, -1, 100])
def test_a_gap_that_nothing_explains_is_shown(step: int) -> None:
    """A position of the same agent that jumps is wrong for good, also if it jumps back."""
    jumped = [row(attempts=21, delivered=15 + step, in_frame=7, lane_full=2)]
    accounts = books(FIRST, jumped)
    assert account(accounts, 15)["balanced"] is False
    accounts.enter(AGENT, table(row(attempts=21, delivered=16, in_frame=1, lane_full=2)))
    assert account(accounts, 16)["balanced"] is False


def test_a_dead_agents_records_are_lost_with_it() -> None:
    """Its successor begins where the segment says; what lies between is `agent_died`."""
    for introduce in (Accounts.begin_session, Accounts.enter):
        accounts = books(FIRST)
        introduce(accounts, SUCCESSOR, table(baseline(attempts=14, delivered=12, lane_full=2)))
        assert account(accounts, 8) == {
            "emitted": 14, "aggregated": 8, "dropped": {"lane_full": 2, "agent_died": 4},
            "balanced": True,
        }  # fmt: skip
        accounts.enter(SUCCESSOR, table(row(attempts=20, delivered=18, in_frame=6, lane_full=2)))
        assert account(accounts, 14) == {
            "emitted": 20, "aggregated": 14, "dropped": {"lane_full": 2, "agent_died": 4},
            "balanced": True,
        }  # fmt: skip


def test_a_successor_cannot_begin_before_its_predecessor() -> None:
    """Records that would be delivered twice are no loss, and no matter of course."""
    accounts = books(FIRST)
    accounts.enter(SUCCESSOR, table(baseline(delivered=5)))
    assert account(accounts, 8)["balanced"] is False


def test_a_new_aggregator_is_told_what_was_committed() -> None:
    """Baselines of a HELLO bring the records that closed windows hold already."""
    accounts = Accounts()
    accounts.begin_session(AGENT, table(baseline(in_frame=50)))
    assert account(accounts, 0) == {"emitted": 50, "aggregated": 50, "balanced": True}
    accounts.enter(AGENT, table(row(attempts=64, delivered=60, in_frame=10, lane_full=3)))
    assert account(accounts, 10) == {
        "emitted": 64, "aggregated": 60, "dropped": {"lane_full": 3}, "in_flight": 1,
        "balanced": True,
    }  # fmt: skip


def test_a_new_aggregator_names_what_its_predecessor_took_along() -> None:
    """A gap before the first row after a HELLO is records in windows that never closed."""
    accounts = Accounts()
    accounts.begin_session(AGENT, table(baseline(attempts=5, delivered=5, in_frame=50)))
    accounts.enter(AGENT, table(row(attempts=75, delivered=75, in_frame=10)))
    assert account(accounts, 10) == {
        "emitted": 70, "aggregated": 60, "dropped": {"aggregator_died": 10}, "balanced": True,
    }  # fmt: skip
    accounts.enter(AGENT, table(row(attempts=85, delivered=85, in_frame=9)))
    assert account(accounts, 19)["balanced"] is False, "only once"


def test_declared_holes_are_the_backlogs() -> None:
    """Records that the agent gave up count as `backlog_full`, before and after the next row."""
    accounts = books(FIRST, [row(flags=SOURCE_LOST, in_frame=5)])
    lost = {"lane_full": 2, "backlog_full": 5}
    assert account(accounts, 8) == {
        "emitted": 15, "aggregated": 8, "dropped": lost, "balanced": True,
    }  # fmt: skip
    accounts.enter(AGENT, table(row(attempts=19, delivered=17, in_frame=4, lane_full=2)))
    assert account(accounts, 12) == {
        "emitted": 19, "aggregated": 12, "dropped": lost, "balanced": True,
    }  # fmt: skip


def test_a_hole_may_be_the_first_that_is_heard_of_a_source() -> None:
    """Where its introduction was given up too, the source begins with its losses."""
    accounts = books(
        [row(flags=SOURCE_LOST, in_frame=5)], [row(attempts=9, delivered=9, in_frame=4)]
    )
    assert account(accounts, 4) == {
        "emitted": 9, "aggregated": 4, "dropped": {"backlog_full": 5}, "balanced": True,
    }  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
def test_damaged_frames_leave_named_gaps(known: bool) -> None:
    """What was in a frame that was given up as damaged is `bad_frame`, for new sources as well."""
    accounts = books(FIRST) if known else Accounts()
    accounts.skip_frame(AGENT)
    accounts.enter(AGENT, table(row(attempts=22, delivered=20, in_frame=5, lane_full=2)))
    folded = 13 if known else 5
    assert account(accounts, folded) == {
        "emitted": 22, "aggregated": folded, "balanced": True,
        "dropped": {"lane_full": 2, "bad_frame": 20 - folded},
    }  # fmt: skip
    accounts.enter(AGENT, table(row(attempts=32, delivered=30, in_frame=5, lane_full=2)))
    assert account(accounts, folded + 5)["balanced"] is False, "only once"


def test_a_damaged_frame_may_hold_the_introduction_of_a_successor() -> None:
    """Then the dead agent's records and the frame's count together, as `bad_frame`."""
    accounts = books(FIRST)
    accounts.skip_frame(SUCCESSOR)
    accounts.enter(SUCCESSOR, table(row(attempts=22, delivered=20, in_frame=5, lane_full=2)))
    assert account(accounts, 13)["dropped"] == {"lane_full": 2, "bad_frame": 7}
    assert account(accounts, 13)["balanced"] is True


def test_sources_that_nobody_introduced_are_shown() -> None:
    """Records from before the first row of a source are not explained away."""
    accounts = books([row(attempts=10, delivered=10, in_frame=4)])
    assert account(accounts, 4)["balanced"] is False
    assert account(books([row(key=1, attempts=3, no_lane=3)]), 0)["balanced"] is True


def test_one_sources_error_is_not_made_good_by_another() -> None:
    """More records out of one source than went in are wrong, however many others are on the way."""
    good = [baseline(key=1), row(key=1, attempts=100, delivered=10, in_frame=10)]
    bad = [baseline(key=2), row(key=2, attempts=10, delivered=12, in_frame=12)]
    assert account(books(good), 10)["balanced"] is True
    assert account(books(good, bad), 22)["balanced"] is False


def test_sources_show_what_was_heard_last() -> None:
    """Each living source has its key, its counters and what is in its lane."""
    [source] = books(FIRST, SECOND).sources()
    assert source["key"] == KEY
    assert source["in_flight"] == 1
    assert source["now"] == dict(zip(SOURCE_COLUMNS, SECOND[0].tolist(), strict=True))


MUTABLE = [name for name in SOURCE_COLUMNS if name != "flags"]
CHANGES: list[Callable[[int], int]] = [lambda v: v + 1, lambda v: v - 1, lambda v: v + 1000]


@pytest.mark.parametrize("change", range(len(CHANGES)))
@pytest.mark.parametrize("name", MUTABLE)
def test_no_number_of_a_last_row_can_be_wrong(name: str, change: int) -> None:
    """Any number of the row that settles a source, changed, makes the books wrong."""
    wrong = [LAST[0].copy()]
    wrong[0][COLUMN[name]] = CHANGES[change](int(wrong[0][COLUMN[name]]))
    assert account(books(FIRST, SECOND, LAST), 18)["balanced"] is True
    assert account(books(FIRST, SECOND, wrong), 18)["balanced"] is False


@pytest.mark.parametrize("change", range(len(CHANGES)))
@pytest.mark.parametrize("name", ["key", "in_frame", "delivered"])
@pytest.mark.parametrize("frame", range(2))
def test_no_position_of_any_row_can_be_wrong(frame: int, name: str, change: int) -> None:
    """The numbers that say where a source is cannot be wrong in any row, whatever follows."""
    frames = [[r.copy() for r in f] for f in (FIRST, SECOND, LAST)]
    wrong = frames[frame][-1]
    wrong[COLUMN[name]] = CHANGES[change](int(wrong[COLUMN[name]]))
    assert account(books(*frames), 18)["balanced"] is False


@pytest.mark.parametrize("frame", range(3))
def test_no_frame_can_be_missing(frame: int) -> None:
    """A frame that was folded and not entered, or entered and not folded, is noticed."""
    frames = [FIRST, SECOND, LAST]
    assert account(books(*(frames[:frame] + frames[frame + 1 :])), 18)["balanced"] is False
    assert account(books(*frames), 18 - (8, 7, 3)[frame])["balanced"] is False
