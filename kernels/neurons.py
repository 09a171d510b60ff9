"""The table of neurons: 64-bit id to row by open addressing, with rows that are used again.

Guarantee: an id has one row for as long as it is known; row 0 takes every neuron beyond the limit,
so that totals stay exact; removal leaves no tombstone. Cost: about 4 ns a look-up in cache, a
cache miss beyond it; 8 * `ROW_WORDS` bytes and at least 32 bytes of index a neuron.

A row, in words of 64 bits; what each record needs lies in its first three cache lines, and what the
first one of a window needs in the last two:

    GROUP         index of its group; NO_GROUP while the row is vacant
    LATEST        timestamp of its newest record
    LEFT          1 once it has said that it leaves, and has said nothing newer
    HEALTH        its state, as it last said; HEALTH_UNKNOWN until then
    HEALTH_TIME   timestamp of the newest record that named a state
    SAMPLED       timestamp of its newest sample
    SEEN          bit c: column c has a last value
    NEWEST        the word of PLACES that was used last
    LAST          a word for each column: its last value, as it came
    ID            the neuron's id
    HEALTH_SINCE  timestamp of the record that began the state
    REASON        digest of the newest reason given for it, 0 if there is none
    NAMED         when it last was named; no record, since names are told late and told again
    PLACES        a word for each pane: what slot it has there, and for which window
"""

import numpy as np

from rnts.kernels._jit import device, kernel

OPEN_WINDOWS = 3  # windows that are filled at a time
UNSEALED_MAX = 5  # closed windows that late records may still revise
PANES_MAX = OPEN_WINDOWS + UNSEALED_MAX + 1  # the last one is for what was counted before
COLUMNS = 16
VALUES = COLUMNS - 1  # that have values; the last one says in moments what the samples weigh

GROUP, LATEST, LEFT, HEALTH, HEALTH_TIME, SAMPLED, SEEN, NEWEST = range(8)
LAST = 8
ID, HEALTH_SINCE, REASON, NAMED = range(LAST + COLUMNS, LAST + COLUMNS + 4)
PLACES = NAMED + 1
ROW_WORDS = 40  # of which the last are spare, so that rows are whole cache lines
LINE_WORDS = 8
assert PLACES + PANES_MAX <= ROW_WORDS and ROW_WORDS % LINE_WORDS == 0

OVERFLOW_ROW = 0
NO_GROUP = -1
HEALTH_UNKNOWN = 3
HEALTH_STATES = 4

# Words of the table's own state: rows ever used, rows to use again, and rows newly taken.
ROWS_USED, ROWS_VACANT, ROWS_NEW = range(3)
TABLE_WORDS = 3

# What the kernels below share: (rows, index, population, vacant, newcomers, table).
#   rows        int64[neurons_max + 1, ROW_WORDS]
#   index       uint64[a power of two of at least twice as many, 2]
#   population  int64[groups, HEALTH_STATES], known neurons by group and state
#   vacant      int64[neurons_max + 1], a stack of rows to use again
#   newcomers   int64[at least the look-ups of one call], rows taken since ROWS_NEW was 0
#   table       int64[TABLE_WORDS]
NEURONS = "Tuple((int64[:,::1], uint64[:,::1], int64[:,::1], int64[::1], int64[::1], int64[::1]))"

# A cell of the index: an id and its row; row 0 marks an empty cell.
_KEY, _ROW = 0, 1
INDEX_WORDS = 2
# Odd and without pattern: halves of the golden ratio and of the square root of two.
_LOW_FACTOR, _HIGH_FACTOR = np.uint64(0x9E3779B1), np.uint64(0xB504F333)
_HALF, _LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)


@device
def home_of(neuron_id, cells):
    """The cell, of a power of two, where the search for an id begins."""
    # Products of 32-bit halves cannot overflow, compiled or not.
    mixed = ((neuron_id & _LOW_HALF) * _LOW_FACTOR) ^ ((neuron_id >> _HALF) * _HIGH_FACTOR)
    return np.int64(mixed ^ (mixed >> _HALF)) & (cells - 1)


@device
def find_row(neuron_id, index):
    """The row of an id, or 0 if it is not known."""
    cells = index.shape[0]
    cell = home_of(neuron_id, cells)
    while index[cell, _ROW] != 0:
        if index[cell, _KEY] == neuron_id:
            return np.int64(index[cell, _ROW])
        cell = (cell + 1) & (cells - 1)
    return 0


