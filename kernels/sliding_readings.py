"""The readings of expressions, gathered from series, rows and counts: one column after the other.

Guarantee: what is unknown is NaN, by the rules of docs/rules.md. Cost: 30 to 45 ns a neuron
for one of a window, among 10,000, measured on a busy machine.
"""

import numpy as np

from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.fold_rows import NUMBER_LIMIT, WHOLE_COLUMNS
from rnts.kernels.neurons import HEALTH, HEALTH_TIME, HEALTH_UNKNOWN, SEEN
from rnts.kernels.neurons import LAST as ROW_LAST
from rnts.kernels.sliding_panes import (
    change_of,
    covered_ns,
    duration_of,
    extreme_of,
    percentile_of,
    total_from,
    total_of,
)
from rnts.kernels.sliding_state import (
    CELLS,
    KNOWN_NS,
    NEURON,
    NOW,
    NOW_NS,
    PANE_NS,
    PANES,
    SCOPES,
    SINCE,
    SLIDING_TYPE,
    WIDTH,
)

# How a reading is computed. Of a row of the table: its last value; its health, once it said it;
# the same, or that it is unknown.
LAST_VALUE, SAID_HEALTH, HEALTH_STATE = range(3)
# Of series A, or A and B: sum; A where B is; A / B; A a second; extreme; change; time since A.
TOTAL, WHERE, MEAN, RATE, EXTREME, CHANGE, ABSENT = range(3, 10)
# Errors A among increases B (told: C) or samples D; percentiles of A with extremes B and C.
ERROR_SHARE, DURATION, PERCENTILE = range(10, 13)
COUNTED_NEURONS = 13  # row A of the counts of what is distinct

# Words of a reading; WITHIN is its window. FROM is the first pane that all of its series have seen
# whole, where one of them is kept since later than another; else 0.
FUNCTION, OF_SCOPE, OF_COLUMN, A, B, C, D, WITHIN, FROM = range(9)
READING_WORDS = 9

_AHEAD = 64  # entities whose lines are fetched before they are read

# Room to work in: (float32[durations.BUCKETS], float64[2])
SCRATCH_TYPE = "Tuple((float32[::1], float64[::1]))"


@device
def _from_rows(reading, entities, rows, out):
    """Last values and health, of neurons."""
    column = reading[OF_COLUMN]
    if reading[FUNCTION] != LAST_VALUE:
        for i in range(entities.size):
            row = entities[i]
            state = rows[row, HEALTH]
            is_said = state != HEALTH_UNKNOWN or rows[row, HEALTH_TIME] != 0
            is_known = is_said or reading[FUNCTION] == HEALTH_STATE
            out[i] = np.float64(state) if is_known else np.nan
        return
    for i in range(entities.size):
        row = entities[i]
        raw = rows[row, ROW_LAST + column]
        value = np.float64(np.uint64(raw))
        if column >= WHOLE_COLUMNS:
            value = np.int64(raw).view(np.float64)
        is_known = (rows[row, SEEN] >> column) & 1 != 0 and abs(value) < NUMBER_LIMIT
        out[i] = value if is_known else np.nan


@inlined
def _sum_of(s, reading, entity, plan, cells):
    """The sum over the panes of the window that all series of a reading have seen."""
    if reading[FROM] > plan[s, NOW] - plan[s, PANES]:
        return total_from(s, entity, reading[FROM], plan, cells)
    return total_of(s, entity, plan, cells)


@inlined
def _rate_of(increase, reading, entity, sliding):
    """An increase a second: of a neuron that has come since, since then."""
    state, plan, _, _, known, _, _, _, _, _, _, _ = sliding
    s = reading[A]
    since_ns = (reading[FROM] - 1) * plan[s, PANE_NS]
    if reading[OF_SCOPE] == NEURON:
        since_ns = max(since_ns, known[entity, KNOWN_NS])
    return increase * 1e9 / covered_ns(s, since_ns, state[NOW_NS], plan)


