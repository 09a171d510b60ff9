"""The buckets of all sixteen columns of a record at once, as vectors of the processor.

Guarantee: each is `bucket_of` its value. Cost: 1 ns a value, where one after the other takes 2.4.
"""

from typing import Any

from llvmlite import ir

from rnts.kernels import histogram
from rnts.kernels._jit import OBJECTS, inlined, intrinsic
from rnts.kernels.vectors import F64, HALF, I8, I32, I64, LANES, Rows, constant, moved

if OBJECTS is None:
    from numba import types

# Not below zero, unlike those of `bucket_of`: vectors have no arithmetic shift of 64 bits.
_CELLS = histogram.CELLS + (histogram.LOWEST << histogram.CELL_SHIFT)


@inlined
def bucket_row(values, source, buckets, target):
    """Write the bucket of each value from cell `source` on; returns the mask of those not NaN.

    values:   float64[:]
    buckets:  int32[:], written from cell `target` on; undefined for NaN, but always a bucket
    """
    return _bucket_row(values, source, _CELLS, buckets, target)


@intrinsic
def _bucket_row(typing_context, values, source, cells, buckets, target):
    """`bucket_row` with its table."""

    def generate(context, builder, signature, arguments):
        _, source, _, _, target = arguments
        rows = Rows(context, builder, signature, arguments)
        mask = I64(0)
        for lane in range(0, LANES, HALF):
            numbers = rows.load(0, moved(builder, source, lane), F64)
            is_number = builder.fcmp_ordered("ord", numbers, numbers)
            bits = builder.zext(builder.bitcast(is_number, I8), I64)
            mask = builder.or_(mask, builder.shl(bits, I64(lane)))
            bits = builder.bitcast(numbers, ir.VectorType(I64, HALF))
            rows.store(3, moved(builder, target, lane), _buckets_of(builder, rows, bits))
        return mask

    return types.int64(values, source, cells, buckets, target), generate


def _buckets_of(builder: Any, rows: Rows, bits: Any) -> Any:
    """The steps of `bucket_of`, in its order."""
    unsigned = builder.and_(bits, constant(I64, histogram.WITHOUT_SIGN))
    below = builder.sub(unsigned, constant(I64, 1))
    place = builder.lshr(below, constant(I64, histogram.CELL_SHIFT))
    place = builder.and_(place, constant(I64, histogram.CELL_MASK))
    within = builder.and_(below, constant(I64, histogram.IN_CELL))
    in_octave = builder.add(_looked_up(builder, rows, place), within)
    in_octave = builder.lshr(in_octave, constant(I64, histogram.CELL_SHIFT))
    octaves = builder.lshr(below, constant(I64, histogram.OCTAVE_SHIFT))
    octaves = builder.and_(octaves, constant(I64, histogram.OCTAVE_MASK))
    short = ir.VectorType(I32, HALF)
    magnitude = builder.trunc(builder.add(octaves, in_octave), short)
    magnitude = builder.sub(magnitude, constant(I32, histogram.LOWEST))
    zero, most = constant(I32, 0), constant(I32, histogram.MAGNITUDES + 1)
    above = builder.select(builder.icmp_signed(">", magnitude, zero), magnitude, zero)
    clamped = builder.select(builder.icmp_signed("<", above, most), above, most)
    distance = builder.add(clamped, constant(I32, 1))
    is_zero = builder.icmp_unsigned("==", unsigned, constant(I64, 0))
    distance = builder.select(is_zero, zero, distance)
    sign = builder.trunc(builder.lshr(bits, constant(I64, 32)), short)
    sign = builder.ashr(sign, constant(I32, 31))
    signed = builder.sub(builder.xor(distance, sign), sign)
    return builder.add(signed, constant(I32, histogram.ZERO))


def _looked_up(builder: Any, rows: Rows, places: Any) -> Any:
    """The cells at these places, one after the other: a gather is no faster, or far slower."""
    found = ir.Constant(places.type, ir.Undefined)
    for lane in range(HALF):
        place = builder.extract_element(places, I32(lane))
        found = builder.insert_element(found, rows.load_cell(2, place), I32(lane))
    return found
