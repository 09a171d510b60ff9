"""The words and the array types that the parts of the fold share.

The model numbers kinds, fields and events; kernels are told by the words of `codes`.
"""

BLOCK = 256  # records that are taken at a time: their observations, 32 KB, stay near

# Words of the codes: how the model numbers what the fold looks at.
(
    KIND_SAMPLE,
    KIND_EVENT,
    KIND_LINK,
    KIND_NAME,
    BIT_HEALTH,
    BIT_WEIGHT,
    BIT_EVENT_TYPE,
    BIT_LINK_PEER,
    BIT_LINK_MESSAGES,
    BIT_LINK_BYTES,
    BIT_LINK_LATENCY,
    EVENT_DEACTIVATED,
    EVENT_ERROR,
    COLUMN_DURATION,
    COLUMN_LATENCY,
    METRICS,  # mask of the fields that are metrics: the first, one a column
    COUNTERS,  # mask of those that yield their increase
    WEIGHTED,  # mask of the columns to which weights apply
) = range(18)
CODE_WORDS = 18

# Words of the state. The caller sets the first eight; the fold moves NEXT and adds to the others.
(
    NEXT,  # the first record that is not folded yet
    END,  # one past the last record
    NOW_NS,  # when the batch is folded
    TIME_MAX_NS,  # a record newer than this is of the future
    WINDOW_NS,  # length of a window
    FIRST_OPEN,  # the oldest window that is not closed
    FIRST_UNSEALED,  # the oldest window that late records still revise
    COUNTED_BEFORE,  # what windows older than this hold of the batch is counted already
    FOLDED,  # records folded
    BEFORE,  # records that were counted before; they only tell where their neurons stand
    LATE,  # records older than the oldest window that is not sealed
    FUTURE,  # records newer than TIME_MAX_NS
    OVERFLOW,  # records folded into the overflow row
    REFUSED,  # values left out because they are no usable numbers
    WINDOW_LAST,  # the newest window folded into
    EVENTS_NOTED,  # events whose records stand in `events`, which is a ring
    REASONS_NOTED,  # records that stand in `reasons`
    REASONS_SKIPPED,  # reasons for which there was no room
) = range(18)
STATE_WORDS = 18

# records: (ids, times_ns, kinds, masks, values, values as float64, text_offsets, text), see Records
RECORDS_TYPE = (
    "Tuple((uint64[::1], int64[::1], uint8[::1], int64[::1], int64[:,::1], float64[:,::1],"
    " int64[::1], uint8[::1]))"
)
# block: (sources, owners, in_panes, places, group_places, weights, observed, buckets, present); a
# word a record, and a cell a record and column in `observed` and `buckets`
BLOCK_TYPE = (
    "Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[::1],"
    " float64[::1], int32[::1], int64[::1]))"
)
# notes: (events, reasons, tally); indices of records, and a count for each type of event and one
# for those of no known type
NOTES_TYPE = "Tuple((int64[::1], int64[::1], int64[::1]))"
