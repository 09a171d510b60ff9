"""Columns to streams: checks everything that a frame says before anything is made of it.

Guarantee: whatever the bytes are, `read_columns` returns 0 or a fault, reads below `end` (and
SPARE_BYTES more) and unpacks at most RECORDS values a column; what comes after it cannot fail.
Cost: 14-18 ns a record of 14 metrics.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, kernel
from rnts.kernels.bitpack import get_word, unpack_run
from rnts.kernels.varint import get_varint

_FROM, _TO = 0, 1  # words of a column in the directory; both are 0 where it is absent


@device
def _find_columns(data, directory, control):
    """Fill the directory; what is unknown and not critical may be there, too."""
    directory[:, :] = 0
    position, end = control[columns.POSITION], control[columns.END]
    while position < end:
        start = position + columns.COLUMN_HEADER_BYTES
        if start > end:
            return columns.BAD_COLUMN
        column = np.int64(data[position])
        stop = start
        for i in range(3):
            stop += np.int64(data[position + 1 + i]) << (8 * i)
        if stop > end or column >= columns.CRITICAL:
            return columns.BAD_COLUMN
        if directory[column, _TO] != 0:
            return columns.BAD_COLUMN
        directory[column, _FROM], directory[column, _TO] = start, stop
        position = stop
        control[columns.POSITION] = position
    return 0


@device
def _read_keys(data, span, known, keys):
    """Put the keys of a dictionary column behind the `known` ones; returns how many there are."""
    size = span[_TO] - span[_FROM]
    count = size >> 3
    if size & 7 != 0 or known + count > len(keys):
        return columns.BAD_DICTIONARY
    for i in range(count):
        word = get_word(data, np.uint64(span[_FROM] + columns.WORD_BYTES * i))
        keys[known + i] = np.int64(word)
    return known + count


@device
def _read_dictionaries(data, keys, directory, control):
    """Take the new neurons, which have no values yet, and the new shapes, if they can be."""
    known = control[columns.NEURONS_BEFORE]
    neurons = _read_keys(data, directory[columns.NEURON_KEYS], known, keys[columns.NEURON_LINE])
    if neurons < 0:
        return neurons
    for row in range(known, neurons):
        keys[columns.SEEN_LINE, row] = 0
    known = control[columns.SHAPES_BEFORE]
    shapes = _read_keys(data, directory[columns.SHAPE_KEYS], known, keys[columns.SHAPE_LINE])
    if shapes < 0:
        return shapes
    for row in range(known, shapes):
        key = keys[columns.SHAPE_LINE, row]
        kind = key >> columns.SHAPE_KIND_SHIFT
        if kind < 0 or kind >= columns.KINDS:
            return columns.BAD_SHAPE
        allowed = control[columns.KIND_MASKS + kind]
        if allowed < 0 or key & control[columns.FIELDS] & ~allowed != 0:
            return columns.BAD_SHAPE
        # Fields that came after this version was written are left out.
        keys[columns.SHAPE_LINE, row] = (kind << columns.SHAPE_KIND_SHIFT) | (key & allowed)
    control[columns.NEURONS_AFTER], control[columns.SHAPES_AFTER] = neurons, shapes
    return 0


@device
def _read_run(data, span, streams, line, control):
    """Unpack a column that is one run of a value a record, and nothing else."""
    values = streams[line, : control[columns.RECORDS]]
    if unpack_run(data, span[_FROM], span[_TO], values) != span[_TO]:
        return columns.BAD_RUN
    return 0


@device
def _read_heads(data, keys, work, streams, directory, control):
    """Give each record its row, shape and mask, and count each field's values."""
    times = directory[columns.TIMES]
    if control[columns.RECORDS] > 0:
        if times[_TO] - times[_FROM] < columns.WORD_BYTES:
            return columns.BAD_RUN
        control[columns.FIRST_TIME] = np.int64(get_word(data, np.uint64(times[_FROM])))
        times[_FROM] += columns.WORD_BYTES
    for column in (columns.ROWS, columns.SHAPES, columns.TIMES):
        if _read_run(data, directory[column], streams, column, control) != 0:
            return columns.BAD_RUN
    neurons = np.uint64(control[columns.NEURONS_AFTER])
    shapes = np.uint64(control[columns.SHAPES_AFTER])
    for i in range(np.uint64(control[columns.RECORDS])):
        row, shape = streams[columns.ROWS, i], streams[columns.SHAPES, i]
        if row >= neurons or shape >= shapes:
            return columns.BAD_INDEX
        work[columns.ROW, i], work[columns.SHAPE, i] = np.int64(row), np.int64(shape)
        work[columns.MASK, i] = keys[columns.SHAPE_LINE, shape] & columns.SHAPE_MASK
        columns.note_new_fields(keys, work, i)
    columns.count_fields(work, columns.NEW, control, columns.FIRSTS)
    columns.count_fields(work, columns.MASK, control, columns.TOTALS)
    return 0


