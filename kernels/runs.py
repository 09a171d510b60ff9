"""Runs of unsigned integers in blocks of 64, each block in the form in which it is smallest.

Guarantee: what `pack_run` wrote, `unpack_run` reads, exactly; a run that is cut short or of a form
that there is not is refused, and no byte beyond SPARE_BYTES past `end` is read. Cost: 0.8-1.4 ns a
value to pack, 0.6-1.0 ns to unpack; 2-4 ns either way in Rice blocks, which are for links that are
slow.

A run of n values is ceil(n / 64) blocks, and its reader knows n. A block is one byte `form`, then
    0 … 64      the values, so many bits each
    65 … 96     form - 64 entries, for all others are 0: one byte with the entries' width, 7 to 64,
                then entries of so many bits: the place in the lowest six, rising, then the value
    128 … 161   Rice: of each value v, with k = form - 128, v >> k ones, a zero, and the k lowest
                bits of v; or, where v >> k is more than 23, 24 ones and 64 bits of v
"""

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.bitpack import (
    BLOCK_VALUES,
    REFUSED,
    SPARE_BYTES,
    WIDTH_MAX,
    bit_length,
    end_bits,
    get_word,
    pack_block,
    put_word,
    unpack_block,
)

FEW, FEW_MAX = 64, 32
PLACE_BITS, PLACE_MASK = 6, 63
RICE, RICE_BITS_MAX, ONES_MAX = 128, 33, 24
PLAIN, COMPACT = 0, 1  # whether Rice blocks are tried

_ZERO, _ONE, _THREE, _SEVEN = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(7)
_EIGHT, _LAST_BIT, _WORD_BITS = np.uint64(8), np.uint64(63), np.uint64(64)
_ESCAPE_BITS = np.uint64(ONES_MAX)
_ESCAPE = np.uint64((1 << ONES_MAX) - 1)
_PLACE_BITS, _PLACE_MASK = np.uint64(PLACE_BITS), np.uint64(PLACE_MASK)
_RICE_WIDTH_MAX = 48  # wider blocks are noise, and their sum could pass 64 bits


@device
def _pack_few(values, start, stop, shift, width, out, position):
    """Write the values of a block that are not 0, with their places."""
    at, word, fill, down = np.uint64(position), _ZERO, _ZERO, np.uint64(shift)
    bits = np.uint64(width + PLACE_BITS)
    for i in range(np.uint64(start), np.uint64(stop)):
        value = values[i] >> down
        if value != 0:
            value = (value << _PLACE_BITS) | (i - np.uint64(start))
            word |= value << fill
            fill += bits
            if fill >= _WORD_BITS:
                put_word(out, at, word)
                at += _EIGHT
                fill -= _WORD_BITS
                word = (value >> (bits - fill - _ONE)) >> _ONE
    end_bits(out, at, word, fill)


@device
def _rice_bits(values, start, stop, shift, low_bits):
    """How many bits a Rice block takes without its form."""
    down, low = np.uint64(shift), np.uint64(low_bits)  # apart, for together they may be 64
    bits = (stop - start) * (1 + low_bits)
    for i in range(np.uint64(start), np.uint64(stop)):
        ones = np.int64((values[i] >> down) >> low)
        bits += ones if ones < ONES_MAX else ONES_MAX + WIDTH_MAX - 1 - low_bits
    return bits


