"""Columns to streams: checks everything that a frame says before anything is made of it.

Guarantee: whatever the bytes are, `read_columns` returns 0 or a fault, reads below `end` (and
SPARE_BYTES more) and unpacks at most RECORDS values a column; what comes after it cannot fail.
Cost: 14-18 ns a record of 14 metrics.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.bitpack import get_word
from rnts.kernels.changes import MARK, read_changes
from rnts.kernels.runs import unpack_run
from rnts.kernels.sparse import check_exceptions, read_sparse
from rnts.kernels.varint import get_varint

_FROM, _TO = 0, 1  # words of a column in the directory; both are 0 where it is absent


@device
def _find_columns(data, directory, control):
    """Fill the directory; what is unknown and not critical may be there, too."""
    directory[:, :] = 0
    position, end = control[columns.POSITION], control[columns.END]
    while position < end:
        column = np.int64(data[position])
        size, start = get_varint(data, position + 1, end)
        if start < 0 or size > np.uint64(end - start) or column >= columns.CRITICAL:
            return columns.BAD_COLUMN
        if directory[column, _TO] != 0:
            return columns.BAD_COLUMN
        position = start + np.int64(size)
        directory[column, _FROM], directory[column, _TO] = start, position
        control[columns.POSITION] = position
    return 0


@device
def _read_grids(data, span, scales, control):
    """Take over on which grids fields travel, which the first records of a group say."""
    if control[columns.NEURONS_BEFORE] > 0:
        return 0 if span[_TO] == span[_FROM] else columns.BAD_GRID
    scales[:] = 0.0
    position = span[_FROM]
    if (span[_TO] - position) % columns.GRID_BYTES != 0:
        return columns.BAD_GRID
    while position < span[_TO]:
        field = np.int64(data[position])
        scale = columns.number_of(get_word(data, np.uint64(position + 1)))
        error = columns.number_of(get_word(data, np.uint64(position + 9)))
        if not (columns.SCALE_MIN <= scale <= columns.SCALE_MAX and 0.0 <= error < np.inf):
            return columns.BAD_GRID
        if field >= columns.FIELD_COLUMNS or (control[columns.NO_FLOATS] >> field) & 1 != 0:
            return columns.BAD_GRID
        if scales[field] != 0.0:
            return columns.BAD_GRID
        scales[field] = scale
        position += columns.GRID_BYTES
    return 0


@device
def _key_count(span):
    """How many keys a dictionary column has, or BAD_DICTIONARY."""
    size = span[_TO] - span[_FROM]
    return size >> 3 if size & 7 == 0 else columns.BAD_DICTIONARY


@device
def _read_dictionaries(data, rows, shapes, directory, control):
    """Take the new neurons, which have no values yet, and the new shapes, if they can be."""
    neurons, news = control[columns.NEURONS_BEFORE], _key_count(directory[columns.NEURON_KEYS])
    known, new_shapes = control[columns.SHAPES_BEFORE], _key_count(directory[columns.SHAPE_KEYS])
    records = control[columns.RECORDS]
    if news < 0 or new_shapes < 0 or news > records or new_shapes > records:
        return columns.BAD_DICTIONARY
    if neurons + news > columns.KEYS_MAX or known + new_shapes > columns.KEYS_MAX:
        return columns.BAD_DICTIONARY
    control[columns.NEURONS_AFTER] = neurons + news
    control[columns.SHAPES_AFTER] = known + new_shapes
    if neurons + news > len(rows) or known + new_shapes > len(shapes):
        return columns.FEW_ROWS
    start = directory[columns.NEURON_KEYS, _FROM]
    for i in range(news):
        word = get_word(data, np.uint64(start + columns.WORD_BYTES * i))
        rows[neurons + i, columns.KEY] = np.int64(word)
        rows[neurons + i, columns.SEEN] = 0
    start = directory[columns.SHAPE_KEYS, _FROM]
    for i in range(new_shapes):
        key = np.int64(get_word(data, np.uint64(start + columns.WORD_BYTES * i)))
        kind = key >> columns.SHAPE_KIND_SHIFT
        if kind < 0 or kind >= columns.KINDS:
            return columns.BAD_SHAPE
        allowed = control[columns.KIND_MASKS + kind]
        if allowed < 0 or key & control[columns.FIELDS] & ~allowed != 0:
            return columns.BAD_SHAPE
        # Fields that came after this version was written are left out.
        shapes[known + i] = (kind << columns.SHAPE_KIND_SHIFT) | (key & allowed)
    return 0


@device
def _read_run(data, span, streams, line, control):
    """Unpack a column that is one run of a value a record, and nothing else."""
    values = streams[line, : control[columns.RECORDS]]
    if unpack_run(data, span[_FROM], span[_TO], values) != span[_TO]:
        return columns.BAD_RUN
    return 0


@device
def _read_heads(data, rows, shapes, work, streams, directory, control):
    """Give each record its row, shape and mask, and count each field's values."""
    times = directory[columns.TIMES]
    if times[_TO] - times[_FROM] < columns.WORD_BYTES:
        return columns.BAD_RUN
    control[columns.FIRST_TIME] = np.int64(get_word(data, np.uint64(times[_FROM])))
    position = times[_FROM] + columns.WORD_BYTES
    changes = streams[columns.TIMES, : control[columns.RECORDS]]
    if position < times[_TO] and np.int64(data[position]) & MARK != 0:  # it is for counters only
        return columns.BAD_RUN
    if read_changes(data, position, times[_TO], changes) != times[_TO]:
        return columns.BAD_RUN
    for column in (columns.ROWS, columns.SHAPES):
        if _read_run(data, directory[column], streams, column, control) != 0:
            return columns.BAD_RUN
    records, neuron_count = control[columns.RECORDS], np.uint64(control[columns.NEURONS_AFTER])
    for i in range(np.uint64(records * control[columns.PREFETCHES])):
        row = streams[columns.ROWS, i]
        if row < neuron_count:
            prefetch_word(rows, row * np.uint64(columns.ROW_WORDS) + np.uint64(columns.SEEN))
    shape_count = np.uint64(control[columns.SHAPES_AFTER])
    for i in range(np.uint64(control[columns.RECORDS])):
        row, shape = streams[columns.ROWS, i], streams[columns.SHAPES, i]
        if row >= neuron_count or shape >= shape_count:
            return columns.BAD_INDEX
        work[columns.ROW, i], work[columns.SHAPE, i] = np.int64(row), np.int64(shape)
        work[columns.MASK, i] = shapes[shape] & columns.SHAPE_MASK
        columns.note_new_fields(rows, work, i)
        control[columns.NOTED] = np.int64(i) + 1
    columns.count_fields(work, columns.NEW, control, columns.FIRSTS)
    columns.count_fields(work, columns.MASK, control, columns.TOTALS)
    return 0