@device
def read_sparse(data, position, end, streams, control):
    """Read which records something is about into the line of gaps; returns the position after."""
    records = control[columns.RECORDS]
    count, position = get_varint(data, position, end)
    if position < 0 or count > np.uint64(records):
        return columns.BAD_SPARSE
    control[columns.SPARSE_COUNT] = np.int64(count)
    indices = streams[columns.GAPS, : np.int64(count)]
    position = unpack_run(data, position, end, indices)
    if position < 0:
        return columns.BAD_SPARSE
    before = np.int64(-1)
    for i in range(len(indices)):
        gap = indices[i]
        if gap == 0 or gap > np.uint64(records - 1 - before):
            return columns.BAD_SPARSE
        before += np.int64(gap)
        indices[i] = np.uint64(before)
    return position


@device
def _check_exceptions(data, position, end, work, streams, control, field):
    """Check that what is not on the grid are values of this field; returns the position after."""
    control[columns.EXCEPTIONS_AT + field] = position
    position = read_sparse(data, position, end, streams, control)
    count = control[columns.SPARSE_COUNT]
    if position < 0 or count * columns.WORD_BYTES > end - position:
        return columns.BAD_SPARSE
    for i in range(count):
        index = np.int64(streams[columns.GAPS, i])
        if (work[columns.MASK, index] >> field) & 1 == 0:
            return columns.BAD_SPARSE
    control[columns.EXCEPTIONS + field] = count
    return position + count * columns.WORD_BYTES


@device
def _read_field(data, span, work, streams, control, field):
    """Unpack the column of a field; it must hold what the masks of the records say."""
    position, end = span[_FROM], span[_TO]
    firsts, total = control[columns.FIRSTS + field], control[columns.TOTALS + field]
    if total == 0:
        return 0 if position == end else columns.BAD_COLUMN
    position = unpack_run(data, position, end, streams[field, :firsts])
    if position >= 0:
        position = unpack_run(data, position, end, streams[field, firsts:total])
    if position < 0:
        return columns.BAD_RUN
    if (control[columns.GRIDDED] >> field) & 1 != 0:
        position = _check_exceptions(data, position, end, work, streams, control, field)
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


@kernel("int64(uint8[::1], int64[:,::1], int64[:,::1], uint64[:,::1], int64[:,::1], int64[::1])")
def read_columns(data, keys, work, streams, directory, control):
    """Check and unpack data[control[POSITION]:control[END]]; returns 0 or a fault.

    control[POSITION] is then about where the fault is.
    """
    fault = _find_columns(data, directory, control)
    if fault != 0:
        return fault
    control[columns.POSITION] = directory[columns.NEURON_KEYS, _FROM]
    fault = _read_dictionaries(data, keys, directory, control)
    if fault != 0:
        return fault
    control[columns.POSITION] = directory[columns.ROWS, _FROM]
    fault = _read_heads(data, keys, work, streams, directory, control)
    if fault != 0:
        return fault
    for field in range(columns.FIELD_COLUMNS):
        if (control[columns.FIELDS] >> field) & 1 != 0:
            control[columns.POSITION] = directory[field, _FROM]
            fault = _read_field(data, directory[field], work, streams, control, field)
            if fault != 0:
                return fault
    # The texts come last, for their lengths stay in `streams` until they are copied.
    texts = directory[columns.TEXTS]
    control[columns.POSITION] = texts[_FROM]
    return _check_texts(data, texts, streams, control) if texts[_FROM] < texts[_TO] else 0