@inlined
def _absent(s, entity, scope, within_ns, sliding):
    """1 if nothing was reported for a time, 0 if something was, NaN if it cannot be known."""
    state, plan, cells, _, known, _, _, _, _, members, _, _ = sliding
    latest_ns = np.int64(cells[plan[s, CELLS] + entity])
    if latest_ns > 0 and latest_ns > state[NOW_NS] - within_ns:
        return 0.0
    if scope == NEURON:
        since_ns = known[entity, KNOWN_NS]
    else:
        since_ns = members[SCOPES + scope, entity] if members[scope, entity] > 0 else 0
    watched_ns = state[NOW_NS] - max(since_ns, plan[s, SINCE])
    return 1.0 if since_ns > 0 and watched_ns >= within_ns else np.nan


@inlined
def _error_share(reading, entity, plan, cells):
    """Errors among activations; errors of which no activation tells count as one each."""
    errors = _sum_of(reading[A], reading, entity, plan, cells)
    if _sum_of(reading[C], reading, entity, plan, cells) > 0.0:
        activations = _sum_of(reading[B], reading, entity, plan, cells)
    else:
        activations = _sum_of(reading[D], reading, entity, plan, cells)
    most = max(errors, activations)
    return errors / most if most > 0.0 else np.nan


@inlined
def _one(reading, entity, percentile, sliding, scratch):
    """A reading of an entity that is computed from series."""
    _, plan, cells, small, _, _, _, _, counts, _, _, _ = sliding
    function, a, b = reading[FUNCTION], reading[A], reading[B]
    if function == TOTAL:
        return total_of(a, entity, plan, cells)
    if function == EXTREME:
        return extreme_of(a, entity, plan, cells)
    if function == CHANGE:
        return change_of(a, entity, plan, cells)
    if function == ABSENT:
        return _absent(a, entity, reading[OF_SCOPE], reading[WITHIN], sliding)
    if function == ERROR_SHARE:
        return _error_share(reading, entity, plan, cells)
    if function == COUNTED_NEURONS:
        return np.float64(counts[a, entity])
    series, extremes = (plan, cells, small), (b, reading[C])
    if function == DURATION:
        return duration_of(a, entity, extremes, percentile, series, scratch)
    if function == PERCENTILE:
        return percentile_of(a, entity, extremes, percentile, series, scratch)
    weight = _sum_of(b, reading, entity, plan, cells)
    if weight <= 0.0:
        return np.nan
    value = _sum_of(a, reading, entity, plan, cells)
    if function == MEAN:
        return value / weight
    return _rate_of(value, reading, entity, sliding) if function == RATE else value


@device
def _fetch(reading, entities, plan, cells, out):
    """Touch the lines of some entities, so that the cache is missed for all at the same time."""
    width = plan[reading[A], WIDTH]
    last = plan[reading[A], CELLS] + width - 1
    for i in range(entities.size):
        out[i] = cells[last + entities[i] * width]
    if WHERE <= reading[FUNCTION] <= RATE:
        width = plan[reading[B], WIDTH]
        last = plan[reading[B], CELLS] + width - 1
        for i in range(entities.size):
            out[i] += cells[last + entities[i] * width]


@kernel(
    f"void(int64[::1], int64[:,::1], float64[::1], {SLIDING_TYPE}, int64[:,::1],"
    f" {SCRATCH_TYPE}, float64[:,::1])"
)
def gather(entities, readings, percentiles, sliding, rows, scratch, out):
    """Write into `out`, float64[readings, entities], what each reading is of each entity.

    `percentiles` has a number for each reading.
    """
    for r in range(readings.shape[0]):
        reading = readings[r]
        if reading[FUNCTION] <= HEALTH_STATE:
            _from_rows(reading, entities, rows, out[r])
            continue
        for start in range(0, entities.size, _AHEAD):
            stop = min(start + _AHEAD, entities.size)
            if reading[FUNCTION] != COUNTED_NEURONS:
                _fetch(reading, entities[start:stop], sliding[1], sliding[2], out[r, start:stop])
            for i in range(start, stop):
                out[r, i] = _one(reading, entities[i], percentiles[r], sliding, scratch)
