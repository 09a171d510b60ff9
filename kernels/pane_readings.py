"""What a pane says: of its groups and of all together, and of one neuron.

Guarantee: percentiles are as good as `histogram.py` and `durations.py` say; moments are exact.
Cost: about 1 ms a pane of ten groups, and 2 ms more to find the busiest of a million neurons.
"""

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.fold_state import COLUMN_DURATION
from rnts.kernels.held import (
    COUNT,
    MAXIMUM,
    MINIMUM,
    MOMENTS,
    SUM,
    read_slot,
    reset_moments,
    sum_of,
)
from rnts.kernels.histogram import bucket_of, merge_into, quantiles_within
from rnts.kernels.neurons import COLUMNS, VALUES
from rnts.kernels.panes import EXCESS, PANES_TYPE, SLOT_HELD

# What `summarise` writes: (moments, percentiles, bounded), a row for each group and one for all.
#   moments      float64[groups + 1, MOMENTS]
#   percentiles  float64[(groups + 1) * COLUMNS, percentiles]
#   bounded      int64[groups + 1, COLUMNS]
SUMMARY_TYPE = "Tuple((float64[:,::1], float64[:,::1], int64[:,::1]))"


@device
def _summarise_groups(c, first, groups, panes, percentiles, merged, summary):
    """Percentiles of one column by group; adds the groups' moments and buckets to the total's."""
    _, _, _, _, group_moments, buckets, _ = panes
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
    heads, _, _, groups_of_panes, group_moments, _, _ = panes
    moments, values, bounded = summary
    groups = groups_of_panes.shape[0] // heads.shape[0]
    first = pane * groups
    for g in range(groups):
        for word in range(MOMENTS):
            moments[g, word] = group_moments[first + g, word]
    reset_moments(groups, moments)
    for g in range(groups):
        moments[groups, EXCESS] += moments[g, EXCESS]
    for c in range(VALUES):
        _summarise_groups(c, first, groups, panes, percentiles, merged, summary)
        if moments[groups, COUNT + c] > 0.0:
            minimum, maximum = moments[groups, MINIMUM + c], moments[groups, MAXIMUM + c]
            bounded[groups, c] = quantiles_within(
                merged, percentiles, minimum, maximum, values[groups * COLUMNS + c]
            )
            for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
                merged[bucket] = 0.0


@kernel(f"void(int64, int64[::1], {PANES_TYPE}, float64[:,::1], float32[:,::1])")
def read(place, codes, panes, moments, small):
    """Write what a slot has of its neuron: a row of moments, and a small histogram."""
    _, slots, held, _, _, _, _ = panes
    read_slot(np.int64(slots[place, SLOT_HELD]), codes, held, moments, small)


@kernel(f"void(int64, int64[::1], {PANES_TYPE}, float64[::1])")
def sum_durations(first, codes, panes, sums):
    """Write of each slot from `first` on how long its neuron worked."""
    _, slots, held, _, _, _, _ = panes
    for i in range(sums.size):
        word = np.int64(slots[first + i, SLOT_HELD])
        sums[i] = sum_of(word, codes[COLUMN_DURATION], codes, held)
