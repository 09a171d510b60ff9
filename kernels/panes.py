"""The panes: what one window holds of each neuron and of each group, while it is open and after.

Guarantee: a value is added once to its neuron and once to its group; the total is the merge of the
groups. A neuron takes a slot of a pane with its first record of that window: so a pane holds only
those that spoke, and each counts for one group throughout. Cost: 0.8 ns a column for a row of
moments and 2 ns for a histogram, by vector instructions where there can be; 1,056 bytes a slot.
"""

import numpy as np

from rnts.kernels import durations
from rnts.kernels._jit import device, kernel
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.bucket_rows import bucket_row
from rnts.kernels.flat import at
from rnts.kernels.fold_rows import add_row
from rnts.kernels.fold_state import COLUMN_DURATION, WEIGHTED
from rnts.kernels.histogram import BUCKETS, bucket_of, merge_into, quantiles_within
from rnts.kernels.neurons import (
    COLUMNS,
    GROUP,
    LINE_WORDS,
    NEWEST,
    OVERFLOW_ROW,
    PLACES,
    VALUES,
)

# Words of a pane's head: its window or NO_WINDOW, slots used, neurons with a record, records.
WINDOW, SLOTS_USED, ACTIVE, RECORDS = range(4)
HEAD_WORDS = 4
NO_WINDOW = -1
COUNTED_BEFORE = -2  # for the pane that nobody reads: no neuron takes it for one of window 0

# Words of a slot: the row and the group that it is of, its records, and its error events.
SLOT_ROW, SLOT_GROUP, SLOT_RECORDS, SLOT_ERRORS = range(4)
SLOT_WORDS = 4

# Parts of a row of moments, COLUMNS each: weights, weighted sums, and extremes.
COUNT, SUM, MINIMUM, MAXIMUM = range(0, 4 * COLUMNS, COLUMNS)
MOMENTS = 4 * COLUMNS
# In the column of no value, of a group: the weights of its samples added up, and their squares.
WEIGHTS, SQUARES = COUNT + VALUES, SUM + VALUES

# Words of a group in a pane: neurons with a record, and records.
GROUP_ACTIVE, GROUP_RECORDS = range(2)
GROUP_WORDS = 2

# A neuron's word for a pane: the window, plus one, above this many bits, which number its slot.
SLOT_BITS = 21

# What the kernels below share: (heads, slots, moments, durations, groups, group_moments, buckets).
#   heads          int64[panes, HEAD_WORDS]
#   slots          int64[panes * slots, SLOT_WORDS]
#   moments        float64[panes * slots, MOMENTS]
#   durations      float32[panes * slots, durations.BUCKETS], of one column
#   groups         int64[panes * groups, GROUP_WORDS]
#   group_moments  float64[panes * groups, MOMENTS]
#   buckets        float64[panes * groups * COLUMNS, histogram.BUCKETS]
PANES_TYPE = (
    "Tuple((int64[:,::1], int64[:,::1], float64[:,::1], float32[:,::1], int64[:,::1],"
    " float64[:,::1], float64[:,::1]))"
)
# What `summarise` writes: (moments, percentiles, bounded), a row for each group and one for all.
#   moments      float64[groups + 1, MOMENTS]
#   percentiles  float64[(groups + 1) * COLUMNS, percentiles]
#   bounded      int64[groups + 1, COLUMNS]
SUMMARY_TYPE = "Tuple((float64[:,::1], float64[:,::1], int64[:,::1]))"


@device
def _reset_moments(row, moments):
    """Make a row of moments that of nothing."""
    for c in range(COLUMNS):
        moments[row, COUNT + c] = 0.0
        moments[row, SUM + c] = 0.0
        moments[row, MINIMUM + c] = np.inf
        moments[row, MAXIMUM + c] = -np.inf


