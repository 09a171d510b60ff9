"""Values to changes since their neuron's last, and back: the pass that makes records small.

Guarantee: `add_last` undoes `subtract_last`, exactly for integers and for floats without a grid; a
float on a grid comes back within half a step (and the rounding of float64). All integers wrap
modulo 2^64, so every input has a result.

Both go through the records in groups and, in a group, field by field: a field's place, type and
grid are then constants of the inner loop. In most groups all records have the field and none is
its neuron's first, and for these there is a loop without tests.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.varint import zigzag

# A sum with it has a unit in the last place of 1, so that adding rounds to an integer, ties to
# even, and the integer is the difference of the bits: half of what `rint` and a conversion take.
_ROUNDING = 1.5 * 2.0**52
_ROUNDING_BITS = np.float64(_ROUNDING).view(np.int64)
_LINE_WORDS = 8


@device
def _next_group(rows, work, control, start):
    """Set the bounds of the group that begins at `start`; (fields that occur, that are dense)."""
    stop = min(start + columns.GROUP_RECORDS, control[columns.RECORDS])
    control[columns.START], control[columns.STOP] = start, stop
    union, common, new = np.int64(0), np.int64(-1), np.int64(0)
    for i in range(np.uint64(start), np.uint64(stop)):
        union |= work[columns.MASK, i]
        common &= work[columns.MASK, i]
        new |= work[columns.NEW, i]
    if control[columns.PREFETCHES] != 0:
        # The rows of the next group, so that they are there when this one is done.
        ahead = min(stop + columns.GROUP_RECORDS, control[columns.RECORDS])
        for i in range(np.uint64(stop), np.uint64(ahead)):
            word = np.uint64(work[columns.ROW, i]) * np.uint64(columns.ROW_WORDS)
            for line in range(0, columns.ROW_WORDS, _LINE_WORDS):
                prefetch_word(rows, word + np.uint64(line))
    return union, common & ~new


@device
def _rewind(control):
    """Let each field's stream begin again: first values at 0, the others behind them."""
    for field in range(columns.FIELD_COLUMNS):
        control[columns.FIRST_AT + field] = 0
        control[columns.OTHER_AT + field] = control[columns.FIRSTS + field]


@inlined
def _subtract_field(slots, layout, scales, rows, work, streams, control, field, is_dense, is_grid):
    """Put the changes of one field of a group behind those of the groups before."""
    word, shift = np.uint64(layout[field, columns.WORD]), layout[field, columns.SHIFT]
    storage, slope = layout[field, columns.STORAGE], np.uint64(layout[field, columns.SLOPE])
    second = np.uint64(columns.SECONDS - columns.SLOPES_AT) + slope
    column, scale, kept = np.uint64(field), scales[field], columns.stored_mask(storage)
    first_at = np.uint64(control[columns.FIRST_AT + field])
    other_at = np.uint64(control[columns.OTHER_AT + field])
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if not is_dense and (work[columns.MASK, i] >> field) & 1 == 0:
            continue
        row = np.uint64(work[columns.ROW, i])
        is_new = not is_dense and (work[columns.NEW, i] >> field) & 1 != 0
        before = np.int64(0) if is_new else rows[row, column]
        value = slots[np.uint64(work[columns.PLACE, i]), word] >> shift
        if is_grid:
            steps = columns.float_of(value, storage) * scale
            if np.abs(steps) <= columns.GRID_STEPS_MAX:
                value = columns.bits_of(steps + _ROUNDING) - _ROUNDING_BITS
            else:  # too large, infinite or no number: it travels beside the grid
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


