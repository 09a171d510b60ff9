"""Windows open, close and refuse as they should, and all that they hold is bounded."""

import math
from itertools import pairwise

import pytest
from naive_windows import Item, moments_of, to_records

from rnts.kernels.held import COUNT, SUM
from rnts.kernels.neurons import HEALTH
from rnts.model import FIELD, Health, Kind
from rnts.windows import Folded, Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
NUMBER = START // SECOND  # of the window that begins at START
PERCENTILES = (50, 90, 99.9)


def sample(time_ns: int, neuron_id: int = 1, **fields: float) -> Item:
    """A sample of these fields."""
    return Item(neuron_id, time_ns, values=fields)


def fold(windows: Windows, *items: Item, now_ns: int | None = None) -> Folded:
    """Fold these in one batch, at the time of the newest unless one is given."""
    latest = max(item.time_ns for item in items)
    return windows.fold(to_records(list(items)), latest if now_ns is None else now_ns)


def counter_total(windows: Windows, name: str) -> float:
    """What a counter grew by in the newest closed window."""
    assert windows.closed is not None
    assert windows.closed.summary is not None
    return windows.closed.summary.moments[-1][SUM + FIELD[name].bit].item()


@pytest.mark.parametrize(
    ("readings", "increase"),
    [
        ([7], 0),
        ([7, 10, 10, 25], 18),
        ([7, 10, 4, 6], 9),  # it restarted at 0 and counted 4, then 2
        ([2**64 - 1, 5], 5),
        ([5, 2**64 - 1], 2**64 - 6),
    ],
)
def test_a_counter_adds_up_to_what_it_grew_by(readings: list[int], increase: int) -> None:
    """The first sight sets the baseline; a fall is a restart."""
    windows = Windows(SECOND, PERCENTILES)
    fold(windows, *(sample(START + i, messages_sent=v) for i, v in enumerate(readings)))
    windows.advance(START + SECOND, complete=True)

    assert counter_total(windows, "messages_sent") == float(increase)


def test_a_counter_counts_once_what_comes_late_or_sampled() -> None:
    """An older sample adds nothing, and an increase is not weighted: it spans what was left out."""
    windows = Windows(SECOND, PERCENTILES)
    grown = [(START, 100), (START + 30, 160), (START + 10, 120), (START + 20, 150)]
    fold(windows, *(sample(t, bytes_transmitted=v, weight=10) for t, v in grown))
    windows.advance(START + SECOND, complete=True)

    assert counter_total(windows, "bytes_transmitted") == 60


def test_a_late_record_is_counted_and_not_folded() -> None:
    """Once a window is closed nothing is added to it."""
    windows = Windows(SECOND, PERCENTILES)
    fold(windows, sample(START))
    assert windows.advance(START + SECOND, complete=True) == NUMBER + 1

    folded = fold(windows, sample(START + SECOND - 1), sample(START + SECOND))

    assert (folded.aggregated, folded.late) == (1, 1)
    assert folded.window_last == NUMBER + 1
    assert windows.closed is not None
    assert windows.closed.records == 1


def test_a_record_of_the_future_moves_no_window() -> None:
    """One clock that is ahead does not close the windows of all others."""
    windows = Windows(SECOND, PERCENTILES)

    folded = fold(
        windows,
        sample(START),
        sample(START + SECOND),
        sample(START + SECOND + 1),
        sample(2**63 - 1),
        sample(START + 1),
        now_ns=START,
    )

    assert (folded.aggregated, folded.late, folded.future) == (3, 0, 2)
    assert windows.closed is None


def test_a_window_that_is_pushed_out_is_closed_as_incomplete() -> None:
    """Three windows are held; the fourth closes the first, and says that it may lack records."""
    windows = Windows(SECOND, PERCENTILES)
    for i in range(3):
        fold(windows, sample(START + i * SECOND))
    assert windows.closed is None

    fold(windows, sample(START + 3 * SECOND))

    assert windows.closed is not None
    assert (windows.closed.window, windows.closed.complete) == (NUMBER, False)
    assert windows.closed.records == 1
    assert fold(windows, sample(START + 1), now_ns=START + 3 * SECOND).late == 1


def test_windows_without_records_close_as_well() -> None:
    """After a gap the newest closed window is the empty one before the boundary."""
    windows = Windows(SECOND, PERCENTILES)
    fold(windows, sample(START))

    assert windows.advance(START + 7 * SECOND + 5, complete=True) == NUMBER + 7
    assert windows.closed is not None
    assert (windows.closed.window, windows.closed.records) == (NUMBER + 6, 0)
    assert windows.closed.complete

    fold(windows, sample(START + 30 * SECOND))
    assert (windows.closed.window, windows.closed.complete) == (NUMBER + 27, False)


def test_nothing_is_closed_before_anything_was_folded() -> None:
    """The boundary moves, but there is no window to show."""
    windows = Windows(SECOND, PERCENTILES)

    assert windows.advance(START, complete=True) == NUMBER
    assert windows.closed is None
    assert windows.advance(START - 5 * SECOND, complete=True) == NUMBER
    assert fold(windows, sample(START - 1), now_ns=START).late == 1


