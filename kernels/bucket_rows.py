"""The buckets of all sixteen columns of a record at once, as vectors of the processor.

Guarantee: each is `bucket_of` its value. Where in its octave a value lies is found by a polynomial
in single precision, which is right but for one value in 2,500: the few that may lie on the other
side of a boundary are looked up one by one. Cost: 0.9 ns a value; looked up in the table of
`bucket_of` it takes 1.1 in vectors, and 2.2 one after the other.
"""

from typing import Any

import numpy as np
from llvmlite import ir

from rnts.kernels import histogram
from rnts.kernels._jit import OBJECTS, device, inlined, intrinsic
from rnts.kernels.vectors import (
    F32,
    HALF,
    I8,
    I32,
    I64,
    LANES,
    Rows,
    constant,
    every_second,
    fused,
    moved,
)

if OBJECTS is None:
    from numba import types

# The upper half of a double: sign, exponent, and so much of the mantissa; and that of infinity.
_MANTISSA_BITS, _INFINITE = 20, 0x7FF00000
_OF_SINGLE = 23 - _MANTISSA_BITS  # by so much is the mantissa of a single longer
_ONE_AS_SINGLE = 0x3F800000
# 64 log2(1 + t) for 0 <= t < 1 within 2.7e-5, fitted at Chebyshev's nodes; what the mantissa lacks
# is at most 8.9e-5. Adding half of `_DOUBTFUL` puts both on one side.
_POLYNOMIAL = (
    2.0460661055210494e-05, 92.32973510669822, -46.1047431643919, 30.239969612169464,
    -20.679419848264207, 12.186933208996459, -4.918318461801302, 0.945838128996479,
)  # fmt: skip
_DOUBTFUL = 4e-4
# All that is below a power of two is in its octave's last bucket, however little that is.
_LAST = histogram.BUCKETS_PER_OCTAVE - 0.5


@inlined
def bucket_row(values, source, buckets, target):
    """Write the bucket of each value from cell `source` on; returns the mask of those not NaN.

    values:   float64[:]
    buckets:  int32[:], written from cell `target` on; undefined for NaN, but always a bucket
    """
    found = _bucket_row(values, source, buckets, target)
    if found >> LANES != 0:
        _look_up(found, values, source, buckets, target)
    return found & ((1 << LANES) - 1)


@device
def _look_up(found, values, source, buckets, target):
    """Write the buckets of those values that are in doubt, one by one."""
    for lane in range(LANES):
        if (found >> (LANES + lane)) & (found >> lane) & 1:
            place = np.uint64(lane)
            buckets[target + place] = histogram.bucket_of(values[source + place])


@intrinsic
def _bucket_row(typing_context, values, source, buckets, target):
    """`bucket_row`, with a mask of those that are in doubt above that of what is no NaN."""

    def generate(context, builder, signature, arguments):
        _, source, _, target = arguments
        rows = Rows(context, builder, signature, arguments)
        mask = I64((1 << LANES) - 1)
        for lane in range(0, LANES, HALF):
            bits = rows.load(0, moved(builder, source, lane), I64)
            found, is_none, is_doubtful = _buckets_of(builder, bits)
            rows.store(2, moved(builder, target, lane), found)
            for truth, first in ((is_none, lane), (is_doubtful, LANES + lane)):
                wide = builder.zext(builder.bitcast(truth, I8), I64)
                mask = builder.xor(mask, builder.shl(wide, I64(first)))
        return mask

    return types.int64(values, source, buckets, target), generate


def _buckets_of(builder: Any, bits: Any) -> tuple[Any, Any, Any]:
    """The buckets of doubles that are given by their bits, which are NaN, and which in doubt."""
    halves = builder.bitcast(bits, ir.VectorType(I32, 2 * HALF))
    low, high = (every_second(builder, halves, first) for first in (0, 1))
    unsigned = builder.and_(high, constant(I32, histogram.WITHOUT_SIGN >> 32))
    # What is below a value differs in its upper half where the lower one is zero.
    has_borrow = builder.sext(builder.icmp_signed("==", low, constant(I32, 0)), low.type)
    below = builder.add(unsigned, has_borrow)
    is_none = builder.icmp_signed(">=", below, constant(I32, _INFINITE))
    within, is_doubtful = _within_octave(builder, below)
    octaves = builder.ashr(below, constant(I32, _MANTISSA_BITS - histogram.SCALE))
    octaves = builder.and_(octaves, constant(I32, histogram.OCTAVE_MASK))
    distance = builder.add(octaves, within)
    distance = builder.sub(distance, constant(I32, histogram.LOWEST - 1))
    one, most = constant(I32, 1), constant(I32, histogram.MAGNITUDES + 2)
    distance = builder.select(builder.icmp_signed(">", distance, one), distance, one)
    distance = builder.select(builder.icmp_signed("<", distance, most), distance, most)
    is_zero = builder.icmp_signed("<", below, constant(I32, 0))
    distance = builder.select(is_zero, constant(I32, 0), distance)
    sign = builder.ashr(high, constant(I32, 31))
    zero = builder.sub(constant(I32, histogram.ZERO), sign)
    return builder.add(builder.xor(distance, sign), zero), is_none, is_doubtful


def _within_octave(builder: Any, below: Any) -> tuple[Any, Any]:
    """Which bucket of its octave a value falls into, and whether it may be the one before."""
    mantissa = builder.and_(below, constant(I32, (1 << _MANTISSA_BITS) - 1))
    mantissa = builder.shl(mantissa, constant(I32, _OF_SINGLE))
    singles = ir.VectorType(F32, HALF)
    one_to_two = builder.bitcast(builder.or_(mantissa, constant(I32, _ONE_AS_SINGLE)), singles)
    t = builder.fsub(one_to_two, constant(F32, 1.0))
    parts = [constant(F32, factor) for factor in (_POLYNOMIAL[0] + _DOUBTFUL / 2, *_POLYNOMIAL[1:])]
    while len(parts) > 1:  # by pairs, which depend on each other less than one after the other
        parts = [fused(builder, parts[i + 1], t, parts[i]) for i in range(0, len(parts), 2)]
        t = builder.fmul(t, t)
    place = parts[0]
    last = constant(F32, _LAST)
    place = builder.select(builder.fcmp_ordered("<", place, last), place, last)
    within = builder.fptosi(place, ir.VectorType(I32, HALF))
    beyond = builder.fsub(place, builder.sitofp(within, singles))
    return within, builder.fcmp_ordered("<", beyond, constant(F32, _DOUBTFUL))
