"""Integers of one to ten bytes, seven bits each, low bits first: for counts and for small tables.

Guarantee: every 64-bit integer has exactly one encoding; one that is cut short, longer than need
be or wider than 64 bits is refused, and nothing past `end` is read. Cost: about 1 ns a byte, so
bulk data go through `bitpack`.

Bit 7 of a byte says that another follows. Signed values are folded to 0, -1, 1, -2, … -> 0, 1, 2, 3
first ("zigzag"), so that small magnitudes of either sign are short. The folding wraps modulo 2^64.
"""

import numpy as np

from rnts.kernels._jit import device, kernel

VARINT_BYTES_MAX = 10
REFUSED = -1  # no room to write, or no varint to read

_ONE, _SEVEN, _SIGN = np.uint64(1), np.uint64(7), np.uint64(63)
_CONTINUES = np.uint64(0x80)
_LOW_BITS = np.uint64(0x7F)


@device
def zigzag(value):
    """int64 -> uint64: the sign moves into bit 0."""
    return np.uint64((value << 1) ^ (value >> 63))


@device
def unzigzag(folded):
    """uint64 -> int64, the inverse of `zigzag`."""
    return np.int64(folded >> _ONE) ^ -np.int64(folded & _ONE)


@device
def put_varint(out, position, value):
    """Write uint64 `value` at `position`; returns the position after it, or REFUSED."""
    while value >= _CONTINUES:
        if position >= len(out):
            return REFUSED
        out[position] = np.uint8((value & _LOW_BITS) | _CONTINUES)
        position += 1
        value >>= _SEVEN
    if position >= len(out):
        return REFUSED
    out[position] = np.uint8(value)
    return position + 1


@device
def get_varint(data, position, end):
    """(uint64 value, position after it), or (0, REFUSED)."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while position < end:
        byte = np.uint64(data[position])
        position += 1
        if shift == _SIGN and byte > _ONE:
            return np.uint64(0), REFUSED
        value |= (byte & _LOW_BITS) << shift
        if byte < _CONTINUES:
            if byte == 0 and shift > 0:
                return np.uint64(0), REFUSED
            return value, position
        shift += _SEVEN
    return np.uint64(0), REFUSED


@kernel("int64(int64[::1], uint8[::1], int64)")
def put_integers(values, out, position):
    """Write each of `values` as a zigzag varint; returns the position after them, or REFUSED."""
    for i in range(len(values)):
        position = put_varint(out, position, zigzag(values[i]))
        if position < 0:
            return REFUSED
    return position


@kernel("int64(uint8[::1], int64, int64, int64[::1])")
def get_integers(data, position, end, values):
    """Fill `values` from data[position:end]; returns the position after them, or REFUSED."""
    for i in range(len(values)):
        folded, position = get_varint(data, position, end)
        if position < 0:
            return REFUSED
        values[i] = unzigzag(folded)
    return position