@device
def add_row(neuron_id, neurons):
    """The row of an id that is not known yet; row 0 if there is no room for it."""
    rows, index, population, vacant, newcomers, table = neurons
    if table[ROWS_VACANT] > 0:
        table[ROWS_VACANT] -= 1
        row = vacant[table[ROWS_VACANT]]
        for word in range(ROW_WORDS):
            rows[row, word] = 0
    elif table[ROWS_USED] < rows.shape[0] - 1:
        table[ROWS_USED] += 1
        row = table[ROWS_USED]
    else:
        return OVERFLOW_ROW
    cells = index.shape[0]
    cell = home_of(neuron_id, cells)
    while index[cell, _ROW] != 0:
        cell = (cell + 1) & (cells - 1)
    index[cell, _KEY] = neuron_id
    index[cell, _ROW] = np.uint64(row)
    rows[row, ID] = np.int64(neuron_id)
    rows[row, HEALTH] = HEALTH_UNKNOWN
    population[0, HEALTH_UNKNOWN] += 1
    newcomers[table[ROWS_NEW]] = row
    table[ROWS_NEW] += 1
    return row


@device
def set_health(row, state, time_ns, rows, population):
    """Note what a neuron says of itself; returns False if it has said something newer."""
    if time_ns < rows[row, HEALTH_TIME]:
        return False
    rows[row, HEALTH_TIME] = time_ns
    before = rows[row, HEALTH]
    if state != before:
        population[rows[row, GROUP], before] -= 1
        population[rows[row, GROUP], state] += 1
        rows[row, HEALTH] = state
        rows[row, HEALTH_SINCE] = time_ns
        rows[row, REASON] = 0
    return True


@device
def _remove_from_index(neuron_id, index):
    """Empty the cell of an id, and move up those behind it that would no longer be found."""
    cells = index.shape[0]
    cell = home_of(neuron_id, cells)
    while index[cell, _KEY] != neuron_id or index[cell, _ROW] == 0:
        cell = (cell + 1) & (cells - 1)
    probe = (cell + 1) & (cells - 1)
    while index[probe, _ROW] != 0:
        home = home_of(index[probe, _KEY], cells)
        if ((probe - home) & (cells - 1)) >= ((probe - cell) & (cells - 1)):
            index[cell, _KEY] = index[probe, _KEY]
            index[cell, _ROW] = index[probe, _ROW]
            cell = probe
        probe = (probe + 1) & (cells - 1)
    index[cell, _ROW] = 0


@kernel(f"void(uint64[::1], int64[::1], {NEURONS}, int64[::1])")
def take_rows(ids, times_ns, neurons, found):
    """Write the row of each id into `found`, taking in those that are new, as named then."""
    rows, index, _, _, _, _ = neurons
    for i in range(ids.size):
        row = find_row(ids[i], index)
        if row == OVERFLOW_ROW:
            row = add_row(ids[i], neurons)
        if row != OVERFLOW_ROW:
            rows[row, NAMED] = max(rows[row, NAMED], times_ns[i])
        found[i] = row


@kernel("int64(uint64, uint64[:,::1])")
def row_of(neuron_id, index):
    """The row of an id, or 0 if it is not known."""
    return find_row(neuron_id, index)


@kernel("int64(uint64[::1], int64, uint64[:,::1], int64[::1])")
def find_unknown(ids, count, index, found):
    """Write which of the first `count` ids are not known into `found`; returns how many."""
    unknown = 0
    for i in range(count):
        if find_row(ids[i], index) == 0:
            found[unknown] = i
            unknown += 1
    return unknown


@kernel("void(int64, int64, int64[:,::1], int64[:,::1])")
def set_group(row, group, rows, population):
    """Move a neuron into a group."""
    state = rows[row, HEALTH]
    population[rows[row, GROUP], state] -= 1
    population[group, state] += 1
    rows[row, GROUP] = group


@kernel(f"void({NEURONS}, int64[::1], int64[::1])")
def weigh_health(neurons, weights, keys):
    """Write into `keys`, a value a row, the weight of the neuron's state; 0 where there is none."""
    rows, _, _, _, _, table = neurons
    keys[OVERFLOW_ROW] = 0
    for row in range(1, table[ROWS_USED] + 1):
        keys[row] = 0 if rows[row, GROUP] == NO_GROUP else weights[rows[row, HEALTH]]


@kernel(f"int64({NEURONS}, int64, int64, int64[::1])")
def retire(neurons, left_before_ns, silent_since_ns, retired):
    """Release the rows of neurons that left before a time, or were silent since another.

    Writes the rows, whose ids can be read until they are used again, and returns how many; no more
    than there is room for in `retired`: the next call finds the rest.
    """
    rows, index, population, vacant, _, table = neurons
    count = 0
    for row in range(1, table[ROWS_USED] + 1):
        if count == retired.size:
            break
        group, latest = rows[row, GROUP], rows[row, LATEST]
        left = rows[row, LEFT] != 0 and latest < left_before_ns
        is_silent = max(latest, rows[row, NAMED]) < silent_since_ns
        if group == NO_GROUP or not (left or is_silent):
            continue
        _remove_from_index(np.uint64(rows[row, ID]), index)
        population[group, rows[row, HEALTH]] -= 1
        rows[row, GROUP] = NO_GROUP
        vacant[table[ROWS_VACANT]] = row
        table[ROWS_VACANT] += 1
        retired[count] = row
        count += 1
    return count
