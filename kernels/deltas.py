"""Values to changes since their neuron's last, and back: the pass that makes records small.

Guarantee: `add_last` undoes `subtract_last`, exactly for integers and for floats without a grid; a
float on a grid comes back within half a step (and the rounding of float64). All integers wrap
modulo 2^64, so every input has a result. Cost of a record of 14 metrics: 44 ns and 30 ns.

Both go through the records in groups and, in a group, field by field: a field's place, type and
grid are then constants of the inner loop.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, kernel
from rnts.kernels.varint import unzigzag, zigzag


@device
def _next_group(work, control, start):
    """Set the bounds of the group that begins at `start`; returns the fields that occur in it."""
    stop = min(start + columns.GROUP_RECORDS, control[columns.RECORDS])
    control[columns.START], control[columns.STOP] = start, stop
    present = 0
    for i in range(np.uint64(start), np.uint64(stop)):
        present |= work[columns.MASK, i]
    return present


@device
def _rewind(control):
    """Let each field's stream begin again: first values at 0, the others behind them."""
    for field in range(columns.FIELD_COLUMNS):
        control[columns.FIRST_AT + field] = 0
        control[columns.OTHER_AT + field] = control[columns.FIRSTS + field]


@device
def _subtract_field(slots, layout, scales, last, work, streams, control, field):
    """Put the changes of one field of a group behind those of the groups before."""
    word, shift, storage = np.uint64(layout[field, 0]), layout[field, 1], layout[field, 2]
    column, scale, kept = np.uint64(field), scales[field], columns.stored_mask(storage)
    first_at = np.uint64(control[columns.FIRST_AT + field])
    other_at = np.uint64(control[columns.OTHER_AT + field])
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if (work[columns.MASK, i] >> field) & 1 == 0:
            continue
        row = np.uint64(work[columns.ROW, i])
        new = (work[columns.NEW, i] >> field) & 1 != 0
        before = np.int64(0) if new else last[row, column]
        value = (slots[np.uint64(work[columns.PLACE, i]), word] >> shift) & kept
        if scale > 0.0:
            steps = columns.float_of(value, storage) * scale
            if np.abs(steps) <= columns.GRID_STEPS_MAX:
                value = np.int64(np.rint(steps))
            else:  # too large, infinite or no number: it travels beside the grid
                value = before
                control[columns.EXCEPTIONS + field] += 1
        last[row, column] = value
        change = zigzag(value - before)
        if new:
            streams[column, first_at] = change
            first_at += np.uint64(1)
        else:
            streams[column, other_at] = change
            other_at += np.uint64(1)
    control[columns.FIRST_AT + field] = np.int64(first_at)
    control[columns.OTHER_AT + field] = np.int64(other_at)


@kernel(
    "int64(int64[:,::1], int64[:,::1], float64[::1], int64[:,::1], int64[:,::1], uint64[:,::1],"
    " int64[::1])"
)
def subtract_last(slots, layout, scales, last, work, streams, control):
    """Fill `streams` with the rows, shapes, times and changes of all records; returns 0.

    After it, control[OTHER_AT + field] is how many values of the field there are.
    """
    _rewind(control)
    time = slots[0, columns.TIME_WORD] if len(slots) > 0 else np.int64(0)
    control[columns.FIRST_TIME] = time
    for start in range(0, control[columns.RECORDS], columns.GROUP_RECORDS):
        present = _next_group(work, control, start)
        for i in range(np.uint64(start), np.uint64(control[columns.STOP])):
            streams[columns.ROWS, i] = np.uint64(work[columns.ROW, i])
            streams[columns.SHAPES, i] = np.uint64(work[columns.SHAPE, i])
            now = slots[np.uint64(work[columns.PLACE, i]), columns.TIME_WORD]
            streams[columns.TIMES, i] = zigzag(now - time)
            time = now
        for field in range(len(layout)):
            if (present >> field) & 1 != 0:
                _subtract_field(slots, layout, scales, last, work, streams, control, field)
    return 0


@device
def _add_field(layout, scales, last, work, streams, values, control, field):
    """Turn the next changes of one field into the values of a group of records."""
    storage, scale = layout[field, 2], scales[field]
    column, kept = np.uint64(field), columns.stored_mask(storage)
    is_float = storage == columns.STORAGE_F32 or storage == columns.STORAGE_F64
    first_at = np.uint64(control[columns.FIRST_AT + field])
    other_at = np.uint64(control[columns.OTHER_AT + field])
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if (work[columns.MASK, i] >> field) & 1 == 0:
            continue
        row = np.uint64(work[columns.ROW, i])
        if (work[columns.NEW, i] >> field) & 1 != 0:
            value = unzigzag(streams[column, first_at])
            first_at += np.uint64(1)
        else:
            value = last[row, column] + unzigzag(streams[column, other_at])
            other_at += np.uint64(1)
        last[row, column] = value
        if scale > 0.0:
            values[i, column] = columns.bits_of(np.float64(value) / scale)
        elif is_float:
            values[i, column] = columns.bits_of(columns.float_of(value, storage))
        else:
            values[i, column] = value & kept
    control[columns.FIRST_AT + field] = np.int64(first_at)
    control[columns.OTHER_AT + field] = np.int64(other_at)


@kernel(
    "int64(int64[:,::1], float64[::1], int64[:,::1], int64[:,::1], uint64[:,::1], int64[:,::1],"
    " int64[::1])"
)
def add_last(layout, scales, last, work, streams, values, control):
    """Fill `values` from `streams`; what is not on the grid holds its neuron's last; returns 0."""
    _rewind(control)
    for start in range(0, control[columns.RECORDS], columns.GROUP_RECORDS):
        present = _next_group(work, control, start)
        for field in range(len(layout)):
            if (present >> field) & 1 != 0:
                _add_field(layout, scales, last, work, streams, values, control, field)
    return 0
