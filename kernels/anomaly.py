"""Guarded exponentially weighted baselines with a test for spikes and a two-sided CUSUM for shifts.

Guarantee: an observation beyond the guard moves no baseline; while a series is anomalous none does;
one anomaly is found once, until the series was calm for some time or its new level is adopted.
Cost: 20 ns a series and observation. A series learns from its first observations, as their plain
mean and variance, and can be found anomalous only then; from there on old ones fade out.

NaN is no observation. The variance is never below the floor, so that a constant series, whose
variance is zero, does not take its first small change for an anomaly.
"""

import math

from rnts.kernels._jit import device, kernel

# A row of the state, float64.
COUNT, MEAN, VARIANCE, UP, DOWN, LEVEL, ANOMALOUS, CALM = range(8)
STATE_WORDS = 8

# Settings, float64.
WARM_UP, MEMORY, GUARD, DRIFT, SHIFT, WINSOR = range(6)
CORRECTION, CALM_COUNT, ADOPT_COUNT, LEVEL_SHARE = range(6, 10)
SETTING_WORDS = 10

# A row of what is found, float64.
SERIES, FOUND_KIND, FOUND_VALUE, FOUND_MEAN, FOUND_SPREAD, FOUND_SCORE = range(6)
FOUND_WORDS = 6
SPIKE, RISE, FALL = 1.0, 2.0, 3.0


@device
def _learn(row, value, settings):
    """Let a value move the baseline: by its share of all at first, later by a fixed one."""
    row[COUNT] += 1.0
    share = max(1.0 / row[COUNT], 2.0 / (settings[MEMORY] + 1.0))
    step = value - row[MEAN]
    row[MEAN] += share * step
    row[VARIANCE] = (1.0 - share) * (row[VARIANCE] + share * step * step)


@device
def _endure(row, score, settings):
    """A series that is anomalous: until it is calm again, or its level is the new one."""
    row[ANOMALOUS] += 1.0
    is_calm = abs(score) <= settings[GUARD] and abs(row[LEVEL]) < settings[DRIFT]
    row[CALM] = row[CALM] + 1.0 if is_calm else 0.0
    if row[CALM] >= settings[CALM_COUNT]:
        row[ANOMALOUS], row[LEVEL] = 0.0, 0.0
    elif row[ANOMALOUS] > settings[ADOPT_COUNT]:
        row[:] = 0.0


@kernel("void(int64[::1], float64[::1], float64[:,::1], float64[:,:,::1])")
def accumulate(entities, weights, values, sums):
    """Add values to the sums of their entity; a negative entity has none.

    sums: float64[entities, columns, 4]: weight, weighted sum, largest value, row of that
    """
    for i in range(entities.size):
        entity = entities[i]
        if entity < 0:
            continue
        for column in range(values.shape[1]):
            value = values[i, column]
            if math.isnan(value) or math.isinf(value):
                continue
            cell = sums[entity, column]
            cell[0] += weights[i]
            cell[1] += weights[i] * value
            if cell[0] == weights[i] or value > cell[2]:
                cell[2] = value
                cell[3] = i


@kernel(
    "int64(float64[::1], float64[:,::1], float64[::1], float64[::1], float64[::1], float64[:,::1])"
)
def detect(observed, state, floors, thresholds, settings, found):
    """Take one observation of each series in; returns how many rows of `found` are written.

    thresholds: by the number of observations that were learned from, the last for all above
    floors:     the least spread of each series, in its unit
    found has a row for each series, so there is room.
    """
    count = 0
    for s in range(observed.size):
        value = observed[s]
        if math.isnan(value):
            continue
        row = state[s]
        learned = row[COUNT]
        if learned < settings[WARM_UP]:
            _learn(row, value, settings)
            continue
        spread = max(math.sqrt(row[VARIANCE] * settings[CORRECTION]), floors[s])
        score = (value - row[MEAN]) / spread
        threshold = thresholds[min(int(learned), thresholds.size - 1)]
        clipped = min(max(score, -settings[WINSOR]), settings[WINSOR])
        share = settings[LEVEL_SHARE]
        row[LEVEL] = (1.0 - share) * row[LEVEL] + share * clipped
        if row[ANOMALOUS] > 0.0:
            _endure(row, score, settings)
            continue
        row[UP] = max(0.0, row[UP] + clipped - settings[DRIFT])
        row[DOWN] = max(0.0, row[DOWN] - clipped - settings[DRIFT])
        kind, excess = 0.0, 0.0
        if abs(score) > threshold:
            kind, excess = SPIKE, abs(score) / threshold
        elif row[UP] > settings[SHIFT]:
            kind, excess = RISE, row[UP] / settings[SHIFT]
        elif row[DOWN] > settings[SHIFT]:
            kind, excess = FALL, row[DOWN] / settings[SHIFT]
        if kind > 0.0:
            out = found[count]
            out[SERIES], out[FOUND_KIND], out[FOUND_VALUE] = s, kind, value
            out[FOUND_MEAN], out[FOUND_SPREAD], out[FOUND_SCORE] = row[MEAN], spread, excess
            count += 1
            row[ANOMALOUS], row[CALM], row[UP], row[DOWN] = 1.0, 0.0, 0.0, 0.0
        elif abs(score) <= settings[GUARD]:
            _learn(row, value, settings)
    return count
