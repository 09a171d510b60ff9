"""What is held of neurons in windows: one sample or several, for as long as anybody can ask."""

import numpy as np
import pytest
from naive_windows import Item, moments_of, to_records

from rnts.kernels import durations, held
from rnts.kernels.panes import SLOT_HELD, SLOT_RECORDS
from rnts.model import FIELD, METRIC_NAMES, Kind
from rnts.windows import Windows

SECOND = 1_000_000_000
NUMBER = 1_790_000_000
START = NUMBER * SECOND
NEURONS = 40
DURATION = FIELD["processing_time_ns"].bit
DEPTH = FIELD["queue_depth"].bit


def sample(neuron: int, window: int, place: int = 0, **metrics: float) -> Item:
    """A sample of a neuron in a window that is so many after the first."""
    return Item(neuron, START + window * SECOND + place, Kind.SAMPLE, metrics)


def fold(windows: Windows, *items: Item) -> None:
    """Fold samples, which all have come in time."""
    windows.fold(to_records(list(items)), max(item.time_ns for item in items) + 1)


def places_held(windows: Windows) -> list[list[int]]:
    """Of each bank how many places of samples and of statistics are used, or were at the last."""
    used: list[list[int]] = windows.panes.arrays[2][3].tolist()
    return used


def test_one_sample_reads_as_the_statistics_of_one() -> None:
    """Moments, weights and durations are those that they would be if they had been added up."""
    windows = Windows(SECOND, (50,), NEURONS)
    fold(windows, sample(1, 0, queue_depth=7, processing_time_ns=5000, weight=4.0))

    assert places_held(windows) == [[1, 0], [0, 0], [0, 0], [0, 0]]
    found = windows.panes.held(NUMBER, 0)
    assert moments_of(found.moments, DEPTH) == (4.0, 28.0, 7.0, 7.0)
    assert moments_of(found.moments, DURATION) == (4.0, 20_000.0, 5000.0, 5000.0)
    silent = METRIC_NAMES.index("cpu_usage_percent")
    assert moments_of(found.moments, silent) == (0.0, 0.0, np.inf, -np.inf)
    assert found.durations.sum() == 4.0
    assert windows.panes.busy_ns(NUMBER).tolist() == [20_000.0]


def test_the_second_sample_makes_statistics_of_both() -> None:
    """The first one is in them with its own weight."""
    windows = Windows(SECOND, (50,), NEURONS)
    fold(
        windows,
        sample(1, 0, 1, queue_depth=7, processing_time_ns=5000, weight=4.0),
        sample(2, 0, 2, queue_depth=1),
        sample(1, 0, 3, queue_depth=9, processing_time_ns=90_000),
        sample(1, 0, 4, processing_time_ns=90_000, weight=2.0),
    )

    assert places_held(windows) == [[2, 1], [0, 0], [0, 0], [0, 0]]
    found = windows.panes.held(NUMBER, 0)
    assert moments_of(found.moments, DEPTH) == (5.0, 37.0, 7.0, 9.0)
    assert moments_of(found.moments, DURATION) == (7.0, 290_000.0, 5000.0, 90_000.0)
    expected = np.zeros(durations.BUCKETS)
    for value, weight in ((5000, 4), (90_000, 3)):
        bucket = np.ceil(4 * np.log2(value) - 4 * durations.EXPONENT_FIRST)
        expected[int(bucket)] += weight
    assert found.durations.tolist() == expected.tolist()
    assert windows.panes.busy_ns(NUMBER).tolist() == [290_000.0, 0.0]


@pytest.mark.parametrize("samples", [1, 3])
def test_places_are_used_again_when_windows_are_no_longer_shown(samples: int) -> None:
    """However many windows there were, three banks serve: one that is shown, and two that fill."""
    windows = Windows(SECOND, (50,), NEURONS, unsealed=3)
    for window in range(20):
        for neuron in range(1, NEURONS + 1):
            items = [sample(neuron, window, place, queue_depth=window) for place in range(samples)]
            fold(windows, *items)
        windows.advance(START + window * SECOND, complete=True)  # which closes the one before it
    each = [NEURONS, NEURONS if samples > 1 else 0]
    assert places_held(windows) == [each, each, each, [0, 0]]


def test_what_comes_late_for_a_window_that_is_not_shown_counts_for_groups_alone() -> None:
    """Its records and its activity are exact; nobody can ask what its neurons said."""
    windows = Windows(SECOND, (50,), NEURONS, unsealed=3)
    for window in range(3):
        fold(windows, sample(1, window, queue_depth=5))
    windows.advance(START + 3 * SECOND, complete=True)
    fold(windows, sample(1, 0, 7, queue_depth=6), sample(2, 0, 8, queue_depth=6))

    slots = windows.panes.slots(NUMBER)
    assert slots[:, SLOT_RECORDS].tolist() == [2, 1]
    assert slots[:, SLOT_HELD].tolist() == [held.NOT_KEPT, held.NOT_KEPT]
    assert moments_of(windows.panes.group_moments(NUMBER)[0], DEPTH) == (3.0, 17.0, 5.0, 6.0)
    assert moments_of(windows.panes.held(NUMBER, 0).moments, DEPTH) == (0.0, 0.0, np.inf, -np.inf)
    assert moments_of(windows.panes.held(NUMBER + 2, 0).moments, DEPTH) == (1.0, 5.0, 5.0, 5.0)


def test_a_window_that_is_shown_is_revised_neuron_by_neuron() -> None:
    """A late record of the newest closed window is in its neuron's statistics."""
    windows = Windows(SECOND, (50,), NEURONS, unsealed=3)
    fold(windows, sample(1, 0, queue_depth=5))
    windows.advance(START + SECOND, complete=True)
    fold(windows, sample(1, 0, 7, queue_depth=6))

    assert moments_of(windows.panes.held(NUMBER, 0).moments, DEPTH) == (2.0, 11.0, 5.0, 6.0)
