"""What became of expressions: which are true of whom that were not before, and who has most of it.

Guarantee: each change of a truth that a client may be told of is written down once. Nothing is said
of what stayed as it was, so it costs no more than reading and writing a value: 2 ns an entity and
expression.
"""

import numpy as np

from rnts.kernels._jit import kernel
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.neurons import HEALTH, NO_GROUP
from rnts.kernels.sliding_panes import extreme_of, total_of
from rnts.kernels.sliding_state import GROUP, HOST, MAXIMUM, SLIDING_TYPE, STATISTIC

# What stands for an entity: nothing is known or told of it, it is false, it is true, or it was
# told of and is unknown now. Of quantities: UNSAID or IS_TRUE, which is that it is known.
UNSAID, IS_FALSE, IS_TRUE, IS_LOST = range(4)

# Words of an expression: whether it is a quantity, whether what becomes unknown is told although
# it was false, where its values and its codes begin, and whether anything in it has changed.
IS_QUANTITY, TELLS_UNKNOWN, VALUES, CODES, HAS_CHANGED = range(5)
EXPRESSION_WORDS = 5

WORST = 3  # neurons that are named of an entity


@kernel(
    "int64(int64[::1], float64[:,::1], float64[:,::1], int64[:,::1], float64[::1], uint8[::1],"
    " int64[:,::1])"
)
def note(entities, truth, values, expressions, cells, codes, flips):
    """Keep what each expression is of each entity; returns how many flips were written.

    A flip is (expression, entity, code now). There is room for all of them.
    """
    found = 0
    for r in range(expressions.shape[0]):
        first, code_first = expressions[r, VALUES], expressions[r, CODES]
        for i in range(entities.size):
            entity = entities[i]
            before, is_true = codes[code_first + entity], truth[r, i]
            is_unknown = np.isnan(is_true)
            if expressions[r, IS_QUANTITY] != 0:
                now = UNSAID if is_unknown else IS_TRUE
                if now != before or (not is_unknown and cells[first + entity] != is_true):
                    expressions[r, HAS_CHANGED] = 1
                cells[first + entity] = is_true
                codes[code_first + entity] = now
                continue
            cells[first + entity] = values[r, i]
            if not is_unknown:
                now = IS_TRUE if is_true != 0.0 else IS_FALSE
            elif before >= IS_TRUE or (before == IS_FALSE and expressions[r, TELLS_UNKNOWN] != 0):
                now = IS_LOST
            else:
                now = UNSAID
            if now != before:
                codes[code_first + entity] = now
                if now >= IS_TRUE or before >= IS_TRUE:
                    flips[found, 0], flips[found, 1], flips[found, 2] = r, entity, now
                    found += 1
    return found


@kernel(
    f"void(int64, int64, int64, int64, {SLIDING_TYPE}, int64[:,::1], int64[::1],"
    " Tuple((int64[:,::1], float64[:,::1])))"
)
def find_worst(s, state_wanted, scope, used, sliding, rows, places, worst):
    """Find the neurons that have most of a series by neuron, of several entities at once.

    `places` gives each entity of the scope its row in `worst`, (rows of neurons, values), or -1.
    With `state_wanted` at least 0 a neuron has 1 if that is its health, whatever the series. The
    last column of the values is the whole: the sum, or the greatest of a series of maxima.
    """
    _, plan, cells, _, _, hosts, _, _, _, _, _, _ = sliding
    who, much = worst
    is_maximum = state_wanted < 0 and plan[s, STATISTIC] == MAXIMUM
    for row in range(1, used + 1):
        if rows[row, ROW_GROUP] == NO_GROUP:
            continue
        entity = rows[row, ROW_GROUP] if scope == GROUP else (hosts[row] if scope == HOST else 0)
        place = places[entity]
        if place < 0:
            continue
        if state_wanted >= 0:
            value = 1.0 if rows[row, HEALTH] == state_wanted else 0.0
        elif is_maximum:
            value = extreme_of(s, row, plan, cells)
        else:
            value = total_of(s, row, plan, cells)
        if not value > 0.0:
            continue
        whole = much[place, WORST]
        much[place, WORST] = max(whole, value) if is_maximum else whole + value
        for rank in range(WORST):
            if value > much[place, rank]:
                for lower in range(WORST - 1, rank, -1):
                    much[place, lower] = much[place, lower - 1]
                    who[place, lower] = who[place, lower - 1]
                much[place, rank] = value
                who[place, rank] = row
                break
