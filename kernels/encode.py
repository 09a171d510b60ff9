"""Slots to columns: the one call in which an encoder makes the records of a frame.

Guarantee: reads only the given slots, writes only below `len(out)`, and refuses slots that hold no
record. Cost of a record of 14 metrics: 13-17 ns to write, beside `index` and `subtract`.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, kernel
from rnts.kernels.bitpack import put_word
from rnts.kernels.changes import MARK, put_changes, width_of
from rnts.kernels.column_bytes import (
    LENGTH_BYTES,
    close_column,
    open_column,
    put_run,
    put_words,
)
from rnts.kernels.dictionary import COUNT
from rnts.kernels.index import index_records
from rnts.kernels.subtract import subtract_last
from rnts.kernels.varint import put_varint


@device
def _write_heads(keys, streams, out, control):
    """Write the keys that the reader has not yet, and each record's row, shape and time."""
    new_neurons = keys[
        columns.NEURON_LINE, control[columns.NEURONS_BEFORE] : control[columns.NEURONS_AFTER]
    ]
    new_shapes = keys[
        columns.SHAPE_LINE, control[columns.SHAPES_BEFORE] : control[columns.SHAPES_AFTER]
    ]
    records, effort = control[columns.RECORDS], control[columns.EFFORT]
    start = open_column(columns.NEURON_KEYS, out, control)
    fault = close_column(start, put_words(new_neurons, out, start), out, control)
    start = open_column(columns.SHAPE_KEYS, out, control)
    fault |= close_column(start, put_words(new_shapes, out, start), out, control)
    for column in (columns.ROWS, columns.SHAPES):
        start = open_column(column, out, control)
        position = put_run(streams[column, :records], effort, out, start)
        fault |= close_column(start, position, out, control)
    start = open_column(columns.TIMES, out, control)
    first_time = control[columns.FIRST_TIME : columns.FIRST_TIME + 1]
    position = put_words(first_time, out, start)
    if position >= 0:
        position = put_changes(streams[columns.TIMES, :records], 0, effort, out, position)
    return fault | close_column(start, position, out, control)


@device
def _write_grids(scales, out, control):
    """Write on which grids fields travel, and how far off they can be by that."""
    start = open_column(columns.GRIDS, out, control)
    position = start
    for field in range(len(scales)):
        if scales[field] > 0.0 and position >= 0:
            if position + columns.GRID_BYTES > len(out):
                return columns.NO_ROOM
            out[position] = np.uint8(field)
            at = np.uint64(position + 1)
            put_word(out, at, np.uint64(columns.bits_of(scales[field])))
            put_word(out, at + np.uint64(8), np.uint64(columns.bits_of(0.5 / scales[field])))
            position += columns.GRID_BYTES
    return close_column(start, position, out, control)


@device
def _write_texts(slots, work, streams, out, control):
    """Write which records have texts, how long these are, and the texts."""
    texts, effort = control[columns.TEXT_COUNT], control[columns.EFFORT]
    start = open_column(columns.TEXTS, out, control)
    if start < 0:
        return start
    position = put_varint(out, start, np.uint64(texts))
    position = put_run(streams[columns.GAPS, :texts], effort, out, position)
    position = put_run(streams[columns.LENGTHS, :texts], effort, out, position)
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
    return close_column(start, position, out, control)


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


@device
def _write_field(layout, streams, out, control, field):
    """Write the changes of a field; the position after them, or NO_ROOM."""
    firsts, total = control[columns.FIRSTS + field], control[columns.OTHER_AT + field]
    effort, slope = control[columns.EFFORT], layout[field, columns.SLOPE]
    start = open_column(field, out, control)
    if start < 0:
        return start
    position = put_changes(streams[field, :firsts], 0, effort, out, start)
    others, mark = streams[field, firsts:total], 0
    if slope != 0:
        seconds = streams[columns.SECONDS + slope - columns.SLOPES_AT, firsts:total]
        if width_of(seconds) < width_of(others):
            others, mark = seconds, MARK
    return put_changes(others, mark, effort, out, position) if position >= 0 else position


@device
def _write_columns(slots, layout, scales, keys, work, streams, out, control):
    """Write all columns from control[POSITION] on, and move it; returns 0 or NO_ROOM."""
    if control[columns.NEURONS_BEFORE] == 0 and _write_grids(scales, out, control) != 0:
        return columns.NO_ROOM
    if _write_heads(keys, streams, out, control) != 0:
        return columns.NO_ROOM
    if control[columns.TEXT_COUNT] > 0 and _write_texts(slots, work, streams, out, control) != 0:
        return columns.NO_ROOM
    for field in range(len(layout)):
        if control[columns.OTHER_AT + field] == 0:
            continue
        start = control[columns.POSITION] + 1 + LENGTH_BYTES
        position = _write_field(layout, streams, out, control, field)
        if scales[field] > 0.0 and position >= 0:
            count = 0
            if control[columns.EXCEPTIONS + field] > 0:
                count = _find_exceptions(slots, layout, scales, work, streams, control, field)
            position = put_varint(out, position, np.uint64(count))
            gaps = streams[columns.GAPS, :count]
            position = put_run(gaps, control[columns.EFFORT], out, position)
            position = put_words(streams[columns.LENGTHS, :count], out, position)
        if close_column(start, position, out, control) != 0:
            return columns.NO_ROOM
    return 0


@kernel(
    "int64(int64[:,::1], Tuple((int64[:,:,::1], int64[:,::1], int64[:,::1], int64[:,::1])),"
    " Tuple((int64[:,::1], float64[::1])), Tuple((int64[:,::1], uint64[:,::1])), uint8[::1], int64,"
    " int64[::1])"
)
def encode_columns(slots, known, model, scratch, out, start, control):
    """Write the records in `slots` from `start` on; returns how many they are, or a fault.

    known: (tables, states, keys, rows); model: (layout, scales); scratch: (work, streams).
    control[POSITION] is where they end. FEW_ROWS has changed nothing: there is to be room for as
    many new neurons and shapes as there are slots. After other faults the group is not what its
    reader has.
    """
    _, states, keys, rows = known
    layout, scales = model
    work, streams = scratch
    neurons = states[columns.NEURON_LINE, COUNT]
    shapes = states[columns.SHAPE_LINE, COUNT]
    if max(neurons, shapes) + len(slots) > keys.shape[1]:
        return columns.FEW_ROWS
    for word in range(columns.RECORDS, columns.CONTROL_WORDS):
        control[word] = 0
    if len(slots) == 0:
        return 0
    control[columns.PREFETCHES] = neurons > columns.CACHED_ROWS
    control[columns.NEURONS_BEFORE], control[columns.SHAPES_BEFORE] = neurons, shapes
    control[columns.POSITION] = start
    time = slots[0, columns.TIME_WORD]
    control[columns.FIRST_TIME], control[columns.LAST_TIME] = time, time
    records = index_records(slots, known, scratch, control)
    if records < 0:
        return records
    subtract_last(slots, layout, scales, rows, work, streams, control)
    fault = _write_columns(slots, layout, scales, keys, work, streams, out, control)
    return records if fault == 0 else fault
