"""Columns of records: round trips by shape, grids, texts, dictionaries, damage, plain Python."""

import math
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import naive_columns as naive
import numpy as np
import pytest
import wire_tools as tools
from hypothesis import given
from hypothesis import strategies as st
from naive_columns import NaiveRecord
from wire_tools import START_NS, sample

from rnts.columns import SLOTS_PER_FRAME_MAX, ColumnEncoder
from rnts.errors import FrameError
from rnts.frame import FrameDecoder
from rnts.kernels import dictionary
from rnts.model import FIELD, FIELDS, KIND_MASK, Field, Kind, Storage

DECODER = FrameDecoder()
GRIDDED = [field for field in FIELDS if field.step]
U64 = st.integers(0, 2**64 - 1)


def travel(records: list[NaiveRecord]) -> list[NaiveRecord]:
    """The records after a journey; both decoders must agree on them."""
    frame = tools.encode(records)
    received = tools.from_records(DECODER.decode(frame).records)
    naively = naive.decode(frame).records
    assert tools.without_nan(received) == tools.without_nan(naively)
    return received


SHAPES = {
    "constant": lambda i: 7,
    "rising": lambda i: 1_000_000 + 3 * i,
    "falling": lambda i: 1_000_000 - 3 * i,
    "quadratic": lambda i: i * i,
    "reset": lambda i: (i * 1_000) % 7_919,
    "extremes": lambda i: (0, 2**64 - 1, 2**63, 2**63 - 1)[i % 4],
    "noise": lambda i: random.Random(i).getrandbits(64),
}


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 513])
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_come_back_exactly_whatever_their_shape(shape: str, count: int) -> None:
    """Any run of any integers, of one neuron and of several in turn, is unchanged."""
    for neurons in (1, 3):
        records = [
            sample(i % neurons, START_NS + 10 * i, activation_count=SHAPES[shape](i))
            for i in range(count)
        ]

        assert travel(records) == records


def test_records_of_all_kinds_keep_their_order_and_their_fields() -> None:
    """Mixed kinds and masks arrive as they were sent; what was not set stays absent."""
    for seed in range(30):
        records = tools.random_records(seed, 80)

        tools.assert_agree(records, travel(records))


@given(
    st.lists(
        st.tuples(
            U64 | st.integers(0, 2),
            st.integers(0, 2**63 - 1),
            st.dictionaries(
                st.sampled_from([f.name for f in FIELDS if f.kind is Kind.SAMPLE]),
                st.integers(0, 255),
                max_size=8,
            ),
        ),
        max_size=90,
    )
)
def test_any_samples_come_back(rows: list[tuple[int, int, dict[str, int | float]]]) -> None:
    """Any ids, times in any order, any sets of fields."""
    records = [sample(neuron_id, time, **values) for neuron_id, time, values in rows]

    tools.assert_agree(records, travel(records))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_a_column_of_its_own(field: Field) -> None:
    """A record with one field comes back with that field, at its largest value and at 0."""
    top = 12.5 if field.storage.is_float else 2**field.storage.bits - 1
    records = [sample(i % 2, START_NS, **{field.name: top * (i % 3 == 0)}) for i in range(5)]

    tools.assert_agree(records, travel(records))


@pytest.mark.parametrize("field", GRIDDED, ids=lambda field: field.name)
@given(st.lists(st.floats(), min_size=1, max_size=70))
def test_floats_on_a_grid_are_off_by_half_a_step_at_most(field: Field, values: list[float]) -> None:
    """Within the grid the declared error holds; beyond it, and for NaN, the value is exact."""
    records = [sample(i % 2, START_NS, **{field.name: value}) for i, value in enumerate(values)]

    tools.assert_agree(records, travel(records))


def test_decimal_values_of_a_grid_come_back_as_the_same_float() -> None:
    """What was a number of steps is not changed at all, and does not drift when sent on."""
    for field in GRIDDED:
        if field.storage is Storage.F64:
            values = [round(i * 37 * (field.step or 0), 6) for i in range(-200, 200)]
            records = [sample(1, START_NS, **{field.name: value}) for value in values]

            assert travel(records) == records
    tenths = [value / 10 for value in range(1_001)]
    records = [sample(1, START_NS, cpu_usage_percent=value) for value in tenths]
    assert [record.values["cpu_usage_percent"] for record in travel(records)] == tenths


