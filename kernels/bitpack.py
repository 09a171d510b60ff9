"""Words and blocks of bits: up to 64 unsigned integers, each as wide as the largest needs.

Guarantee: what `pack_block` wrote, `unpack_block` reads, exactly; up to SPARE_BYTES past a block
are loaded and never used. Cost of a value on one core: 0.5-0.7 ns to pack and 0.6 ns to unpack
where four fit into a word, else 0.9-1.0 ns and 0.8-1.0 ns.

Value j of a block takes the bits [j * width, (j + 1) * width), bit b of a block being bit b % 8 of
byte b // 8. Bits that are left over are 0 and are not looked at. `kernels/runs.py` says which
blocks there are.
"""

import numpy as np

from rnts.kernels._jit import device

BLOCK_VALUES = 64
WIDTH_MAX = 64
SPARE_BYTES = 16  # that a reader's buffer holds past the end, so that it can load whole words
REFUSED = -1  # no room to write, or no run to read

# Indices are uint64 wherever every value passes: Numba would test a signed one for being negative,
# and then neither merge the eight loads of a word nor keep up (2.6 instead of 0.9 ns a value).
_ONE, _THREE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(3), np.uint64(7), np.uint64(8)
_WORD_BITS, _LAST_BIT = np.uint64(64), np.uint64(63)
_WHOLE_BYTES = np.uint64(56)  # of a count of bits below 64
_WIDTH_OF_ONE_LOAD = 56  # 64 less the 7 bits by which a value may miss the start of a byte


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
def bit_length(word):
    """How many bits `word` needs; 0 for 0."""
    length = 0
    for shift in (32, 16, 8, 4, 2, 1):
        high = word >> np.uint64(shift)
        if high != 0:
            word = high
            length += shift
    return length + np.int64(word)


@device
def end_bits(out, at, word, fill):
    """Write what is left in `word`; the position after it."""
    while fill > 0:
        out[at] = np.uint8(word & np.uint64(0xFF))
        at += _ONE
        word >>= _EIGHT
        fill = fill - _EIGHT if fill > _EIGHT else np.uint64(0)
    return at


@device
def _pack_fours(values, start, stop, shift, width, out, position):
    """`pack_block` for values of which four fit into a word; writes up to eight bytes past them.

    What is carried from word to word makes the loop wait, so it is carried for four at once.
    """
    at, word, fill = np.uint64(position), np.uint64(0), np.uint64(0)
    one, down = np.uint64(width), np.uint64(shift)
    two, four = one + one, one << np.uint64(2)
    fours = (stop - start) >> 2
    i = np.uint64(start)
    for _ in range(fours):
        # Each by itself: the bits that go are all ones in a zigzagged negative multiple.
        low = (values[i] >> down) | ((values[i + _ONE] >> down) << one)
        high = (values[i + np.uint64(2)] >> down) | ((values[i + _THREE] >> down) << one)
        word |= (low | (high << two)) << fill
        put_word(out, at, word)
        fill += four
        at += fill >> _THREE
        word >>= fill & _WHOLE_BYTES
        fill &= _SEVEN
        i += np.uint64(4)
    while i < np.uint64(stop):
        word |= (values[i] >> down) << fill
        put_word(out, at, word)
        fill += one
        at += fill >> _THREE
        word >>= fill & _WHOLE_BYTES
        fill &= _SEVEN
        i += _ONE


@device
def pack_block(values, start, stop, shift, width, out, position):
    """Write values[start:stop] >> shift, `width` (1 to 64) bits each."""
    end = position + (((stop - start) * width + 7) >> 3)
    if 4 * width <= _WIDTH_OF_ONE_LOAD and end + 8 <= len(out):
        _pack_fours(values, start, stop, shift, width, out, position)
        return
    at, bits, down = np.uint64(position), np.uint64(width), np.uint64(shift)
    word = np.uint64(0)
    fill = np.uint64(0)
    for i in range(np.uint64(start), np.uint64(stop)):
        value = values[i] >> down
        word |= value << fill
        fill += bits
        if fill >= _WORD_BITS:
            put_word(out, at, word)
            at += _EIGHT
            fill -= _WORD_BITS
            # In two steps, because nothing is left to carry when 64 bits were to be shifted.
            word = (value >> (bits - fill - _ONE)) >> _ONE
    end_bits(out, at, word, fill)


@device
def _unpack_fours(data, position, width, values, start, stop):
    """`unpack_block` for values of which four lie in one word, wherever it begins in its byte."""
    at, bit, one = np.uint64(position), np.uint64(0), np.uint64(width)
    two, three, four = one + one, one + one + one, one << np.uint64(2)
    mask = ~np.uint64(0) >> (_WORD_BITS - one)
    i = np.uint64(start)
    for _ in range((stop - start) >> 2):
        word = get_word(data, at + (bit >> _THREE)) >> (bit & _SEVEN)
        values[i] = word & mask
        values[i + _ONE] = (word >> one) & mask
        values[i + np.uint64(2)] = (word >> two) & mask
        values[i + _THREE] = (word >> three) & mask
        bit += four
        i += np.uint64(4)
    while i < np.uint64(stop):
        values[i] = (get_word(data, at + (bit >> _THREE)) >> (bit & _SEVEN)) & mask
        bit += one
        i += _ONE


@device
def unpack_block(data, position, width, values, start, stop):
    """Read values[start:stop], `width` bits each; up to SPARE_BYTES past the block are loaded."""
    if 4 * width <= _WIDTH_OF_ONE_LOAD:
        _unpack_fours(data, position, width, values, start, stop)
        return
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