@device
def _best_rice(values, start, stop, shift):
    """(low bits, bytes) of about the smallest Rice block."""
    total = _ZERO
    for i in range(np.uint64(start), np.uint64(stop)):
        total += values[i] >> np.uint64(shift)
    mean_bits = bit_length(total // np.uint64(stop - start))
    best, best_bits = 0, np.int64(1) << 62
    for low_bits in range(max(0, mean_bits - 2), min(RICE_BITS_MAX, mean_bits) + 1):
        bits = _rice_bits(values, start, stop, shift, low_bits)
        if bits < best_bits:
            best, best_bits = low_bits, bits
    return best, (best_bits + 7) >> 3


@device
def _pack_rice(values, start, stop, shift, low_bits, out, position):
    """Write a Rice block without its form."""
    at, word, fill, down = np.uint64(position), _ZERO, _ZERO, np.uint64(shift)
    low = np.uint64(low_bits)
    low_mask = (_ONE << low) - _ONE
    for i in range(np.uint64(start), np.uint64(stop)):
        value = values[i] >> down
        ones = value >> low
        is_escaped = ones >= _ESCAPE_BITS
        code, bits = _ESCAPE, _ESCAPE_BITS
        if not is_escaped:
            code = ((_ONE << ones) - _ONE) | ((value & low_mask) << (ones + _ONE))
            bits = ones + _ONE + low
        word |= code << fill
        fill += bits
        if fill >= _WORD_BITS:
            put_word(out, at, word)
            at += _EIGHT
            fill -= _WORD_BITS
            word = (code >> (bits - fill - _ONE)) >> _ONE
        if is_escaped:
            put_word(out, at, word | (value << fill))
            at += _EIGHT
            word = (value >> (_LAST_BIT - fill)) >> _ONE
    end_bits(out, at, word, fill)


@device
def _measure(values, start, stop, shift):
    """(width, how many are not 0) of a block."""
    union, count = _ZERO, _ZERO
    for i in range(np.uint64(start), np.uint64(stop)):
        union |= values[i]
        count += np.uint64(values[i] != _ZERO)
    return bit_length(union >> np.uint64(shift)), np.int64(count)


@kernel("int64(uint64[::1], int64, int64, uint8[::1], int64)")
def pack_run(values, shift, effort, out, position):
    """Write `values >> shift` as a run; the position after it, or REFUSED where `out` is full.

    What is shifted away is lost, whatever it was. `effort` is PLAIN or COMPACT.
    """
    for start in range(0, len(values), BLOCK_VALUES):
        stop = min(start + BLOCK_VALUES, len(values))
        width, count = _measure(values, start, stop, shift)
        form, size = width, ((stop - start) * width + 7) >> 3
        few = 1 + ((count * (width + PLACE_BITS) + 7) >> 3)
        if width > 0 and few < size and count <= FEW_MAX and width <= WIDTH_MAX - PLACE_BITS:
            form, size = FEW + count, few
        if effort == COMPACT and 1 < width <= _RICE_WIDTH_MAX:
            low_bits, rice = _best_rice(values, start, stop, shift)
            if rice < size:
                form, size = RICE + low_bits, rice
        if position + 1 + size > len(out):
            return REFUSED
        out[position] = np.uint8(form)
        if form >= RICE:
            _pack_rice(values, start, stop, shift, form - RICE, out, position + 1)
        elif form > FEW:
            out[position + 1] = np.uint8(width + PLACE_BITS)
            _pack_few(values, start, stop, shift, width, out, position + 2)
        elif width > 0:
            pack_block(values, start, stop, shift, width, out, position + 1)
        position += 1 + size
    return position


@device
def _unpack_few(data, position, end, values, start, stop, count):
    """Read a block of few values; the position after it, or REFUSED."""
    if position >= end:
        return REFUSED
    width = np.int64(data[position])
    size = (count * width + 7) >> 3
    position += 1
    if width <= PLACE_BITS or width > WIDTH_MAX or position + size > end or count > stop - start:
        return REFUSED
    unpack_block(data, position, width, values, start, start + count)
    next_place = stop - start
    # From the last on, so that each goes to where nothing is that is still to be read.
    for j in range(count):
        entry = values[np.uint64(start + count - 1 - j)]
        place = np.int64(entry & _PLACE_MASK)
        if place >= next_place or place < count - 1 - j:
            return REFUSED
        for i in range(np.uint64(start + place + 1), np.uint64(start + next_place)):
            values[i] = _ZERO
        values[np.uint64(start + place)] = entry >> _PLACE_BITS
        next_place = place
    for i in range(np.uint64(start), np.uint64(start + next_place)):
        values[i] = _ZERO
    return position + size


@device
def _unpack_rice(data, position, end, values, start, stop, low_bits):
    """Read a Rice block; the position after it, or REFUSED."""
    low = np.uint64(low_bits)
    low_mask = (_ONE << low) - _ONE
    bit, bits_end = np.uint64(position) << _THREE, np.uint64(end) << _THREE
    for i in range(np.uint64(start), np.uint64(stop)):
        word = get_word(data, bit >> _THREE) >> (bit & _SEVEN)
        ones = _ZERO
        while ones < _ESCAPE_BITS and word & _ONE != 0:
            word >>= _ONE
            ones += _ONE
        bit += ones
        if ones < _ESCAPE_BITS:
            values[i] = (ones << low) | ((word >> _ONE) & low_mask)
            bit += _ONE + low
        elif bit <= bits_end:
            low_word = get_word(data, bit >> _THREE) >> (bit & _SEVEN)
            high = np.uint64(data[(bit >> _THREE) + np.uint64(8)]) << (
                np.uint64(63) - (bit & _SEVEN)
            )
            values[i] = low_word | (high << _ONE)
            bit += _WORD_BITS
        if bit > bits_end:
            return REFUSED
    return np.int64((bit + _SEVEN) >> _THREE)


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
        form = np.int64(data[position])
        position += 1
        if form <= WIDTH_MAX:
            size = ((stop - start) * form + 7) >> 3
            if position + size > end:
                return REFUSED
            if form > 0:
                unpack_block(data, position, form, values, start, stop)
            else:
                for i in range(np.uint64(start), np.uint64(stop)):
                    values[i] = _ZERO
            position += size
        elif form <= FEW + FEW_MAX:
            position = _unpack_few(data, position, end, values, start, stop, form - FEW)
        elif RICE <= form <= RICE + RICE_BITS_MAX:
            position = _unpack_rice(data, position, end, values, start, stop, form - RICE)
        else:
            return REFUSED
        if position < 0:
            return REFUSED
    return position
