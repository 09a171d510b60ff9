"""What became of expressions: which are true of whom that were not before, and who has most of it.

Guarantee: each change of a truth that a client may be told of is written down once. Nothing is said
of what stayed as it was. Cost: 2 ns an entity and expression; where entities stand side by side,
blocks in which nothing has flipped go as vectors, at a third of that.
"""

import numpy as np

from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.neurons import HEALTH, LEFT, NO_GROUP
from rnts.kernels.sliding_panes import extreme_of, total_of
from rnts.kernels.sliding_state import GROUP, HOST, MAXIMUM, SLIDING_TYPE, STATISTIC

# What stands for an entity: nothing is known or told of it, it is false, it is true, or it was
# told of and is unknown now. Of quantities: UNSAID or IS_TRUE, which is that it is known.
UNSAID, IS_FALSE, IS_TRUE, IS_LOST = range(4)

# Words of an expression: whether it is a quantity, whether what becomes unknown is told although
# it was false, where its values and its codes begin, and whether anything in it has changed.
IS_QUANTITY, TELLS_UNKNOWN, VALUES, CODES, HAS_CHANGED = range(5)
EXPRESSION_WORDS = 5

BLOCK = 512  # entities that are looked at together
WORST = 3  # neurons that are named of an entity
# Words of what the worst are looked for of, see `find_worst`.
OF_SERIES, IN_STATE, OF_SCOPE, FIRST_PLACE = range(4)


@device
def _note_quantity(entities, truth, expression, cells, codes):
    """Keep what a quantity is of each entity, and whether that has changed of any."""
    first, code_first = expression[VALUES], expression[CODES]
    for i in range(entities.size):
        entity, value = entities[i], truth[i]
        is_unknown = np.isnan(value)
        now = UNSAID if is_unknown else IS_TRUE
        before = codes[code_first + entity]
        if now != before or (not is_unknown and cells[first + entity] != value):
            expression[HAS_CHANGED] = 1
        cells[first + entity] = value
        codes[code_first + entity] = now


@device
def _code(is_true, before, tells_unknown):
    """What stands for an entity now; without branches, so that loops become vectors."""
    is_lost = (before >= IS_TRUE) | ((before == IS_FALSE) & tells_unknown)
    unknown = IS_LOST if is_lost else UNSAID
    known = IS_TRUE if is_true != 0.0 else IS_FALSE
    return unknown if np.isnan(is_true) else known


@device
def _have_flipped(first, truth, codes, tells_unknown):
    """Whether anything has changed of entities that stand side by side, from `first` on."""
    before = codes[first : first + truth.size]
    changed = 0
    for i in range(truth.size):
        changed |= before[i] ^ _code(truth[i], np.int64(before[i]), tells_unknown)
    return changed != 0


@device
def _note_flips(r, entities, truth, expression, codes, flips, found):
    """Write down what has flipped; returns how many flips there are by now."""
    code_first, tells_unknown = expression[CODES], expression[TELLS_UNKNOWN] != 0
    for i in range(entities.size):
        entity = entities[i]
        before = codes[code_first + entity]
        now = _code(truth[i], before, tells_unknown)
        if now != before:
            codes[code_first + entity] = now
            if now >= IS_TRUE or before >= IS_TRUE:
                flips[found, 0], flips[found, 1], flips[found, 2] = r, entity, now
                found += 1
    return found


@device
def _keep(first, values, entities, is_run, cells):
    """Keep what the entities' values are."""
    if is_run:
        kept = cells[first + entities[0] :][: values.size]
        for i in range(kept.size):
            kept[i] = values[i]
        return
    for i in range(values.size):
        cells[first + entities[i]] = values[i]


@kernel(
    "int64(int64[::1], float64[:,::1], float64[:,::1], int64[:,::1], float64[::1], uint8[::1],"
    " int64[:,::1])"
)
def note(entities, truth, values, expressions, cells, codes, flips):
    """Keep what each expression is of each entity; returns how many flips were written.

    A flip is (expression, entity, code now). There is room for all of them.
    """
    found, count = 0, entities.size
    if count == 0:
        return 0
    is_run = True  # one after the other, as all of a population are
    for i in range(count):
        is_run &= entities[i] == entities[0] + i
    for r in range(expressions.shape[0]):
        expression = expressions[r]
        if expression[IS_QUANTITY] != 0:
            _note_quantity(entities, truth[r], expression, cells, codes)
            continue
        _keep(expression[VALUES], values[r], entities, is_run, cells)
        code_first, tells_unknown = expression[CODES], expression[TELLS_UNKNOWN] != 0
        for start in range(0, count, BLOCK):
            block = entities[start : start + BLOCK]
            is_true = truth[r][start : start + BLOCK]
            if is_run and not _have_flipped(code_first + block[0], is_true, codes, tells_unknown):
                continue
            found = _note_flips(r, block, is_true, expression, codes, flips, found)
    return found


@inlined
def _part_of(s, row, plan, cells):
    """A neuron's part of a series by neuron: its greatest of a series of maxima, else its sum."""
    if plan[s, STATISTIC] == MAXIMUM:
        return extreme_of(s, row, plan, cells)
    return total_of(s, row, plan, cells)


@inlined
def _take_place(row, value, who, much):
    """Put a neuron among the worst of an entity, if it is one of them."""
    for rank in range(WORST):
        if value > much[rank]:
            for lower in range(WORST - 1, rank, -1):
                much[lower] = much[lower - 1]
                who[lower] = who[lower - 1]
            much[rank] = value
            who[rank] = row
            return


@kernel(
    f"void(int64[:,::1], int64, {SLIDING_TYPE}, int64[:,::1], int64[::1],"
    " Tuple((int64[:,::1], float64[:,::1])))"
)
def find_worst(wanted, used, sliding, rows, places, worst):
    """Find the neurons that have most of series by neuron, of all entities that are wanted.

    A row of `wanted` is (series, state, scope, where its places begin); with a state of at least 0
    a neuron has 1 if that is its health and it has not left, whatever the series. `places` gives
    each entity of the scope its row in `worst`, (rows of neurons, values), or -1. The last column
    of the values is the whole: the sum, or the greatest of a series of maxima.
    """
    _, plan, cells, _, _, hosts, _, _, _, _, _, _ = sliding
    who, much = worst
    for row in range(1, used + 1):
        group = rows[row, ROW_GROUP]
        if group == NO_GROUP:
            continue
        for w in range(wanted.shape[0]):
            scope, s = wanted[w, OF_SCOPE], wanted[w, OF_SERIES]
            entity = group if scope == GROUP else (hosts[row] if scope == HOST else 0)
            place = places[wanted[w, FIRST_PLACE] + entity]
            if place < 0:
                continue
            if wanted[w, IN_STATE] >= 0:
                is_so = rows[row, HEALTH] == wanted[w, IN_STATE] and rows[row, LEFT] == 0
                value = 1.0 if is_so else 0.0
            else:
                value = _part_of(s, row, plan, cells)
            if not value > 0.0:
                continue
            is_greatest = wanted[w, IN_STATE] < 0 and plan[s, STATISTIC] == MAXIMUM
            whole = much[place, WORST]
            much[place, WORST] = max(whole, value) if is_greatest else whole + value
            _take_place(row, value, who[place], much[place])
