"""Conditions of rules: one program over columns for all of them, in three-valued logic.

Guarantee: NaN is unknown and stays so: a comparison with it is NaN, `and` is 0 where one side is 0,
`or` is 1 where one side is 1, whatever the other is; a division by zero is NaN. Cost: an operation
0.3 to 0.4 ns an entity, as an addition by NumPy in the same run; a block of entities at a time, so
that registers stay in the nearest caches.

A program is a row of `CODE_WORDS` words for each operation: (operation, target, left, right).
Operands are rows of readings, and beyond those registers. Targets are registers, beyond those the
truth of rules, beyond those their values. Numbers that are written out lie in registers that no
operation writes. No operation has its target among its operands: its loop would not be vectorised.
"""

import numpy as np

from rnts.kernels._jit import device, kernel

BLOCK = 512  # entities that an operation goes through at a time
CODE_WORDS = 4

ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, COPY = range(6)
AND, OR, NOT = range(6, 9)
LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL = range(9, 15)

# What a program works on: (readings, registers, truth, values).
#   readings   float64[readings, entities]
#   registers  float64[registers, BLOCK]
#   truth      float64[rules, entities], written
#   values     float64[rules, entities], written
COLUMNS_TYPE = "Tuple((float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1]))"


@device
def _calculate(operation, out, left, right):
    """Arithmetic of two columns; the loops are plain so that they become vector instructions."""
    if operation == ADD:
        for i in range(out.size):
            out[i] = left[i] + right[i]
    elif operation == SUBTRACT:
        for i in range(out.size):
            out[i] = left[i] - right[i]
    elif operation == MULTIPLY:
        for i in range(out.size):
            out[i] = left[i] * right[i]
    elif operation == DIVIDE:
        for i in range(out.size):
            quotient = left[i] / right[i]
            out[i] = np.nan if right[i] == 0.0 else quotient
    elif operation == NEGATE:
        for i in range(out.size):
            out[i] = -left[i]
    else:
        for i in range(out.size):
            out[i] = left[i]


@device
def _combine(operation, out, left, right):
    """Logic of two columns of truth: products and sums hand on what is unknown."""
    if operation == AND:
        for i in range(out.size):
            is_false = (left[i] == 0.0) | (right[i] == 0.0)
            out[i] = 0.0 if is_false else left[i] * right[i]
    elif operation == OR:
        for i in range(out.size):
            is_true = (left[i] == 1.0) | (right[i] == 1.0)
            out[i] = 1.0 if is_true else left[i] + right[i]
    else:
        for i in range(out.size):
            out[i] = 1.0 - left[i]


@device
def _truth(holds, left, right):
    """1 or 0, and NaN where a side is unknown."""
    is_unknown = np.isnan(left) | np.isnan(right)
    return np.nan if is_unknown else (1.0 if holds else 0.0)


@device
def _compare(operation, out, left, right):
    """Comparisons of two columns."""
    if operation == LESS:
        for i in range(out.size):
            out[i] = _truth(left[i] < right[i], left[i], right[i])
    elif operation == LESS_EQUAL:
        for i in range(out.size):
            out[i] = _truth(left[i] <= right[i], left[i], right[i])
    elif operation == GREATER:
        for i in range(out.size):
            out[i] = _truth(left[i] > right[i], left[i], right[i])
    elif operation == GREATER_EQUAL:
        for i in range(out.size):
            out[i] = _truth(left[i] >= right[i], left[i], right[i])
    elif operation == EQUAL:
        for i in range(out.size):
            out[i] = _truth(left[i] == right[i], left[i], right[i])
    else:
        for i in range(out.size):
            out[i] = _truth(left[i] != right[i], left[i], right[i])


@kernel(f"void(int64[:,::1], {COLUMNS_TYPE})")
def evaluate(code, columns):
    """Run a program for all entities; writes truth and value of each rule."""
    readings, registers, truth, values = columns
    rows, entities = readings.shape
    truth_from = registers.shape[0]
    values_from = truth_from + truth.shape[0]
    for start in range(0, entities, BLOCK):
        stop = min(start + BLOCK, entities)
        size = stop - start
        for step in range(code.shape[0]):
            operation, target = code[step, 0], code[step, 1]
            first, second = code[step, 2], code[step, 3]
            # Written out, because views cannot be handed back from a function of its own.
            left = readings[first][start:stop] if first < rows else registers[first - rows][:size]
            right = (
                readings[second][start:stop] if second < rows else registers[second - rows][:size]
            )
            if target < truth_from:
                out = registers[target][:size]
            elif target < values_from:
                out = truth[target - truth_from][start:stop]
            else:
                out = values[target - values_from][start:stop]
            if operation >= LESS:
                _compare(operation, out, left, right)
            elif operation >= AND:
                _combine(operation, out, left, right)
            else:
                _calculate(operation, out, left, right)
