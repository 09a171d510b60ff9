"""The names under which records are counted, from the attempt to write one to its window.

For every source (a lane of a segment) and at every moment
    attempts = sampled_out + each drop + delivered + in flight
and, once the source is quiet, in flight is 0; a producer that was killed leaves 0 or 1, `torn`.
"""

# Drops that the producer counts in its lane, in the order in which the lane holds the counters.
LANE_DROPS = {
    "lane_full": "the agent did not drain the lane in time; the newest record is dropped",
    "too_big": "the record does not fit into the slots that a record may take",
    "invalid": "a value was not a number of the right kind or range",
    "reentrant": "a record was made while the same thread was in the middle of another",
    "no_lane": "the process had more threads than its segment has lanes, or no shared memory",
}
# Drops that the agent counts, per source, while it takes records over.
AGENT_DROPS = {
    "corrupt": "a slot did not hold a record; its bytes are skipped",
    "torn": "the producer was killed between the attempt and the publication",
}
# The same of a lane that was put aside; in rows it stands in the column of `torn`, under a flag.
QUARANTINE_DROP = {
    "quarantined": "its lane said what cannot be, or was cut short, and is read no more",
}
# Why a lane is put aside, so that nothing of it is read or believed any more.
QUARANTINES = {
    "positions": "its tail, or what an agent had noted in it, cannot be",
    "counters": "its counters went back, or say that more came out than went in",
    "truncated": "the program cut its own segment short",
    "before": "an agent before this one has put it aside",
}
SICK = {reason: number for number, reason in enumerate(QUARANTINES, 1)}
# Drops between the agent's frames and the aggregator's windows.
DELIVERY_DROPS = {
    "backlog_full": "the aggregator was away longer than the agent's memory reaches",
    "agent_died": "an agent was killed with the records in its memory",
    "aggregator_died": "an aggregator was killed with the records in its open windows",
    "bad_frame": "a frame was damaged on its way, each time that it was sent",
    "late": "the record came after its window had been closed",
    "future": "the record's time lies too far ahead of the aggregator's clock",
}
DROPS = {**LANE_DROPS, **AGENT_DROPS, **QUARANTINE_DROP, **DELIVERY_DROPS}

# The columns of a frame's table of sources, int64. Counters are cumulative over the source's life.
SOURCE_COLUMNS = (
    "key",
    "flags",
    "in_frame",
    "attempts",
    "sampled_out",
    "delivered",
    *LANE_DROPS,
    *AGENT_DROPS,
)
COUNT_MAX = 1 << 56  # records that nobody has ever made; kernels/reports.py has it as well
COLUMN = {name: index for index, name in enumerate(SOURCE_COLUMNS)}

# Flags of a row.
SOURCE_FINAL = 1  # the producer is gone and its lane is drained; nothing more will come
SOURCE_BASELINE = 2  # the counters as they were when the agent took the source over; in_frame is
#                      what it knows to be committed since
SOURCE_QUARANTINED = 8  # with SOURCE_FINAL: the lane was put aside; `torn` counts what it held
SOURCE_LOST = 4  # in_frame records of the source were given up: `backlog_full`
