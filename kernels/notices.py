"""What records say besides their metrics: events, links between neurons, states of health.

Guarantee: each is counted once; texts are only pointed at, so that whoever is interested decodes
no more than it will show. Cost: under 1 ns a record that says none of it.
"""

import numpy as np

from rnts.kernels import traffic
from rnts.kernels._jit import device
from rnts.kernels.fold_state import (
    BIT_EVENT_TYPE,
    BIT_HEALTH,
    BIT_LINK_BYTES,
    BIT_LINK_LATENCY,
    BIT_LINK_MESSAGES,
    BIT_LINK_PEER,
    EVENT_DEACTIVATED,
    EVENT_ERROR,
    EVENTS_NOTED,
    KIND_EVENT,
    KIND_LINK,
    REASONS_NOTED,
    REASONS_SKIPPED,
    REFUSED,
)
from rnts.kernels.neurons import (
    HEALTH_STATES,
    LATEST,
    LEFT,
    OVERFLOW_ROW,
    REASON,
    set_health,
)
from rnts.kernels.panes import SLOT_ERRORS


@device
def note_events(count, records, rows, slots, codes, notes, state, block):
    """Count events by their type, and keep which records they are; errors count for neurons."""
    _, times_ns, kinds, masks, values, _, _, _ = records
    sources, owners, _, places, _, _, _, _, _ = block
    events, _, tally = notes
    for j in range(count):
        i, row = sources[j], owners[j]
        if kinds[i] != codes[KIND_EVENT]:
            continue
        code = values[i, codes[BIT_EVENT_TYPE]]
        if not (masks[i] >> codes[BIT_EVENT_TYPE]) & 1 or not 0 <= code < tally.size - 1:
            code = tally.size - 1
        tally[code] += 1
        events[state[EVENTS_NOTED] % events.size] = i
        state[EVENTS_NOTED] += 1
        if code == codes[EVENT_ERROR]:
            slots[places[j], SLOT_ERRORS] += 1
        if code == codes[EVENT_DEACTIVATED] and times_ns[i] >= rows[row, LATEST]:
            rows[row, LEFT] = 1


@device
def note_links(count, records, codes, tables, state, block):
    """Add what links report to the table of links."""
    ids, times_ns, kinds, masks, values, _, _, _ = records
    links, _ = tables
    sources = block[0]
    for j in range(count):
        i = sources[j]
        if kinds[i] != codes[KIND_LINK]:
            continue
        if not (masks[i] >> codes[BIT_LINK_PEER]) & 1:
            state[REFUSED] += 1
            continue
        peer = np.uint64(values[i, codes[BIT_LINK_PEER]])
        cell = traffic.take_link(ids[i], peer, times_ns[i], tables)
        if cell == traffic.NO_LINK:
            continue
        if (masks[i] >> codes[BIT_LINK_MESSAGES]) & 1:
            links[cell, traffic.MESSAGES] += np.uint64(values[i, codes[BIT_LINK_MESSAGES]])
        if (masks[i] >> codes[BIT_LINK_BYTES]) & 1:
            links[cell, traffic.BYTES] += np.uint64(values[i, codes[BIT_LINK_BYTES]])
        if (masks[i] >> codes[BIT_LINK_LATENCY]) & 1:
            links[cell, traffic.LATENCY] = np.uint64(values[i, codes[BIT_LINK_LATENCY]])
            links[cell, traffic.TIMED] = np.uint64(1)


@device
def _digest(text, start, end):
    """A number above 0 that tells one text from another (FNV-1a in 32 bits)."""
    digest = np.int64(0x811C9DC5)
    for i in range(start, end):
        digest = ((digest ^ np.int64(text[i])) * 0x01000193) & 0xFFFFFFFF
    return digest + 1


@device
def note_health(count, records, neurons, codes, notes, state, block):
    """Set the health that samples name, and keep which of them give a reason that is new."""
    _, times_ns, _, masks, values, _, text_offsets, text = records
    rows, _, population, _, _, _ = neurons
    sources, owners, _, _, _, _, _, _, _ = block
    _, reasons, _ = notes
    for j in range(count):
        i, row = sources[j], owners[j]
        if row == OVERFLOW_ROW or not (masks[i] >> codes[BIT_HEALTH]) & 1:
            continue
        health = values[i, codes[BIT_HEALTH]]
        if health < 0 or health >= HEALTH_STATES:
            state[REFUSED] += 1
            continue
        start, end = text_offsets[i], text_offsets[i + 1]
        if set_health(row, health, times_ns[i], rows, population) and end > start:
            digest = _digest(text, start, end)
            if digest == rows[row, REASON]:
                continue
            if state[REASONS_NOTED] == reasons.size:
                state[REASONS_SKIPPED] += 1
                continue
            rows[row, REASON] = digest
            reasons[state[REASONS_NOTED]] = i
            state[REASONS_NOTED] += 1
