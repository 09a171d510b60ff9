"""The lane: its bytes are where the layout says, and its consumer believes none of them."""

import struct

import numpy as np
import pytest
from capture_tools import Counters, decode, producing, read_lane
from hypothesis import given
from hypothesis import strategies as st
from naive_lane import NaiveLane

from rnts import layout, writer
from rnts.accounting import LANE_DROPS
from rnts.drain_model import EXPONENTS, FLOATS, KIND_MASKS
from rnts.kernels import bell, waiting
from rnts.kernels import lane as kernel
from rnts.model import FIELD, FIELDS, KIND_MASK, SLOT_BYTES, SLOT_WORDS, SLOTS_MAX, Kind, Storage

SLOTS = 8
FORMATS = {
    Kind.SAMPLE: writer.SAMPLE_FORMAT,
    Kind.EVENT: writer.EVENT_FORMAT,
    Kind.LINK: writer.LINK_FORMAT,
}
KERNEL_OFFSETS = {
    "DATA_DELTA": layout.LANE_DATA_DELTA,
    "SLOT_MASK": layout.LANE_SLOT_MASK,
    "TAIL": layout.LANE_TAIL,
    "HEAD_CACHE": layout.LANE_HEAD_CACHE,
    "ATTEMPTS": layout.LANE_ATTEMPTS,
    "DROP_LANE_FULL": layout.LANE_DROP["lane_full"],
    "HEAD": layout.LANE_HEAD,
    "NOTES": layout.LANE_NOTES[0],
    "NOTE_BYTES": layout.LANE_NOTES[1] - layout.LANE_NOTES[0],
    "KIND_NAME": Kind.NAME,
    "SLOTS_OF_RECORD_MAX": SLOTS_MAX,
}


@pytest.mark.parametrize("name", KERNEL_OFFSETS)
def test_kernels_know_the_layout(name: str) -> None:
    """What kernels repeat of the layout is what the layout says."""
    assert getattr(kernel, name) == KERNEL_OFFSETS[name]
    assert bell.BELL == layout.LANE_BELL
    assert SLOT_BYTES == 1 << kernel.SLOT_SHIFT


def test_counters_lie_in_a_row() -> None:
    """Attempts, sampled_out and the drops follow one another, as the reading kernel takes them."""
    offsets = [layout.LANE_SAMPLED_OUT, *(layout.LANE_DROP[reason] for reason in LANE_DROPS)]

    assert offsets == [layout.LANE_ATTEMPTS + 8 * i for i in range(1, len(offsets) + 1)]


def test_words_of_the_header_are_apart() -> None:
    """No two names stand for one word of the header, and all lie in it."""
    names = [n for n in vars(layout) if n.startswith("HEADER_") and n != "HEADER_BYTES"]
    offsets = [getattr(layout, name) for name in names]

    assert len(set(offsets)) == len(offsets) > 10
    assert all(offset % 8 == 0 and 0 <= offset < layout.HEADER_BYTES for offset in offsets)


