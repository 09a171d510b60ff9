"""Whom entities consist of: neurons that are known, in a state, with an error, with a record.

Guarantee: each count is that of the neurons that were looked at, each for what it counted at its
last look; a neuron that is gone counts for nothing, is named once, and its row begins anew. All
that a batch touched are looked at after it, all others by and by. Cost: 80 ns a row among 10,000,
measured on a busy machine.
"""

from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.neurons import HEALTH, LEFT, NO_GROUP, OVERFLOW_ROW
from rnts.kernels.neurons import ID as ROW_ID
from rnts.kernels.sliding import forget_row
from rnts.kernels.sliding_state import (
    ACTIVE,
    AFFECTED,
    ALL,
    COUNTED,
    COUNTED_GROUP,
    COUNTED_HOST,
    CRITICAL,
    DEGRADED,
    DISTINCT,
    ERROR_NS,
    GONE,
    GROUP,
    HOST,
    ID,
    IS_MEMBER,
    KNOWN,
    KNOWN_NS,
    MEMBERS_CHANGED,
    NOW_NS,
    OF_SCOPE,
    RECORD_NS,
    SCOPES,
    SLIDING_TYPE,
    WHAT,
    WITHIN_NS,
)

IS_DEGRADED, IS_CRITICAL = 1, 2  # states of health as the model numbers them
_AHEAD = 64  # rows whose lines are fetched before they are looked at


@device
def _is_within(time_ns, now_ns, within_ns):
    """Whether something happened in the window that ends now."""
    return time_ns > 0 and time_ns > now_ns - within_ns


@inlined
def _counts_for(row, rows, sliding):
    """The bits of all that a known row counts for."""
    state, _, _, _, known, _, _, distinct, _, _, _, _ = sliding
    bits = IS_MEMBER
    if row == OVERFLOW_ROW:
        return bits
    health, now_ns = rows[row, HEALTH], state[NOW_NS]
    for d in range(state[DISTINCT]):
        what, within_ns = distinct[d, WHAT], distinct[d, WITHIN_NS]
        if what == KNOWN:
            is_so = True
        elif what == DEGRADED:
            is_so = health == IS_DEGRADED
        elif what == CRITICAL:
            is_so = health == IS_CRITICAL
        elif what == AFFECTED:
            has_error = _is_within(known[row, ERROR_NS], now_ns, within_ns)
            is_so = health == IS_CRITICAL or has_error
        else:
            is_so = what == ACTIVE and _is_within(known[row, RECORD_NS], now_ns, within_ns)
        if is_so:
            bits |= 1 << d
    return bits


@device
def _count(bits, group, host, sign, sliding):
    """Add what a row counts for, with its group and its host, or take it away."""
    state, _, _, _, _, _, _, distinct, counts, members, _, _ = sliding
    if bits == 0:
        return
    for scope, entity in ((GROUP, group), (HOST, host), (ALL, 0)):
        if members[scope, entity] == 0:
            members[SCOPES + scope, entity] = max(state[NOW_NS], 1)
            state[MEMBERS_CHANGED] += 1
        members[scope, entity] += sign
        state[MEMBERS_CHANGED] += members[scope, entity] == 0
    for d in range(state[DISTINCT]):
        if (bits >> d) & 1:
            scope = distinct[d, OF_SCOPE]
            entity = group if scope == GROUP else (host if scope == HOST else 0)
            counts[d, entity] += sign


@device
def _leave_later(leaving, bits, group, host, lists):
    """Note what is to be taken away once all is added: who changes hands does not end and begin."""
    if bits != 0:
        lists[2, leaving], lists[3, leaving], lists[4, leaving] = bits, group, host
        leaving += 1
    return leaving


@device
def _look(start, stop, wanted, rows, sliding, there):
    """Look at some of the rows; `there` begins with how many there are, and how many leave."""
    state, _, _, _, known, hosts, lists, _, _, _, _, _ = sliding
    count, leaving = there[0], there[1]
    for i in range(start, stop):
        row = wanted[i]
        if row == OVERFLOW_ROW:
            exists = known[row, RECORD_NS] != 0
        else:
            exists = rows[row, ROW_GROUP] != NO_GROUP and rows[row, LEFT] == 0
        is_other = known[row, ID] != rows[row, ROW_ID] or known[row, KNOWN_NS] == 0
        before, was, at = known[row, COUNTED], known[row, COUNTED_GROUP], known[row, COUNTED_HOST]
        if before != 0 and (not exists or is_other):
            lists[1, state[GONE]] = row
            state[GONE] += 1
        if not exists:
            leaving = _leave_later(leaving, before, was, at, lists)
            known[row, COUNTED] = 0
            if known[row, KNOWN_NS] != 0 or known[row, RECORD_NS] != 0:
                forget_row(row, sliding)
            continue
        if known[row, ID] != rows[row, ROW_ID]:
            forget_row(row, sliding)
            known[row, ID] = rows[row, ROW_ID]
        if known[row, KNOWN_NS] == 0:
            known[row, KNOWN_NS] = max(state[NOW_NS], 1)
        bits, group, host = _counts_for(row, rows, sliding), rows[row, ROW_GROUP], hosts[row]
        if bits != before or group != was or host != at:
            _count(bits, group, host, 1, sliding)
            leaving = _leave_later(leaving, before, was, at, lists)
            known[row, COUNTED] = bits
            known[row, COUNTED_GROUP], known[row, COUNTED_HOST] = group, host
        if row != OVERFLOW_ROW:
            there[2 + count] = row
            count += 1
    there[0], there[1] = count, leaving


@kernel(f"int64(int64[::1], int64[:,::1], {SLIDING_TYPE}, int64[::1])")
def look_at(wanted, rows, sliding, there):
    """Look at rows: write those that have a neuron into `there`, from its third word on.

    Rows whose neuron is gone, or another, since the last look are added to the list of these; at
    most as many as there are rows. A neuron that said that it leaves is gone until it says more.
    Returns how many are there.
    """
    known, lists = sliding[4], sliding[6]
    there[0] = there[1] = 0
    for start in range(0, wanted.size, _AHEAD):
        stop = min(start + _AHEAD, wanted.size)
        for i in range(start, stop):  # so that the cache is missed for all at the same time
            there[2 + i] = known[wanted[i], COUNTED] ^ rows[wanted[i], ROW_GROUP]
        _look(start, stop, wanted, rows, sliding, there)
    for i in range(there[1]):
        _count(lists[2, i], lists[3, i], lists[4, i], -1, sliding)
    return there[0]


@kernel(f"void(int64, {SLIDING_TYPE})")
def begin_distinct(d, sliding):
    """Take the bit of a row of the plan of what is distinct from all rows, for another use."""
    _, _, _, _, known, _, _, _, counts, _, _, _ = sliding
    for row in range(known.shape[0]):
        known[row, COUNTED] &= ~(1 << d)
    for entity in range(counts.shape[1]):
        counts[d, entity] = 0