def test_bits_of_exceptions_and_of_floats_without_a_grid_are_kept() -> None:
    """The payload of a NaN and the sign of zero survive where a value travels as it is."""
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_DEAD_BEEF))[0]
    records = [
        sample(1, START_NS, signal_strength=odd),
        sample(1, START_NS, event_value=odd),
        sample(1, START_NS, event_value=-0.0),
        sample(1, START_NS, weight=-0.0),
    ]

    values = [next(iter(record.values.values())) for record in travel(records)]

    assert [struct.pack("<d", v).hex() for v in values[:2]] == [struct.pack("<d", odd).hex()] * 2
    assert [math.copysign(1, value) for value in values[2:]] == [-1, -1]


def test_an_exception_does_not_disturb_its_neighbours() -> None:
    """The value after a NaN is as near as ever, for that neuron and for others."""
    values = [1.0, math.nan, 1.5, math.inf, 1e300, 2.0, -math.inf, 2.5]
    records = [sample(neuron, START_NS, noise_ratio=value) for value in values for neuron in (1, 2)]

    tools.assert_agree(records, travel(records))


def test_texts_come_back_whole() -> None:
    """Texts of every length around a slot, with and without records in between."""
    lengths = [0, 1, 127, 128, 129, 0, 0, 255, 256, 257, 1_024, 0]
    records = [
        NaiveRecord(i, START_NS, int(Kind.NAME), 0, {}, bytes(j % 251 for j in range(length)))
        for i, length in enumerate(lengths)
    ]

    assert travel(records) == records


def test_keyframes_know_nothing_of_what_was_before() -> None:
    """A keyframe's bytes are the same after other frames as from a new encoder."""
    first, second = tools.random_records(1, 200), tools.random_records(2, 100)
    out = np.zeros(1 << 20, np.uint8)
    used, fresh = ColumnEncoder(), ColumnEncoder()
    used.encode(tools.to_slots(first), out, 0)

    end, count = used.encode(tools.to_slots(second), out, 0)
    content = out[:end].tobytes()

    assert count == 100
    assert fresh.encode(tools.to_slots(second), out, 0) == (end, count)
    assert out[:end].tobytes() == content


def test_first_values_do_not_widen_the_others() -> None:
    """Many neurons with large counters cost their first values once, and little after that."""
    records = [sample(i % 100, START_NS + i, activation_count=10**15 + i * 3) for i in range(2_000)]
    alone = len(tools.encode(records[:100]))

    assert len(tools.encode(records)) < alone + 1_900 * 3.5


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        (1 | 0 << 8, "count of slots"),
        (1 | 3 << 8, "count of slots"),
        (1 | 255 << 8, "count of slots"),
        (1 | 1 << 8 | 1 << 16, "bytes of text"),
        (1 | 2 << 8 | 129 << 16, "bytes of text"),
        (0 | 1 << 8, "kind"),
        (5 | 1 << 8, "kind"),
        (255 | 1 << 8, "kind"),
        (1 | 1 << 8 | FIELD["event_value"].mask << 32, "mask"),
        (1 | 1 << 8 | 1 << 63, "mask"),
        (4 | 1 << 8 | 1 << 32, "mask"),
    ],
)
def test_slots_that_hold_no_record_are_refused(word: int, rule: str) -> None:
    """Damage that a collector missed raises the rule that it breaks; nothing else is read."""
    slots = tools.to_slots([sample(1, START_NS, queue_depth=1)] * 3)
    slots[1, 0] = np.uint64(word).astype(np.int64)
    encoder, out = ColumnEncoder(), np.zeros(1 << 16, np.uint8)

    with pytest.raises(ValueError, match=rule):
        encoder.encode(slots, out, 0)
    assert encoder.encode(slots[:1], out, 0)[1] == 1


def test_too_many_slots_are_refused_before_they_are_read() -> None:
    """The limit that makes every frame fit is kept."""
    slots = np.zeros((SLOTS_PER_FRAME_MAX + 1, 16), np.int64)

    with pytest.raises(ValueError, match="16384 slots"):
        ColumnEncoder().encode(slots, np.zeros(1, np.uint8), 0)


