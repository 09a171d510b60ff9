"""Runs of unsigned integers in blocks of 64, each block at the width of its largest value.

Guarantee: what `pack_run` wrote, `unpack_run` reads, exactly; a run that is cut short or names a
width above 64 is refused before a value of that block is written, and no byte beyond SPARE_BYTES
past `end` is read. Cost: 1.0-1.4 ns a value to pack, 0.8-1.0 ns to unpack, on one core.

A run of n values is ceil(n / 64) blocks, and its reader knows n. A block of m values (64, the last
one maybe fewer) is one byte `width` (0 to 64) and ceil(m * width / 8) bytes: value j takes the bits
[j * width, (j + 1) * width), bit b of a block being bit b % 8 of byte b // 8. Bits that are left
over are 0 and are not looked at.
"""

import numpy as np

from rnts.kernels._jit import device, kernel

BLOCK_VALUES = 64
WIDTH_MAX = 64
SPARE_BYTES = 8  # that a reader's buffer holds past the end, so that it can load whole words
REFUSED = -1  # no room to write, or no run to read

# Indices are uint64 wherever every value passes: Numba would test a signed one for being negative,
# and then neither merge the eight loads of a word nor keep up (2.6 instead of 0.9 ns a value).
_ONE, _THREE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(3), np.uint64(7), np.uint64(8)
_WORD_BITS, _LAST_BIT = np.uint64(64), np.uint64(63)
_WIDTH_OF_ONE_LOAD = 56  # 64 less the 7 bits by which a value may miss the start of a byte


@device
def run_bytes_max(count):
    """The most bytes that a run of `count` values takes."""
    return 8 * count + ((count + BLOCK_VALUES - 1) >> 6)


@device
def put_word(out, position, word):
    """Write a little-endian word at a uint64 position; LLVM makes one store of the eight."""
    for i in range(8):
        out[position + np.uint64(i)] = np.uint8((word >> np.uint64(8 * i)) & np.uint64(0xFF))


@device
def get_word(data, position):
    """Read a little-endian word at a uint64 position; LLVM makes one load of the eight."""
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(data[position + np.uint64(i)]) << np.uint64(8 * i)
    return word


@device
def _bit_length(word):
    """How many bits `word` needs; 0 for 0."""
    length = 0
    for shift in (32, 16, 8, 4, 2, 1):
        high = word >> np.uint64(shift)
        if high != 0:
            word = high
            length += shift
    return length + np.int64(word)


@device
def _pack_block(values, start, stop, width, out, position):
    """Write values[start:stop], `width` bits each."""
    at = np.uint64(position)
    bits = np.uint64(width)
    word = np.uint64(0)
    fill = np.uint64(0)
    for i in range(np.uint64(start), np.uint64(stop)):
        value = values[i]
        word |= value << fill
        fill += bits
        if fill >= _WORD_BITS:
            put_word(out, at, word)
            at += _EIGHT
            fill -= _WORD_BITS
            # In two steps, because nothing is left to carry when 64 bits were to be shifted.
            word = (value >> (bits - fill - _ONE)) >> _ONE
    while fill > 0:
        out[at] = np.uint8(word & np.uint64(0xFF))
        at += _ONE
        word >>= _EIGHT
        fill = fill - _EIGHT if fill > _EIGHT else np.uint64(0)


@kernel("int64(uint64[::1], uint8[::1], int64)")
def pack_run(values, out, position):
    """Write `values` as a run; returns the position after it, or REFUSED where `out` is full."""
    for start in range(0, len(values), BLOCK_VALUES):
        stop = min(start + BLOCK_VALUES, len(values))
        union = np.uint64(0)
        for i in range(np.uint64(start), np.uint64(stop)):
            union |= values[i]
        width = _bit_length(union)
        size = ((stop - start) * width + 7) >> 3
        if position + 1 + size > len(out):
            return REFUSED
        out[position] = np.uint8(width)
        if width > 0:
            _pack_block(values, start, stop, width, out, position + 1)
        position += 1 + size
    return position


@device
def _unpack_block(data, position, width, values, start, stop):
    """Read values[start:stop], `width` bits each; up to SPARE_BYTES past the block are loaded."""
    at = np.uint64(position)
    bits = np.uint64(width)
    mask = ~np.uint64(0) >> (_WORD_BITS - bits)
    bit = np.uint64(0)
    if width <= _WIDTH_OF_ONE_LOAD:
        for i in range(np.uint64(start), np.uint64(stop)):
            word = get_word(data, at + (bit >> _THREE))
            values[i] = (word >> (bit & _SEVEN)) & mask
            bit += bits
    else:
        for i in range(np.uint64(start), np.uint64(stop)):
            byte = at + (bit >> _THREE)
            offset = bit & _SEVEN
            low = get_word(data, byte) >> offset
            high = (np.uint64(data[byte + _EIGHT]) << (_LAST_BIT - offset)) << _ONE
            values[i] = (low | high) & mask
            bit += bits


@kernel("int64(uint8[::1], int64, int64, uint64[::1])")
def unpack_run(data, position, end, values):
    """Fill `values` from data[position:end]; returns the position after the run, or REFUSED.

    `data` must hold SPARE_BYTES after `end`, of whatever value.
    """
    if position < 0 or end + SPARE_BYTES > len(data):
        return REFUSED
    for start in range(0, len(values), BLOCK_VALUES):
        stop = min(start + BLOCK_VALUES, len(values))
        if position >= end:
            return REFUSED
        width = np.int64(data[position])
        size = ((stop - start) * width + 7) >> 3
        position += 1
        if width > WIDTH_MAX or position + size > end:
            return REFUSED
        if width > 0:
            _unpack_block(data, position, width, values, start, stop)
        else:
            for i in range(np.uint64(start), np.uint64(stop)):
                values[i] = np.uint64(0)
        position += size
    return position
