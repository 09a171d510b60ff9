"""What the fold tells of each block of records to the windows that slide, by time of arrival.

Guarantee: a record enters every series that is about it once, with whom it counts for at that
moment; what was counted before a restart and what is old news by now enters none, and the latter is
counted. Cost: nothing where no expression stands, else a record and series 2 to 3 % of what the
fold of the record takes, by neuron among 10,000 of them: a miss of the cache is most of it.
"""

import numpy as np

from rnts.kernels import durations
from rnts.kernels._jit import device, inlined
from rnts.kernels.flat import at
from rnts.kernels.fold_state import (
    BIT_EVENT_TYPE,
    COUNTERS,
    EVENT_ERROR,
    KIND_EVENT,
    KIND_SAMPLE,
    WEIGHTED,
)
from rnts.kernels.histogram import bucket_of
from rnts.kernels.neurons import COLUMNS
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.neurons import ID as ROW_ID
from rnts.kernels.sliding_panes import turn
from rnts.kernels.sliding_state import (
    CELLS,
    COLUMN,
    DURATIONS,
    ENTERED,
    EPOCH,
    ERROR_NS,
    ERRORS,
    GROUP,
    HIGHEST,
    HISTOGRAM_WORDS,
    HOST,
    ID,
    IS_ON,
    KNOWN_NS,
    LAST,
    LATEST,
    LOWEST,
    MAXIMUM,
    MINIMUM,
    NEURON,
    NONE,
    NOW_NS,
    OLDEST_NS,
    PANE,
    PANES,
    RECORD_NS,
    RECORDS,
    REPORTS,
    SAMPLES,
    SCOPE,
    SERIES,
    STALE,
    STATISTIC,
    TOUCHED,
    TOUCHED_IN,
    WEIGHT,
    WIDTH,
)

# What a histogram holds of weights is whole numbers of the inverse of this, and each at most so
# much: then sums of them are exact, and what was added is taken away to nothing.
_STEPS, _WEIGHT_MOST = 2.0**20, 2.0**32


@device
def forget_row(row, sliding):
    """Empty all that is kept of one row, for whoever has it next."""
    state, plan, cells, _, known, _, _, _, _, _, _, _ = sliding
    known[row, KNOWN_NS] = known[row, RECORD_NS] = known[row, ERROR_NS] = 0
    for s in range(state[SERIES]):
        if plan[s, SCOPE] == NEURON and plan[s, STATISTIC] != NONE:
            cells[plan[s, CELLS] + (row + 1) * plan[s, WIDTH] - 1] = 0.0


@inlined
def _touch(row, rows, sliding):
    """Note that something came of a row; whoever had it before is forgotten."""
    state, _, _, _, known, _, lists, _, _, _, _, _ = sliding
    if known[row, ID] != rows[row, ROW_ID]:
        # What the one before counts for is taken back where members are looked at.
        forget_row(row, sliding)
        known[row, ID] = rows[row, ROW_ID]
    if known[row, TOUCHED_IN] != state[EPOCH]:
        known[row, TOUCHED_IN] = state[EPOCH]
        lists[0, state[TOUCHED]] = row
        state[TOUCHED] += 1


@device
def arrive(count, records, rows, ring, codes, block, sliding):
    """Note the records of a block that have arrived; to be called before samples are picked out."""
    state, plan, cells, small, known, hosts, _, _, _, _, entered, _ = sliding
    if state[IS_ON] == 0:
        return
    _, times_ns, kinds, masks, values, _, _, _ = records
    sources, owners, in_panes = block[0], block[1], block[2]
    found, samples, now_ns = 0, 0, max(state[NOW_NS], 1)
    for j in range(count):
        i, row = sources[j], owners[j]
        is_stale = times_ns[i] < state[OLDEST_NS]
        enters = in_panes[j] != ring and not is_stale
        state[STALE] += in_panes[j] != ring and is_stale
        if kinds[i] == codes[KIND_SAMPLE]:
            entered[1, samples] = enters
            samples += 1
        if not enters:
            continue
        _touch(row, rows, sliding)
        known[row, RECORD_NS] = now_ns
        is_error = (
            kinds[i] == codes[KIND_EVENT]
            and (masks[i] >> codes[BIT_EVENT_TYPE]) & 1 != 0
            and values[i, codes[BIT_EVENT_TYPE]] == codes[EVENT_ERROR]
        )
        if is_error:
            known[row, ERROR_NS] = now_ns
        entered[0, found] = 2 * row + is_error
        found += 1
    state[ENTERED] = found
    for s in range(state[SERIES]):
        if plan[s, STATISTIC] == RECORDS or plan[s, STATISTIC] == ERRORS:
            is_wanted = plan[s, STATISTIC] == ERRORS
            pane = plan[s, PANE]
            for j in range(found):
                if is_wanted and entered[0, j] & 1 == 0:
                    continue
                entity = _entity_of(entered[0, j] >> 1, plan[s, SCOPE], rows, hosts)
                cells[turn(s, entity, plan, cells, small) + pane] += 1.0


