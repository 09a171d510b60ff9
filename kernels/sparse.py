"""Sparse lists: which records of a frame something is about, as gaps between their numbers."""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device
from rnts.kernels.runs import unpack_run
from rnts.kernels.varint import get_varint


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
def check_exceptions(data, position, end, work, streams, control, field):
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
