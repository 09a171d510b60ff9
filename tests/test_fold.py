"""The fold holds what was reported, once, whatever order and batches it comes in."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import (
    LATENCY,
    OVERFLOW,
    Column,
    Item,
    NaiveWindows,
    moments_of,
    percentile,
    to_records,
)

from rnts.kernels import histogram
from rnts.kernels import neurons as table
from rnts.kernels.held import SUM
from rnts.kernels.panes import SLOT_ERRORS, SLOT_RECORDS, SLOT_ROW
from rnts.model import METRICS, Kind
from rnts.windows import Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
PERCENTILES = (50, 90, 99.9)
COLUMN_NAMES = (*(metric.name for metric in METRICS), LATENCY)

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
# Mostly within one window and out of order; sometimes in another, or too late or too early.
times_ns = st.integers(START, START + 9) | st.integers(START - 4 * SECOND, START + 6 * SECOND)
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
batches = st.lists(
    st.lists(samples | samples | samples | events | links | names, max_size=20), max_size=5
)
nows_ns = st.integers(START + 2 * SECOND, START + 4 * SECOND)


def assert_open_panes_are(windows: Windows, naive: NaiveWindows) -> None:
    """The panes of all open windows hold, neuron by neuron, what the twin has."""
    for number, expected in naive.windows.items():
        if number < naive.boundary:
            continue
        assert windows.panes.holds(number)
        slots = windows.panes.slots(number)
        owners = [
            OVERFLOW if row == table.OVERFLOW_ROW else windows.population.id_of(row)
            for row in slots[:, SLOT_ROW].tolist()
        ]
        assert sorted(map(str, owners)) == sorted(map(str, expected.records))
        for place, owner in enumerate(owners):
            assert slots[place, SLOT_RECORDS] == expected.records[owner]
            assert slots[place, SLOT_ERRORS] == expected.errors[owner]
            moments = windows.panes.held(number, place).moments
            for column, name in enumerate(COLUMN_NAMES):
                found = expected.by_owner[owner].get(name, Column())
                assert moments_of(moments, column) == found.moments()


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


def flat(arrays: tuple[Any, ...]) -> Iterator[np.ndarray]:
    """The arrays, and those of tuples among them."""
    for one in arrays:
        yield from flat(one) if isinstance(one, tuple) else (one,)


@given(st.lists(samples, min_size=1, max_size=20), st.integers(1, 19))
def test_how_records_are_cut_into_batches_changes_no_sum(items: list[Item], cut: int) -> None:
    """Two batches give what one would have given."""
    whole_batch, halves = (Windows(SECOND, PERCENTILES, max_neurons=4) for _ in range(2))

    whole_batch.fold(to_records(items), START + 2 * SECOND)
    halves.fold(to_records(items[:cut]), START + 2 * SECOND)
    halves.fold(to_records(items[cut:]), START + 2 * SECOND)

    assert whole_batch.boundary == halves.boundary
    for one, other in zip(flat(whole_batch.panes.arrays), flat(halves.panes.arrays), strict=True):
        if one.size < 1_000_000:
            np.testing.assert_array_equal(one, other)


def test_an_old_sample_does_not_make_older_ones_new() -> None:
    """What came late moves no last value, also behind a sample that brought no column back."""
    windows = Windows(10 * SECOND, PERCENTILES, 10, 4)
    newest = Item(1, START + 5, Kind.SAMPLE, {"queue_depth": 5, "bytes_transmitted": 100})
    empty = Item(1, START + 1, Kind.SAMPLE, {"health": 0})
    late = Item(1, START + 3, Kind.SAMPLE, {"queue_depth": 3, "bytes_transmitted": 60})
    after = Item(1, START + 6, Kind.SAMPLE, {"bytes_transmitted": 110})
    for item in (newest, empty, late, after):
        windows.fold(to_records([item]), START + 9)

    row = windows.population.rows[windows.population.row_of(1)]
    columns = {metric.name: column for column, metric in enumerate(METRICS)}
    assert row[table.LAST + columns["queue_depth"]] == 5
    column = columns["bytes_transmitted"]
    window = START // (10 * SECOND)
    assert windows.panes.held(window, 0).moments[SUM + column] == 10.0
