"""Slots to columns: finds each record's row and shape, and packs what `deltas` makes of them.

Guarantee: reads only the given slots, writes only below `len(out)`, and refuses slots that hold no
record. Cost of a record of 14 metrics: 13-20 ns in `index_records`, 13-17 ns in `write_columns`.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, kernel
from rnts.kernels.bitpack import pack_run, put_word
from rnts.kernels.dictionary import COUNT, FULL, row_of
from rnts.kernels.varint import put_varint

_SLOT_BYTES = 128


@device
def _shape_of(slots, place, control):
    """Kind above mask of the record whose head is slots[place]; a fault where there is none."""
    head = slots[place, columns.HEAD_WORD]
    taken = (head >> 8) & 0xFF
    text_bytes = (head >> 16) & 0xFFFF
    room = len(slots) - np.int64(place)
    if taken == 0 or taken > room or text_bytes > (taken - 1) * _SLOT_BYTES:
        return columns.BAD_SLOT
    kind = head & 0xFF
    mask = (head >> 32) & columns.SHAPE_MASK
    if kind >= columns.KINDS:
        return columns.BAD_SHAPE
    allowed = control[columns.KIND_MASKS + kind]
    if allowed < 0 or mask & ~allowed != 0:
        return columns.BAD_SHAPE
    return (kind << columns.SHAPE_KIND_SHIFT) | mask


@device
def _note_text(text_bytes, index, streams, control):
    """Keep how long the text of record `index` is, and how far behind the one before it."""
    texts = control[columns.TEXT_COUNT]
    streams[columns.GAPS, texts] = np.uint64(index + 1 - control[columns.TEXT_NEXT])
    streams[columns.LENGTHS, texts] = np.uint64(text_bytes)
    control[columns.TEXT_NEXT] = index + 1
    control[columns.TEXT_COUNT] = texts + 1


@kernel(
    "int64(int64[:,::1], int64[:,:,::1], int64[:,::1], int64[:,::1], int64[:,::1], uint64[:,::1],"
    " int64[::1])"
)
def index_records(slots, tables, states, keys, work, streams, control):
    """Give each record its place, row and shape; returns how many records there are, or a fault."""
    neurons, neuron_state = tables[columns.NEURON_LINE], states[columns.NEURON_LINE]
    shapes, shape_state = tables[columns.SHAPE_LINE], states[columns.SHAPE_LINE]
    neuron_keys, shape_keys = keys[columns.NEURON_LINE], keys[columns.SHAPE_LINE]
    place, index, end = np.uint64(0), np.uint64(0), np.uint64(len(slots))
    shape, shape_key = np.int64(0), np.int64(-1)
    while place < end:
        key = _shape_of(slots, place, control)
        if key < 0:
            return key
        if key != shape_key:
            shape_key, shape = key, row_of(shapes, shape_state, shape_keys, key)
        known = neuron_state[COUNT]
        row = row_of(neurons, neuron_state, neuron_keys, slots[place, columns.NEURON_WORD])
        if row == FULL or shape == FULL:
            return columns.BAD_DICTIONARY
        if row == known:
            keys[columns.SEEN_LINE, row] = 0
        work[columns.PLACE, index] = np.int64(place)
        work[columns.ROW, index] = row
        work[columns.SHAPE, index] = shape
        work[columns.MASK, index] = key & columns.SHAPE_MASK
        columns.note_new_fields(keys, work, index)
        head = slots[place, columns.HEAD_WORD]
        if (head >> 16) & 0xFFFF != 0:
            _note_text((head >> 16) & 0xFFFF, np.int64(index), streams, control)
        place += np.uint64((head >> 8) & 0xFF)
        index += np.uint64(1)
    control[columns.NEURONS_AFTER] = neuron_state[COUNT]
    control[columns.SHAPES_AFTER] = shape_state[COUNT]
    control[columns.RECORDS] = np.int64(index)
    columns.count_fields(work, columns.NEW, control, columns.FIRSTS)
    return np.int64(index)


@device
def _open_column(column, out, control):
    """Begin a column; returns where its bytes start, or NO_ROOM."""
    start = control[columns.POSITION] + columns.COLUMN_HEADER_BYTES
    if start > len(out):
        return columns.NO_ROOM
    out[start - columns.COLUMN_HEADER_BYTES] = np.uint8(column)
    return start


@device
def _close_column(start, position, out, control):
    """End the column whose bytes started at `start`; returns 0, or NO_ROOM if they found none."""
    size = position - start
    if start < 0 or position < 0 or size > columns.COLUMN_BYTES_MAX:
        return columns.NO_ROOM
    for i in range(3):
        out[start - 3 + i] = np.uint8((size >> (8 * i)) & 0xFF)
    control[columns.POSITION] = position
    return 0


@device
def _put_run(values, out, position):
    """`pack_run`, unless something went wrong before."""
    return pack_run(values, out, position) if position >= 0 else columns.NO_ROOM


@device
def _put_words(words, out, position):
    """Write 64-bit words as they are; returns the position after them, or NO_ROOM."""
    if position < 0 or position + columns.WORD_BYTES * len(words) > len(out):
        return columns.NO_ROOM
    for i in range(len(words)):
        put_word(out, np.uint64(position + columns.WORD_BYTES * i), np.uint64(words[i]))
    return position + columns.WORD_BYTES * len(words)


@device
def _write_heads(keys, streams, out, control):
    """Write the keys that the reader has not yet, and each record's row, shape and time."""
    new_neurons = keys[
        columns.NEURON_LINE, control[columns.NEURONS_BEFORE] : control[columns.NEURONS_AFTER]
    ]
    new_shapes = keys[
        columns.SHAPE_LINE, control[columns.SHAPES_BEFORE] : control[columns.SHAPES_AFTER]
    ]
    records = control[columns.RECORDS]
    start = _open_column(columns.NEURON_KEYS, out, control)
    fault = _close_column(start, _put_words(new_neurons, out, start), out, control)
    start = _open_column(columns.SHAPE_KEYS, out, control)
    fault |= _close_column(start, _put_words(new_shapes, out, start), out, control)
    for column in (columns.ROWS, columns.SHAPES, columns.TIMES):
        start = _open_column(column, out, control)
        position = start
        if column == columns.TIMES:
            first_time = control[columns.FIRST_TIME : columns.FIRST_TIME + 1]
            position = _put_words(first_time, out, position)
        position = _put_run(streams[column, :records], out, position)
        fault |= _close_column(start, position, out, control)
    return fault


