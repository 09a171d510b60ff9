"""The panes of a series: how they are emptied when time goes on, and what they hold together.

Guarantee: a window of W holds what arrived in the last W and in at most one pane before that; what
it says is computed from the panes of that time alone, so that nothing drifts. A pane is emptied
when its entity is touched again and is passed over until then, so time costs nothing by itself.
A histogram's sum gains and loses whole panes; weights in it are multiples of 2^-20, so that what
was added is taken away exactly. An entity's panes and the number of the newest lie in one line of
the cache, so that it is missed once. What is called for each entity is made part of its caller: a
call that hands on a dozen arrays costs more than what it does (three times as much in all).
"""

import numpy as np

from rnts.kernels import durations
from rnts.kernels._jit import device, inlined
from rnts.kernels.histogram import BUCKETS, quantiles_within
from rnts.kernels.sliding_state import (
    CELLS,
    DURATIONS,
    HIGHEST,
    HISTOGRAM,
    HISTOGRAM_WORDS,
    LAST,
    LOWEST,
    MAXIMUM,
    MINIMUM,
    NOW,
    PANE,
    PANE_NS,
    PANES,
    SINCE,
    STATISTIC,
    WIDTH,
)


@device
def _empty(s, line, pane, plan, cells, small):
    """Make one pane that of nothing."""
    statistic = plan[s, STATISTIC]
    if statistic == DURATIONS:
        first = 2 * line + pane * durations.BUCKETS
        small[first : first + durations.BUCKETS] = np.float32(0.0)
    elif statistic >= HISTOGRAM:
        first, total = line + pane * HISTOGRAM_WORDS, line + plan[s, PANES] * HISTOGRAM_WORDS
        lowest, highest = np.int64(cells[first + LOWEST]), np.int64(cells[first + HIGHEST])
        if lowest > 0:
            for bucket in range(lowest - 1, highest):
                cells[total + bucket] -= cells[first + bucket]
                cells[first + bucket] = 0.0
        cells[first + LOWEST] = cells[first + HIGHEST] = 0.0
    elif statistic == MINIMUM:
        cells[line + pane] = np.inf
    elif statistic == MAXIMUM:
        cells[line + pane] = -np.inf
    elif statistic == LAST:
        before = line + plan[s, PANES]
        if not np.isnan(cells[line + pane]):
            cells[before] = cells[line + pane]
        cells[line + pane] = np.nan
    else:
        cells[line + pane] = 0.0


@inlined
def turn(s, entity, plan, cells, small):
    """Bring an entity's panes to that of now, emptying what is between; returns its first cell."""
    line = plan[s, CELLS] + entity * plan[s, WIDTH]
    if np.int64(cells[line + plan[s, WIDTH] - 1]) != plan[s, NOW]:
        _turn_over(s, line, plan, cells, small)
    return line


@device
def _turn_over(s, line, plan, cells, small):
    """Empty the panes of an entity that are no longer in its window."""
    width, now, panes = plan[s, WIDTH], plan[s, NOW], plan[s, PANES]
    stamp = np.int64(cells[line + width - 1])
    if stamp == 0:  # all that stands there is of somebody else
        for pane in range(panes):
            _empty(s, line, pane, plan, cells, small)
        if plan[s, STATISTIC] == LAST:
            cells[line + panes] = np.nan
    else:
        # The oldest first, so that the last value before the window is the newest of them.
        for number in range(stamp + 1, min(now, stamp + panes) + 1):
            _empty(s, line, number % panes, plan, cells, small)
    cells[line + width - 1] = now


@inlined
def _live(s, line, plan, cells):
    """The oldest pane of the window, and how many from there on hold something of it."""
    now, panes = plan[s, NOW], plan[s, PANES]
    stamp = np.int64(cells[line + plan[s, WIDTH] - 1])
    oldest = plan[s, PANE] + 1
    if oldest == panes:
        oldest = 0
    return oldest, (max(stamp - (now - panes), 0) if stamp > 0 else 0)


