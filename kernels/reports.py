"""What an agent tells of its lanes and notices of its segments, in one call for all of them.

Guarantee: a row is written for each lane of which something has moved since the call before, and
never with fewer attempts than what became of them, whatever the lane says. Cost: 10 ns a lane.
"""

from rnts.kernels._jit import device, kernel
from rnts.kernels.atomics import load_acquire
from rnts.kernels.lane import ATTEMPTS, CONTROL, CORRUPT, DELIVERED, KEY, SICK, TAKEN

# Columns of the table of sources, as in rnts/accounting.py; a test compares the two.
ROW_KEY = 0
ROW_FLAGS = 1
ROW_IN_FRAME = 2
ROW_ATTEMPTS = 3
ROW_SAMPLED_OUT = 4
ROW_DELIVERED = 5
ROW_DROPS = 6  # as many as the lane counts, then corrupt and torn

SICK_COUNTERS = 2  # in SICK: the lane's counters cannot be true
COUNT_MAX = 1 << 56  # records that nobody has ever made

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


@device
def _read_counters(control, reported, row):
    """Read a lane's counters into a row, attempts last; whether any moved, and all can be true."""
    moved, settled, can_be = False, 0, True
    for i in range(reported.size - 1, -1, -1):
        value = load_acquire(control + ATTEMPTS + 8 * i)
        moved |= value != reported[i]
        can_be &= reported[i] <= value and 0 <= value < COUNT_MAX
        if i == 0:
            row[ROW_ATTEMPTS] = value
        elif i == 1:
            row[ROW_SAMPLED_OUT] = value
        else:
            row[ROW_DROPS + i - 2] = value
        settled += value if i > 0 else 0
    return moved, can_be and settled + row[ROW_DELIVERED] <= row[ROW_ATTEMPTS]


@device
def _settle_row(row, reported, corrupt, can_be):
    """Complete a row whose counters are believed, or take those that were believed last."""
    if not can_be:
        row[ROW_ATTEMPTS] = max(reported[0], 0)
        row[ROW_SAMPLED_OUT] = max(reported[1], 0)
        for i in range(2, reported.size):
            row[ROW_DROPS + i - 2] = max(reported[i], 0)
    settled = row[ROW_SAMPLED_OUT] + row[ROW_DELIVERED]
    for i in range(2, reported.size):
        settled += row[ROW_DROPS + i - 2]
    if not can_be:
        row[ROW_ATTEMPTS] = max(row[ROW_ATTEMPTS], settled + corrupt)
    end = ROW_DROPS + reported.size - 2
    # Corrupt slots, as records: one whose header is lost leaves several slots that hold none.
    row[end] = min(corrupt, row[ROW_ATTEMPTS] - settled)
    row[end + 1] = 0


@kernel("int64(int64[:,::1], int64[:,::1], int64[:,::1])")
def report_lanes(lanes, reported, rows):
    """Write a row of the table of sources for each lane that moved; returns how many.

    lanes:    int64[lanes, LANE_COLUMNS]; TAKEN goes back to 0; a lane that is sick has no row
    reported: int64[lanes, 2 + drops], the producers' counters at the call before, updated; -1: none
    rows:     int64[at least lanes, columns of the table]

    Attempts are read last: a producer that goes on meanwhile makes them larger, never too small. So
    counters that go back, or add up to more than the attempts, were scribbled over: the lane is
    sick from then on, and its row has what was believed last.
    """
    count = 0
    for lane in range(lanes.shape[0]):
        if lanes[lane, SICK] != 0:
            continue
        row = rows[count]
        row[ROW_DELIVERED] = lanes[lane, DELIVERED]
        moved, can_be = _read_counters(lanes[lane, CONTROL], reported[lane], row)
        if not moved and lanes[lane, TAKEN] == 0:
            continue
        row[ROW_KEY] = lanes[lane, KEY]
        row[ROW_FLAGS] = 0
        row[ROW_IN_FRAME] = lanes[lane, TAKEN]
        _settle_row(row, reported[lane], lanes[lane, CORRUPT], can_be)
        if not can_be:
            lanes[lane, SICK] = SICK_COUNTERS
        reported[lane, 0] = row[ROW_ATTEMPTS]
        reported[lane, 1] = row[ROW_SAMPLED_OUT]
        for i in range(2, reported.shape[1]):
            reported[lane, i] = row[ROW_DROPS + i - 2]
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
