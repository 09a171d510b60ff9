"""What an agent tells of its lanes and notices of its segments, in one call for all of them.

Guarantee: a row is written for each lane of which something has moved since the call before, and
never with fewer attempts than what became of them. Cost: 10 ns a lane.
"""

from rnts.kernels._jit import kernel
from rnts.kernels.atomics import load_acquire
from rnts.kernels.lane import ATTEMPTS, CONTROL, CORRUPT, DELIVERED, KEY, TAKEN

# Columns of the table of sources, as in rnts/accounting.py; a test compares the two.
ROW_KEY = 0
ROW_FLAGS = 1
ROW_IN_FRAME = 2
ROW_ATTEMPTS = 3
ROW_SAMPLED_OUT = 4
ROW_DELIVERED = 5
ROW_DROPS = 6  # as many as the lane counts, then corrupt and torn

# Columns of the table of segments, int64[segments, WATCH_COLUMNS]: what was last seen of each.
HEADER = 0  # address of the segment
MOVED = 1  # 1 if one of the following has changed
LANES_USED = 2
NAMES_BYTES = 3
NO_LANE = 4
WATCH_COLUMNS = 5
HEADER_LANES_USED = 64
HEADER_NAMES_BYTES = 72
HEADER_NO_LANE = 88


@kernel("int64(int64[:,::1], int64[:,::1], int64[:,::1])")
def report_lanes(lanes, reported, rows):
    """Write a row of the table of sources for each lane that moved; returns how many.

    lanes:    int64[lanes, LANE_COLUMNS]; TAKEN goes back to 0
    reported: int64[lanes, 2 + drops], the producers' counters at the call before, updated; -1: none
    rows:     int64[at least lanes, columns of the table]

    Attempts are read last: a producer that goes on meanwhile makes them larger, never too small.
    """
    count = 0
    counters = reported.shape[1]
    for lane in range(lanes.shape[0]):
        control = lanes[lane, CONTROL]
        moved = lanes[lane, TAKEN] != 0
        for i in range(counters - 1, -1, -1):
            value = load_acquire(control + ATTEMPTS + 8 * i)
            moved |= value != reported[lane, i]
            reported[lane, i] = value
        if not moved:
            continue
        rows[count, ROW_KEY] = lanes[lane, KEY]
        rows[count, ROW_FLAGS] = 0
        rows[count, ROW_IN_FRAME] = lanes[lane, TAKEN]
        rows[count, ROW_ATTEMPTS] = reported[lane, 0]
        rows[count, ROW_SAMPLED_OUT] = reported[lane, 1]
        rows[count, ROW_DELIVERED] = lanes[lane, DELIVERED]
        for i in range(2, counters):
            rows[count, ROW_DROPS + i - 2] = reported[lane, i]
        rows[count, ROW_DROPS + counters - 2] = lanes[lane, CORRUPT]
        rows[count, ROW_DROPS + counters - 1] = 0
        lanes[lane, TAKEN] = 0
        count += 1
    return count


@kernel("int64(int64[:,::1])")
def look_at_segments(watch):
    """Mark each segment whose lanes, names or records without a lane have changed; how many."""
    count = 0
    for segment in range(watch.shape[0]):
        header = watch[segment, HEADER]
        lanes_used = load_acquire(header + HEADER_LANES_USED)
        names_bytes = load_acquire(header + HEADER_NAMES_BYTES)
        no_lane = load_acquire(header + HEADER_NO_LANE)
        if (
            lanes_used != watch[segment, LANES_USED]
            or names_bytes != watch[segment, NAMES_BYTES]
            or no_lane != watch[segment, NO_LANE]
        ):
            watch[segment, LANES_USED] = lanes_used
            watch[segment, NAMES_BYTES] = names_bytes
            watch[segment, NO_LANE] = no_lane
            watch[segment, MOVED] = 1
        count += watch[segment, MOVED]
    return count
