"""The wait-free lane: single producer, single consumer, published by one release store.

Guarantee: a producer killed at any instruction leaves a record whole or not at all, and `attempts`
ahead of what was published and dropped by at most one. A record without text costs about 2 ns and
its clock; nothing here locks or retries, and only a record that ends a silence calls the kernel, to
wake the agent (`bell.py`). The layout is `rnts/layout.py`; byte offsets are repeated here as
constants because a kernel can look at nothing else, and a test compares the two.
"""

from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.atomics import (
    load,
    load_acquire,
    prefetch,
    store,
    store_release,
)
from rnts.kernels.bell import is_rung, ring

DATA_DELTA = 16
SLOT_MASK = 24
TAIL = 128
HEAD_CACHE = 136
ATTEMPTS = 144
DROP_LANE_FULL = 160
HEAD = 256
SLOT_SHIFT = 7
CACHE_LINE_BYTES = 64
SLOTS_AHEAD = 8  # that `claim` fetches; 4 to 32 hardly differ

# Columns of the consumer's table of lanes, int64[lanes, LANE_COLUMNS]: what the agent knows itself
# and never reads back from a segment that others can write to.
CONTROL = 0  # address of the lane's control block
SLOTS = 1  # address of its first slot
MASK = 2  # slots - 1
POSITION = 3  # head: slots consumed since the lane was made
DELIVERED = 4  # records consumed since the lane was made
CORRUPT = 5  # slots skipped since the lane was made
TAKEN = 6  # records consumed since the agent last set it to 0
SICK = 7  # 1: its tail cannot be true; the lane is left alone
NOTE = 8  # 0 or 1: which note the next head goes with
KEY = 9  # of the lane in accounts
PEAK = 10  # most slots that were full when it was drained, since the agent last set it to 0
RINGS = 11  # address of the word that says whether its program rings, or 0
LANE_COLUMNS = 12
NOTES = 264
NOTE_BYTES = 24

KIND_NAME = 4  # names come through the log of names, never through a lane
SLOTS_OF_RECORD_MAX = 9
TIME = 16  # of a record, in its first slot
ALL_TIMES = 0x7FFFFFFFFFFFFFFF  # none is newer


@inlined
def claim(lane, slots):
    """Address of the slot for the next record of `slots` slots; 0, counted, if the lane is full."""
    tail = load(lane + TAIL)
    store_release(lane + ATTEMPTS, load(lane + ATTEMPTS) + 1)
    mask = load(lane + SLOT_MASK)
    if tail + slots - load(lane + HEAD_CACHE) > mask + 1:
        head = load_acquire(lane + HEAD)
        store(lane + HEAD_CACHE, head)
        if tail + slots - head > mask + 1:
            store_release(lane + DROP_LANE_FULL, load(lane + DROP_LANE_FULL) + 1)
            return 0
    first = lane + load(lane + DATA_DELTA)
    # Slots that were drained lie in the agent's cache: to fetch them ahead makes a record into such
    # a lane take 27 ns instead of 34.
    ahead = first + (((tail + SLOTS_AHEAD) & mask) << SLOT_SHIFT)
    prefetch(ahead)
    prefetch(ahead + CACHE_LINE_BYTES)
    return first + ((tail & mask) << SLOT_SHIFT)


@inlined
def publish(lane, slots):
    """Make the record in the claimed slots visible to the agent."""
    store_release(lane + TAIL, load(lane + TAIL) + slots)
    if is_rung(lane):
        ring(lane)


@inlined
def copy_slot(source, target):
    """Copy one slot from an address to another."""
    for offset in range(0, 1 << SLOT_SHIFT, 8):
        store(target + offset, load(source + offset))


@kernel("int64(int64[:,::1])")
def oldest_time(lanes):
    """The oldest time of the records that are next in their lanes; ALL_TIMES where none waits."""
    oldest = ALL_TIMES
    for lane in range(lanes.shape[0]):
        position = lanes[lane, POSITION]
        if lanes[lane, SICK] == 0 and load_acquire(lanes[lane, CONTROL] + TAIL) != position:
            slot = lanes[lane, SLOTS] + ((position & lanes[lane, MASK]) << SLOT_SHIFT)
            oldest = min(oldest, load(slot + TIME))
    return oldest


@device
def _copy_slot(address, out, row):
    """Copy the slot at `address` to `out[row]`."""
    for word in range(16):
        out[row, word] = load(address + 8 * word)


@device
def _slots_of(out, row, kind_masks):
    """Slots that the record at `out[row]` says it has; 0 if it is no record."""
    header = out[row, 0]
    kind = header & 0xFF
    slots = (header >> 8) & 0xFF
    text_bytes = (header >> 16) & 0xFFFF
    mask = (header >> 32) & 0xFFFFFFFF
    if kind == 0 or kind >= KIND_NAME or slots > SLOTS_OF_RECORD_MAX:
        return 0
    if slots != 1 + ((text_bytes + 127) >> SLOT_SHIFT) or out[row, 1] == 0:
        return 0
    return slots if mask & ~kind_masks[kind] == 0 else 0