@device
def _take_slot(pane, row, rows, panes):
    """Give a neuron a slot of a pane; returns its word for that pane."""
    heads, slots, moments, small, groups, _, _ = panes
    slot, group = heads[pane, SLOTS_USED], rows[row, GROUP]
    heads[pane, SLOTS_USED] += 1
    held = ((heads[pane, WINDOW] + 1) << SLOT_BITS) | slot
    rows[row, PLACES + pane] = held
    place = pane * (slots.shape[0] // heads.shape[0]) + slot
    slots[place, SLOT_ROW] = row
    slots[place, SLOT_GROUP] = group
    slots[place, SLOT_RECORDS] = 0
    slots[place, SLOT_ERRORS] = 0
    _reset_moments(place, moments)
    for bucket in range(durations.BUCKETS):
        small[place, bucket] = 0
    if row != OVERFLOW_ROW:
        heads[pane, ACTIVE] += 1
        groups[pane * (groups.shape[0] // heads.shape[0]) + group, GROUP_ACTIVE] += 1
    return held


@device
def enter(count, owners, in_panes, rows, panes, places, group_places):
    """Count one record each of the rows `owners` in the panes `in_panes`.

    Writes where its neuron and its group have their places there.
    """
    heads, slots, moments, _, groups, _, _ = panes
    slots_per_pane = slots.shape[0] // heads.shape[0]
    groups_per_pane = groups.shape[0] // heads.shape[0]
    moments, slot_words = moments.reshape(-1), slots.reshape(-1)
    for j in range(count):
        row, pane = owners[j], in_panes[j]
        held, marked = rows[row, NEWEST], heads[pane, WINDOW] + 1
        if held >> SLOT_BITS != marked:
            held = rows[row, PLACES + pane]
            if held >> SLOT_BITS != marked:
                held = _take_slot(pane, row, rows, panes)
            rows[row, NEWEST] = held
        place = pane * slots_per_pane + (held & ((1 << SLOT_BITS) - 1))
        places[j] = place
        prefetch_word(slot_words, at(place, SLOT_WORDS, 0))
        for line in range(0, MOMENTS, LINE_WORDS):
            prefetch_word(moments, at(place, MOMENTS, line))
    for j in range(count):
        place, pane = places[j], in_panes[j]
        group_place = pane * groups_per_pane + slots[place, SLOT_GROUP]
        slots[place, SLOT_RECORDS] += 1
        groups[group_place, GROUP_RECORDS] += 1
        heads[pane, RECORDS] += 1
        group_places[j] = group_place


@device
def add_moments(count, codes, panes, block):
    """Add observations to the moments of their neurons and groups; NaN adds nothing."""
    _, _, moments, _, _, group_moments, _ = panes
    _, _, _, places, group_places, weights, observed, _, _ = block
    moments, group_moments = moments.reshape(-1), group_moments.reshape(-1)
    for j in range(count):
        add_row(
            observed, at(j, COLUMNS, 0), weights[j], codes[WEIGHTED],
            moments, at(places[j], MOMENTS, 0), group_moments, at(group_places[j], MOMENTS, 0),
        )  # fmt: skip
        group_moments[at(group_places[j], MOMENTS, WEIGHTS)] += weights[j]
        group_moments[at(group_places[j], MOMENTS, SQUARES)] += weights[j] * weights[j]


@device
def add_histograms(count, codes, panes, block):
    """Add observations to the histograms of their groups, and durations to those of neurons."""
    _, _, _, small, _, _, histograms = panes
    _, _, _, places, group_places, weights, observed, buckets, present = block
    small, histograms = small.reshape(-1), histograms.reshape(-1)
    duration, weighted = codes[COLUMN_DURATION], codes[WEIGHTED]
    for j in range(count):
        present[j] = bucket_row(observed, at(j, COLUMNS, 0), buckets, at(j, COLUMNS, 0))
        coarse = durations.coarse_of(np.int64(buckets[at(j, COLUMNS, duration)]))
        prefetch_word(small, at(places[j], durations.BUCKETS, coarse))
    for j in range(count):
        first = group_places[j] * COLUMNS
        for c in range(COLUMNS):
            if (present[j] >> c) & 1:
                share = weights[j] if (weighted >> c) & 1 else 1.0
                bucket = np.int64(buckets[at(j, COLUMNS, c)])
                histograms[at(first + c, BUCKETS, bucket)] += share
        if (present[j] >> duration) & 1:
            coarse = durations.coarse_of(np.int64(buckets[at(j, COLUMNS, duration)]))
            small[at(places[j], durations.BUCKETS, coarse)] += np.float32(weights[j])


@kernel(f"void(int64, int64, {PANES_TYPE})")
def open_pane(pane, window, panes):
    """Empty a pane for a window; costs as much as there was in its histograms."""
    heads, _, _, _, groups, group_moments, buckets = panes
    groups_per_pane = groups.shape[0] // heads.shape[0]
    heads[pane, WINDOW] = window
    heads[pane, SLOTS_USED] = 0
    heads[pane, ACTIVE] = 0
    heads[pane, RECORDS] = 0
    for place in range(pane * groups_per_pane, (pane + 1) * groups_per_pane):
        groups[place, GROUP_ACTIVE] = 0
        groups[place, GROUP_RECORDS] = 0
        for c in range(VALUES):
            if group_moments[place, COUNT + c] > 0.0:
                low = bucket_of(group_moments[place, MINIMUM + c])
                high = bucket_of(group_moments[place, MAXIMUM + c])
                for bucket in range(low, high + 1):
                    buckets[place * COLUMNS + c, bucket] = 0.0
        _reset_moments(place, group_moments)


@device
def _summarise_groups(c, first, groups, panes, percentiles, merged, summary):
    """Percentiles of one column by group; adds the groups' moments and buckets to the total's."""
    _, _, _, _, _, group_moments, buckets = panes
    moments, values, bounded = summary
    for g in range(groups):
        count = group_moments[first + g, COUNT + c]
        minimum = group_moments[first + g, MINIMUM + c]
        maximum = group_moments[first + g, MAXIMUM + c]
        if count > 0.0:
            histogram = buckets[(first + g) * COLUMNS + c]
            bounded[g, c] = quantiles_within(
                histogram, percentiles, minimum, maximum, values[g * COLUMNS + c]
            )
            merge_into(merged, histogram, bucket_of(minimum), bucket_of(maximum))
        moments[groups, COUNT + c] += count
        moments[groups, SUM + c] += group_moments[first + g, SUM + c]
        moments[groups, MINIMUM + c] = min(moments[groups, MINIMUM + c], minimum)
        moments[groups, MAXIMUM + c] = max(moments[groups, MAXIMUM + c], maximum)


@kernel(f"void(int64, {PANES_TYPE}, float64[::1], float64[::1], {SUMMARY_TYPE})")
def summarise(pane, panes, percentiles, merged, summary):
    """Write the moments and percentiles of a pane, for each group and for all together.

    `merged` is room for one histogram, all zeros before and after. Percentiles are written only
    where the count is above 0.
    """
    heads, _, _, _, groups_of_panes, group_moments, _ = panes
    moments, values, bounded = summary
    groups = groups_of_panes.shape[0] // heads.shape[0]
    first = pane * groups
    for g in range(groups):
        for word in range(MOMENTS):
            moments[g, word] = group_moments[first + g, word]
    _reset_moments(groups, moments)
    for g in range(groups):
        moments[groups, WEIGHTS] += moments[g, WEIGHTS]
        moments[groups, SQUARES] += moments[g, SQUARES]
    for c in range(VALUES):
        _summarise_groups(c, first, groups, panes, percentiles, merged, summary)
        if moments[groups, COUNT + c] > 0.0:
            minimum, maximum = moments[groups, MINIMUM + c], moments[groups, MAXIMUM + c]
            bounded[groups, c] = quantiles_within(
                merged, percentiles, minimum, maximum, values[groups * COLUMNS + c]
            )
            for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
                merged[bucket] = 0.0
