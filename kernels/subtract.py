"""Values to changes since their neuron's last: the pass that makes records small.

Guarantee: `add.py` undoes it, exactly for integers and for floats without a grid; a float on a grid
comes back within half a step (and the rounding of float64). All integers wrap modulo 2^64, so every
input has a result. Cost of a plain record of 14 metrics: 20-25 ns.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, inlined
from rnts.kernels.plain import (
    AHEAD,
    COUNTERS,
    FLOATS,
    GAUGES,
    ROW_WORDS,
    SLOT_WORDS,
    fetch_row,
    move_on,
    next_group,
    nexts,
    rewind,
    scales_of_floats,
)
from rnts.kernels.varint import zigzag

# A sum with it has a unit in the last place of 1, so that adding rounds to an integer, ties to
# even, and the integer is the difference of the bits: half of what `rint` and a conversion take.
_ROUNDING = 1.5 * 2.0**52
_ROUNDING_BITS = np.float64(_ROUNDING).view(np.int64)


@inlined
def _code_of(value, scale):
    """(code of a float on a grid, whether it can be there: not if too large or no number)."""
    steps = value * scale
    is_on_grid = np.abs(steps) <= columns.GRID_STEPS_MAX
    return columns.bits_of(steps + _ROUNDING) - _ROUNDING_BITS, is_on_grid


@inlined
def _put(arrays, record, field, value, at):
    """Keep the value of a field, and put its change into its stream; returns the change."""
    _, rows, streams = arrays
    place = record[1] + np.uint64(field)
    change = value - rows[place]
    rows[place] = value
    streams[at] = zigzag(change)
    return change


@inlined
def _put_counter(arrays, dense, record, places, at, second):
    field, word, slope = places
    if dense & (1 << field) != 0:
        slots, rows, streams = arrays
        change = _put(arrays, record, field, slots[record[0] + np.uint64(word)], at)
        last = record[1] + np.uint64(slope)
        streams[second] = zigzag(change - rows[last])
        rows[last] = change


@inlined
def _put_gauge(arrays, dense, record, places, at):
    field, word, shift, bits = places
    if dense & (1 << field) != 0:
        value = arrays[0][record[0] + np.uint64(word)] >> shift
        if bits < 64:
            value &= (1 << bits) - 1
        _put(arrays, record, field, value, at)


@inlined
def _put_float(arrays, dense, record, places, at, scale, control):
    field, word, shift, storage = places
    if dense & (1 << field) != 0:
        value = arrays[0][record[0] + np.uint64(word)] >> shift
        if scale > 0.0:
            value, is_on_grid = _code_of(columns.float_of(value, storage), scale)
            if not is_on_grid:  # it travels beside the grid
                value = arrays[1][record[1] + np.uint64(field)]
                control[columns.EXCEPTIONS + field] += 1
        else:
            value &= columns.stored_mask(storage)
        _put(arrays, record, field, value, at)


@inlined
def _subtract_plain(slots, scales, rows, work, streams, control, dense):
    """Put the changes of `dense` fields of a group behind those of the groups before."""
    start, stop = np.uint64(control[columns.START]), np.uint64(control[columns.STOP])
    counters, seconds, gauges, floats = nexts(streams, control)
    scale, fetches = scales_of_floats(scales), control[columns.PREFETCHES] != 0
    arrays = (slots.reshape(-1), rows.reshape(-1), streams.reshape(-1))
    for i in range(stop - start):
        if fetches:
            fetch_row(rows, work[columns.ROW, start + i + AHEAD])
        slot = np.uint64(work[columns.PLACE, start + i]) * SLOT_WORDS
        record = (slot, np.uint64(work[columns.ROW, start + i]) * ROW_WORDS)
        _put_counter(arrays, dense, record, COUNTERS[0], counters[0] + i, seconds[0] + i)
        _put_counter(arrays, dense, record, COUNTERS[1], counters[1] + i, seconds[1] + i)
        _put_counter(arrays, dense, record, COUNTERS[2], counters[2] + i, seconds[2] + i)
        _put_counter(arrays, dense, record, COUNTERS[3], counters[3] + i, seconds[3] + i)
        _put_gauge(arrays, dense, record, GAUGES[0], gauges[0] + i)
        _put_gauge(arrays, dense, record, GAUGES[1], gauges[1] + i)
        _put_gauge(arrays, dense, record, GAUGES[2], gauges[2] + i)
        _put_gauge(arrays, dense, record, GAUGES[3], gauges[3] + i)
        _put_gauge(arrays, dense, record, GAUGES[4], gauges[4] + i)
        _put_float(arrays, dense, record, FLOATS[0], floats[0] + i, scale[0], control)
        _put_float(arrays, dense, record, FLOATS[1], floats[1] + i, scale[1], control)
        _put_float(arrays, dense, record, FLOATS[2], floats[2] + i, scale[2], control)
        _put_float(arrays, dense, record, FLOATS[3], floats[3] + i, scale[3], control)
        _put_float(arrays, dense, record, FLOATS[4], floats[4] + i, scale[4], control)
        _put_float(arrays, dense, record, FLOATS[5], floats[5] + i, scale[5], control)
    move_on(control, dense)


@device
def _subtract_field(slots, layout, scales, rows, work, streams, control, field):
    """Put the changes of one field of a group behind those of the groups before."""
    word, shift = np.uint64(layout[field, columns.WORD]), layout[field, columns.SHIFT]
    storage, slope = layout[field, columns.STORAGE], np.uint64(layout[field, columns.SLOPE])
    second = np.uint64(columns.SECONDS - columns.SLOPES_AT) + slope
    column, scale, kept = np.uint64(field), scales[field], columns.stored_mask(storage)
    first_at = np.uint64(control[columns.FIRST_AT + field])
    other_at = np.uint64(control[columns.OTHER_AT + field])
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if (work[columns.MASK, i] >> field) & 1 == 0:
            continue
        row = np.uint64(work[columns.ROW, i])
        is_new = (work[columns.NEW, i] >> field) & 1 != 0
        before = np.int64(0) if is_new else rows[row, column]
        value = slots[np.uint64(work[columns.PLACE, i]), word] >> shift
        if scale > 0.0:
            value, is_on_grid = _code_of(columns.float_of(value, storage), scale)
            if not is_on_grid:  # it travels beside the grid
                value = before
                control[columns.EXCEPTIONS + field] += 1
        else:
            value &= kept
        rows[row, column] = value
        change = value - before
        if is_new:
            streams[column, first_at] = zigzag(change)
            first_at += np.uint64(1)
            change = np.int64(0)
        else:
            streams[column, other_at] = zigzag(change)
            if slope != 0:
                streams[second, other_at] = zigzag(change - rows[row, slope])
            other_at += np.uint64(1)
        if slope != 0:
            rows[row, slope] = change
    control[columns.FIRST_AT + field] = np.int64(first_at)
    control[columns.OTHER_AT + field] = np.int64(other_at)


@device
def _copy_field(slots, layout, work, streams, control, field):
    """Put the values of a field of which neurons keep none behind those of the groups before."""
    word, shift = np.uint64(layout[field, columns.WORD]), layout[field, columns.SHIFT]
    kept, at = (
        columns.stored_mask(layout[field, columns.STORAGE]),
        control[columns.OTHER_AT + field],
    )
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if (work[columns.MASK, i] >> field) & 1 != 0:
            value = (slots[np.uint64(work[columns.PLACE, i]), word] >> shift) & kept
            streams[np.uint64(field), np.uint64(at)] = zigzag(value)
            at += 1
    control[columns.OTHER_AT + field] = at


@device
def subtract_last(slots, layout, scales, rows, work, streams, control):
    """Fill `streams` with the changes of all records.

    After it, control[OTHER_AT + field] is how many values of the field there are.
    """
    rewind(control)
    start = 0
    while start < control[columns.RECORDS]:
        present, dense = next_group(work, control, start)
        if dense != 0:
            _subtract_plain(slots, scales, rows, work, streams, control, dense)
        for field in range(len(layout)):
            if ((present & ~dense) >> field) & 1 == 0:
                continue
            if field < columns.ROW_FIELDS:
                _subtract_field(slots, layout, scales, rows, work, streams, control, field)
            else:
                _copy_field(slots, layout, work, streams, control, field)
        start = control[columns.STOP]
