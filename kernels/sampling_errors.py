"""How far statistics may be off because samples were left out, not counting what buckets cost.

Samples are kept one by one, each with a chance of its own, and weigh one over that. Then the sum of
w (w - 1) is an unbiased estimate of the variance of what they are thought to count, and 0 where all
are kept. It is kept by bucket, as the weights are: so the errors of a sum of values, and of the
share of values below any bound, are those of the samples that they come from, whatever else the
group reports. 95 % of the intervals hold what would have been found with all samples; where fewer
than `FEW` independent values are expected beyond a rank, nothing is claimed. Cost: about 1 ms a
window and group.
"""

import math

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM, SUM
from rnts.kernels.histogram import bucket_of, merge_into, quantiles_within, value_of
from rnts.kernels.neurons import COLUMNS, VALUES
from rnts.kernels.panes import EXCESS, PANES_TYPE

# Words of a column: independent values that it is worth, standard error of the mean, and of the
# count; then for each percentile the lower end of its interval, and then the upper ones.
EFFECTIVE, OF_MEAN, OF_COUNT, ENDS = range(4)
FEW = 5
WIDTH = 1.959964  # standard errors on both sides of which 95 % of a normal distribution lie


def words(percentiles: int) -> int:
    """Words of a column for so many percentiles."""
    return ENDS + 2 * percentiles


@device
def _are_enough(expected, weight, excess, usual):
    """Whether so many values, of samples of this weight and excess, are worth `FEW` samples.

    usual: excess over weight of the whole column, which stands for one sample more: where none was
    kept nobody knows how much it would have weighed.
    """
    return expected >= FEW * (1.0 + (excess + usual) / (max(weight, 0.0) + 1.0))


@device
def squares_of(weight, excess):
    """The excess of each sample squared, added up over those of a bucket, which are alike.

    They are weight^2 / (weight + excess) samples.
    """
    return excess * excess * (weight + excess) / (weight * weight) if excess > 0.0 else 0.0


@device
def widened(variance, squares):
    """The standard error of what has this variance, a sum over samples whose squares add up so.

    A few heavy samples tell little of how far off they are: Satterthwaite's degrees of freedom say
    how little, and Student's distribution has the same interval when it is that much wider.
    """
    if not variance > 0.0:
        return 0.0
    freedom = 2.0 * variance * variance / squares
    return math.sqrt(variance) * (1.0 + (WIDTH**2 + 1.0) / (4.0 * freedom))


@device
def put_ends(column, excess, percentiles, room, out):
    """Write the ends of the intervals of percentiles; `excess`: by bucket, and all of it."""
    histogram, moments = column
    total, _, minimum, maximum = moments
    errors, whole, squares = excess
    bucket, last, count = bucket_of(minimum), bucket_of(maximum), percentiles.size
    reached, below = histogram[bucket], errors[bucket]
    squares_below = squares_of(reached, below)
    for i in range(count):
        share = percentiles[i] / 100.0
        while reached < share * total and bucket < last:
            bucket += 1
            reached += histogram[bucket]
            below += errors[bucket]
            squares_below += squares_of(histogram[bucket], errors[bucket])
        above, squares_above = max(whole - below, 0.0), max(squares - squares_below, 0.0)
        error = widened(
            (1.0 - share) ** 2 * below + share**2 * above,
            (1.0 - share) ** 4 * squares_below + share**4 * squares_above,
        ) / total  # fmt: skip
        room[0, i] = max(share - WIDTH * error, 0.0) * 100.0
        room[1, i] = min(share + WIDTH * error, 1.0) * 100.0
        is_known = _are_enough((1.0 - share) * total, total - reached, above, whole / total)
        if share < 0.5:
            is_known = _are_enough(share * total, reached, below, whole / total)
        out[ENDS + i] = 0.0 if is_known else np.nan
    # They are walked in order; where few samples turn that around, intervals become wider.
    for i in range(count - 2, -1, -1):
        room[0, i] = min(room[0, i], room[0, i + 1])
    for i in range(1, count):
        room[1, i] = max(room[1, i], room[1, i - 1])
    for i in range(count):
        out[ENDS + count + i] = out[ENDS + i]
    quantiles_within(histogram, room[0], minimum, maximum, room[0])
    quantiles_within(histogram, room[1], minimum, maximum, room[1])
    for i in range(count):
        out[ENDS + i] += room[0, i]  # what is not known stays NaN
        out[ENDS + count + i] += room[1, i]


@device
def _estimate_one(column, errors, percentiles, room, out):
    """Write the words of one column of a group, where samples of it were left out.

    column: its histogram, and its count, sum, minimum and maximum; errors: the excess by bucket
    """
    count, total, minimum, maximum = column[1]
    mean, spread, spread_squares, whole, squares = total / count, 0.0, 0.0, 0.0, 0.0
    for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
        excess, weight = errors[bucket], column[0][bucket]
        if excess > 0.0:
            off = min(max(value_of(bucket), minimum), maximum) - mean
            spread += excess * off * off
            spread_squares += squares_of(weight, excess) * off**4
            whole += excess
            squares += squares_of(weight, excess)
    if whole > 0.0:
        out[EFFECTIVE] = count * count / whole
        out[OF_MEAN] = widened(spread, spread_squares) / count
        out[OF_COUNT] = widened(whole, squares)
        put_ends(column, (errors, whole, squares), percentiles, room, out)


@device
def _moments_of(row, c):
    """Count, sum, minimum and maximum of a column."""
    return row[COUNT + c], row[SUM + c], row[MINIMUM + c], row[MAXIMUM + c]


@kernel(f"void(int64, {PANES_TYPE}, float64[::1], float64[:,::1], float64[:,::1], float64[:,::1])")
def estimate(pane, panes, percentiles, merged, room, out):
    """Write for each column of each group of a pane, and of all, how far it may be off.

    out:    float64[(groups + 1) * COLUMNS, words], zeros before; a column stays so whose samples
            were all kept. It is about levels: increases of counters lose nothing.
    merged: room for two histograms, all zeros before and after
    room:   float64[2, percentiles]
    """
    heads, _, _, groups_of_panes, group_moments, buckets, excess = panes
    groups = groups_of_panes.shape[0] // heads.shape[0]
    first = pane * groups
    for c in range(VALUES):
        count, total, minimum, maximum = 0.0, 0.0, np.inf, -np.inf
        for g in range(groups):
            row, place = group_moments[first + g], (first + g) * COLUMNS + c
            if not row[COUNT + c] > 0.0:
                continue
            own = _moments_of(row, c)
            count, total = count + own[0], total + own[1]
            minimum, maximum = min(minimum, own[2]), max(maximum, own[3])
            low, high = bucket_of(own[2]), bucket_of(own[3])
            merge_into(merged[0], buckets[place], low, high)
            if row[EXCESS] > 0.0:
                merge_into(merged[1], excess[place], low, high)
                column = (buckets[place], own)
                _estimate_one(column, excess[place], percentiles, room, out[g * COLUMNS + c])
        if count > 0.0:
            column = (merged[0], (count, total, minimum, maximum))
            _estimate_one(column, merged[1], percentiles, room, out[groups * COLUMNS + c])
            for bucket in range(bucket_of(minimum), bucket_of(maximum) + 1):
                merged[0, bucket] = merged[1, bucket] = 0.0
