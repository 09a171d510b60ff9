"""Slots to records: finds where each record begins, its neuron's row, its shape and its time.

Guarantee: reads only the given slots, and refuses slots that hold no record. Cost of a record:
13-20 ns.

Blocks of records go through three steps, each a block behind the one before, so that what a step
has fetched into the cache has come when the next one looks at it.
"""

import numpy as np

from rnts.kernels import columns
from rnts.kernels._jit import device
from rnts.kernels.atomics import prefetch_word
from rnts.kernels.dictionary import COUNT, FULL, home_of, row_at, row_of
from rnts.kernels.varint import zigzag

_SLOT_BYTES = 128
_BLOCK, _ONE = np.uint64(32), np.uint64(1)
_ROW_WORDS, _SEEN_WORD = np.uint64(columns.ROW_WORDS), np.uint64(columns.SEEN)
_ENTRY_WORDS = np.uint64(2)


@device
def _shape_of(slots, place, control):
    """Kind above mask of the record whose head is slots[place]; a fault where there is none."""
    head = slots[place, columns.HEAD_WORD]
    taken = (head >> 8) & 0xFF
    text_bytes = (head >> 16) & 0xFFFF
    room = len(slots) - np.int64(place)
    if taken == 0 or taken > room or text_bytes > (taken - 1) * _SLOT_BYTES:
        return columns.BAD_SLOT
    kind = head & 0xFF
    mask = (head >> 32) & columns.SHAPE_MASK
    if kind >= columns.KINDS:
        return columns.BAD_SHAPE
    allowed = control[columns.KIND_MASKS + kind]
    if allowed < 0 or mask & ~allowed != 0:
        return columns.BAD_SHAPE
    return (kind << columns.SHAPE_KIND_SHIFT) | mask


@device
def _note_text(text_bytes, index, streams, control):
    """Keep how long the text of record `index` is, and how far behind the one before it."""
    texts = control[columns.TEXT_COUNT]
    streams[columns.GAPS, texts] = np.uint64(index + 1 - control[columns.TEXT_NEXT])
    streams[columns.LENGTHS, texts] = np.uint64(text_bytes)
    control[columns.TEXT_NEXT] = index + 1
    control[columns.TEXT_COUNT] = texts + 1


@device
def _read_heads(slots, tables, states, keys, scratch, control):
    """Read the next block: places, masks, shapes, times, texts; its end, or a fault."""
    work, streams = scratch
    shapes, shape_state = tables[columns.SHAPE_LINE], states[columns.SHAPE_LINE]
    neurons, neuron_state = tables[columns.NEURON_LINE], states[columns.NEURON_LINE]
    place, end = np.uint64(control[columns.NEXT_PLACE]), np.uint64(len(slots))
    index = np.uint64(control[columns.RECORDS])
    fetches, stop = control[columns.PREFETCHES] != 0, index + _BLOCK
    last_head, key, shape = np.int64(0), np.int64(0), np.int64(0)
    time = control[columns.LAST_TIME]
    while place < end and index < stop:
        head = slots[place, columns.HEAD_WORD]
        if head != last_head or (head >> 8) & 0xFF != 1:
            key = _shape_of(slots, place, control)
            if key < 0:
                return key
            shape = row_of(shapes, shape_state, keys[columns.SHAPE_LINE], key)
            if shape == FULL:
                return columns.BAD_DICTIONARY
            control[columns.KINDS_SEEN] |= 1 << (key >> columns.SHAPE_KIND_SHIFT)
            last_head = head
        home = home_of(slots[place, columns.NEURON_WORD], neuron_state)
        if fetches:
            prefetch_word(neurons, home * _ENTRY_WORDS)
        work[columns.PLACE, index], work[columns.HOME, index] = np.int64(place), np.int64(home)
        work[columns.MASK, index] = key & columns.SHAPE_MASK
        streams[columns.SHAPES, index] = np.uint64(shape)
        now = slots[place, columns.TIME_WORD]
        streams[columns.TIMES, index], time = zigzag(now - time), now
        if (head >> 16) & 0xFFFF != 0:
            _note_text((head >> 16) & 0xFFFF, np.int64(index), streams, control)
        place += np.uint64((head >> 8) & 0xFF)
        index += _ONE
    control[columns.NEXT_PLACE], control[columns.LAST_TIME] = np.int64(place), time
    control[columns.RECORDS] = np.int64(index)
    return np.int64(index)


@device
def _look_up(slots, tables, states, keys, rows, scratch, bounds, fetches):
    """Find the rows of a block's neurons; a fault if there are too many."""
    work, streams = scratch
    neurons, state = tables[columns.NEURON_LINE], states[columns.NEURON_LINE]
    for i in range(np.uint64(bounds[0]), np.uint64(bounds[1])):
        known = state[COUNT]
        key = slots[np.uint64(work[columns.PLACE, i]), columns.NEURON_WORD]
        home = np.uint64(work[columns.HOME, i])
        row = row_at(neurons, state, keys[columns.NEURON_LINE], key, home)
        if row == FULL:
            return columns.BAD_DICTIONARY
        if row == known:
            rows[row, columns.SEEN] = 0
        elif fetches != 0:
            prefetch_word(rows, np.uint64(row) * _ROW_WORDS + _SEEN_WORD)
        work[columns.ROW, i] = row
        streams[columns.ROWS, i] = np.uint64(row)
    return 0


@device
def index_records(slots, known, scratch, control):
    """Give each record its place, row and shape; returns how many records there are, or a fault.

    There must be room for as many new neurons and shapes as there are slots. After a fault the
    group is not what its reader has: the next frame has to begin one.
    """
    tables, states, keys, rows = known
    work, _ = scratch
    fetches = control[columns.PREFETCHES]
    looked_up, noted = 0, 0
    while control[columns.NEXT_PLACE] < len(slots) or noted < control[columns.RECORDS]:
        index = _read_heads(slots, tables, states, keys, scratch, control)
        if index < 0:
            return index
        bounds = (looked_up, index)
        fault = _look_up(slots, tables, states, keys, rows, scratch, bounds, fetches)
        if fault != 0:
            return fault
        for i in range(np.uint64(noted), np.uint64(looked_up)):
            columns.note_new_fields(rows, work, i)
        noted, looked_up = looked_up, index
    control[columns.NEURONS_AFTER] = states[columns.NEURON_LINE, COUNT]
    control[columns.SHAPES_AFTER] = states[columns.SHAPE_LINE, COUNT]
    columns.count_fields(work, columns.NEW, control, columns.FIRSTS)
    return control[columns.RECORDS]