@device
def _may_hold_nan(out, row, exponents):
    """Whether a word of floats has an exponent of ones only, as NaN and infinity have."""
    for i in range(exponents.shape[0]):
        value = out[row, exponents[i, 0]]
        low, high = exponents[i, 1], exponents[i, 2]
        if (value & low == low) | (value & high == high):
            return True
    return False


@device
def _clear_nans(out, row, floats):
    """Take the bit of each field that holds a NaN out of the mask."""
    mask = (out[row, 0] >> 32) & 0xFFFFFFFF
    kept = mask
    for i in range(floats.shape[0]):
        if mask & floats[i, 0] != 0:
            value = out[row, floats[i, 1]] >> floats[i, 2]
            if floats[i, 3] != 0:
                is_nan = value & 0x7FFFFFFFFFFFFFFF > 0x7FF0000000000000
            else:
                is_nan = value & 0x7FFFFFFF > 0x7F800000
            if is_nan:
                kept &= ~floats[i, 0]
    if kept != mask:
        out[row, 0] = (out[row, 0] & 0xFFFFFFFF) | (kept << 32)


@device
def _drain_lane(lanes, lane, out, start, limits, tables):
    """Copy about as many slots of one lane to `out[start:]`; the new length of `out`."""
    kind_masks, floats, exponents = tables
    limit, until = limits
    head = lanes[lane, POSITION]
    ring = lanes[lane, MASK]
    published = load_acquire(lanes[lane, CONTROL] + TAIL) - head
    if published < 0 or published > ring + 1:
        lanes[lane, SICK] = 1
        return start
    lanes[lane, PEAK] = max(lanes[lane, PEAK], published)
    filled = start
    used = 0
    taken = 0
    while used < published and used < limit and filled < out.shape[0]:
        _copy_slot(lanes[lane, SLOTS] + (((head + used) & ring) << SLOT_SHIFT), out, filled)
        slots = _slots_of(out, filled, kind_masks)
        if slots == 0 or slots > published - used:
            lanes[lane, CORRUPT] += 1
            used += 1
            continue
        if filled + slots > out.shape[0] or out[filled, TIME >> 3] > until:
            break
        for k in range(1, slots):
            address = lanes[lane, SLOTS] + (((head + used + k) & ring) << SLOT_SHIFT)
            _copy_slot(address, out, filled + k)
        if _may_hold_nan(out, filled, exponents):
            _clear_nans(out, filled, floats)
        filled += slots
        used += slots
        taken += 1
    if used > 0:
        lanes[lane, POSITION] = head + used
        lanes[lane, TAKEN] += taken
        lanes[lane, DELIVERED] += taken
        _store_head(lanes, lane)
    return filled


@device
def _store_head(lanes, lane):
    """Free the consumed slots; counts go first, into the note that the present head disowns."""
    control = lanes[lane, CONTROL]
    note = control + NOTES + NOTE_BYTES * lanes[lane, NOTE]
    store_release(note, lanes[lane, POSITION])
    store_release(note + 8, lanes[lane, DELIVERED])
    store_release(note + 16, lanes[lane, CORRUPT])
    store_release(control + HEAD, lanes[lane, POSITION])
    lanes[lane, NOTE] ^= 1


@kernel(
    "int64(int64[:,::1], int64[:,::1], int64, int64, int64, int64[::1], int64[:,::1], int64[:,::1])"
)
def drain(lanes, out, start, per_lane, until, kind_masks, floats, exponents):
    """Copy whole records of all lanes to `out[start:]`, free their slots; the new length of `out`.

    lanes:      int64[lanes, LANE_COLUMNS], updated in place
    out:        int64[room, 16], slots in order of arrival
    per_lane:   slots that one lane may give in this call, so that none waits long for another
    until:      time of the newest record that is taken; those behind a newer one wait with it
    kind_masks: int64[5], the fields that a record of each kind may have
    floats:     int64[fields, 4]: mask bit, word, shift, 1 for 64 bits; a NaN there is made absent
    exponents:  int64[words, 3]: a word that holds floats, the bits of the exponents in it

    Each slot is copied before it is looked at, since its owner can change it at any time; a
    record that cannot be is skipped, one slot, and counted in CORRUPT.
    """
    filled = start
    for lane in range(lanes.shape[0]):
        if lanes[lane, SICK] == 0:
            tables = kind_masks, floats, exponents
            filled = _drain_lane(lanes, lane, out, filled, (per_lane, until), tables)
    return filled
