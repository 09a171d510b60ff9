"""What the encoder and the decoder of record columns share: names of columns, scratch and faults.

A column is one byte `id`, a varint with its length, and its bytes. Columns 0 to 31 hold the values
of the field with that bit; the others say which record has which. `docs/wire.md` has the details.

Both ends keep a row for each neuron of a group of frames: its fields as they last travelled, the
last changes of counters, which fields have travelled at all, and the neuron's id. A row is three
cache lines. They lay their records out in `work` (one line a property) and their unsigned values in
`streams` (one line a column, by id; of a field, the values that are their neuron's first stand
before the others), so that each pass reads memory in order.
"""

import numpy as np

from rnts.kernels._jit import device

FIELD_COLUMNS = 32
NEURON_KEYS, SHAPE_KEYS, ROWS, SHAPES, TIMES, TEXTS, GRIDS = 32, 33, 34, 35, 36, 37, 38
CRITICAL = 128  # ids from here on may not be skipped by a reader that does not know them
COLUMN_HEADER_BYTES_MAX = 5
COLUMN_BYTES_MAX = (1 << 24) - 1
WORD_BYTES = 8
GRID_BYTES = 17  # of a row of GRIDS: a field, its steps in one unit, its largest error

# Words of a slot that every record has.
HEAD_WORD, NEURON_WORD, TIME_WORD = 0, 1, 2
# Words of a neuron's row, int64[rows, ROW_WORDS]: the fields of samples by their bits, the last
# changes of counters, and what else there is to know.
ROW_FIELDS, SLOPES_AT, SLOPES_MAX, SEEN, KEY, ROW_WORDS = 16, 16, 4, 20, 21, 24
ROW_FIELDS_MASK = (1 << ROW_FIELDS) - 1
# Columns of `layout`, int64[fields, 4]: where a field is in its slot, how it is stored, and the
# word of its last change in a neuron's row, 0 where none is kept.
WORD, SHIFT, STORAGE, SLOPE = 0, 1, 2, 3
# Lines of `streams`, uint64[STREAM_LINES, records]: the columns, and what lies inside of others;
# from SECONDS on what counters differ from going on as before.
GAPS, LENGTHS, SECONDS, STREAM_LINES = 39, 40, 41, 45
# Lines of `work`, int64[WORK_LINES, records].
ROW, MASK, NEW, SHAPE, PLACE, HOME, WORK_LINES = 0, 1, 2, 3, 4, 5, 6
# Lines of `tables`, `states` and `keys`: the two dictionaries.
NEURON_LINE, SHAPE_LINE, DICTIONARIES = 0, 1, 2
SHAPE_KIND_SHIFT = 32  # a shape is a record's kind above its mask
SHAPE_MASK = (1 << SHAPE_KIND_SHIFT) - 1

# Words of `control`, int64[CONTROL_WORDS]: what the driver sets, then what the kernels count.
KIND_MASKS, KINDS = 0, 8  # the masks of kinds 0 to 7; -1 where there is no such kind
FIELDS, NO_FLOATS = 8, 9  # masks of the fields that are known, and of those that are no floats
EFFORT, PREFETCHES = 10, 11
RECORDS, POSITION, END = 12, 13, 14
NEURONS_BEFORE, SHAPES_BEFORE, NEURONS_AFTER, SHAPES_AFTER = 16, 17, 18, 19  # keys with the reader
TEXT_COUNT, TEXT_NEXT, TEXT_AT, SPARSE_COUNT, FIRST_TIME = 20, 21, 22, 23, 24
START, STOP = 25, 26  # the records that a pass is at
KINDS_SEEN = 27  # a bit for each kind that occurs
SECOND = 28  # a bit for each field whose changes are those of changes
NOTED = 29  # records whose new fields stand in the rows already
NEXT_PLACE, LAST_TIME = (
    30,
    31,
)  # where the record after those that were read is, and their last time
# A word a field: how many values are first of their neuron, how many there are, how many are not on
# the grid, where those stand in the frame; and where the next first and the next other value stand
# in the field's line of `streams`.
FIRSTS, TOTALS, EXCEPTIONS, EXCEPTIONS_AT, FIRST_AT, OTHER_AT = 32, 64, 96, 128, 160, 192
CONTROL_WORDS = 224

# What went wrong; `rnts/columns.py` has a word for each.
NO_ROOM, BAD_SLOT, BAD_COLUMN, BAD_DICTIONARY, BAD_SHAPE = -1, -2, -3, -4, -5
BAD_RUN, BAD_INDEX, BAD_SPARSE, BAD_TEXT, BAD_GRID = -6, -7, -8, -9, -10
FEW_ROWS = -11  # the reader has to make room for more neurons or shapes, and call again

# Records pass through the fields in groups of this many, so that what several passes over them
# touch (slots, rows of neurons, streams) stays in the nearest cache.
GROUP_RECORDS = 128
CACHED_ROWS = 1_024  # of neurons, which stay near; those of more are fetched ahead
KEYS_MAX = 1 << 20  # different neurons of a group, and different shapes
SCALE_MIN, SCALE_MAX = 2.0**-64, 2.0**64  # steps in one unit
GRID_STEPS_MAX = 2.0**51  # from zero to either end of a grid: there float64 still tells halves

STORAGE_U64, STORAGE_U32, STORAGE_F32, STORAGE_F64, STORAGE_U8 = 0, 1, 2, 3, 4
_U8_MASK, _U32_MASK = 0xFF, 0xFFFFFFFF


@device
def stored_mask(storage):
    """The bits that a field of this storage occupies in a word, before its shift."""
    if storage == STORAGE_U8:
        return _U8_MASK
    if storage in (STORAGE_U32, STORAGE_F32):
        return _U32_MASK
    return -1


@device
def float_of(stored, storage):
    """The float64 that the stored bits of a float field mean."""
    if storage == STORAGE_F32:
        return np.float64(np.uint32(stored & _U32_MASK).view(np.float32))
    return np.int64(stored).view(np.float64)


@device
def number_of(word):
    """The float64 of these bits."""
    return np.uint64(word).view(np.float64)


@device
def bits_of(value):
    """The bits of a float64 as an int64."""
    return np.float64(value).view(np.int64)


@device
def note_new_fields(rows, work, index):
    """Find out which fields of record `index` are the first of their kind of its neuron."""
    row = np.uint64(work[ROW, index])
    mask = work[MASK, index] & ROW_FIELDS_MASK
    new = mask & ~rows[row, SEEN]
    work[NEW, index] = new
    if new != 0:
        rows[row, SEEN] |= mask


@device
def count_fields(work, line, control, counts):
    """Add to control[counts + field] how many masks in a line of `work` have that field.

    Field by field over a group, for LLVM makes vectors of that; bit by bit for each record took
    four times as long.
    """
    for start in range(0, control[RECORDS], GROUP_RECORDS):
        stop = min(start + GROUP_RECORDS, control[RECORDS])
        union, common = np.int64(0), np.int64(-1)
        for i in range(np.uint64(start), np.uint64(stop)):
            union |= work[line, i]
            common &= work[line, i]
        if union == 0:
            continue
        for field in range(FIELD_COLUMNS):
            count = np.int64(0)
            if (common >> field) & 1 != 0:
                count = stop - start
            elif (union >> field) & 1 != 0:
                for i in range(np.uint64(start), np.uint64(stop)):
                    count += (work[line, i] >> field) & 1
            control[counts + field] += count
