"""The fold: one pass over a batch of decoded records into the open windows.

Guarantee: each record but those of kind NAME is folded once, or counted as late or as future. No
sum depends on how records are cut into batches. Cost: about 100 ns a sample of fourteen metrics
among 1,000 neurons in 10 groups. Records are taken in blocks, and a block passes through one small
loop after the other: so what a loop needs stays in registers, and what it misses in the cache is
fetched for several records at a time.
"""

import numpy as np

from rnts.kernels import traffic
from rnts.kernels._jit import device, kernel
from rnts.kernels.flat import at
from rnts.kernels.neurons import (
    COLUMNS,
    HEALTH_STATES,
    LATEST,
    LEFT,
    NEURONS,
    OVERFLOW_ROW,
    add_row,
    find_row,
    set_health,
)
from rnts.kernels.observations import observe
from rnts.kernels.panes import PANES_TYPE, SLOT_ERRORS, WINDOW, add_histograms, add_moments, enter

BLOCK = 256  # records: their observations, 32 KB, stay near

# Words of the codes: how the model numbers what the fold looks at.
(
    KIND_SAMPLE,
    KIND_EVENT,
    KIND_LINK,
    KIND_NAME,
    BIT_HEALTH,
    BIT_WEIGHT,
    BIT_EVENT_TYPE,
    BIT_LINK_PEER,
    BIT_LINK_MESSAGES,
    BIT_LINK_BYTES,
    BIT_LINK_LATENCY,
    EVENT_DEACTIVATED,
    EVENT_ERROR,
    COLUMN_DURATION,
    COLUMN_LATENCY,
) = range(15)
CODE_WORDS = 15

# Words of the state. The caller sets the first six; the fold moves NEXT and adds to the others.
(
    NEXT,  # the first record that is not folded yet
    END,  # one past the last record
    NOW_NS,  # when the batch is folded
    TIME_MAX_NS,  # a record newer than this is of the future
    WINDOW_NS,  # length of a window
    FIRST_OPEN,  # the oldest window that is not closed
    FOLDED,  # records folded
    LATE,  # records older than the oldest open window
    FUTURE,  # records newer than TIME_MAX_NS
    OVERFLOW,  # records folded into the overflow row
    REFUSED,  # values left out because they are no usable numbers
    WINDOW_LAST,  # the newest window folded into
    EVENTS_NOTED,  # events whose records stand in `events`, which is a ring
    REASONS_NOTED,  # records that stand in `reasons`
    REASONS_SKIPPED,  # reasons for which there was no room
) = range(15)
STATE_WORDS = 15

# records: (ids, times_ns, kinds, masks, values, the same as float64, text_offsets), see Records
RECORDS_TYPE = (
    "Tuple((uint64[::1], int64[::1], uint8[::1], int64[::1], int64[:,::1], float64[:,::1],"
    " int64[::1]))"
)
# schema: (readings of the metrics, `weighted` of the columns, codes)
SCHEMA_TYPE = "Tuple((int64[::1], float64[::1], int64[::1]))"
# block: (sources, owners, in_panes, places, group_places, weights, observed), all BLOCK long but
# the last, which is COLUMNS times that and NaN at first
BLOCK_TYPE = (
    "Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[::1],"
    " float64[::1]))"
)
# notes: (events, reasons, tally); indices of records, and a count for each type of event and one
# for those of no known type
NOTES_TYPE = "Tuple((int64[::1], int64[::1], int64[::1]))"


@device
def _admit(end, records, heads, codes, state, block):
    """Write which records, from NEXT to `end`, belong to which pane; returns how many.

    Moves NEXT. Stops at a record whose window has no pane yet: whoever opens it closes others.
    """
    _, times_ns, kinds, _, _, _, _ = records
    sources, _, in_panes, _, _, _, _ = block
    begins, ends, pane = 0, 0, 0
    count, i = 0, state[NEXT]
    while i < end:
        time_ns = times_ns[i]
        if kinds[i] == codes[KIND_NAME]:
            i += 1
            continue
        if not begins <= time_ns < ends:
            if time_ns > state[TIME_MAX_NS]:
                state[FUTURE] += 1
                i += 1
                continue
            window = time_ns // state[WINDOW_NS]
            if window < state[FIRST_OPEN]:
                state[LATE] += 1
                i += 1
                continue
            pane = window % heads.shape[0]
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
    state[FOLDED] += count
    return count


@device
def _find_owners(count, ids, times_ns, neurons, state, block):
    """Write the row of each record's neuron, and note that it was heard of."""
    rows, index, _, _, _, _ = neurons
    sources, owners, _, _, _, _, _ = block
    for j in range(count):
        neuron_id = ids[sources[j]]
        row = find_row(neuron_id, index)
        if row == OVERFLOW_ROW:
            row = add_row(neuron_id, neurons)
        owners[j] = row
    for j in range(count):
        row, time_ns = owners[j], times_ns[sources[j]]
        state[OVERFLOW] += row == OVERFLOW_ROW
        if time_ns > rows[row, LATEST]:
            rows[row, LATEST] = time_ns
            rows[row, LEFT] = 0


