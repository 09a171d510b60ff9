"""The panes: what one window holds of each neuron and of each group, while it is open and after.

Guarantee: a value is added once to its neuron and once to its group; the total is the merge of the
groups. A neuron takes a slot of a pane with its first record of that window: so a pane holds only
those that spoke, and each counts for one group throughout. Cost: 20 bytes a slot, and what
`held.py` tells while neurons of the window can be asked for.
"""

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.flat import at
from rnts.kernels.held import (
    BANKS,
    COUNT,
    HELD_TYPE,
    MAXIMUM,
    MINIMUM,
    MOMENTS,
    NO_BANK,
    NOT_KEPT,
    NOTHING,
    SAMPLES,
    STATISTICS,
    SUM,
    reset_moments,
)
from rnts.kernels.histogram import bucket_of
from rnts.kernels.neurons import (
    COLUMNS,
    GROUP,
    LINE_WORDS,
    NEWEST,
    OVERFLOW_ROW,
    PLACES,
    VALUES,
)

# Words of a pane's head: its window or NO_WINDOW, slots used, neurons with a record, records, and
# the bank of what its neurons said, or NO_BANK.
WINDOW, SLOTS_USED, ACTIVE, RECORDS, BANK = range(5)
HEAD_WORDS = 5
NO_WINDOW = -1
COUNTED_BEFORE = -2  # for the pane that nobody reads: no neuron takes it for one of window 0

# Words of a slot: the row and the group that it is of, its records, its error events, and what is
# held of its samples.
SLOT_ROW, SLOT_GROUP, SLOT_RECORDS, SLOT_ERRORS, SLOT_HELD = range(5)
SLOT_WORDS = 5

# In the column of no value, of a group: w (w - 1) added up over its samples, where w is above 1.
EXCESS = SUM + VALUES

# Words of a group in a pane: neurons with a record, and records.
GROUP_ACTIVE, GROUP_RECORDS = range(2)
GROUP_WORDS = 2

# A neuron's word for a pane: the window, plus one, above this many bits, which number its slot.
SLOT_BITS = 21

# What the kernels below share: (heads, slots, held, groups, group_moments, buckets, excess).
#   heads          int64[panes, HEAD_WORDS]
#   slots          int32[panes * slots, SLOT_WORDS]
#   held           see held.py
#   groups         int64[panes * groups, GROUP_WORDS]
#   group_moments  float64[panes * groups, MOMENTS]
#   buckets        float64[panes * groups * COLUMNS, histogram.BUCKETS]
#   excess         the same, of w (w - 1) instead of w: see sampling_errors.py
PANES_TYPE = (
    f"Tuple((int64[:,::1], int32[:,::1], {HELD_TYPE}, int64[:,::1], float64[:,::1],"
    " float64[:,::1], float64[:,::1]))"
)


