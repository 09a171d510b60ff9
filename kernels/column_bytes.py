"""The bytes of columns as an encoder writes them: headers, lengths that come after, words, runs.

Guarantee: nothing is written beyond `len(out)`; what does not fit is NO_ROOM, and stays that.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device
from rnts.kernels.bitpack import bit_length, get_word, put_word
from rnts.kernels.runs import pack_run
from rnts.kernels.varint import put_varint

LENGTH_BYTES = 2  # that are left for the length of a column before it is known


@device
def open_column(column, out, control):
    """Begin a column with room for a length of two bytes; where its bytes start, or NO_ROOM."""
    start = control[columns.POSITION] + 1 + LENGTH_BYTES
    if start > len(out):
        return columns.NO_ROOM
    out[control[columns.POSITION]] = np.uint8(column)
    return start


@device
def _move(out, start, size, distance):
    """Move bytes by one or two places to either side, a word at a time."""
    words = size >> 3
    if distance > 0:
        for i in range(size - 1, 8 * words - 1, -1):
            out[start + distance + i] = out[start + i]
        for word in range(words - 1, -1, -1):
            at = np.uint64(start + 8 * word)
            put_word(out, at + np.uint64(distance), get_word(out, at))
    else:
        for word in range(words):
            at = np.uint64(start + 8 * word)
            put_word(out, at - np.uint64(-distance), get_word(out, at))
        for i in range(8 * words, size):
            out[start + distance + i] = out[start + i]


@device
def close_column(start, position, out, control):
    """End the column whose bytes started at `start`; returns 0, or NO_ROOM if they found none."""
    size = position - start
    if start < 0 or position < 0 or size > columns.COLUMN_BYTES_MAX:
        return columns.NO_ROOM
    length_bytes = max(1, (bit_length(np.uint64(size)) + 6) // 7)
    if length_bytes != LENGTH_BYTES:
        if position + length_bytes - LENGTH_BYTES > len(out):
            return columns.NO_ROOM
        _move(out, start, size, length_bytes - LENGTH_BYTES)
    put_varint(out, start - LENGTH_BYTES, np.uint64(size))
    control[columns.POSITION] = position + length_bytes - LENGTH_BYTES
    return 0


@device
def put_run(values, effort, out, position):
    """`pack_run`, unless something went wrong before."""
    return pack_run(values, 0, effort, out, position) if position >= 0 else columns.NO_ROOM


@device
def put_words(words, out, position):
    """Write 64-bit words as they are; returns the position after them, or NO_ROOM."""
    if position < 0 or position + columns.WORD_BYTES * len(words) > len(out):
        return columns.NO_ROOM
    for i in range(len(words)):
        put_word(out, np.uint64(position + columns.WORD_BYTES * i), np.uint64(words[i]))
    return position + columns.WORD_BYTES * len(words)
