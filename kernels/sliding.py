"""What the fold tells of each block of records to the windows that slide, by time of arrival.

Guarantee: a record enters every series that is about it once, with whom it counts for at that
moment; what was counted before a restart and what is old news by now enters none, and the latter is
counted. Cost: nothing where no expression stands, else a record and series 2 to 3 % of what the
fold of the record takes, by neuron among 10,000 of them: a miss of the cache is most of it. What
samples say is entered by sliding_samples.py.
"""

from rnts.kernels._jit import device, inlined
from rnts.kernels.fold_state import BIT_EVENT_TYPE, EVENT_ERROR, KIND_EVENT, KIND_SAMPLE
from rnts.kernels.neurons import GROUP as ROW_GROUP
from rnts.kernels.neurons import ID as ROW_ID
from rnts.kernels.sliding_panes import turn
from rnts.kernels.sliding_state import (
    CELLS,
    ENTERED,
    EPOCH,
    ERROR_NS,
    ERRORS,
    GROUP,
    HOST,
    ID,
    IS_ON,
    KNOWN_NS,
    NEURON,
    NONE,
    NOW_NS,
    OLDEST_NS,
    PANE,
    RECORD_NS,
    RECORDS,
    SCOPE,
    SERIES,
    STALE,
    STATISTIC,
    TOUCHED,
    TOUCHED_IN,
    WIDTH,
)


@device
def forget_row(row, sliding):
    """Empty all that is kept of one row, for whoever has it next."""
    state, plan, cells, _, known, _, _, _, _, _, _, _ = sliding
    known[row, KNOWN_NS] = known[row, RECORD_NS] = known[row, ERROR_NS] = 0
    for s in range(state[SERIES]):
        if plan[s, SCOPE] == NEURON and plan[s, STATISTIC] != NONE:
            cells[plan[s, CELLS] + (row + 1) * plan[s, WIDTH] - 1] = 0.0


@inlined
def _touch(row, rows, sliding):
    """Note that something came of a row; whoever had it before is forgotten."""
    state, _, _, _, known, _, lists, _, _, _, _, _ = sliding
    if known[row, ID] != rows[row, ROW_ID]:
        # What the one before counts for is taken back where members are looked at.
        forget_row(row, sliding)
        known[row, ID] = rows[row, ROW_ID]
    if known[row, TOUCHED_IN] != state[EPOCH]:
        known[row, TOUCHED_IN] = state[EPOCH]
        lists[0, state[TOUCHED]] = row
        state[TOUCHED] += 1


@device
def arrive(count, records, rows, ring, codes, block, sliding):
    """Note the records of a block that have arrived; to be called before samples are picked out."""
    state, plan, cells, small, known, hosts, _, _, _, _, entered, _ = sliding
    if state[IS_ON] == 0:
        return
    _, times_ns, kinds, masks, values, _, _, _ = records
    sources, owners, in_panes = block[0], block[1], block[2]
    found, samples, now_ns = 0, 0, max(state[NOW_NS], 1)
    for j in range(count):
        i, row = sources[j], owners[j]
        is_stale = times_ns[i] < state[OLDEST_NS]
        enters = in_panes[j] != ring and not is_stale
        state[STALE] += in_panes[j] != ring and is_stale
        if kinds[i] == codes[KIND_SAMPLE]:
            entered[1, samples] = enters
            samples += 1
        if not enters:
            continue
        _touch(row, rows, sliding)
        known[row, RECORD_NS] = now_ns
        is_error = (
            kinds[i] == codes[KIND_EVENT]
            and (masks[i] >> codes[BIT_EVENT_TYPE]) & 1 != 0
            and values[i, codes[BIT_EVENT_TYPE]] == codes[EVENT_ERROR]
        )
        if is_error:
            known[row, ERROR_NS] = now_ns
        entered[0, found] = 2 * row + is_error
        found += 1
    state[ENTERED] = found
    for s in range(state[SERIES]):
        if plan[s, STATISTIC] == RECORDS or plan[s, STATISTIC] == ERRORS:
            is_wanted = plan[s, STATISTIC] == ERRORS
            pane = plan[s, PANE]
            for j in range(found):
                if is_wanted and entered[0, j] & 1 == 0:
                    continue
                entity = _entity_of(entered[0, j] >> 1, plan[s, SCOPE], rows, hosts)
                cells[turn(s, entity, plan, cells, small) + pane] += 1.0


@device
def _entity_of(row, scope, rows, hosts):
    """The index of the entity of a scope that a row counts for."""
    if scope == NEURON:
        return row
    if scope == GROUP:
        return rows[row, ROW_GROUP]
    return hosts[row] if scope == HOST else 0