@device
def _note_events(count, records, rows, slots, codes, notes, state, block):
    """Count events by their type, and keep which records they are; errors count for neurons."""
    _, times_ns, kinds, _, values, _, _ = records
    sources, owners, _, places, _, _, _ = block
    events, _, tally = notes
    for j in range(count):
        i, row = sources[j], owners[j]
        if kinds[i] != codes[KIND_EVENT]:
            continue
        code = values[i, codes[BIT_EVENT_TYPE]]
        if code < 0 or code >= tally.size - 1:
            code = tally.size - 1
        tally[code] += 1
        events[state[EVENTS_NOTED] % events.size] = i
        state[EVENTS_NOTED] += 1
        if code == codes[EVENT_ERROR]:
            slots[places[j], SLOT_ERRORS] += 1
        if code == codes[EVENT_DEACTIVATED] and times_ns[i] >= rows[row, LATEST]:
            rows[row, LEFT] = 1


@device
def _note_links(count, records, codes, tables, block):
    """Add what links report to the table of links."""
    ids, times_ns, kinds, masks, values, _, _ = records
    links, _ = tables
    sources = block[0]
    for j in range(count):
        i = sources[j]
        if kinds[i] != codes[KIND_LINK]:
            continue
        peer = np.uint64(values[i, codes[BIT_LINK_PEER]])
        cell = traffic.take_link(ids[i], peer, times_ns[i], tables)
        if cell == traffic.NO_LINK:
            continue
        if (masks[i] >> codes[BIT_LINK_MESSAGES]) & 1:
            links[cell, traffic.MESSAGES] += np.uint64(values[i, codes[BIT_LINK_MESSAGES]])
        if (masks[i] >> codes[BIT_LINK_BYTES]) & 1:
            links[cell, traffic.BYTES] += np.uint64(values[i, codes[BIT_LINK_BYTES]])
        if (masks[i] >> codes[BIT_LINK_LATENCY]) & 1:
            links[cell, traffic.LATENCY] = np.uint64(values[i, codes[BIT_LINK_LATENCY]])
            links[cell, traffic.TIMED] = np.uint64(1)


@device
def _keep_samples(count, records, codes, state, block):
    """Move the samples of a block together, with their weights; returns how many they are."""
    _, _, kinds, masks, _, floats, _ = records
    sources, owners, _, places, group_places, weights, _ = block
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
        places[samples] = places[j]
        group_places[samples] = group_places[j]
        weights[samples] = weight
        samples += 1
    return samples


@device
def _note_health(count, records, neurons, codes, notes, state, block):
    """Set the health that samples name, and keep which of them give a reason."""
    _, times_ns, _, masks, values, _, text_offsets = records
    rows, _, population, _, _, _ = neurons
    sources, owners, _, _, _, _, _ = block
    _, reasons, _ = notes
    for j in range(count):
        i, row = sources[j], owners[j]
        if row == OVERFLOW_ROW or not (masks[i] >> codes[BIT_HEALTH]) & 1:
            continue
        health = values[i, codes[BIT_HEALTH]]
        if health < 0 or health >= HEALTH_STATES:
            state[REFUSED] += 1
            continue
        set_health(row, health, times_ns[i], rows, population)
        if text_offsets[i + 1] > text_offsets[i]:
            if state[REASONS_NOTED] < reasons.size:
                reasons[state[REASONS_NOTED]] = i
                state[REASONS_NOTED] += 1
            else:
                state[REASONS_SKIPPED] += 1


@device
def _fold_samples(count, records, neurons, panes, schema, state, block):
    """Add what samples say, and how long they were on their way, to moments and histograms."""
    _, times_ns, _, _, _, _, _ = records
    rows, _, _, _, _, _ = neurons
    _, _, moments, _, _, group_moments, _ = panes
    readings, weighted, codes = schema
    sources, owners, _, places, group_places, weights, observed = block
    state[REFUSED] += observe(count, sources, owners, records, readings, rows, observed)
    for j in range(count):
        latency_ns = np.float64(state[NOW_NS] - times_ns[sources[j]])
        observed[at(j, COLUMNS, codes[COLUMN_LATENCY])] = latency_ns
    duration = codes[COLUMN_DURATION]
    add_moments(count, places, observed, weights, weighted, moments)
    add_moments(count, group_places, observed, weights, weighted, group_moments)
    add_histograms(count, places, group_places, observed, weights, weighted, duration, panes)


@kernel(
    f"int64({RECORDS_TYPE}, {NEURONS}, {PANES_TYPE}, {traffic.TRAFFIC}, {SCHEMA_TYPE},"
    f" {NOTES_TYPE}, {BLOCK_TYPE}, int64[::1])"
)
def fold(records, neurons, panes, tables, schema, notes, block, state):
    """Fold records from NEXT on; returns NEXT, which is END unless a pane must be opened first.

    Then the window of record NEXT has no pane: open one for it and call again.
    """
    ids, times_ns, _, _, _, _, _ = records
    heads, slots, _, _, _, _, _ = panes
    sources, owners, in_panes, places, group_places, _, _ = block
    rows = neurons[0]
    codes = schema[2]
    while state[NEXT] < state[END]:
        end = min(state[NEXT] + BLOCK, state[END])
        count = _admit(end, records, heads, codes, state, block)
        _find_owners(count, ids, times_ns, neurons, state, block)
        enter(count, owners, in_panes, rows, panes, places, group_places)
        _note_events(count, records, rows, slots, codes, notes, state, block)
        _note_links(count, records, codes, tables, block)
        samples = _keep_samples(count, records, codes, state, block)
        _note_health(samples, records, neurons, codes, notes, state, block)
        _fold_samples(samples, records, neurons, panes, schema, state, block)
        if state[NEXT] < end:
            break
    return state[NEXT]
