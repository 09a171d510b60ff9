"""Windows hold what was reported, once, whatever order and batches it comes in."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import LATENCY, OVERFLOW, Column, Item, NaiveWindows, percentile, to_records

from rnts.kernels import histogram
from rnts.kernels import neurons as table
from rnts.kernels.panes import COUNT, MAXIMUM, MINIMUM, SLOT_ERRORS, SLOT_RECORDS, SLOT_ROW, SUM
from rnts.model import FIELD, METRICS, Kind
from rnts.windows import Folded, Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
NUMBER = START // SECOND  # of the window that begins at START
PERCENTILES = (50, 90, 99.9)
COLUMN_NAMES = (*(metric.name for metric in METRICS), LATENCY)
MOMENT_PARTS = (COUNT, SUM, MINIMUM, MAXIMUM)

# Sums of these numbers and weights are exact, so that they do not depend on the order.
whole = st.sampled_from([0, 1, 2, 3, 1000, 2**40, 2**63, 2**64 - 1])
number = st.sampled_from([0.0, -0.5, 1.0, 3.25, -60.0, 1e6, math.nan, math.inf])
values = st.fixed_dictionaries(
    {},
    optional={
        "activation_count": whole,
        "bytes_transmitted": whole,
        "processing_time_ns": whole,
        "queue_depth": st.integers(0, 5),
        "signal_strength": number,
        "cpu_usage_percent": number,
        "weight": st.sampled_from([0.5, 1.0, 20.0, 0.0, -1.0, math.nan]),
        "health": st.integers(0, 3),
    },
)
neuron_ids = st.integers(1, 5)
times_ns = st.integers(START - 5 * SECOND, START + 6 * SECOND)
samples = st.builds(Item, neuron_ids, times_ns, st.just(Kind.SAMPLE), values)
events = st.builds(
    Item,
    neuron_ids,
    times_ns,
    st.just(Kind.EVENT),
    st.fixed_dictionaries({"event_type": st.sampled_from([0, 2, 5])}),
    st.just(("Timeout", "")),
)
links = st.builds(
    Item,
    neuron_ids,
    times_ns,
    st.just(Kind.LINK),
    st.fixed_dictionaries(
        {"link_peer_id": neuron_ids}, optional={"link_messages": whole, "link_bytes": whole}
    ),
)
names = st.builds(
    Item,
    neuron_ids,
    times_ns,
    st.just(Kind.NAME),
    st.just({}),
    st.sampled_from(["", "a", "b", "c"]).map(lambda group: ("name", group, "", "")),
)
batches = st.lists(st.lists(samples | samples | events | links | names, max_size=12), max_size=6)
nows_ns = st.integers(START + 2 * SECOND, START + 4 * SECOND)


def moments_of(row: np.ndarray, column: int) -> tuple[float, ...]:
    """Count, sum, minimum and maximum of a column."""
    return tuple(row[part + column].item() for part in MOMENT_PARTS)


def assert_open_panes_are(windows: Windows, naive: NaiveWindows) -> None:
    """The panes of all open windows hold, neuron by neuron, what the twin has."""
    for number, expected in naive.windows.items():
        if number < naive.boundary:
            continue
        assert windows.panes.holds(number)
        slots, rows = windows.panes.slots(number), windows.panes.moments(number)
        owners = [
            OVERFLOW if row == table.OVERFLOW_ROW else windows.population.id_of(row)
            for row in slots[:, SLOT_ROW].tolist()
        ]
        assert sorted(map(str, owners)) == sorted(map(str, expected.records))
        for place, owner in enumerate(owners):
            assert slots[place, SLOT_RECORDS] == expected.records[owner]
            assert slots[place, SLOT_ERRORS] == expected.errors[owner]
            for column, name in enumerate(COLUMN_NAMES):
                found = expected.by_owner[owner].get(name, Column())
                assert moments_of(rows[place], column) == found.moments()


def assert_closed_is(windows: Windows, naive: NaiveWindows, number: int) -> None:
    """The newest closed window has the twin's sums by group and of all, and honest percentiles."""
    closed = windows.closed
    assert closed is not None
    assert closed.window == number
    assert closed.start_ns == number * SECOND
    expected = naive.windows.get(number)
    if expected is None:
        assert (closed.records, closed.active, closed.summary) == (0, 0, None)
        return
    assert closed.records == expected.records.total()
    assert closed.active == len(expected.records) - (OVERFLOW in expected.records)
    for group, name in enumerate(windows.population.group_names):
        assert_summary_is(windows, group, expected.by_group[name])
    everything: dict[str, Column] = {}
    for columns in expected.by_group.values():
        for name, column in columns.items():
            everything.setdefault(name, Column()).weighted.extend(column.weighted)
    assert_summary_is(windows, -1, everything)


