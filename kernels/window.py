"""The fold: one pass over a batch of decoded records into the open windows.

Guarantee: each record but those of kind NAME is folded once, or counted as late, as future or as
counted before; how they are cut into batches changes no sum. What was counted before goes into a
pane that nobody reads: so a neuron's last values, and with them the increases of its counters, are
what they were. Cost: 140 to 240 ns a sample of fourteen metrics among 256 neurons in 10 groups
(look-up 14, places 14, observations 28, moments 27, histograms 54), 250 to 520 among 10,000, whose
panes no cache holds; a call costs 60 µs around it. Records are taken in
blocks, and a block passes through one small loop after the other: so what a loop needs stays in
registers, and what it misses in the cache is fetched for several records at a time.
"""

import numpy as np

from rnts.kernels import traffic
from rnts.kernels._jit import device, kernel
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.flat import at
from rnts.kernels.fold_state import (
    BEFORE,
    BIT_WEIGHT,
    BLOCK,
    BLOCK_TYPE,
    COUNTED_BEFORE,
    END,
    FIRST_UNSEALED,
    FOLDED,
    FUTURE,
    KIND_NAME,
    KIND_SAMPLE,
    LATE,
    NEXT,
    NOTES_TYPE,
    OVERFLOW,
    RECORDS_TYPE,
    REFUSED,
    TIME_MAX_NS,
    WINDOW_LAST,
    WINDOW_NS,
)
from rnts.kernels.neurons import (
    INDEX_WORDS,
    LATEST,
    LEFT,
    LINE_WORDS,
    NEURONS,
    OVERFLOW_ROW,
    ROW_WORDS,
    add_row,
    find_row,
    home_of,
)
from rnts.kernels.notices import note_events, note_health, note_links
from rnts.kernels.observations import observe
from rnts.kernels.pane_sums import add_durations, add_histograms, add_moments, find_buckets
from rnts.kernels.panes import PANES_TYPE, WINDOW, enter
from rnts.kernels.sliding import arrive
from rnts.kernels.sliding_samples import arrive_samples
from rnts.kernels.sliding_state import SLIDING_TYPE


@device
def _admit(end, records, heads, codes, state, block):
    """Write which records, from NEXT to `end`, belong to which pane; returns how many.

    Moves NEXT. Stops at a record whose window has no pane yet: whoever opens it closes others.
    """
    _, times_ns, kinds, _, _, _, _, _ = records
    sources, _, in_panes, _, _, _, _, _, _ = block
    begins, ends, pane = 0, 0, 0
    ring = heads.shape[0] - 1
    count, before, i = 0, 0, state[NEXT]
    while i < end:
        time_ns = times_ns[i]
        if kinds[i] == codes[KIND_NAME]:
            i += 1
            continue
        if not begins <= time_ns < ends:
            window = time_ns // state[WINDOW_NS]
            if time_ns > state[TIME_MAX_NS]:
                state[FUTURE] += 1
                i += 1
                continue
            if window < state[COUNTED_BEFORE]:
                sources[count] = i
                in_panes[count] = ring
                count += 1
                before += 1
                i += 1
                continue
            if window < state[FIRST_UNSEALED]:
                state[LATE] += 1
                i += 1
                continue
            pane = window % ring
            if heads[pane, WINDOW] != window:
                break
            begins = window * state[WINDOW_NS]
            ends = min(begins + state[WINDOW_NS], state[TIME_MAX_NS] + 1)
            state[WINDOW_LAST] = max(state[WINDOW_LAST], window)
        sources[count] = i
        in_panes[count] = pane
        count += 1
        i += 1
    state[NEXT] = i
    state[FOLDED] += count - before
    state[BEFORE] += before
    return count


@device
def _find_owners(count, ids, times_ns, neurons, state, block):
    """Write the row of each record's neuron, and note that it was heard of."""
    rows, index, _, _, _, _ = neurons
    sources, owners, _, _, _, _, _, _, _ = block
    cells, flat_index, flat_rows = index.shape[0], index.reshape(-1), rows.reshape(-1)
    for j in range(count):
        prefetch_word(flat_index, at(home_of(ids[sources[j]], cells), INDEX_WORDS, 0))
    for j in range(count):
        neuron_id = ids[sources[j]]
        row = find_row(neuron_id, index)
        if row == OVERFLOW_ROW:
            row = add_row(neuron_id, neurons)
        owners[j] = row
        for line in range(0, ROW_WORDS, LINE_WORDS):
            prefetch_word(flat_rows, at(row, ROW_WORDS, line))
    for j in range(count):
        row, time_ns = owners[j], times_ns[sources[j]]
        state[OVERFLOW] += row == OVERFLOW_ROW
        if time_ns > rows[row, LATEST]:
            rows[row, LATEST] = time_ns
            rows[row, LEFT] = 0


@device
def _keep_samples(count, records, codes, state, block):
    """Move the samples of a block together, with their weights; returns how many they are."""
    _, _, kinds, masks, _, floats, _, _ = records
    sources, owners, in_panes, places, group_places, weights, _, _, _ = block
    samples = 0
    for j in range(count):
        i = sources[j]
        if kinds[i] != codes[KIND_SAMPLE]:
            continue
        weight = 1.0
        if (masks[i] >> codes[BIT_WEIGHT]) & 1:
            weight = floats[i, codes[BIT_WEIGHT]]
            if not 0.0 < weight < np.inf:
                weight = 1.0
                state[REFUSED] += 1
        sources[samples] = i
        owners[samples] = owners[j]
        in_panes[samples] = in_panes[j]
        places[samples] = places[j]
        group_places[samples] = group_places[j]
        weights[samples] = weight
        samples += 1
    return samples


@kernel(
    f"int64({RECORDS_TYPE}, {NEURONS}, {PANES_TYPE},"
    f" Tuple(({traffic.TRAFFIC}, {SLIDING_TYPE})), int64[::1], {NOTES_TYPE}, {BLOCK_TYPE},"
    " int64[::1])"
)
def fold(records, neurons, panes, beside, codes, notes, block, state):
    """Fold records from NEXT on; returns NEXT, which is END unless a pane must be opened first.

    Then the window of record NEXT has no pane: open one for it and call again. `beside` has what
    is kept beside the windows: the table of links, and the windows that slide.
    """
    tables, sliding = beside
    ids, times_ns, _, _, _, _, _, _ = records
    heads, slots, _, _, _, _, _ = panes
    _, owners, in_panes, places, group_places, _, _, _, _ = block
    rows = neurons[0]
    while state[NEXT] < state[END]:
        end = min(state[NEXT] + BLOCK, state[END])
        count = _admit(end, records, heads, codes, state, block)
        _find_owners(count, ids, times_ns, neurons, state, block)
        enter(count, owners, in_panes, rows, panes, places, group_places)
        note_events(count, records, rows, slots, codes, notes, state, block)
        note_links(count, records, codes, tables, state, block)
        arrive(count, records, rows, heads.shape[0] - 1, codes, block, sliding)
        samples = _keep_samples(count, records, codes, state, block)
        note_health(samples, records, neurons, codes, notes, state, block)
        state[REFUSED] += observe(samples, records, codes, rows, state, block)
        add_moments(samples, codes, panes, block)
        find_buckets(samples, codes, panes, block)
        add_histograms(samples, codes, panes, block)
        add_durations(samples, codes, panes, block)
        arrive_samples(samples, records, rows, codes, block, sliding)
        if state[NEXT] < end:
            break
    return state[NEXT]