@device
def _write_texts(slots, work, streams, out, control):
    """Write which records have texts, how long these are, and the texts."""
    texts = control[columns.TEXT_COUNT]
    start = _open_column(columns.TEXTS, out, control)
    if start < 0:
        return start
    position = put_varint(out, start, np.uint64(texts))
    position = _put_run(streams[columns.GAPS, :texts], out, position)
    position = _put_run(streams[columns.LENGTHS, :texts], out, position)
    index = np.int64(-1)
    for text in range(texts):
        index += np.int64(streams[columns.GAPS, text])
        text_bytes = np.int64(streams[columns.LENGTHS, text])
        if position < 0 or position + text_bytes > len(out):
            return columns.NO_ROOM
        place = work[columns.PLACE, index] + 1
        for i in range(text_bytes):
            word = slots[place + (i >> 7), (i >> 3) & 15]
            out[position + i] = np.uint8((word >> (8 * (i & 7))) & 0xFF)
        position += text_bytes
    return _close_column(start, position, out, control)


@device
def _find_exceptions(slots, layout, scales, work, streams, control, field):
    """Put where the values that are not on the grid are, and their bits, into two streams."""
    word, shift, storage = layout[field, 0], layout[field, 1], layout[field, 2]
    count, before = 0, -1
    for index in range(control[columns.RECORDS]):
        if (work[columns.MASK, index] >> field) & 1 != 0:
            stored = slots[work[columns.PLACE, index], word] >> shift
            value = columns.float_of(stored, storage)
            if not np.abs(value * scales[field]) <= columns.GRID_STEPS_MAX:
                streams[columns.GAPS, count] = np.uint64(index - before)
                streams[columns.LENGTHS, count] = np.uint64(columns.bits_of(value))
                before = index
                count += 1
    return count


@kernel(
    "int64(int64[:,::1], int64[:,::1], float64[::1], int64[:,::1], int64[:,::1], uint64[:,::1],"
    " uint8[::1], int64[::1])"
)
def write_columns(slots, layout, scales, keys, work, streams, out, control):
    """Write all columns from control[POSITION] on, and move it; returns 0 or NO_ROOM."""
    if control[columns.RECORDS] == 0:
        return 0
    if _write_heads(keys, streams, out, control) != 0:
        return columns.NO_ROOM
    if control[columns.TEXT_COUNT] > 0 and _write_texts(slots, work, streams, out, control) != 0:
        return columns.NO_ROOM
    for field in range(len(layout)):
        firsts, total = control[columns.FIRSTS + field], control[columns.OTHER_AT + field]
        if total == 0:
            continue
        start = _open_column(field, out, control)
        position = _put_run(streams[field, :firsts], out, start)
        position = _put_run(streams[field, firsts:total], out, position)
        if scales[field] > 0.0 and position >= 0:
            count = 0
            if control[columns.EXCEPTIONS + field] > 0:
                count = _find_exceptions(slots, layout, scales, work, streams, control, field)
            position = put_varint(out, position, np.uint64(count))
            position = _put_run(streams[columns.GAPS, :count], out, position)
            position = _put_words(streams[columns.LENGTHS, :count], out, position)
        if _close_column(start, position, out, control) != 0:
            return columns.NO_ROOM
    return 0
