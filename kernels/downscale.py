"""Histograms at a lower scale, laid out as OpenTelemetry and Prometheus have them.

Guarantee: exact, for the bounds of each scale are bounds of every higher one: a bucket of scale s
joins 2^(6 - s) of ours, and the total stays the same. Bucket i of `positive` holds the values in
(g^(first + i), g^(first + i + 1)], g = 2^(2^-s), and of `negative` the same magnitudes: `first` is
OpenTelemetry's offset, and Prometheus' index, which is of the upper bound, is one more. What is
2^-16 or nearer to zero counts as zero, with that as the threshold; what is beyond 2^48 is in the
last bucket, which no bound is claimed for. Cost: an addition a bucket, of which there are 8,197.
"""

from rnts.kernels._jit import kernel
from rnts.kernels.histogram import EXPONENT_MIN, MAGNITUDES, SCALE, ZERO

SCALE_MIN = -4  # as low as Prometheus goes
ZERO_THRESHOLD = 2.0**EXPONENT_MIN
_FIRST = EXPONENT_MIN << SCALE


def first_index(scale: int) -> int:
    """OpenTelemetry's index of the first bucket of a scale: the offset."""
    return _FIRST >> (SCALE - scale)


def bucket_count(scale: int) -> int:
    """How many buckets of either sign a scale has, with the one that has no upper bound."""
    return ((_FIRST + MAGNITUDES - 1) >> (SCALE - scale)) - first_index(scale) + 2


@kernel("float64(float64[::1], int64, float64[::1], float64[::1])")
def downscale(buckets, scale, positive, negative):
    """Add a histogram to buckets of a scale from SCALE_MIN to SCALE; returns how much is zero.

    positive, negative: float64[bucket_count(scale)]
    """
    shift = SCALE - scale
    first = _FIRST >> shift
    zero = buckets[ZERO - 1] + buckets[ZERO] + buckets[ZERO + 1]
    for magnitude in range(MAGNITUDES):
        i = ((_FIRST + magnitude) >> shift) - first
        positive[i] += buckets[ZERO + 2 + magnitude]
        negative[i] += buckets[ZERO - 2 - magnitude]
    positive[positive.size - 1] += buckets[ZERO + 2 + MAGNITUDES]
    negative[negative.size - 1] += buckets[ZERO - 2 - MAGNITUDES]
    return zero