def test_every_buffer_that_is_too_small_is_refused() -> None:
    """Nothing is written beyond the buffer, wherever it ends."""
    records = tools.random_records(3, 12)
    slots, encoder = tools.to_slots(records), ColumnEncoder()
    end, _ = encoder.encode(slots, np.zeros(1 << 16, np.uint8), 0)

    for room in range(end):
        with pytest.raises(ValueError, match="do not fit"):
            encoder.encode(slots, np.zeros(room, np.uint8), 0)
    # The length of the last column may turn out to be shorter than the room that was left for it.
    assert encoder.encode(slots, np.zeros(end + 1, np.uint8), 0) == (end, 12)


@given(st.lists(st.lists(st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), max_size=20)))
def test_dictionary_numbers_keys_in_order_of_arrival(epochs: list[list[int]]) -> None:
    """Each epoch numbers its keys from 0 on; a full dictionary says so and keeps what it has."""
    table, state = np.zeros((32, 2), np.int64), np.zeros(dictionary.STATE_WORDS, np.int64)
    keys = np.zeros(16, np.int64)
    state[dictionary.HASH_SHIFT], state[dictionary.SEED] = 64 - 5, 12_345
    for wanted in epochs:
        state[dictionary.EPOCH] += 1
        state[dictionary.COUNT] = 0
        rows = np.zeros(len(wanted), np.int64)
        count = dictionary.rows_of(table, state, keys, np.array(wanted, np.int64), rows)

        known: dict[int, int] = {}
        for key in wanted:
            if len(known) < len(keys):
                known.setdefault(key, len(known))
        assert count == len(known)
        assert keys[:count].tolist() == list(known)
        assert rows.tolist() == [known.get(key, dictionary.FULL) for key in wanted]


def test_as_many_neurons_as_a_frame_has_slots() -> None:
    """Every slot of the largest frame may be of another neuron and have a mask of its own."""
    random_words = np.random.default_rng(5)
    slots = random_words.integers(-(2**63), 2**63 - 1, (SLOTS_PER_FRAME_MAX, 16), dtype=np.int64)
    masks = random_words.integers(0, 1 << 16, SLOTS_PER_FRAME_MAX) & KIND_MASK[Kind.SAMPLE]
    slots[:, 0] = int(Kind.SAMPLE) | 1 << 8 | masks << 32
    out = np.zeros(5 << 20, np.uint8)
    end, count = ColumnEncoder().encode(slots, out, 0)

    header = tools.encode([])[:56] + struct.pack("<I", count) + bytes(12)
    frame = tools.reseal(header + struct.pack("<BI", 1, end) + out[:end].tobytes())
    records = DECODER.decode(frame).records

    assert records.count == SLOTS_PER_FRAME_MAX
    assert (records.ids[:count].view(np.int64) == slots[:, 1]).all()
    assert (records.times_ns[:count] == slots[:, 2]).all()
    assert (records.masks[:count] == masks).all()
    for field in FIELDS:
        if field.storage is Storage.U64 and field.kind is Kind.SAMPLE:
            has = masks & field.mask != 0
            assert (records.values[:count, field.bit] == slots[:, field.word])[has].all()


@pytest.mark.parametrize("seed", range(12))
def test_damaged_columns_are_read_as_the_document_says_or_refused(
    seed: int, size: Callable[[int, int], int]
) -> None:
    """On thousands of damaged frames both decoders agree: refused, or the same content."""
    frame = tools.encode(tools.random_records(seed, 4 + 9 * seed))
    untouched = tools.outcome(DECODER, frame)
    refused = 0
    for damaged in tools.mutants(frame, size(170, 10_000), seed):
        found, expected = tools.outcome(DECODER, damaged), tools.naive_outcome(damaged)
        if expected is None:
            refused += 1
            assert DECODER.decode(frame).records.count == 4 + 9 * seed
        assert (found == expected) if expected else found.isalpha()

    assert 0 < refused < size(170, 10_000)
    assert tools.outcome(DECODER, frame) == untouched


def test_columns_of_later_writers_are_skipped() -> None:
    """An unknown column, and a field that came later, are left out; the rest is unharmed."""
    records = [sample(1, START_NS, queue_depth=5), sample(2, START_NS, queue_depth=6)]
    frame = tools.encode(records)
    columns = dict(tools.split_columns(frame))
    (shape,) = struct.unpack("<Q", columns[33])
    columns |= {33: struct.pack("<Q", shape | 1 << 30), 30: b"later", 99: b"", 127: b"?"}

    received = DECODER.decode(tools.join_columns(frame, list(columns.items()))).records

    assert tools.from_records(received) == records