def assert_summary_is(windows: Windows, row: int, expected: dict[str, Column]) -> None:
    """A row of the summary has these columns."""
    assert windows.closed is not None
    summary = windows.closed.summary
    assert summary is not None
    for column, name in enumerate(COLUMN_NAMES):
        found = expected.get(name, Column())
        assert moments_of(summary.moments[row], column) == found.moments()
        if not found.weighted:
            continue
        for p, estimate in zip(PERCENTILES, summary.percentiles[row, column], strict=True):
            exact = percentile(found.weighted, p)
            if summary.bounded[row, column]:
                allowed = histogram.RELATIVE_ERROR * abs(exact) * (1 + 1e-12)
                assert abs(estimate - exact) <= allowed


@given(batches, nows_ns, st.booleans())
def test_windows_are_those_of_the_naive_twin(
    script: list[list[Item]], now_ns: int, backwards: bool
) -> None:
    """Sums, extremes, counts, health, links and refusals agree, in either order of arrival."""
    windows = Windows(SECOND, PERCENTILES, max_neurons=4, max_groups=2)
    naive = NaiveWindows(SECOND, max_neurons=4, max_groups=2, ahead_ns=SECOND)
    for batch in script[::-1] if backwards else script:
        items = batch[::-1] if backwards else batch
        fates = naive.fold(items, now_ns)
        folded = windows.fold(to_records(items), now_ns)
        assert (folded.aggregated, folded.late, folded.future) == (
            fates["aggregated"],
            fates["late"],
            fates["future"],
        )
        assert windows.boundary == naive.boundary
        assert_open_panes_are(windows, naive)

    assert windows.values_refused == naive.refused
    assert windows.events.counts == naive.events
    assert {
        (link.source_id, link.target_id): [link.messages, link.bytes]
        for link in windows.traffic.top(100)
    } == {pair: [total % 2**64 for total in sums] for pair, sums in naive.links.items()}
    for neuron_id, (_, state) in naive.health.items():
        if row := windows.population.row_of(neuron_id):
            assert windows.population.rows[row, table.HEALTH] == state

    for number in range(naive.boundary, max(naive.windows, default=0) + 2):
        windows.advance((number + 1) * SECOND, complete=True)
        if any(opened <= number for opened in naive.windows):
            assert_closed_is(windows, naive, number)


@given(st.lists(samples, min_size=1, max_size=20), st.integers(1, 19))
def test_how_records_are_cut_into_batches_changes_no_sum(items: list[Item], cut: int) -> None:
    """Two batches give what one would have given."""
    whole_batch, halves = (Windows(SECOND, PERCENTILES, max_neurons=4) for _ in range(2))

    whole_batch.fold(to_records(items), START + 2 * SECOND)
    halves.fold(to_records(items[:cut]), START + 2 * SECOND)
    halves.fold(to_records(items[cut:]), START + 2 * SECOND)

    assert whole_batch.boundary == halves.boundary
    for one, other in zip(whole_batch.panes.arrays, halves.panes.arrays, strict=True):
        if one.size < 1_000_000:
            np.testing.assert_array_equal(one, other)


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
    held = windows.panes.durations(NUMBER + 5)
    assert held.sum() == 1


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