def test_a_pane_is_empty_when_it_is_used_again() -> None:
    """Nothing of the window three before is left in moments, histograms or counts."""
    windows = Windows(SECOND, PERCENTILES)
    for i in range(6):
        value = 10.0 ** (i + 1)
        fold(windows, sample(START + i * SECOND, signal_strength=value, processing_time_ns=100 * i))
        windows.advance(START + (i + 1) * SECOND, complete=True)

        assert windows.closed is not None
        summary = windows.closed.summary
        assert summary is not None
        column = FIELD["signal_strength"].bit
        assert moments_of(summary.moments[-1], column) == (1.0, value, value, value)
        assert summary.percentiles[-1, column].tolist() == [value] * 3
    held = windows.panes.held(NUMBER + 5, 0).durations
    assert held.sum() == 1


def test_a_histogram_forgets_what_it_held_in_the_middle() -> None:
    """The ends of what was in a pane are cleared, too, and do not shift later percentiles."""
    windows = Windows(SECOND, PERCENTILES)
    for i, levels in enumerate([(9, 10, 11), (1,), (1,), (1, 100, 100)]):
        items = [sample(START + i * SECOND, queue_depth=level) for level in levels]
        fold(windows, *items)
        windows.advance(START + (i + 1) * SECOND, complete=True)

    assert windows.closed is not None
    assert windows.closed.summary is not None
    assert windows.closed.summary.percentiles[-1, FIELD["queue_depth"].bit, 0] == 100


def test_records_of_different_kinds_keep_to_their_neurons() -> None:
    """A counter among events and links of other neurons is compared with its own last value."""
    windows = Windows(SECOND, PERCENTILES)
    for i in range(3):
        fold(
            windows,
            Item(7, START + i, Kind.EVENT, {"event_type": 0}),
            Item(8, START + i, Kind.LINK, {"link_peer_id": 7}),
            sample(START + i, 1, messages_sent=10 * i),
            sample(START + i, 2, messages_sent=1_000 + 3 * i, health=1),
        )
    windows.advance(START + SECOND, complete=True)

    assert counter_total(windows, "messages_sent") == 20 + 6
    population = windows.population
    assert population.rows[population.row_of(2), HEALTH] == Health.DEGRADED
    assert population.health.sum(axis=0).tolist() == [0, 1, 0, 3]


def test_neurons_beyond_the_limit_share_a_row_and_totals_stay_exact() -> None:
    """Their records count for the group `other`; their counters, of which nobody keeps the last
    value, do not."""
    windows = Windows(SECOND, PERCENTILES, max_neurons=3)
    items = [sample(START + i, 1 + i % 10, queue_depth=1, messages_sent=i) for i in range(100)]

    folded = fold(windows, *items)
    windows.advance(START + SECOND, complete=True)

    assert folded.aggregated == 100
    assert windows.overflow_records == 70
    closed = windows.closed
    assert closed is not None
    assert closed.summary is not None
    assert (closed.active, closed.records) == (3, 100)
    assert closed.groups == ((3, 30), (0, 70))
    assert closed.summary.moments[-1][COUNT + FIELD["queue_depth"].bit] == 100
    assert closed.summary.moments[-1][COUNT + FIELD["messages_sent"].bit] == 27


def test_a_neuron_counts_for_one_group_throughout_a_window() -> None:
    """A name that comes in the middle takes effect with the next window."""
    windows = Windows(SECOND, PERCENTILES)
    fold(windows, sample(START))
    fold(windows, Item(1, START, Kind.NAME, text=("one", "late", "", "")), sample(START + 1))
    windows.advance(START + SECOND, complete=True)
    assert windows.closed is not None
    assert windows.closed.groups == ((1, 2), (0, 0), (0, 0))

    fold(windows, sample(START + SECOND))
    windows.advance(START + 2 * SECOND, complete=True)
    assert windows.closed.groups == ((0, 0), (0, 0), (1, 1))


def test_a_neuron_that_comes_back_counts_for_its_group_at_once() -> None:
    """Whoever reports less often than neurons are kept is never taken for one of `default`."""
    windows = Windows(SECOND, PERCENTILES)
    name = Item(1, START, Kind.NAME, text=("one", "late", "", ""))
    fold(windows, name, sample(START))
    windows.advance(START + SECOND, complete=True)
    for second in (1, 2, 3):
        windows.population.retire(0, START + second * SECOND)
        now_ns = START + second * SECOND
        fold(
            windows, name, sample(now_ns - 60 * SECOND), sample(now_ns + 60 * SECOND), now_ns=now_ns
        )
        assert windows.population.known == 0  # by names, late and future ones nobody comes back
        fold(windows, sample(now_ns), sample(now_ns + 1))
        windows.advance(now_ns + SECOND, complete=True)
        assert windows.closed is not None
        assert windows.closed.groups == ((0, 0), (0, 0), (1, 2))


