"""Columns to records: the one call in which a decoder opens those of a frame.

Guarantee: `decode_columns` returns 0 or a fault, and what a frame says is used only once `decode`
has found nothing wrong with any of it. Cost: about 3 ns a record without text, beside `decode` and
`add`.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, kernel
from rnts.kernels.add import add_last
from rnts.kernels.bitpack import get_word
from rnts.kernels.decode import read_columns
from rnts.kernels.sparse import read_sparse


@device
def _fill_heads(rows, shapes, scratch, control, records):
    """Write each record's neuron, time, kind and mask."""
    ids, times_ns, kinds, masks, _, _, _ = records
    work, streams, _ = scratch
    time = control[columns.FIRST_TIME]
    for i in range(np.uint64(control[columns.RECORDS])):
        time += np.int64(streams[columns.TIMES, i])
        times_ns[i] = time
        ids[i] = np.uint64(rows[np.uint64(work[columns.ROW, i]), columns.KEY])
        shape = shapes[np.uint64(work[columns.SHAPE, i])]
        kinds[i] = np.uint8(shape >> columns.SHAPE_KIND_SHIFT)
        masks[i] = work[columns.MASK, i]


@device
def _fill_texts(data, streams, control, text_offsets, text):
    """Copy the texts, and write where that of each record begins."""
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


@device
def _fill_exceptions(data, streams, values, control):
    """Write the values that are not on a grid over their placeholders."""
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


@kernel(
    "int64(uint8[::1], int64, int64, Tuple((int64[:,::1], float64[::1])),"
    " Tuple((int64[:,::1], int64[::1])), Tuple((int64[:,::1], uint64[:,::1], int64[:,::1])),"
    " Tuple((uint64[::1], int64[::1], uint8[::1], int64[::1], int64[:,::1], int64[::1],"
    " uint8[::1])), int64[::1])"
)
def decode_columns(data, start, end, model, known, scratch, records, control):
    """Read the control[RECORDS] records in data[start:end]; returns 0 or a fault.

    model: (layout, scales); known: (rows, shapes); scratch: (work, streams, directory); records:
    the arrays of `Records` in their order. control[NEURONS_BEFORE] and control[SHAPES_BEFORE] say
    what is known, and the same with AFTER what is known now. A fault has changed nothing;
    control[POSITION] is about where it is. After FEW_ROWS there is to be room for what AFTER says.
    """
    layout, scales = model
    rows, shapes = known
    work, streams, _ = scratch
    count, neurons = control[columns.RECORDS], control[columns.NEURONS_BEFORE]
    known_shapes = control[columns.SHAPES_BEFORE]
    for word in range(columns.RECORDS, columns.CONTROL_WORDS):
        control[word] = 0
    control[columns.PREFETCHES] = neurons > columns.CACHED_ROWS
    control[columns.RECORDS] = count
    control[columns.NEURONS_BEFORE], control[columns.SHAPES_BEFORE] = neurons, known_shapes
    control[columns.POSITION], control[columns.END] = start, end
    fault = read_columns(data, layout, scales, rows, shapes, scratch, control)
    if fault != 0:
        return fault
    add_last(layout, scales, rows, work, streams, records[4], control)
    _fill_heads(rows, shapes, scratch, control, records)
    _fill_texts(data, streams, control, records[5], records[6])
    _fill_exceptions(data, streams, records[4], control)
    return 0
