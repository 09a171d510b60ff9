"""What samples say, as one number a column: levels as they are, counters as increases.

Guarantee: the increases of a counter add up to what it grew by, in whole numbers, however many
samples were left out on the way and in whatever order they come; a fall counts as a restart at
zero. What was not reported is NaN. Cost: 1 ns a column.
"""

import numpy as np

from rnts.kernels._jit import device
from rnts.kernels.flat import at
from rnts.kernels.fold_rows import observe_row
from rnts.kernels.fold_state import COLUMN_LATENCY, COUNTERS, METRICS, NOW_NS
from rnts.kernels.neurons import COLUMNS, LAST, OVERFLOW_ROW, ROW_WORDS, SAMPLED, SEEN


@device
def observe(count, records, codes, rows, state, block):
    """Write what samples say, and how long they were on their way; returns the values refused.

    A counter says something once its last value is known: its first sample sets the baseline. A
    sample older than the neuron's newest adds to no counter (what it grew by is in the newer one)
    and changes no last value. Row 0 has no last values, and so its counters say nothing.
    """
    _, times_ns, _, masks, values, _, _, _ = records
    sources, owners, _, _, _, _, observed, _, _ = block
    fields = values.shape[1]
    values, rows = values.reshape(-1), rows.reshape(-1)
    counters, latency = codes[COUNTERS], codes[COLUMN_LATENCY]
    refused = 0
    for j in range(count):
        i, row = sources[j], owners[j]
        mask = masks[i] & codes[METRICS]
        seen = rows[at(row, ROW_WORDS, SEEN)]
        says, keeps = mask & ~counters, mask & ~seen
        if times_ns[i] >= rows[at(row, ROW_WORDS, SAMPLED)]:
            says, keeps = mask & (~counters | seen), mask
        if row == OVERFLOW_ROW:
            keeps = 0
        elif times_ns[i] >= rows[at(row, ROW_WORDS, SAMPLED)]:
            rows[at(row, ROW_WORDS, SAMPLED)] = times_ns[i]
        rows[at(row, ROW_WORDS, SEEN)] = seen | keeps
        refused += observe_row(
            values, at(i, fields, 0), rows, at(row, ROW_WORDS, LAST), observed, at(j, COLUMNS, 0),
            says, keeps, counters,
        )  # fmt: skip
        observed[at(j, COLUMNS, latency)] = np.float64(state[NOW_NS] - times_ns[i])
    return refused