@kernel(
    "int64(int64[:,::1], int64[:,::1], float64[::1], int64[:,::1], int64[:,::1], uint64[:,::1],"
    " int64[::1])"
)
def subtract_last(slots, layout, scales, rows, work, streams, control):
    """Fill `streams` with the rows, shapes, times and changes of all records; returns 0.

    After it, control[OTHER_AT + field] is how many values of the field there are. Cost of a record
    of 14 metrics: 44 ns.
    """
    _rewind(control)
    time = slots[0, columns.TIME_WORD] if len(slots) > 0 else np.int64(0)
    control[columns.FIRST_TIME] = time
    for start in range(0, control[columns.RECORDS], columns.GROUP_RECORDS):
        present, dense = _next_group(rows, work, control, start)
        for i in range(np.uint64(start), np.uint64(control[columns.STOP])):
            streams[columns.ROWS, i] = np.uint64(work[columns.ROW, i])
            streams[columns.SHAPES, i] = np.uint64(work[columns.SHAPE, i])
            now = slots[np.uint64(work[columns.PLACE, i]), columns.TIME_WORD]
            streams[columns.TIMES, i] = zigzag(now - time)
            time = now
        for field in range(len(layout)):
            if (present >> field) & 1 == 0:
                continue
            is_grid = scales[field] > 0.0
            arguments = (slots, layout, scales, rows, work, streams, control, field)
            if field >= columns.ROW_FIELDS:
                _copy_field(slots, layout, work, streams, control, field)
            elif (dense >> field) & 1 == 0:
                _subtract_field(*arguments, False, is_grid)
            elif is_grid:
                _subtract_field(*arguments, True, True)
            else:
                _subtract_field(*arguments, True, False)
    return 0


@inlined
def _add_field(layout, scales, rows, work, streams, values, control, field, is_dense, is_grid):
    """Turn the next changes of one field into the values of a group of records."""
    storage, scale = layout[field, columns.STORAGE], scales[field]
    slope, second = np.uint64(layout[field, columns.SLOPE]), np.int64(0)
    if slope != 0:
        second = -((control[columns.SECOND] >> field) & 1)
    column, kept = np.uint64(field), columns.stored_mask(storage)
    is_single = storage == columns.STORAGE_F32
    is_kept = field < columns.ROW_FIELDS
    first_at = np.uint64(control[columns.FIRST_AT + field])
    other_at = np.uint64(control[columns.OTHER_AT + field])
    for i in range(np.uint64(control[columns.START]), np.uint64(control[columns.STOP])):
        if not is_dense and (work[columns.MASK, i] >> field) & 1 == 0:
            continue
        row = np.uint64(work[columns.ROW, i])
        if not is_dense and (work[columns.NEW, i] >> field) & 1 != 0:
            value = np.int64(streams[column, first_at])
            first_at += np.uint64(1)
            if slope != 0:
                rows[row, slope] = 0
        else:
            value = np.int64(streams[column, other_at])
            other_at += np.uint64(1)
            if slope != 0:
                value += rows[row, slope] & second
                rows[row, slope] = value
            if is_dense or is_kept:
                value += rows[row, column]
        if is_dense or is_kept:
            rows[row, column] = value
        if is_grid:
            values[i, column] = columns.bits_of(np.float64(value) / scale)
        elif is_single:
            values[i, column] = columns.bits_of(columns.float_of(value, storage))
        else:
            values[i, column] = value & kept
    control[columns.FIRST_AT + field] = np.int64(first_at)
    control[columns.OTHER_AT + field] = np.int64(other_at)


@kernel(
    "int64(int64[:,::1], float64[::1], int64[:,::1], int64[:,::1], uint64[:,::1], int64[:,::1],"
    " int64[::1])"
)
def add_last(layout, scales, rows, work, streams, values, control):
    """Fill `values` from `streams`; what is not on the grid holds its neuron's last; returns 0.

    Cost of a record of 14 metrics: 30 ns.
    """
    _rewind(control)
    for start in range(0, control[columns.RECORDS], columns.GROUP_RECORDS):
        present, dense = _next_group(rows, work, control, start)
        for field in range(len(layout)):
            if (present >> field) & 1 == 0:
                continue
            is_grid = scales[field] > 0.0
            arguments = (layout, scales, rows, work, streams, values, control, field)
            if field >= columns.ROW_FIELDS or (dense >> field) & 1 == 0:
                _add_field(*arguments, False, is_grid)
            elif is_grid:
                _add_field(*arguments, True, True)
            else:
                _add_field(*arguments, True, False)
    return 0
