"""The words and the array types that the parts of the sliding windows share.

A *series* is one number a pane of each entity of a scope: `PLAN_WORDS` words say what it is and
where it lies. All series lie in one stretch of memory, which begins as zeros; so zero is how a
series says that it has seen nothing.
"""

from rnts.kernels.fold_state import BLOCK
from rnts.kernels.histogram import BUCKETS

# Scopes, and how many there are.
NEURON, GROUP, HOST, ALL = range(4)
SCOPES = 4

# What a series keeps of a pane; NONE is a row of the plan that is not used.
NONE = 0
RECORDS, ERRORS = 1, 2  # of all records: how many, and how many are ErrorOccurred
SAMPLES = 3  # weights of samples
# Of a column: weights and weighted sum of what it says, extremes, the last value, reports of it.
WEIGHT, SUM, MINIMUM, MAXIMUM, LAST, REPORTS = range(4, 10)
LATEST = 10  # when it was reported last: one number an entity, and no panes
EXCESS, SQUARES = 11, 12  # of a column, w (w - 1) of what weighs more than 1, and that squared
# SUM, WEIGHT and SAMPLES of who can fail: processes that are only looked at cannot.
OWN_SUM, OWN_WEIGHT, OWN_SAMPLES = range(13, 16)
DURATIONS = 16  # kernels/durations.py, in a pane as float32
HISTOGRAM = 17  # kernels/histogram.py, a pane after the other, then their sum
EXCESSES = 18  # the same, of w (w - 1) instead of w: see sampling_errors.py

# Words of a series: panes, how long one lasts, words an entity, the place of its first cell, since
# when it is kept, and of now the number of the pane, plus one, and which of the panes that is. An
# entity has its panes side by side, and last the number of its newest, plus one: mostly one line
# of the cache.
STATISTIC, SCOPE, COLUMN, PANES, PANE_NS, WIDTH, CELLS, SINCE, NOW, PANE = range(10)
PLAN_WORDS = 10
# A pane of a histogram: its buckets, and the lowest and the highest that is used, plus one.
LOWEST, HIGHEST = BUCKETS, BUCKETS + 1
HISTOGRAM_WORDS = BUCKETS + 2

# Words of the state. NOW is steady, OLDEST the time of an event that is old news by now.
NOW_NS, OLDEST_NS, IS_ON, SERIES, STALE, EPOCH, TOUCHED, GONE, ENTERED, DISTINCT = range(10)
MEMBERS_CHANGED = 10  # times that an entity got its first neuron, or lost its last
STATE_WORDS = 11

# Words of what is known of a row: its id, since when it is known (steady; 0: not), the steady times
# of its newest record and error, what it counts for, with which group and host, and in which epoch
# it was touched. One cache line.
ID, KNOWN_NS, RECORD_NS, ERROR_NS, COUNTED, COUNTED_GROUP, COUNTED_HOST, TOUCHED_IN = range(8)
ROW_WORDS = 8
IS_MEMBER = 1 << 62  # a bit of COUNTED; below it one for each row of the plan of what is distinct

# What is distinct: neurons that are known, in a state, with an error or critical, with a record.
KNOWN, DEGRADED, CRITICAL, AFFECTED, ACTIVE = range(5)
WHAT, OF_SCOPE, WITHIN_NS = range(3)
DISTINCT_WORDS = 3
DISTINCT_MAX = 48

# What the fold and the kernels beside it share:
#   state      int64[STATE_WORDS]
#   plan       int64[series, PLAN_WORDS]
#   cells      float64[...], all of the memory; small and bytes are the same bytes
#   small      float32[...]
#   known      int64[rows, ROW_WORDS]
#   hosts      int64[rows], the index of each neuron's host
#   lists      int64[5, rows], rows touched in this epoch; rows that are gone; bits, groups and
#              hosts for which rows counted before
#   distinct   int64[DISTINCT_MAX, DISTINCT_WORDS]
#   counts     int64[DISTINCT_MAX, entities], of each of these; of all neurons in the first cell
#   members    int64[2 * SCOPES, entities], neurons that are known; then since when there are any
#   entered    int64[2, BLOCK], rows of the records of a block that enter; whether its samples do
#   entities   int64[SCOPES, BLOCK], whom a record counts for
SLIDING_TYPE = (
    "Tuple((int64[::1], int64[:,::1], float64[::1], float32[::1], int64[:,::1], int64[::1],"
    " int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1]))"
)
ENTERED_SHAPE, ENTITIES_SHAPE = (2, BLOCK), (SCOPES, BLOCK)
