"""How far statistics may be off because samples were left out, not counting what buckets cost.

Samples are kept one by one, each with a chance of its own, and weigh one over that. Then the sum of
w (w - 1) is an unbiased estimate of the variance of what they are thought to count, and 0 where all
are kept: the share of values below any bound has the error of so many independent values as
`effective` says, and a percentile that of the ranks around it. 95 % of such intervals hold what
would have been found with all samples; where fewer than `FEW` are expected beyond a rank, nothing
is claimed. Cost: about 1 ms a window and group.
"""

import math

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM, SUM
from rnts.kernels.histogram import bucket_of, merge_into, quantiles_within, value_of
from rnts.kernels.neurons import COLUMNS, VALUES
from rnts.kernels.panes import PANES_TYPE, SQUARES, WEIGHTS

# Words of a column: independent values that it is worth, standard error of the mean, and of the
# count; then for each percentile the lower end of its interval, and then the upper ones.
EFFECTIVE, OF_MEAN, OF_COUNT, ENDS = range(4)
FEW = 5
WIDTH = 1.959964  # standard errors on both sides of which 95 % of a normal distribution lie


def words(percentiles: int) -> int:
    """Words of a column for so many percentiles."""
    return ENDS + 2 * percentiles


@device
def _put_ends(histogram, percentiles, extremes, effective, room, out):
    """Write the ends of the intervals of percentiles."""
    count = percentiles.size
    for i in range(count):
        share = percentiles[i] / 100.0
        half = WIDTH * math.sqrt(share * (1.0 - share) / effective)
        room[0, i] = max(share - half, 0.0) * 100.0
        room[1, i] = min(share + half, 1.0) * 100.0
    # They are walked in order; where few samples turn that around, intervals become wider.
    for i in range(count - 2, -1, -1):
        room[0, i] = min(room[0, i], room[0, i + 1])
    for i in range(1, count):
        room[1, i] = max(room[1, i], room[1, i - 1])
    minimum, maximum = extremes
    quantiles_within(histogram, room[0], minimum, maximum, out[ENDS : ENDS + count])
    quantiles_within(histogram, room[1], minimum, maximum, out[ENDS + count : ENDS + 2 * count])
    for i in range(count):
        share = percentiles[i] / 100.0
        if effective * min(share, 1.0 - share) < FEW:
            out[ENDS + i] = out[ENDS + count + i] = np.nan


@device
def _estimate_one(histogram, moments, excess, percentiles, room, out):
    """Write the words of one column of a group; `moments`: its count, sum, minimum, maximum."""
    count, total, minimum, maximum = moments
    mean, spread, held = total / count, 0.0, 0.0
    for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
        if histogram[bucket] > 0.0:
            off = min(max(value_of(bucket), minimum), maximum) - mean
            spread += histogram[bucket] * off * off
            held += histogram[bucket]
    effective = count / excess
    out[EFFECTIVE] = effective
    out[OF_MEAN] = math.sqrt(spread / held / effective)
    out[OF_COUNT] = math.sqrt(count * excess)
    _put_ends(histogram, percentiles, (minimum, maximum), effective, room, out)


@device
def _moments_of(row, c):
    """Count, sum, minimum and maximum of a column."""
    return row[COUNT + c], row[SUM + c], row[MINIMUM + c], row[MAXIMUM + c]


@kernel(f"void(int64, {PANES_TYPE}, float64[::1], float64[::1], float64[:,::1], float64[:,::1])")
def estimate(pane, panes, percentiles, merged, room, out):
    """Write for each column of each group of a pane, and of all, how far it may be off.

    out:    float64[(groups + 1) * COLUMNS, words], zeros before; a column stays so whose samples
            were all kept. It is about levels: increases of counters lose nothing.
    merged: room for one histogram, all zeros before and after
    room:   float64[2, percentiles]
    """
    heads, _, _, groups_of_panes, group_moments, buckets = panes
    groups = groups_of_panes.shape[0] // heads.shape[0]
    first = pane * groups
    weights, squares = 0.0, 0.0
    for g in range(groups):
        weights += group_moments[first + g, WEIGHTS]
        squares += group_moments[first + g, SQUARES]
    for c in range(VALUES):
        count, total, minimum, maximum = 0.0, 0.0, np.inf, -np.inf
        for g in range(groups):
            row = group_moments[first + g]
            if not row[COUNT + c] > 0.0:
                continue
            own = _moments_of(row, c)
            count, total = count + own[0], total + own[1]
            minimum, maximum = min(minimum, own[2]), max(maximum, own[3])
            histogram = buckets[(first + g) * COLUMNS + c]
            merge_into(merged, histogram, bucket_of(own[2]), bucket_of(own[3]))
            excess = (row[SQUARES] - row[WEIGHTS]) / row[WEIGHTS]
            if excess > 0.0:
                place = g * COLUMNS + c
                _estimate_one(histogram, own, excess, percentiles, room, out[place])
        if count > 0.0:
            excess = (squares - weights) / weights
            if excess > 0.0:
                whole = (count, total, minimum, maximum)
                place = groups * COLUMNS + c
                _estimate_one(merged, whole, excess, percentiles, room, out[place])
            for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
                merged[bucket] = 0.0
