"""How an agent waits for records: it looks again and again, or sleeps until it is woken.

Guarantee: a record is found a step of `interval_ns` after it at the latest where its program does
not ring, and by the ring where it does. One whose ring was lost is found with the next step, or at
the time-out; a step after it lay down the agent looks once more, and from then on none can be lost
by the order of stores. Whatever bells say, only the lanes themselves say that there is a record.
"""

from rnts.kernels._jit import device, kernel
from rnts.kernels.atomics import load, load_acquire, sleep_ns, steady_ns, store, store_release
from rnts.kernels.bell import (
    ADDRESS,
    ASLEEP,
    BELL,
    KIND,
    KIND_SHARED,
    VALUE,
    WAITS_MAX,
    order_all,
    wait_any,
)
from rnts.kernels.lane import CONTROL, POSITION, RINGS, SICK, TAIL


@kernel("int64(int64[:,::1])")
def holds_records(lanes):
    """1 if a lane holds something, by the consumer's table: a head in a segment can be anybody's.

    Costs a load a lane.
    """
    for lane in range(lanes.shape[0]):
        tail = load_acquire(lanes[lane, CONTROL] + TAIL)
        if tail != lanes[lane, POSITION] and lanes[lane, SICK] == 0:
            return 1
    return 0


@device
def _lie_down(lanes, waits):
    """Have programs ring; returns how many lanes ring, and whether all do that matter."""
    count, do_all = 0, True
    for lane in range(lanes.shape[0]):
        if lanes[lane, SICK] != 0:
            continue
        rings = lanes[lane, RINGS] != 0 and load(lanes[lane, RINGS]) != 0
        if not rings or count == min(waits.shape[0], WAITS_MAX):
            do_all = False
            continue
        word = lanes[lane, CONTROL] + BELL
        store_release(word, ASLEEP)
        waits[count, VALUE], waits[count, ADDRESS], waits[count, KIND] = ASLEEP, word, KIND_SHARED
        count += 1
    order_all()
    return count, do_all


@device
def _get_up(count, waits):
    """Have nobody ring any more."""
    for i in range(count):
        store(waits[i, ADDRESS], 0)


@device
def _sleep(until_ns, interval_ns):
    """Sleep up to a steady time, but not longer than a step."""
    sleep_ns(min(interval_ns, max(until_ns - steady_ns(), 1)))


@kernel("int64(int64[:,::1], int64[:,::1], int64, int64)")
def wait_for_records(lanes, waits, interval_ns, timeout_ns):
    """Sleep until a lane holds something; 1 if one does, 0 on time-out.

    lanes:        the consumer's table
    waits:        int64[lanes that may ring, WAIT_WORDS], room; with none of them nobody is asked to
    interval_ns:  between two looks at lanes that do not ring; less than a second

    A look costs a nanosleep and a load a lane: 1,000 a second are well below 1 % of a core. The
    GIL is free meanwhile.
    """
    deadline_ns = steady_ns() + timeout_ns
    count, do_all_ring = 0, False
    if waits.shape[0] > 0 and timeout_ns > interval_ns:
        count, do_all_ring = _lie_down(lanes, waits)
    found, step_ns = 0, interval_ns
    while True:
        found = holds_records(lanes)
        if found != 0 or steady_ns() >= deadline_ns:
            break
        until_ns = min(deadline_ns, steady_ns() + step_ns)
        if count == 0:
            _sleep(until_ns, interval_ns)
        else:
            wait_any(waits, count, until_ns)
            if steady_ns() < until_ns:  # rung, or this Linux cannot, or some memory is gone
                found = holds_records(lanes)
                if found != 0:
                    break
                _sleep(until_ns, interval_ns)  # a ring for nothing must not keep us awake
        if do_all_ring:
            step_ns = timeout_ns
    _get_up(count, waits)
    return found
