"""What the fold tells of samples to the windows that slide, after `sliding.py` let them in.

Guarantee: what a sample says enters every series that is about it once, with its weight where one
applies. What samples that were left out leave uncertain is entered beside it, where anything weighs
more than 1, and otherwise costs a look at the weights of a block.
"""

import numpy as np

from rnts.kernels import durations
from rnts.kernels._jit import device, inlined
from rnts.kernels.flat import at
from rnts.kernels.fold_state import COUNTERS, WEIGHTED
from rnts.kernels.histogram import bucket_of
from rnts.kernels.neurons import COLUMNS
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.process_ids import PROCESS_BITS_BELOW, PROCESS_MARK
from rnts.kernels.sliding_panes import turn
from rnts.kernels.sliding_state import (
    CELLS,
    COLUMN,
    DURATIONS,
    EXCESS,
    EXCESSES,
    GROUP,
    HIGHEST,
    HISTOGRAM_WORDS,
    HOST,
    IS_ON,
    LAST,
    LATEST,
    LOWEST,
    MAXIMUM,
    MINIMUM,
    NEURON,
    NOW_NS,
    OWN_SAMPLES,
    OWN_SUM,
    OWN_WEIGHT,
    PANE,
    PANES,
    REPORTS,
    SAMPLES,
    SCOPE,
    SERIES,
    SQUARES,
    STATISTIC,
    WEIGHT,
)

# What a histogram holds of weights is whole numbers of the inverse of this, and each at most so
# much: then sums of them are exact, and what was added is taken away to nothing.
_STEPS, _WEIGHT_MOST = 2.0**20, 2.0**32
# The same of w (w - 1), which is a million where one of a thousand samples was kept.
_EXCESS_STEPS, _EXCESS_MOST = 2.0**10, 2.0**42


@device
def arrive_samples(count, records, rows, codes, block, sliding):
    """Enter what the samples of a block say; to be called when they were observed."""
    state, plan, _, _, _, hosts, _, _, _, _, _, entities = sliding
    if state[IS_ON] == 0:
        return
    owners, weights = block[1], block[5]
    heaviest = 0.0
    for j in range(count):
        entities[NEURON, j] = owners[j]
        entities[GROUP, j] = rows[owners[j], ROW_GROUP]
        entities[HOST, j] = hosts[owners[j]]
        heaviest = max(heaviest, weights[j])
    for s in range(state[SERIES]):
        statistic = plan[s, STATISTIC]
        if statistic in (EXCESS, SQUARES, EXCESSES):
            if heaviest > 1.0:
                _add_excess(s, count, block, codes, sliding)
        elif statistic >= DURATIONS:
            _add_to_histograms(s, count, block, codes, sliding)
        elif statistic in (SAMPLES, REPORTS, LATEST, OWN_SAMPLES):
            _add_reports(s, count, records, codes, block, sliding)
        elif statistic >= SAMPLES:
            _add_moments(s, count, records, codes, block, sliding)


@device
def _factor_of(column, codes):
    """1 for a column to which weights apply, else 0."""
    return np.float64((codes[WEIGHTED] >> column) & 1)


@inlined
def _is_of_process(neuron_id):
    """Whether an id is that of a process which is only looked at, and reports nothing itself."""
    return neuron_id >> np.uint64(PROCESS_BITS_BELOW) == np.uint64(PROCESS_MARK)


@device
def _add_moments(s, count, records, codes, block, sliding):
    """Weights, sums, extremes and last values of a column."""
    _, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    ids, sources, weights, observed = records[0], block[0], block[5], block[6]
    statistic, column, scope = plan[s, STATISTIC], plan[s, COLUMN], plan[s, SCOPE]
    factor = _factor_of(column, codes)
    pane, is_own = plan[s, PANE], statistic in (OWN_SUM, OWN_WEIGHT)
    for j in range(count):
        value = observed[at(j, COLUMNS, column)]
        if entered[1, j] == 0 or np.isnan(value):
            continue
        if is_own and _is_of_process(ids[sources[j]]):
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
            cells[place] += share if statistic in (WEIGHT, OWN_WEIGHT) else share * value


@device
def _add_reports(s, count, records, codes, block, sliding):
    """How many reports there are of a column, and when the last came; or how many samples."""
    state, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    ids, masks = records[0], records[3]
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
        if entered[1, j] == 0 or not (is_there or statistic in (SAMPLES, OWN_SAMPLES)):
            continue
        if statistic == OWN_SAMPLES and _is_of_process(ids[sources[j]]):
            continue
        if statistic == LATEST:
            cells[plan[s, CELLS] + entities[scope, j]] = np.float64(max(state[NOW_NS], 1))
        else:
            place = turn(s, entities[scope, j], plan, cells, small) + pane
            cells[place] += weights[j]


@inlined
def _add_to_bucket(s, line, bucket, share, plan, cells):
    """Add to a bucket of the pane of now of a full histogram, and to their sum."""
    first = line + plan[s, PANE] * HISTOGRAM_WORDS
    total = line + plan[s, PANES] * HISTOGRAM_WORDS
    cells[first + bucket] += share
    cells[total + bucket] += share
    lowest = cells[first + LOWEST]
    cells[first + LOWEST] = min(lowest, bucket + 1.0) if lowest > 0.0 else bucket + 1.0
    cells[first + HIGHEST] = max(cells[first + HIGHEST], bucket + 1.0)


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
        _add_to_bucket(s, line, bucket, share, plan, cells)


@device
def _add_excess(s, count, block, codes, sliding):
    """What each sample that weighs more than 1 leaves uncertain: all together, or by bucket."""
    _, plan, cells, small, _, _, _, _, _, _, entered, entities = sliding
    weights, observed = block[5], block[6]
    statistic, column, scope = plan[s, STATISTIC], plan[s, COLUMN], plan[s, SCOPE]
    factor, pane = _factor_of(column, codes), plan[s, PANE]
    for j in range(count):
        value = observed[at(j, COLUMNS, column)]
        more = factor * (weights[j] - 1.0)
        if entered[1, j] == 0 or np.isnan(value) or not more > 0.0:
            continue
        excess = (1.0 + more) * more
        line = turn(s, entities[scope, j], plan, cells, small)
        if statistic == EXCESSES:
            excess = min(np.floor(excess * _EXCESS_STEPS + 0.5) / _EXCESS_STEPS, _EXCESS_MOST)
            _add_to_bucket(s, line, bucket_of(value), excess, plan, cells)
        else:
            cells[line + pane] += excess if statistic == EXCESS else excess * excess