def test_writers_of_a_lane_share_no_cache_lines() -> None:
    """Claim, producer and consumer have a block of 128 bytes each, and no word serves two."""
    claim = [layout.LANE_STATE, layout.LANE_BELL, layout.LANE_DATA_DELTA, layout.LANE_SLOT_MASK]
    claim += [layout.LANE_THREAD, *(layout.LANE_RATES + 8 * i for i in range(3))]
    claim += [layout.LANE_SWITCH, layout.LANE_TABLE_DELTA]
    produced = [layout.LANE_TAIL, layout.LANE_HEAD_CACHE, layout.LANE_ATTEMPTS]
    produced += [layout.LANE_SAMPLED_OUT, *layout.LANE_DROP.values()]
    consumed = [layout.LANE_HEAD, *(note + 8 * i for note in layout.LANE_NOTES for i in range(3))]

    words = claim + produced + consumed
    assert len(set(words)) == len(words)
    assert {offset // 128 for offset in claim} == {0}
    assert {offset // 128 for offset in produced} == {1}
    assert {offset // 128 for offset in consumed} == {2}
    assert max(words) < layout.LANE_BYTES


@given(lanes=st.integers(1, 64), slot_bits=st.integers(3, 20))
def test_parts_of_a_segment_do_not_overlap(lanes: int, slot_bits: int) -> None:
    """Header, directory, lanes and log of names follow one another, the lanes from a page on."""
    slots = 1 << slot_bits
    edges = [layout.HEADER_BYTES, *(layout.lane_offset(i) for i in range(lanes))]
    edges += [layout.lane_offset(lanes)]
    edges += [layout.slots_offset(i, lanes, slots) for i in range(lanes)]
    edges += [layout.table_offset(lanes, slots)]

    assert edges == sorted(edges)
    assert layout.data_offset(lanes) % 4096 == 0
    assert edges[-1] - layout.data_offset(lanes) == lanes * slots * SLOT_BYTES
    assert layout.segment_bytes(lanes, slots) - edges[-1] == layout.TABLE_BYTES


@given(count=st.integers(0, 1 << 40))
def test_powers_of_two_are_the_next_ones(count: int) -> None:
    """`power_of_two` is a power of two, large enough, and its half is not."""
    power = layout.power_of_two(count)

    assert power & power - 1 == 0
    assert power >= count
    assert power == 1 or power // 2 < count


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_put_fields_where_the_model_says(kind: Kind) -> None:
    """Each field of a packed record is found at its word and shift, and at no other's."""
    fields = writer.fields_of(kind)
    values = [i + 1 if f.storage is Storage.U8 else 1000.0 + i for i, f in enumerate(fields)]
    typed = [v if f.storage.is_float else int(v) for v, f in zip(values, fields, strict=True)]
    mask = KIND_MASK[kind]
    packed = FORMATS[kind].pack(int(kind), 1, 0, mask, 77, 88, *typed)
    rows = np.frombuffer(packed.ljust(SLOT_BYTES, b"\0"), np.int64).reshape(1, SLOT_WORDS)

    [seen] = decode(rows)
    assert (seen.kind, seen.neuron_id, seen.time_ns, seen.strings) == (kind, 77, 88, [])
    assert seen.values == {f.name: v for f, v in zip(fields, typed, strict=True)}
    assert FORMATS[kind].size <= SLOT_BYTES


class Memory:
    """One lane in memory of our own, with the consumer's table for it."""

    def __init__(self, slots: int = SLOTS) -> None:
        self.words = np.zeros((layout.LANE_BYTES + slots * SLOT_BYTES) // 8, np.int64)
        self.ring = self.words[layout.LANE_BYTES // 8 :].reshape(slots, SLOT_WORDS)
        self.table = np.zeros((1, kernel.LANE_COLUMNS), np.int64)
        address = int(self.words.ctypes.data)
        self.table[0, kernel.CONTROL] = address
        self.table[0, kernel.SLOTS] = address + layout.LANE_BYTES
        self.table[0, kernel.MASK] = slots - 1

    def set(self, offset: int, value: int) -> None:
        """Write a word of the control block."""
        self.words[offset // 8] = value

    def drain(
        self,
        out: np.ndarray,
        start: int = 0,
        limit: int = 1000,
        until: int = kernel.ALL_TIMES,
    ) -> int:
        """Drain into `out`; its new length."""
        return kernel.drain(self.table, out, start, limit, until, KIND_MASKS, FLOATS, EXPONENTS)


def plausible_header(draw: st.DrawFn) -> int:
    """Word 0 of a slot that may well be a record."""
    kind = draw(st.integers(0, 5))
    text_bytes = draw(st.one_of(st.just(0), st.integers(0, 1200)))
    slots = draw(st.one_of(st.just(1 + (text_bytes + 127) // 128), st.integers(0, 12)))
    masks = [KIND_MASK.get(Kind(kind), 0) if 1 <= kind <= 4 else 0, 0, (1 << 32) - 1]
    mask = draw(st.sampled_from(masks)) & draw(st.integers(0, (1 << 32) - 1))
    return kind | slots << 8 | text_bytes << 16 | mask << 32


NAN_WORDS = st.sampled_from(
    [0x7FF8000000000000, 0xFFF0000000000001, 0x7FC00000FF800001, 0x7F800000]
)
WORDS = st.one_of(st.integers(0, 2**64 - 1), NAN_WORDS)


@st.composite
def rings(draw: st.DrawFn) -> list[list[int]]:
    """Eight slots of anything."""
    ring = []
    for _ in range(SLOTS):
        words = [draw(WORDS)] * SLOT_WORDS
        words[draw(st.integers(2, 15))] = draw(WORDS)
        words[0] = plausible_header(draw) if draw(st.booleans()) else draw(WORDS)
        words[1] = draw(st.sampled_from([0, 1, 2**64 - 1]))
        ring.append(words)
    return ring


@given(
    ring=rings(),
    position=st.one_of(st.integers(0, 20), st.integers(-(2**63), 2**63 - 20)),
    ahead=st.one_of(st.integers(-2, SLOTS + 2), st.integers(-(2**63), 2**63 - 1)),
    limit=st.integers(1, 12),
    room=st.integers(0, 12),
    until=st.one_of(st.just(2**63 - 1), st.integers(-(2**63), 2**63 - 1)),
)
def test_drain_is_its_naive_twin(
    ring: list[list[int]], position: int, ahead: int, limit: int, room: int, until: int
) -> None:
    """Whatever stands in slots and tail, the consumer takes what its naive twin takes, no more."""
    memory = Memory()
    memory.ring[:] = np.array(ring, np.uint64).view(np.int64)
    tail = (position + ahead + 2**63) % 2**64 - 2**63
    memory.set(layout.LANE_TAIL, tail)
    memory.table[0, kernel.POSITION] = position
    naive = NaiveLane(ring, position)
    out = np.zeros((room, SLOT_WORDS), np.int64)

    assert kernel.oldest_time(memory.table) == naive.oldest_time(tail)
    filled = memory.drain(out, 0, limit, until)
    naive.drain(position + (tail - position + 2**63) % 2**64 - 2**63, limit, room, until)

    assert out[:filled].view(np.uint64).tolist() == naive.out
    row = memory.table[0]
    assert row[kernel.POSITION] == naive.position
    assert row[kernel.DELIVERED] == row[kernel.TAKEN] == naive.taken
    assert (row[kernel.CORRUPT], row[kernel.SICK]) == (naive.corrupt, naive.is_sick)
    assert naive.taken + naive.corrupt <= max(0, ahead)
    if row[kernel.POSITION] != position:
        assert memory.words[layout.LANE_HEAD // 8] == row[kernel.POSITION]


def fill(memory: Memory, count: int) -> None:
    """Publish `count` samples with ids 1, 2, …"""
    for i in range(count):
        memory.ring[i % SLOTS] = 0
        memory.ring[i % SLOTS, :2] = int(Kind.SAMPLE) | 1 << 8, i + 1
    memory.set(layout.LANE_TAIL, count)


def test_no_lane_takes_the_room_of_others() -> None:
    """A call takes at most `per_lane` slots of a lane, and the rest stays for the next."""
    memory = Memory()
    fill(memory, 7)
    out = np.zeros((100, SLOT_WORDS), np.int64)

    assert memory.drain(out, 0, 3) == 3
    assert memory.drain(out, 3, 3) == 6
    assert memory.drain(out, 6, 3) == 7
    assert out[:7, 1].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_each_head_goes_with_a_note() -> None:
    """After each pass one note tells the head and the counts, and the other one the pass before."""
    memory = Memory()
    out = np.zeros((100, SLOT_WORDS), np.int64)
    for count in (2, 3, 7):
        fill(memory, count)
        memory.drain(out)
        notes = [memory.words[start // 8 :][:3].tolist() for start in layout.LANE_NOTES]
        assert memory.words[layout.LANE_HEAD // 8] == count
        assert [count, count, 0] in notes
    assert [3, 3, 0] in notes


def test_waiting_looks_at_the_own_position() -> None:
    """A head that others scribbled over neither wakes the agent nor keeps it asleep."""
    memory = Memory()
    fill(memory, 3)
    memory.set(layout.LANE_HEAD, 3)
    assert waiting.holds_records(memory.table) == 1

    memory.drain(np.zeros((100, SLOT_WORDS), np.int64))
    memory.set(layout.LANE_HEAD, -17)
    assert waiting.holds_records(memory.table) == 0


def test_sick_lanes_are_left_alone() -> None:
    """A tail that cannot be makes a lane sick; nothing of it is read or written any more."""
    memory = Memory()
    fill(memory, 3)
    memory.set(layout.LANE_TAIL, SLOTS + 1)
    out = np.zeros((100, SLOT_WORDS), np.int64)
    assert memory.drain(out) == 0
    before = memory.words.copy()

    memory.set(layout.LANE_TAIL, 3)
    assert memory.drain(out) == 0
    assert waiting.holds_records(memory.table) == 0
    before[layout.LANE_TAIL // 8] = 3
    assert (memory.words == before).all()


def test_a_lane_goes_on_where_its_last_owner_stopped() -> None:
    """A writer made for a used lane continues its positions and counters."""
    with producing(lanes=1, lane_slots=8) as (producer, segment):
        neuron = producer.neuron("n")
        assert [neuron.record(queue_depth=i) for i in range(10)] == [True] * 8 + [False] * 2
        again = writer.LaneWriter(segment, 0)
        assert again.refuse("invalid") is False
        assert read_lane(segment) == Counters(11, 8, 0, {"lane_full": 2, "invalid": 1})


def test_every_field_has_a_place_of_its_own() -> None:
    """Fields of a kind do not overlap, nor reach into the slot's first three words."""
    for kind in FORMATS:
        taken: set[int] = set()
        for field in (f for f in FIELDS if f.kind is kind):
            start = 64 * field.word + field.shift
            bits = set(range(start, start + field.storage.bits))
            assert not bits & taken
            assert min(bits) >= 3 * 64
            assert max(bits) < SLOT_BYTES * 8
            taken |= bits
    assert FIELD["health"].storage is Storage.U8
    assert struct.calcsize("<BBHI") == 8
