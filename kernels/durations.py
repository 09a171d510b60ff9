"""The small histogram of durations that each neuron has in each window: scale 2, 512 bytes.

Guarantee: a quantile between 16 ns and 48.6 s is off by at most `RELATIVE_ERROR` = 8.6 % of the
duration of that rank; `quantiles` says when one lies outside. Cost: four operations on top of the
insert into the full histogram, whose buckets it joins sixteen at a time (exactly: the bounds of
scale 2 are bounds of scale 6). Weights are added as float32, exact up to 16,777,216 a bucket.

    0         up to 16 ns
    1 .. 126  (2^(4 + (i - 1) / 4), 2^(4 + i / 4)] ns
    127       above 48.6 s
"""

from rnts.kernels._jit import device, kernel
from rnts.kernels.histogram import (
    BUCKETS_PER_OCTAVE,
    EXPONENT_MIN,
    PER_CENT,
    SCALE,
    ZERO,
    bucket_of,
)

COARSE_SCALE = 2
BUCKETS = 128
GROWTH = 2.0 ** (1 / (1 << COARSE_SCALE))
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
EXPONENT_FIRST = 4

_JOINED = SCALE - COARSE_SCALE
_FIRST = ((EXPONENT_FIRST - EXPONENT_MIN) * BUCKETS_PER_OCTAVE) >> _JOINED


@device
def coarse_of(bucket):
    """The small histogram's bucket that holds a bucket of the full one, from zero upwards."""
    magnitude = bucket - ZERO - 1
    return min(max(((magnitude - 1) >> _JOINED) - _FIRST + 1, 0), BUCKETS - 1)


@device
def _value_of(coarse):
    """The duration whose relative distance from both bounds of a bucket is the same."""
    lower = 2.0 ** ((coarse - 1) / (1 << COARSE_SCALE) + EXPONENT_FIRST)
    return lower * (2.0 * GROWTH / (1.0 + GROWTH))


@device
def edges_of(coarse):
    """The bounds of a bucket that is neither the first nor the last."""
    lower = 2.0 ** ((coarse - 1) / (1 << COARSE_SCALE) + EXPONENT_FIRST)
    return lower, 2.0 ** (coarse / (1 << COARSE_SCALE) + EXPONENT_FIRST)


@device
def quantiles_within(buckets, percentiles, minimum, maximum, values):
    """Nearest-rank percentiles of one small histogram; see `quantiles`."""
    coarse, last = coarse_of(bucket_of(minimum)), coarse_of(bucket_of(maximum))
    total = 0.0
    for i in range(coarse, last + 1):
        total += buckets[i]
    reached = 0.0 + buckets[coarse]
    bounded = 1
    for i in range(percentiles.size):
        rank = percentiles[i] * total * PER_CENT
        while reached < rank and coarse < last:
            coarse += 1
            reached += buckets[coarse]
        values[i] = min(max(_value_of(coarse), minimum), maximum)
        if coarse == 0 or coarse == BUCKETS - 1:
            bounded = 0
    return bounded


@kernel("int64(float32[::1], float64[::1], float64, float64, float64[::1])")
def quantiles(buckets, percentiles, minimum, maximum, values):
    """Write the nearest-rank percentiles, given in ascending order, of a histogram that holds any.

    `minimum` and `maximum` are the exact extremes of what was inserted. Returns 1 if each value is
    within `RELATIVE_ERROR`, else 0.
    """
    return quantiles_within(buckets, percentiles, minimum, maximum, values)
