"""Runs of changes: signed integers of which common trailing zeros, and missing signs, are saved.

Guarantee: `read_changes` undoes `put_changes`, exactly, for every int64. Cost: 0.3 ns a value
beside that of the run.

A run of no changes has no bytes. Any other is one byte `scale`, then a run. In the lower six bits
of `scale` stands by how many bits each change was shifted to the right; bit 6 says that all changes
are as they are, without it they are zigzagged; bit 7 is the caller's.
"""

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.bitpack import BLOCK_VALUES, REFUSED, bit_length
from rnts.kernels.runs import pack_run, unpack_run

SHIFT_MASK, UNSIGNED, MARK = 63, 64, 128

_ZERO, _ONE = np.uint64(0), np.uint64(1)


@device
def scale_of(folded):
    """(shift of the folded values, byte that says so) of zigzagged changes."""
    sizes, signs = _ZERO, _ZERO
    for i in range(np.uint64(len(folded))):
        sizes |= (folded[i] >> _ONE) + (folded[i] & _ONE)
        signs |= folded[i]
    zeros = 0
    while sizes != 0 and (sizes >> np.uint64(zeros)) & _ONE == 0:
        zeros += 1
    is_unsigned = np.int64(signs & _ONE == 0)
    return zeros + is_unsigned, zeros | is_unsigned * UNSIGNED


@device
def width_of(folded):
    """About how many bits a run of these takes: those of its packed blocks."""
    shift, _ = scale_of(folded)
    bits = 0
    for start in range(0, len(folded), BLOCK_VALUES):
        stop = min(start + BLOCK_VALUES, len(folded))
        union = _ZERO
        for i in range(np.uint64(start), np.uint64(stop)):
            union |= folded[i]
        bits += (stop - start) * bit_length(union >> np.uint64(shift))
    return bits


@kernel("int64(uint64[::1], int64, int64, uint8[::1], int64)")
def put_changes(folded, mark, effort, out, position):
    """Write zigzagged changes as a run of changes; the position after it, or REFUSED.

    mark: 0 or MARK, for whoever reads. effort: as of `pack_run`.
    """
    if len(folded) == 0:
        return position
    if position >= len(out):
        return REFUSED
    shift, scale = scale_of(folded)
    out[position] = np.uint8(scale | mark)
    return pack_run(folded, shift, effort, out, position + 1)


@kernel("int64(uint8[::1], int64, int64, uint64[::1])")
def read_changes(data, position, end, changes):
    """Fill `changes` with the bits of int64 changes; the position after them, or REFUSED."""
    if len(changes) == 0:
        return position
    if position < 0 or position >= end:
        return REFUSED
    scale = np.int64(data[position])
    position = unpack_run(data, position + 1, end, changes)
    if position < 0:
        return REFUSED
    shift = np.uint64(scale & SHIFT_MASK)
    if scale & UNSIGNED != 0:
        for i in range(np.uint64(len(changes))):
            changes[i] = changes[i] << shift
    else:
        for i in range(np.uint64(len(changes))):
            changes[i] = ((changes[i] >> _ONE) ^ (_ZERO - (changes[i] & _ONE))) << shift
    return position
