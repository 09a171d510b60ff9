"""What it costs to put a value into a histogram, by the parts of the fold that do it.

The values are durations of the common workload. They go into 256 series, as samples of sixteen
columns do that are of sixteen groups: `histogram_insert_ns` finds the bucket of a value and adds to
it, `histogram_insert_weighted_ns` adds weights, and the moments and durations of neurons besides.
`histogram_insert_single_ns` is one value after the other into one series, and
`numpy_bincount_ns`, to which ratios are, NumPy's count of buckets that it is told.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.fold_arrays import block, codes
from rnts.kernels import histogram, pane_sums
from rnts.kernels._jit import device, kernel
from rnts.kernels.fold_state import BLOCK, BLOCK_TYPE
from rnts.kernels.neurons import COLUMNS
from rnts.kernels.panes import PANES_TYPE
from rnts.panes import Panes
from rnts.perf import workload
from rnts.perf.timing import Batch, call_times_ns

_GROUPS, _SEED, _WINDOW = 16, 1, 1
_BLOCK_VALUES = BLOCK * COLUMNS
_ARRAYS = f"int64[::1], {PANES_TYPE}, {BLOCK_TYPE}"


@device
def _block_at(start, values, places, block):
    """A block of samples of these values, from sample `start` on."""
    sources, owners, in_panes, of_neurons, _, weights, _, buckets, present = block
    of_groups = places[start : start + BLOCK]
    observed = values[start * COLUMNS : (start + BLOCK) * COLUMNS]
    return sources, owners, in_panes, of_neurons, of_groups, weights, observed, buckets, present


@kernel(f"void(float64[::1], int64[::1], {_ARRAYS})")
def insert_plain(values, places, codes, held, block):
    """Add all values to histograms; a sample of sixteen has the place of its group."""
    for start in range(0, places.size, BLOCK):
        one = _block_at(start, values, places, block)
        pane_sums.find_buckets(BLOCK, codes, held, one)
        pane_sums.add_histograms(BLOCK, codes, held, one)


@kernel(f"void(float64[::1], int64[::1], {_ARRAYS})")
def insert_weighted(values, places, codes, held, block):
    """The same with all that the fold adds of a sample to its neuron and its group."""
    for start in range(0, places.size, BLOCK):
        one = _block_at(start, values, places, block)
        for j in range(BLOCK):
            one[3][j] = places[start + j]  # of its neuron, which the fold replaces
        pane_sums.add_moments(BLOCK, codes, held, one)
        pane_sums.find_buckets(BLOCK, codes, held, one)
        pane_sums.add_histograms(BLOCK, codes, held, one)
        pane_sums.add_durations(BLOCK, codes, held, one)


def durations(count: int) -> NDArray[np.float64]:
    """Durations of the common workload, of 256 neurons."""
    table = workload.records(count, 256, _SEED)
    return np.ascontiguousarray(table["processing_time_ns"].astype(np.float64))


def inserts(smoke: bool, repeats: int) -> dict[str, Any]:
    """Times of an insert, and how many values no histogram has."""
    count = 4 * _BLOCK_VALUES if smoke else 64 * _BLOCK_VALUES
    values, random = durations(count), np.random.default_rng(_SEED)
    held = Panes(_GROUPS, _GROUPS, (50.0,), codes())
    held.open(_WINDOW)
    samples, codes_of = count // COLUMNS, codes()
    places = _WINDOW * _GROUPS + random.integers(0, _GROUPS, samples)
    plain, weighted = block(), block()
    plain[3][:] = -1  # nothing is held of neurons
    plain[2][:] = weighted[2][:] = _WINDOW  # the pane of each sample
    plain[5][:], weighted[5][:] = 1.0, random.integers(1, 100, BLOCK)
    single, ones = np.zeros(histogram.BUCKETS), np.ones(count)
    told = np.array([histogram.bucket_of(value) for value in values[:_BLOCK_VALUES]])
    told = np.resize(told, count)

    def batch(insert: Any, using: tuple[np.ndarray, ...]) -> Batch:
        def run() -> int:
            insert(values, places, codes_of, held.arrays, using)
            return count

        return run

    def one_series() -> int:
        histogram.insert(single, values, ones)
        return count

    def bincount() -> int:
        np.bincount(told, minlength=histogram.BUCKETS)
        return count

    contenders = {
        "histogram_insert_ns": batch(insert_plain, plain),
        "histogram_insert_single_ns": one_series,
        "numpy_bincount_ns": bincount,
    }
    found = call_times_ns(contenders, repeats)
    expected = count * (repeats + 1)
    lost = expected - float(held.arrays[5].sum()) + expected - float(single.sum())
    weights = {"histogram_insert_weighted_ns": batch(insert_weighted, weighted)}
    return {**found, **call_times_ns(weights, repeats), "lost": round(lost)}