def test_columns_may_come_in_any_order() -> None:
    """A reader finds columns by their ids."""
    records = tools.random_records(4, 30)
    frame = tools.encode(records)
    columns = tools.split_columns(frame)

    turned = DECODER.decode(tools.join_columns(frame, columns[::-1])).records

    tools.assert_agree(records, tools.from_records(turned))


@pytest.mark.parametrize(
    ("column", "content", "reason"),
    [
        (128, b"", "column"),
        (255, b"later", "column"),
        (5, b"\0", "column"),
        (2, b"", "run"),
        (2, b"\x40", "run"),
        (2, b"\x40\x01\x01", "run"),
        (2, b"\x40\x61" + bytes(20), "run"),
        (2, b"\xc0\x03\x05\x40\x00", "run"),
        (2, b"\x40\x03\x05\xc0\x00", "run"),
        (38, b"\x08" + struct.pack("<dd", 10, 0.05) + b"\0", "grid"),
        (38, struct.pack("<Bdd", 2, 10, 0.05), "grid"),
        (38, struct.pack("<Bdd", 32, 10, 0.05), "grid"),
        (38, struct.pack("<Bdd", 8, 0, 0.05), "grid"),
        (38, struct.pack("<Bdd", 8, math.nan, 0.05), "grid"),
        (38, struct.pack("<Bdd", 8, -10, 0.05), "grid"),
        (38, struct.pack("<Bdd", 8, 10, math.inf), "grid"),
        (38, struct.pack("<Bdd", 8, 10, 0.05) * 2, "grid"),
        (32, bytes(7), "dictionary"),
        (32, bytes(8 * 3), "dictionary"),
        (33, bytes(8 * 3), "dictionary"),
        (33, struct.pack("<Q", 9 << 32), "shape"),
        (33, struct.pack("<Q", 1 << 63), "shape"),
        (33, struct.pack("<Q", 2 << 32 | FIELD["queue_depth"].mask), "shape"),
        (34, b"\x07\x7f\x7f", "index"),
        (35, b"\x01\x02", "index"),
        (36, bytes(7), "run"),
        (36, bytes(8) + b"\x80\x00", "run"),
        (37, b"\x01\x01\x01", "text"),
        (37, b"\x01\x00\x00", "text"),
        (37, b"\x02\x02\x0a\x00", "text"),
        (37, b"\x03\x01\x07\x00", "text"),
        (37, b"\x01\x01\x01\x40" + b"\xff" * 8 + b"text", "text"),
        (8, b"\x40\x00\x40\x00\x01\x02\x03" + bytes(8), "sparse"),
        (8, b"\x40\x00\x40\x00\x01\x01\x01" + bytes(7), "sparse"),
    ],
)
def test_each_fault_has_its_reason(column: int, content: bytes, reason: str) -> None:
    """What is wrong with a column is told by name."""
    both = {"queue_depth": 5, "cpu_usage_percent": 0.0}
    frame = tools.encode([sample(1, START_NS, **both), sample(1, START_NS, **both)])
    columns = dict(tools.split_columns(frame)) | {column: content}
    damaged = tools.join_columns(frame, list(columns.items()))

    with pytest.raises(FrameError) as caught:
        DECODER.decode(damaged)
    assert caught.value.reason == reason
    assert DECODER.decode(frame).records.count == 2


def test_plain_python_gives_the_same_bytes_and_the_same_refusals() -> None:
    """Without a compiler the kernels make the same frames and find the same in damaged ones."""
    here = Path(__file__).parent
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{here}:{here.parent}"}
    command = [sys.executable, "-m", "wire_tools"]
    plain = subprocess.run(
        command, env=environment, cwd=here, capture_output=True, text=True, timeout=300, check=False
    )

    assert plain.stderr == ""
    assert plain.stdout.strip() == tools.digest_of_everything()


def test_the_naive_decoder_can_tell_records_apart() -> None:
    """The oracle is not blind: a record that differs in anything is another record."""
    record = sample(1, START_NS, queue_depth=5)
    frame = naive.decode(tools.encode([record]))

    assert frame.records == [record]
    assert frame.records != [replace(record, time_ns=START_NS + 1)]
    assert frame.records != [replace(record, values={"queue_depth": 6})]
