"""Checked columns to the arrays of records: what is left once `decode` found nothing wrong.

Guarantee: after a `read_columns` that returned 0, this writes RECORDS entries (one more where the
texts begin) and cannot fail. Cost: about 3 ns a record without text.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import kernel
from rnts.kernels.bitpack import get_word
from rnts.kernels.sparse import read_sparse


@kernel(
    "int64(int64[:,::1], int64[::1], Tuple((int64[:,::1], uint64[:,::1], int64[:,::1])),"
    " int64[::1], uint64[::1], int64[::1], uint8[::1], int64[::1])"
)
def fill_heads(rows, shapes, scratch, control, ids, times_ns, kinds, masks):
    """Write each record's neuron, time, kind and mask; returns how many records there are."""
    work, streams, _ = scratch
    time = control[columns.FIRST_TIME]
    for i in range(np.uint64(control[columns.RECORDS])):
        time += np.int64(streams[columns.TIMES, i])
        times_ns[i] = time
        ids[i] = np.uint64(rows[np.uint64(work[columns.ROW, i]), columns.KEY])
        shape = shapes[np.uint64(work[columns.SHAPE, i])]
        kinds[i] = np.uint8(shape >> columns.SHAPE_KIND_SHIFT)
        masks[i] = work[columns.MASK, i]
    return control[columns.RECORDS]


@kernel("int64(uint8[::1], uint64[:,::1], int64[::1], int64[::1], uint8[::1])")
def fill_texts(data, streams, control, text_offsets, text):
    """Copy the texts, and write where that of each record begins; returns their size in bytes."""
    records, position = control[columns.RECORDS], control[columns.TEXT_AT]
    size, index = np.int64(0), 0
    for i in range(control[columns.TEXT_COUNT]):
        while index <= np.int64(streams[columns.GAPS, i]):
            text_offsets[index] = size
            index += 1
        size += np.int64(streams[columns.LENGTHS, i])
    while index <= records:
        text_offsets[index] = size
        index += 1
    for i in range(size):
        text[i] = data[position + i]
    return size


@kernel("int64(uint8[::1], uint64[:,::1], int64[:,::1], int64[::1])")
def fill_exceptions(data, streams, values, control):
    """Write the values that are not on a grid over their placeholders; returns how many."""
    written = 0
    for field in range(columns.FIELD_COLUMNS):
        count = control[columns.EXCEPTIONS + field]
        if count > 0:
            # This has been read once to be sure and is read again to be used: it is rare.
            start = control[columns.EXCEPTIONS_AT + field]
            position = read_sparse(data, start, control[columns.END], streams, control)
            for i in range(count):
                index = np.int64(streams[columns.GAPS, i])
                word = get_word(data, np.uint64(position + columns.WORD_BYTES * i))
                values[index, field] = np.int64(word)
            written += count
    return written