@device
def _entity_of(row, scope, rows, hosts):
    """The index of the entity of a scope that a row counts for."""
    if scope == NEURON:
        return row
    if scope == GROUP:
        return rows[row, ROW_GROUP]
    return hosts[row] if scope == HOST else 0


@device
def arrive_samples(count, records, rows, codes, block, sliding):
    """Enter what the samples of a block say; to be called when they were observed."""
    state, plan, _, _, _, hosts, _, _, _, _, _, entities = sliding
    if state[IS_ON] == 0:
        return
    owners = block[1]
    for j in range(count):
        entities[NEURON, j] = owners[j]
        entities[GROUP, j] = rows[owners[j], ROW_GROUP]
        entities[HOST, j] = hosts[owners[j]]
    for s in range(state[SERIES]):
        statistic = plan[s, STATISTIC]
        if statistic >= DURATIONS:
            _add_to_histograms(s, count, block, codes, sliding)
        elif statistic in (SAMPLES, REPORTS, LATEST):
            _add_reports(s, count, records, codes, block, sliding)
        elif statistic >= SAMPLES:
            _add_moments(s, count, block, codes, sliding)


@device
def _factor_of(column, codes):
    """1 for a column to which weights apply, else 0."""
    return np.float64((codes[WEIGHTED] >> column) & 1)


@device
def _add_moments(s, count, block, codes, sliding):
    """Weights, sums, extremes and last values of a column."""
    _, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    weights, observed = block[5], block[6]
    statistic, column, scope = plan[s, STATISTIC], plan[s, COLUMN], plan[s, SCOPE]
    factor = _factor_of(column, codes)
    pane = plan[s, PANE]
    for j in range(count):
        value = observed[at(j, COLUMNS, column)]
        if entered[1, j] == 0 or np.isnan(value):
            continue
        place = turn(s, entities[scope, j], plan, cells, small) + pane
        if statistic == MINIMUM:
            cells[place] = min(cells[place], value)
        elif statistic == MAXIMUM:
            cells[place] = max(cells[place], value)
        elif statistic == LAST:
            cells[place] = value
        else:
            share = 1.0 + factor * (weights[j] - 1.0)
            cells[place] += share if statistic == WEIGHT else share * value


@device
def _add_reports(s, count, records, codes, block, sliding):
    """How many reports there are of a column, and when the last came; or how many samples."""
    state, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    masks = records[3]
    sources, weights, observed = block[0], block[5], block[6]
    statistic, column, scope = plan[s, STATISTIC], plan[s, COLUMN], plan[s, SCOPE]
    # A counter's first report sets where it stands: it says no number and is one all the same.
    is_counter = (codes[COUNTERS] >> column) & 1 != 0
    pane = plan[s, PANE]
    for j in range(count):
        if is_counter:
            is_there = (masks[sources[j]] >> column) & 1 != 0
        else:
            is_there = not np.isnan(observed[at(j, COLUMNS, column)])
        if entered[1, j] == 0 or not (is_there or statistic == SAMPLES):
            continue
        if statistic == LATEST:
            cells[plan[s, CELLS] + entities[scope, j]] = np.float64(max(state[NOW_NS], 1))
        else:
            place = turn(s, entities[scope, j], plan, cells, small) + pane
            cells[place] += weights[j]


@device
def _add_to_histograms(s, count, block, codes, sliding):
    """Small histograms of durations, or full ones and their sums."""
    _, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    weights, observed = block[5], block[6]
    column, scope = plan[s, COLUMN], plan[s, SCOPE]
    is_small, factor = plan[s, STATISTIC] == DURATIONS, _factor_of(column, codes)
    pane = plan[s, PANE]
    for j in range(count):
        value = observed[at(j, COLUMNS, column)]
        if entered[1, j] == 0 or np.isnan(value):
            continue
        bucket = bucket_of(value)
        share = 1.0 + factor * (weights[j] - 1.0)
        line = turn(s, entities[scope, j], plan, cells, small)
        if is_small:
            place = 2 * line + pane * durations.BUCKETS + durations.coarse_of(bucket)
            small[place] += np.float32(share)
            continue
        share = min(max(np.floor(share * _STEPS + 0.5), 1.0) / _STEPS, _WEIGHT_MOST)
        first, total = line + pane * HISTOGRAM_WORDS, line + plan[s, PANES] * HISTOGRAM_WORDS
        cells[first + bucket] += share
        cells[total + bucket] += share
        lowest = cells[first + LOWEST]
        cells[first + LOWEST] = min(lowest, bucket + 1.0) if lowest > 0.0 else bucket + 1.0
        cells[first + HIGHEST] = max(cells[first + HIGHEST], bucket + 1.0)
