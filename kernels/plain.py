"""Groups of records, and where the fields of samples are: what the passes over records share.

Records pass through in groups. A record is *plain* where it is a sample and none of its values is
the first of its neuron; a group is of plain records, or of others. Of plain ones, the fields that
all have are taken record by record (they are the bits of `dense`), which is three times as fast as
field by field: a record is then one straight piece of code, in which the places of fields are
constants, and touches its slot and its neuron's row once. `rnts/columns.py` checks the constants
against the model.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device, inlined
from rnts.kernels.atomics import prefetch_word

# Of each field its number, the word of its slot, and: the word of its last change in the row of a
# neuron (counters), shift and bits (gauges), shift and storage (floats).
COUNTERS = ((0, 3, 16), (4, 6, 17), (5, 7, 18), (6, 8, 19))
GAUGES = ((1, 4, 0, 64), (2, 12, 0, 32), (3, 5, 0, 64), (7, 12, 32, 32), (14, 15, 0, 8))
FLOATS = (
    (8, 13, 0, columns.STORAGE_F32),
    (9, 13, 32, columns.STORAGE_F32),
    (10, 14, 0, columns.STORAGE_F32),
    (11, 9, 0, columns.STORAGE_F64),
    (12, 10, 0, columns.STORAGE_F64),
    (13, 11, 0, columns.STORAGE_F64),
)
PLAIN_FIELDS = sum(1 << places[0] for places in COUNTERS + GAUGES + FLOATS)

SLOT_WORDS, ROW_WORDS = np.uint64(16), np.uint64(columns.ROW_WORDS)
AHEAD = np.uint64(16)  # records from the fetch of a row to its use
_LINE_WORDS = 8


@device
def _is_plain(work, i):
    """Whether a record is a sample without first values of its neuron."""
    i = np.uint64(i)
    return work[columns.MASK, i] <= columns.ROW_FIELDS_MASK and work[columns.NEW, i] == 0


@device
def next_group(work, control, start):
    """Set the bounds of the group that begins at `start`; (fields that occur, that are dense).

    The records of a group are plain, all or none; where they are, those fields are dense that all
    have and that have their places here.
    """
    end = min(start + columns.GROUP_RECORDS, control[columns.RECORDS])
    is_plain, stop = _is_plain(work, start), start
    union, common = np.int64(0), np.int64(-1)
    while stop < end and _is_plain(work, stop) == is_plain:
        union |= work[columns.MASK, np.uint64(stop)]
        common &= work[columns.MASK, np.uint64(stop)]
        stop += 1
    control[columns.START], control[columns.STOP] = start, stop
    return union, common & PLAIN_FIELDS if is_plain else np.int64(0)


@device
def rewind(control):
    """Let each field's stream begin again: first values at 0, the others behind them."""
    for field in range(columns.FIELD_COLUMNS):
        control[columns.FIRST_AT + field] = 0
        control[columns.OTHER_AT + field] = control[columns.FIRSTS + field]


@inlined
def fetch_row(rows, row):
    """Have the cache fetch the three lines of a neuron's row."""
    word = np.uint64(row) * ROW_WORDS
    for line in range(0, columns.ROW_WORDS, _LINE_WORDS):
        prefetch_word(rows, word + np.uint64(line))


@inlined
def _next_of(streams, control, line, field):
    """Where in the flattened `streams` the next of a field's values stands, less the first ones."""
    at = np.uint64(control[columns.OTHER_AT + field])
    return np.uint64(line) * np.uint64(streams.shape[1]) + at


@inlined
def nexts(streams, control):
    """`_next_of` each counter, its second changes, each gauge and each float."""
    second = columns.SECONDS - columns.SLOPES_AT
    counters = (
        _next_of(streams, control, COUNTERS[0][0], COUNTERS[0][0]),
        _next_of(streams, control, COUNTERS[1][0], COUNTERS[1][0]),
        _next_of(streams, control, COUNTERS[2][0], COUNTERS[2][0]),
        _next_of(streams, control, COUNTERS[3][0], COUNTERS[3][0]),
    )
    seconds = (
        _next_of(streams, control, second + COUNTERS[0][2], COUNTERS[0][0]),
        _next_of(streams, control, second + COUNTERS[1][2], COUNTERS[1][0]),
        _next_of(streams, control, second + COUNTERS[2][2], COUNTERS[2][0]),
        _next_of(streams, control, second + COUNTERS[3][2], COUNTERS[3][0]),
    )
    gauges = (
        _next_of(streams, control, GAUGES[0][0], GAUGES[0][0]),
        _next_of(streams, control, GAUGES[1][0], GAUGES[1][0]),
        _next_of(streams, control, GAUGES[2][0], GAUGES[2][0]),
        _next_of(streams, control, GAUGES[3][0], GAUGES[3][0]),
        _next_of(streams, control, GAUGES[4][0], GAUGES[4][0]),
    )
    floats = (
        _next_of(streams, control, FLOATS[0][0], FLOATS[0][0]),
        _next_of(streams, control, FLOATS[1][0], FLOATS[1][0]),
        _next_of(streams, control, FLOATS[2][0], FLOATS[2][0]),
        _next_of(streams, control, FLOATS[3][0], FLOATS[3][0]),
        _next_of(streams, control, FLOATS[4][0], FLOATS[4][0]),
        _next_of(streams, control, FLOATS[5][0], FLOATS[5][0]),
    )
    return counters, seconds, gauges, floats


@inlined
def scales_of_floats(scales):
    """The scale of each float; read before the loops, where the compiler could not keep them."""
    return (
        scales[FLOATS[0][0]], scales[FLOATS[1][0]], scales[FLOATS[2][0]],
        scales[FLOATS[3][0]], scales[FLOATS[4][0]], scales[FLOATS[5][0]],
    )  # fmt: skip


@inlined
def move_on(control, dense):
    """Have the next group's values go behind those of this one."""
    size = control[columns.STOP] - control[columns.START]
    for field in range(columns.ROW_FIELDS):
        if (dense >> field) & 1 != 0:
            control[columns.OTHER_AT + field] += size