@device
def covered_ns(s, since_ns, now_ns, plan):
    """How long the window of a series is in fact, from the begin of its first pane to now."""
    first = max((plan[s, NOW] - plan[s, PANES]) * plan[s, PANE_NS], plan[s, SINCE], since_ns)
    return max(now_ns - first, plan[s, PANE_NS])


@inlined
def total_of(s, entity, plan, cells):
    """The sum over the panes of the window."""
    panes = plan[s, PANES]
    line = plan[s, CELLS] + entity * plan[s, WIDTH]
    pane, live = _live(s, line, plan, cells)
    total = 0.0
    if live == panes:  # something came in this pane: no need to go round
        for pane in range(panes):
            total += cells[line + pane]
        return total
    for _ in range(live):
        total += cells[line + pane]
        pane = pane + 1 if pane + 1 < panes else 0
    return total


@device
def total_from(s, entity, first, plan, cells):
    """The same over those panes of the window whose numbers are at least `first`."""
    panes, width = plan[s, PANES], plan[s, WIDTH]
    line = plan[s, CELLS] + entity * width
    stamp = np.int64(cells[line + width - 1])
    total = 0.0
    for number in range(max(first, stamp - panes + 1, plan[s, NOW] - panes + 1), stamp + 1):
        total += cells[line + number % panes]
    return total


@inlined
def extreme_of(s, entity, plan, cells):
    """The least or the greatest over the panes of the window; NaN where there is none."""
    panes = plan[s, PANES]
    line = plan[s, CELLS] + entity * plan[s, WIDTH]
    is_minimum = plan[s, STATISTIC] == MINIMUM
    extreme = np.inf if is_minimum else -np.inf
    pane, live = _live(s, line, plan, cells)
    for _ in range(live):
        value = cells[line + pane]
        extreme = min(extreme, value) if is_minimum else max(extreme, value)
        pane = pane + 1 if pane + 1 < panes else 0
    return extreme if np.isfinite(extreme) else np.nan


@device
def change_of(s, entity, plan, cells):
    """The last value in the window less the last before it; NaN where either is missing."""
    panes, now, width = plan[s, PANES], plan[s, NOW], plan[s, WIDTH]
    line = plan[s, CELLS] + entity * width
    stamp = np.int64(cells[line + width - 1])
    if stamp == 0:
        return np.nan
    before, last = cells[line + panes], np.nan
    for number in range(max(1, stamp - panes + 1), stamp + 1):
        value = cells[line + number % panes]
        if not np.isnan(value):
            if number <= now - panes:
                before = value
            else:
                last = value
    return last - before


@device
def duration_of(s, entity, extremes, percentile, series, scratch):
    """A percentile of an entity's durations; NaN where there are none.

    `series` is (plan, cells, small), `extremes` the series of its least and its greatest.
    """
    plan, cells, small = series
    merged, values = scratch
    minimum = extreme_of(extremes[0], entity, plan, cells)
    if np.isnan(minimum):
        return np.nan
    maximum = extreme_of(extremes[1], entity, plan, cells)
    line = 2 * turn(s, entity, plan, cells, small)
    merged[:] = np.float32(0.0)
    for pane in range(plan[s, PANES]):
        for bucket in range(durations.BUCKETS):
            merged[bucket] += small[line + pane * durations.BUCKETS + bucket]
    values[0] = percentile
    durations.quantiles_within(merged, values[:1], minimum, maximum, values[1:])
    return values[1]


@device
def percentile_of(s, entity, extremes, percentile, series, scratch):
    """A percentile of what a full histogram holds; NaN where that is nothing."""
    plan, cells, small = series
    _, values = scratch
    minimum = extreme_of(extremes[0], entity, plan, cells)
    if np.isnan(minimum):
        return np.nan
    maximum = extreme_of(extremes[1], entity, plan, cells)
    line = turn(s, entity, plan, cells, small)
    total = line + plan[s, PANES] * HISTOGRAM_WORDS
    values[0] = percentile
    histogram = cells[total : total + BUCKETS]
    quantiles_within(histogram, values[:1], minimum, maximum, values[1:])
    return values[1]