@device
def _read_field(data, span, layout, scales, work, streams, control, field):
    """Unpack the column of a field; it must hold what the masks of the records say."""
    position, end = span[_FROM], span[_TO]
    firsts, total = control[columns.FIRSTS + field], control[columns.TOTALS + field]
    if total == 0:
        return 0 if position == end else columns.BAD_COLUMN
    marks = np.int64(0)
    if firsts > 0:
        if position >= end:
            return columns.BAD_RUN
        marks |= np.int64(data[position]) & MARK
        position = read_changes(data, position, end, streams[field, :firsts])
    if total > firsts and position >= 0:
        if position >= end:
            return columns.BAD_RUN
        if np.int64(data[position]) & MARK != 0:
            control[columns.SECOND] |= 1 << field
            if layout[field, columns.SLOPE] == 0:
                marks |= MARK
        position = read_changes(data, position, end, streams[field, firsts:total])
    if position < 0 or marks != 0:
        return columns.BAD_RUN
    if scales[field] > 0.0:
        position = check_exceptions(data, position, end, work, streams, control, field)
        if position < 0:
            return columns.BAD_SPARSE
    return 0 if position == end else columns.BAD_COLUMN


@device
def _check_texts(data, span, streams, control):
    """Check which records have texts and that the texts fill the column; keep where they begin."""
    end = span[_TO]
    position = read_sparse(data, span[_FROM], end, streams, control)
    if position < 0:
        return columns.BAD_TEXT
    count = control[columns.SPARSE_COUNT]
    position = unpack_run(data, position, end, streams[columns.LENGTHS, :count])
    if position < 0:
        return columns.BAD_TEXT
    control[columns.TEXT_COUNT], control[columns.TEXT_AT] = count, position
    for i in range(count):
        if streams[columns.LENGTHS, i] > np.uint64(end - position):
            return columns.BAD_TEXT
        position += np.int64(streams[columns.LENGTHS, i])
    return 0 if position == end else columns.BAD_TEXT


@device
def _read_all(data, layout, scales, rows, shapes, work, streams, directory, control):
    """`read_columns`, but for what it undoes."""
    fault = _find_columns(data, directory, control)
    if fault != 0:
        return fault
    control[columns.POSITION] = directory[columns.GRIDS, _FROM]
    fault = _read_grids(data, directory[columns.GRIDS], scales, control)
    if fault != 0:
        return fault
    control[columns.POSITION] = directory[columns.NEURON_KEYS, _FROM]
    fault = _read_dictionaries(data, rows, shapes, directory, control)
    if fault != 0:
        return fault
    control[columns.POSITION] = directory[columns.ROWS, _FROM]
    fault = _read_heads(data, rows, shapes, work, streams, directory, control)
    if fault != 0:
        return fault
    for field in range(len(layout)):
        control[columns.POSITION] = directory[field, _FROM]
        span = directory[field]
        fault = _read_field(data, span, layout, scales, work, streams, control, field)
        if fault != 0:
            return fault
    # The texts come last, for their lengths stay in `streams` until they are copied.
    texts = directory[columns.TEXTS]
    control[columns.POSITION] = texts[_FROM]
    return _check_texts(data, texts, streams, control) if texts[_FROM] < texts[_TO] else 0


@device
def read_columns(data, layout, scales, rows, shapes, scratch, control):
    """Check and unpack data[control[POSITION]:control[END]]; returns 0 or a fault.

    scratch: (work, streams, directory). control[POSITION] is about where a fault is, and after it
    everything that the reader knew of neurons is as it was. After FEW_ROWS there are to be rows for
    control[NEURONS_AFTER] neurons and control[SHAPES_AFTER] shapes in the next call.
    """
    work, streams, directory = scratch
    control[columns.NOTED] = 0
    fault = _read_all(data, layout, scales, rows, shapes, work, streams, directory, control)
    if fault != 0:
        for i in range(np.uint64(control[columns.NOTED])):
            rows[np.uint64(work[columns.ROW, i]), columns.SEEN] &= ~work[columns.NEW, i]
    return fault