@device
def _take_slot(pane, row, rows, panes):
    """Give a neuron a slot of a pane; returns its word for that pane."""
    heads, slots, _, groups, _, _, _ = panes
    slot, group = heads[pane, SLOTS_USED], rows[row, GROUP]
    heads[pane, SLOTS_USED] += 1
    held = ((heads[pane, WINDOW] + 1) << SLOT_BITS) | slot
    rows[row, PLACES + pane] = held
    place = pane * (slots.shape[0] // heads.shape[0]) + slot
    slots[place, SLOT_ROW] = row
    slots[place, SLOT_GROUP] = group
    slots[place, SLOT_RECORDS] = 0
    slots[place, SLOT_ERRORS] = 0
    slots[place, SLOT_HELD] = NOTHING if heads[pane, BANK] != NO_BANK else NOT_KEPT
    if row != OVERFLOW_ROW:
        heads[pane, ACTIVE] += 1
        groups[pane * (groups.shape[0] // heads.shape[0]) + group, GROUP_ACTIVE] += 1
    return held


@device
def enter(count, owners, in_panes, rows, panes, places, group_places):
    """Count one record each of the rows `owners` in the panes `in_panes`.

    Writes where its neuron and its group have their places there.
    """
    heads, slots, held, groups, _, _, _ = panes
    slots_per_pane = slots.shape[0] // heads.shape[0]
    groups_per_pane = groups.shape[0] // heads.shape[0]
    slot_words = slots.reshape(-1)
    samples, moments = held[0].reshape(-1), held[1].reshape(-1)
    for j in range(count):
        row, pane = owners[j], in_panes[j]
        word, marked = rows[row, NEWEST], heads[pane, WINDOW] + 1
        if word >> SLOT_BITS != marked:
            word = rows[row, PLACES + pane]
            if word >> SLOT_BITS != marked:
                word = _take_slot(pane, row, rows, panes)
            rows[row, NEWEST] = word
        place = pane * slots_per_pane + (word & ((1 << SLOT_BITS) - 1))
        places[j] = place
        prefetch_word(slot_words, at(place, SLOT_WORDS, SLOT_HELD))
    for j in range(count):
        place, pane = places[j], in_panes[j]
        group_place = pane * groups_per_pane + slots[place, SLOT_GROUP]
        slots[place, SLOT_RECORDS] += 1
        groups[group_place, GROUP_RECORDS] += 1
        heads[pane, RECORDS] += 1
        group_places[j] = group_place
        word = np.int64(slots[place, SLOT_HELD])
        if word > NOTHING:
            for line in range(0, MOMENTS, LINE_WORDS):
                prefetch_word(moments, at(word - 1, MOMENTS, line))
        elif NOT_KEPT < word < NOTHING:
            for line in range(0, COLUMNS, LINE_WORDS):
                prefetch_word(samples, at(-1 - word, COLUMNS, line))


@device
def _let_go_of(pane, panes):
    """Keep no longer what the neurons of a pane said."""
    heads, slots, _, _, _, _, _ = panes
    first = pane * (slots.shape[0] // heads.shape[0])
    if heads[pane, BANK] != NO_BANK:
        for place in range(first, first + heads[pane, SLOTS_USED]):
            slots[place, SLOT_HELD] = NOT_KEPT
    heads[pane, BANK] = NO_BANK


@device
def _take_bank(heads, used):
    """The first bank that no pane has, emptied: what was used before is used again."""
    for bank in range(BANKS):
        is_free = True
        for pane in range(heads.shape[0]):
            is_free &= heads[pane, BANK] != bank
        if is_free:
            used[bank, SAMPLES] = used[bank, STATISTICS] = 0
            return bank
    return NO_BANK


@kernel(f"void(int64, {PANES_TYPE})")
def let_go_before(window, panes):
    """Keep no longer what neurons said in windows before this one: nobody asks for that."""
    heads = panes[0]
    for pane in range(heads.shape[0]):
        if heads[pane, WINDOW] < window:
            _let_go_of(pane, panes)


@kernel(f"void(int64, int64, int64, {PANES_TYPE})")
def open_pane(pane, window, keeps, panes):
    """Empty a pane for a window; costs as much as there was in its histograms.

    `keeps`: 1 if what its neurons say will be asked for.
    """
    heads, _, held, groups, group_moments, buckets, excess = panes
    groups_per_pane = groups.shape[0] // heads.shape[0]
    _let_go_of(pane, panes)
    heads[pane, WINDOW] = window
    heads[pane, SLOTS_USED] = 0
    heads[pane, ACTIVE] = 0
    heads[pane, RECORDS] = 0
    heads[pane, BANK] = _take_bank(heads, held[3]) if keeps else NO_BANK
    for place in range(pane * groups_per_pane, (pane + 1) * groups_per_pane):
        groups[place, GROUP_ACTIVE] = 0
        groups[place, GROUP_RECORDS] = 0
        for c in range(VALUES):
            if group_moments[place, COUNT + c] > 0.0:
                low = bucket_of(group_moments[place, MINIMUM + c])
                high = bucket_of(group_moments[place, MAXIMUM + c])
                for bucket in range(low, high + 1):
                    buckets[place * COLUMNS + c, bucket] = 0.0
                if group_moments[place, EXCESS] > 0.0:
                    excess[place * COLUMNS + c, low : high + 1] = 0.0
        reset_moments(place, group_moments)