def test_the_reason_of_a_state_is_kept_as_long_as_the_state() -> None:
    """A new reason replaces it, silence keeps it, another state ends it, an older one is old."""
    windows = Windows(SECOND, PERCENTILES)

    def reason_after(offset: int, state: int, *text: str) -> str | None:
        item = Item(1, START + offset, values={"health": state}, text=text)
        fold(windows, item, now_ns=START)
        return windows.population.reason_of(windows.population.row_of(1))

    assert reason_after(0, 2, "on fire") == "on fire"
    assert reason_after(10, 2) == "on fire"
    assert reason_after(20, 2, "still on fire") == "still on fire"
    assert reason_after(5, 1, "smells of smoke") == "still on fire"
    assert reason_after(30, 0) is None
    assert reason_after(40, 2) is None
    assert reason_after(50, 2, "still on fire") == "still on fire"


def test_reasons_beyond_the_limit_of_a_batch_are_counted() -> None:
    """A storm of reasons does not stop the fold; what is skipped is told, and comes next time."""
    windows = Windows(SECOND, PERCENTILES)
    storm = [Item(n, START, values={"health": 2}, text=("gone",)) for n in range(1, 1501)]

    fold(windows, *storm)
    assert windows.reasons_skipped == 476
    assert windows.population.reason_of(windows.population.row_of(1500)) is None

    fold(windows, *storm)
    assert windows.reasons_skipped == 476
    assert windows.population.reason_of(windows.population.row_of(1500)) == "gone"


def test_links_beyond_the_limit_are_counted_and_silent_ones_forgotten() -> None:
    """The table of links is bounded, and empties itself."""
    windows = Windows(SECOND, PERCENTILES, retire_after_ns=10 * SECOND)
    for first in range(0, 70_000, 10_000):
        fold(
            windows,
            *(
                Item(1, START, Kind.LINK, {"link_peer_id": peer, "link_messages": peer})
                for peer in range(first, first + 10_000)
            ),
        )
    assert windows.traffic.known == 65_536
    assert windows.traffic.refused == 70_000 - 65_536
    assert [link.messages for link in windows.traffic.top(3)] == [65_535, 65_534, 65_533]

    fold(windows, Item(1, START + 5 * SECOND, Kind.LINK, {"link_peer_id": 77}))
    windows.advance(START + 12 * SECOND, complete=True)

    assert [link.target_id for link in windows.traffic.top(10)] == [77]
    assert windows.traffic.of(77, 10)[0][0].source_id == 1


def test_the_last_events_are_kept_and_all_are_counted() -> None:
    """The list is bounded; events of a type that this version lacks are called unknown."""
    windows = Windows(SECOND, PERCENTILES)
    for first in (0, 300):
        fold(
            windows,
            *(
                Item(
                    9, START + i, Kind.EVENT, {"event_type": 4, "event_value": i}, ("queue_depth",)
                )
                for i in range(first, first + 300)
            ),
        )
    fold(windows, Item(9, START, Kind.EVENT, {"event_type": 200}))

    recent = [event.document() for event in windows.events.newest_first()]
    assert len(recent) == 256
    assert recent[0] == {"time_ns": START, "neuron_id": "9", "type": "unknown"}
    assert recent[1] == {
        "time_ns": START + 599,
        "neuron_id": "9",
        "type": "ThresholdExceeded",
        "metric": "queue_depth",
        "value": 599.0,
    }
    assert all(newer["time_ns"] > older["time_ns"] for newer, older in pairwise(recent[1:]))
    assert windows.events.counts == {"ThresholdExceeded": 600, "unknown": 1}


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    """NaN, infinity, a state or a weight that is none: the rest of the record stands."""
    windows = Windows(SECOND, PERCENTILES)

    fold(
        windows,
        sample(START, signal_strength=math.nan, queue_depth=1),
        sample(START, signal_strength=-math.inf, weight=math.inf),
        sample(START, health=77),
        Item(1, START, Kind.LINK, {"link_messages": 1}),
    )
    windows.advance(START + SECOND, complete=True)

    assert windows.values_refused == 5
    assert windows.traffic.known == 0
    assert windows.closed is not None
    assert windows.closed.summary is not None
    moments = windows.closed.summary.moments[-1]
    assert moments_of(moments, FIELD["signal_strength"].bit)[:2] == (0.0, 0.0)
    assert moments_of(moments, FIELD["queue_depth"].bit) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("window_ns", "percentiles", "message"),
    [
        (999_999, [50], "a window lasts at least 1000000 ns, not 999999"),
        (SECOND, [], "percentiles lie between 0 and 100, not []"),
        (SECOND, [50, 100], "percentiles lie between 0 and 100, not [50, 100]"),
    ],
)
def test_misuse_is_refused_with_the_rule_and_the_value(
    window_ns: int, percentiles: list[float], message: str
) -> None:
    """A window needs a length, percentiles their bounds."""
    with pytest.raises(ValueError) as caught:
        Windows(window_ns, percentiles)

    assert str(caught.value) == message
