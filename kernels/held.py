"""What panes hold of each neuron: a sample as it came, or what several come to.

Guarantee: what is read is the same, to the last bit, whichever of both it is. Cost: 128 bytes for a
neuron that said one thing in a window, which among many neurons most do, and 1,024 more for one
that said more. Each window that is kept has a bank of both, where places are taken one after the
other: memory is written as it lies, while places here and there made a record among a million
neurons a third slower.

The word HELD of a slot says what there is: nothing yet, one sample (-1 less its place), statistics
(1 more than theirs), or that this pane keeps none, since nobody asks for its neurons.
"""

import numpy as np

from rnts.kernels import durations
from rnts.kernels._jit import device, inlined
from rnts.kernels.flat import at
from rnts.kernels.fold_rows import add_row
from rnts.kernels.fold_state import COLUMN_DURATION, WEIGHTED
from rnts.kernels.histogram import bucket_of
from rnts.kernels.neurons import COLUMNS, OPEN_WINDOWS, VALUES

# Parts of a row of moments, COLUMNS each: weights, weighted sums, and extremes.
COUNT, SUM, MINIMUM, MAXIMUM = range(0, 4 * COLUMNS, COLUMNS)
MOMENTS = 4 * COLUMNS

NOTHING, NOT_KEPT = 0, -(1 << 31)
# Kinds of places: of samples, whose weight stands in the column of no value, and of statistics.
SAMPLES, STATISTICS = range(2)
BANKS = OPEN_WINDOWS + 1  # the windows that are open, and the one that is shown
NO_BANK = -1

# What is held: (samples, moments, durations, used); places of a bank stand together.
#   samples    float64[BANKS * slots, COLUMNS]
#   moments    float64[BANKS * slots, MOMENTS]
#   durations  float32[BANKS * slots, durations.BUCKETS], of one column
#   used       int64[BANKS, 2], places of each kind that are used
HELD_TYPE = "Tuple((float64[:,::1], float64[:,::1], float32[:,::1], int64[:,::1]))"


@device
def reset_moments(row, moments):
    """Make a row of moments that of nothing."""
    for c in range(COLUMNS):
        moments[row, COUNT + c] = 0.0
        moments[row, SUM + c] = 0.0
        moments[row, MINIMUM + c] = np.inf
        moments[row, MAXIMUM + c] = -np.inf


@inlined
def _take_place(kind, bank, held):
    """The next place of a bank."""
    used = held[3]
    place = bank * (held[0].shape[0] // BANKS) + used[bank, kind]
    used[bank, kind] += 1
    return place


@device
def write_sample(sample, place, codes, held, moments, small):
    """Write what one sample comes to into row `place` of moments and of small histograms."""
    samples = held[0].reshape(-1)
    weight_at = at(sample, COLUMNS, VALUES)
    weight = samples[weight_at]
    samples[weight_at] = np.nan  # it is no value
    reset_moments(place, moments)
    add_row(
        samples, at(sample, COLUMNS, 0), weight, codes[WEIGHTED],
        moments.reshape(-1), at(place, MOMENTS, 0),
    )  # fmt: skip
    samples[weight_at] = weight
    for bucket in range(durations.BUCKETS):
        small[place, bucket] = np.float32(0.0)
    duration = samples[at(sample, COLUMNS, codes[COLUMN_DURATION])]
    if not np.isnan(duration):
        small[place, durations.coarse_of(bucket_of(duration))] = np.float32(weight)


@inlined
def hold_first(bank, sample, weight, held):
    """Hold the first sample of a neuron as it came; returns the word that stands for it.

    `sample` is (values, the first cell of its own).
    """
    observed, cell = sample
    place = _take_place(SAMPLES, bank, held)
    samples, first = held[0].reshape(-1), at(place, COLUMNS, 0)
    for c in range(np.uint64(VALUES)):
        samples[first + c] = observed[cell + c]
    samples[first + np.uint64(VALUES)] = weight
    return -1 - place


@device
def open_statistics(word, bank, codes, held):
    """Have statistics of the one sample that a word stands for; returns the word for those."""
    place = _take_place(STATISTICS, bank, held)
    write_sample(-1 - word, place, codes, held, held[1], held[2])
    return place + 1


@device
def read_slot(word, codes, held, moments, small):
    """Write what a slot's word stands for into row 0 of moments and of small histograms, all 0."""
    _, all_moments, all_small, _ = held
    if word > NOTHING:
        for part in range(MOMENTS):
            moments[0, part] = all_moments[word - 1, part]
        for bucket in range(durations.BUCKETS):
            small[0, bucket] = all_small[word - 1, bucket]
    elif NOT_KEPT < word < NOTHING:
        write_sample(-1 - word, 0, codes, held, moments, small)
    else:
        reset_moments(0, moments)


@device
def sum_of(word, column, codes, held):
    """The weighted sum of a column of what a slot's word stands for."""
    samples, moments, _, _ = held
    if word > NOTHING:
        return moments[word - 1, SUM + column]
    if NOT_KEPT < word < NOTHING:
        value = samples[-1 - word, column]
        weight = samples[-1 - word, VALUES] if (codes[WEIGHTED] >> column) & 1 else 1.0
        return 0.0 if np.isnan(value) else weight * value
    return 0.0
