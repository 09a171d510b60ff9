"""Frames: the document's example, the header, sections, limits, refusals, the common workload."""

import random
import re
import runpy
import struct
from pathlib import Path
from typing import Any

import naive_columns as naive
import numpy as np
import pytest
import wire_tools as tools
from hypothesis import given
from hypothesis import strategies as st
from naive_columns import NaiveRecord, NaiveSession
from wire_tools import NO_SOURCES, START_NS, sample

from rnts.accounting import SOURCE_COLUMNS
from rnts.columns import REASONS, SLOT_BYTES_MAX
from rnts.errors import FrameError
from rnts.frame import (
    FRAME_BYTES_MAX,
    META_BYTES_MAX,
    SLOTS_PER_FRAME_MAX,
    SOURCES_PER_FRAME_MAX,
    DecoderSession,
    FrameDecoder,
    FrameEncoder,
    frame_header,
)
from rnts.frame_header import HEADER_BYTES, KEYFRAME, LZ4, FrameHeader, seal
from rnts.model import FIELD, FIELDS, KIND_MASK, Kind

ROOT = Path(__file__).parent.parent
DECODER = FrameDecoder()
FRAME = tools.encode(tools.random_records(1, 20))
INT64 = st.integers(-(2**63), 2**63 - 1)


def documented_bytes() -> list[bytes]:
    """The worked examples of the document."""
    blocks = naive.DOCUMENT.split("## Two frames, byte by byte")[1].split("```")[1::2]
    lines = [[line.partition("|")[0] for line in block.splitlines()] for block in blocks]
    return [bytes.fromhex("".join(block)) for block in lines]


def with_body(body: bytes, records: int = 0, flags: int = KEYFRAME, raw: int = -1) -> bytes:
    """A frame around any body."""
    raw = len(body) if raw < 0 else raw
    return seal(FrameHeader(2, flags, 72, 7, 1, 3, 3, START_NS, records, raw, len(body)), body)


def section(kind: int, content: bytes) -> bytes:
    """A section of a body."""
    return struct.pack("<BI", kind, len(content)) + content


def refusal(data: bytes) -> str:
    """Why a frame is refused; a good one must still be opened after it."""
    with pytest.raises(FrameError) as caught:
        DECODER.decode(data)
    assert DECODER.decode(FRAME).records.count == 20
    return caught.value.reason


def test_documented_frames_are_what_the_encoder_makes() -> None:
    """The examples of the document hold the bytes and the meaning that it says."""
    batches = [
        [
            sample(42, START_NS, activation_count=1_000, cpu_usage_percent=42.3),
            sample(42, START_NS + 250, activation_count=1_003, cpu_usage_percent=float("nan")),
            NaiveRecord(7, START_NS + 300, int(Kind.EVENT), 1 << 16, {"event_type": 1}, b"\4done"),
        ],
        [
            sample(42, START_NS + 2_000, activation_count=1_006, cpu_usage_percent=42.4),
            sample(9, START_NS + 3_000, activation_count=4_096),
        ],
    ]
    encoder, session, naive_session = FrameEncoder(7, 1, "none"), DecoderSession(), NaiveSession()
    for number, (records, golden) in enumerate(zip(batches, documented_bytes(), strict=True), 3):
        meta, watermark_ns = (b"{}", b"")[number - 3], START_NS + (1_000, 4_000)[number - 3]

        made = encoder.encode(
            tools.to_slots(records),
            sequence=number,
            watermark_ns=watermark_ns,
            sources=NO_SOURCES,
            meta=meta,
            is_keyframe=number == 3,
        )

        assert made == golden
        opened = DECODER.decode(golden, None, session)
        received = tools.without_nan(tools.from_records(opened.records))
        assert received == tools.without_nan(records)
        assert (opened.agent_id, opened.incarnation, opened.sequence) == (7, 1, number)
        assert (opened.watermark_ns, opened.meta) == (watermark_ns, meta)
        assert tools.naive_outcome(golden, naive_session) == tools.describe(opened)


def test_document_names_the_fields_sources_and_reasons_that_there_are() -> None:
    """The tables of the document are those of the model, the accounting and the code."""
    documented = [
        (f.bit, f.name, f.kind, f.stored, f.is_counter, f.step) for f in naive.FIELDS.values()
    ]
    modelled = [
        (f.bit, f.name, f.kind.name.lower(), f.storage.name.lower(), f.role == "counter", f.step)
        for f in FIELDS
    ]
    listed = naive.DOCUMENT.split("which are, in this order:")[1].split("A section")[0]
    refused = naive.DOCUMENT.split("## What is refused")[1]
    reasons = set(re.findall(r"^\| `(\w+)` \|", refused, re.MULTILINE))
    raised = set(REASONS.values())
    for path in ("rnts/frame.py", "rnts/frame_header.py"):
        raised |= set(re.findall(r'refused\("(\w+)"', (ROOT / path).read_text()))

    assert documented == modelled
    assert tuple(re.findall(r"`(\w+)`", listed)) == SOURCE_COLUMNS
    assert reasons == raised


def test_heartbeat_is_small_and_has_nothing_but_its_watermark() -> None:
    """A frame without records costs a header."""
    frame = FrameEncoder(2**64 - 1, 2**64 - 1).encode(
        np.zeros((0, 16), np.int64), sequence=2**64 - 1, watermark_ns=-1, sources=NO_SOURCES
    )

    opened = DECODER.decode(frame)

    assert len(frame) == HEADER_BYTES == 72
    assert (opened.agent_id, opened.sequence, opened.watermark_ns) == (2**64 - 1, 2**64 - 1, -1)
    assert (opened.records.count, len(opened.sources), opened.meta) == (0, 0, b"")


def test_header_is_read_without_the_body() -> None:
    """A receiver learns whose frame it is before it pays for decoding, and passes that on."""
    header = frame_header(memoryview(FRAME))

    assert (header.version, header.agent_id, header.incarnation, header.sequence) == (2, 7, 1, 3)
    assert (header.base, header.is_keyframe) == (3, True)
    assert (header.record_count, header.body_bytes) == (20, len(FRAME) - 72)
    by_header = tools.describe(DECODER.decode(memoryview(FRAME), header))
    assert by_header == tools.describe(DECODER.decode(FRAME))


@given(st.lists(st.lists(INT64, min_size=13, max_size=13), max_size=8), st.binary(max_size=90))
def test_sources_and_meta_come_back(rows: list[list[int]], meta: bytes) -> None:
    """Any table of sources, any bytes of meta."""
    sources = np.array(rows, np.int64).reshape(-1, len(SOURCE_COLUMNS))
    slots = tools.to_slots([sample(1, START_NS, queue_depth=5)])
    frame = FrameEncoder(7, 1).encode(slots, sequence=1, watermark_ns=0, sources=sources, meta=meta)

    opened = DECODER.decode(frame)

    assert (opened.sources.tolist(), opened.meta) == (rows, meta)
    assert opened.sources.shape == (len(rows), len(SOURCE_COLUMNS))
    assert tools.naive_outcome(frame) == tools.describe(opened)


def test_lz4_is_used_only_where_it_pays() -> None:
    """A body that shrinks travels compressed; one that does not goes as it is, at no cost."""
    alike = [sample(i, START_NS, memory_bytes=7 << 40) for i in range(600)]
    noise = random.Random(1)
    mixed = [
        sample(noise.getrandbits(64), START_NS, memory_bytes=noise.getrandbits(64))
        for _ in range(600)
    ]

    for records, flags in ((alike, KEYFRAME | LZ4), (mixed, KEYFRAME)):
        plain, frame = tools.encode(records, "none"), tools.encode(records, "lz4")
        assert frame_header(frame).flags == flags
        assert len(frame) <= (0.9 if flags & LZ4 else 1) * len(plain)
        assert tools.from_records(DECODER.decode(frame).records) == records
        assert tools.naive_outcome(frame) == tools.naive_outcome(plain)


def test_truncation_at_every_byte_is_refused() -> None:
    """A frame that is cut short anywhere, or goes on, is refused for its length."""
    assert {refusal(FRAME[:size]) for size in range(len(FRAME))} == {"length"}
    assert refusal(FRAME + b"\0") == "length"


def test_body_cut_at_every_byte_is_refused() -> None:
    """With lengths and checksum made right, a body cut anywhere is still no frame."""
    for size in range(72, len(FRAME)):
        assert refusal(tools.reseal(FRAME[:size]))


def test_every_single_bit_is_covered_by_the_checksum() -> None:
    """No flipped bit gets through, in the header or behind it."""
    for at in range(len(FRAME)):
        for bit in range(8):
            flipped = bytearray(FRAME)
            flipped[at] ^= 1 << bit
            with pytest.raises(FrameError) as caught:
                DECODER.decode(bytes(flipped))
            assert caught.value.reason in ("magic", "version", "length", "checksum")
    assert DECODER.decode(FRAME).records.count == 20


@pytest.mark.parametrize(
    ("at", "wrong", "reason"),
    [
        (0, b"rnts", "magic"),
        (4, b"\x01\0", "version"),
        (4, b"\x03\0", "version"),
        (4, b"\0\0", "version"),
        (6, b"\x05\0", "flags"),
        (6, b"\x81\0", "flags"),
        (6, b"\0\0", "base"),
        (40, struct.pack("<Q", 2), "base"),
        (40, struct.pack("<Q", 4), "base"),
        (40, bytes(8), "base"),
        (32, bytes(16), "base"),
        (6, b"\x03\0", "lz4"),
        (8, b"\x47\0", "length"),
        (8, b"\0\0", "length"),
        (8, b"\xff\xff", "length"),
        (12, b"\0\0\0\0", "checksum"),
        (56, struct.pack("<I", 65_537), "count"),
        (56, struct.pack("<I", 21), "run"),
        (56, bytes(4), "section"),
        (60, struct.pack("<I", 16 << 20), "length"),
        (64, struct.pack("<I", 2**32 - 1), "length"),
    ],
)
def test_wrong_headers_are_refused_by_name(at: int, wrong: bytes, reason: str) -> None:
    """Each field of the header is checked, whether or not the checksum is right."""
    data = bytearray(FRAME)
    data[at : at + len(wrong)] = wrong
    damaged = bytes(data) if reason == "checksum" else tools.with_checksum(data)

    assert refusal(damaged) == reason


def test_errors_say_where_and_show_the_bytes() -> None:
    """Who reads the error sees the reason, the offset and what stands there."""
    with pytest.raises(FrameError, match=r"magic at byte 0 of 72: … 00 00 00 00 ") as caught:
        frame_header(bytes(72))
    assert caught.value.offset == 0
    with pytest.raises(FrameError, match=r"section at byte 5 of 9: … 63 00 00 00 00 80 00 ff ff …"):
        DECODER.decode(with_body(section(99, b"") + b"\x80\0\xff\xff"))


def test_later_flags_sections_and_headers_are_ignored() -> None:
    """What a later writer adds and does not call critical is skipped."""
    header = frame_header(FRAME)._replace(flags=KEYFRAME | 0x8000, header_bytes=78)
    body = section(90, b"later") + FRAME[72:] + section(127, b"")
    longer = header._replace(body_bytes=len(body) + 6, raw_bytes=len(body) + 6)
    with_longer_header = bytearray(seal(longer, b"sixty!" + body))
    with_longer_header[60:68] = struct.pack("<II", len(body), len(body))

    opened = DECODER.decode(tools.with_checksum(with_longer_header))

    assert tools.from_records(opened.records) == tools.from_records(DECODER.decode(FRAME).records)
    assert opened.flags & 0x8000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x01\0\0\0", "section"),
        (b"\x01\x01\0\0\0", "section"),
        (b"\x01\xff\xff\xff\xff", "section"),
        (section(128, b""), "section"),
        (section(3, b"a") + section(3, b"b"), "section"),
        (section(1, b"abc"), "section"),
        (section(2, b"abc"), "sources"),
        (section(2, struct.pack("<HH", 1, 12) + bytes(12)), "sources"),
        (section(2, struct.pack("<HH", 1, 13) + bytes(12)), "sources"),
        (section(2, struct.pack("<HH", 1, 13) + bytes(14)), "sources"),
        (section(2, struct.pack("<HH", 1, 13) + b"\x80\0" + bytes(12)), "sources"),
        (section(2, struct.pack("<HH", 65_535, 13) + bytes(100)), "sources"),
        (section(2, struct.pack("<HH", 4_097, 13) + bytes(4_097 * 13)), "sources"),
        (section(3, bytes(META_BYTES_MAX + 1)), "meta"),
    ],
)
def test_wrong_sections_are_refused_by_name(body: bytes, reason: str) -> None:
    """Sections that overlap, repeat, lie about their size or are critical are no frame."""
    assert refusal(with_body(body)) == reason


def test_lz4_that_lies_is_refused() -> None:
    """Rubbish, and blocks of another size than the header says, are refused before they cost."""
    packed = tools.encode([sample(i, START_NS, memory_bytes=5) for i in range(500)], "lz4")
    header = frame_header(packed)
    body = packed[72:]

    assert header.flags & LZ4
    for raw in (0, 1, header.raw_bytes - 1, header.raw_bytes + 1, len(body) * 255):
        assert refusal(seal(header._replace(raw_bytes=raw), body)) == "lz4"
    assert refusal(seal(header._replace(raw_bytes=len(body) * 255 + 1), body)) == "lz4"
    assert refusal(with_body(b"\xff" * 60, flags=KEYFRAME | LZ4, raw=600)) == "lz4"
    assert refusal(with_body(b"", flags=KEYFRAME | LZ4, raw=1)) == "lz4"


def test_garbage_is_refused() -> None:
    """Bytes from anywhere are no frame, nor are they behind a good header."""
    noise = random.Random(7)
    for size in (0, 1, 71, 72, 73, 500):
        data = noise.randbytes(size)
        assert refusal(data) in ("length", "magic")
        if size:
            assert refusal(with_body(data, records=noise.randrange(1, 9)))


def test_the_worst_that_an_encoder_may_be_given_fits() -> None:
    """Slots of noise, full tables and full meta make a frame within the limit, and come back."""
    noise = np.random.default_rng(3)
    size = (SLOTS_PER_FRAME_MAX, 16)
    slots = noise.integers(-(2**63), 2**63 - 1, size, dtype=np.int64)
    slots[:, 0] = int(Kind.SAMPLE) | 1 << 8 | KIND_MASK[Kind.SAMPLE] << 32
    for f in (f for f in FIELDS if f.step):  # beside the grid, which yet is as wide as can be
        edge = 2.0**50.9 * (f.step or 0) * noise.choice((-1, 1), size[0])
        floats = slots.view(f"f{f.storage.bits // 8}")
        place = (64 * f.word + f.shift) // f.storage.bits
        floats[:, place] = np.where(noise.random(size[0]) < 0.05, edge, np.nan)
    sources = noise.integers(-(2**63), 2**63 - 1, (SOURCES_PER_FRAME_MAX, 13), dtype=np.int64)
    meta = noise.bytes(META_BYTES_MAX)

    encoder = FrameEncoder(1, 1, "none")
    frame = encoder.encode(slots, sequence=1, watermark_ns=0, sources=sources, meta=meta)
    opened = DECODER.decode(frame)

    assert SLOTS_PER_FRAME_MAX * 150 < len(frame) <= FRAME_BYTES_MAX
    assert len(frame) - len(meta) < SLOTS_PER_FRAME_MAX * SLOT_BYTES_MAX + sources.size * 10
    assert opened.records.count == SLOTS_PER_FRAME_MAX
    assert (opened.sources == sources).all()
    assert opened.meta == meta
    field = FIELD["memory_bytes"]
    count = SLOTS_PER_FRAME_MAX
    assert (opened.records.values[:count, field.bit] == slots[:, field.word]).all()


def test_misuse_states_the_rule() -> None:
    """What is over a limit is refused before anything is made of it."""
    encoder, none = FrameEncoder(1, 1), np.zeros((0, 16), np.int64)
    times: dict[str, Any] = {"sequence": 1, "watermark_ns": 0}
    many = np.zeros((SOURCES_PER_FRAME_MAX + 1, len(SOURCE_COLUMNS)), np.int64)

    with pytest.raises(ValueError, match="and these 4097 of 13"):
        encoder.encode(none, sources=many, **times)
    with pytest.raises(ValueError, match="columns, and these 2 of 3"):
        encoder.encode(none, sources=np.zeros((2, 3), np.int64), **times)
    with pytest.raises(ValueError, match="at most 65536 bytes"):
        encoder.encode(none, sources=NO_SOURCES, meta=bytes(META_BYTES_MAX + 1), **times)
    with pytest.raises(ValueError, match="numbered from 1"):
        encoder.encode(np.zeros((1, 16), np.int64), sequence=0, watermark_ns=0, sources=NO_SOURCES)
    with pytest.raises(ValueError, match="not 'zstd'"):
        FrameEncoder(1, 1, "zstd")


@pytest.mark.parametrize("profile", ["steady", "uniform"])
def test_common_workload_comes_back_within_its_declared_error(profile: str) -> None:
    """The records on which sizes are compared are exact, floats within half a step."""
    workload = runpy.run_path(str(ROOT / "perf" / "workload.py"))
    table = workload["records"](3_000, neurons=200, profile=profile)
    slots = workload["to_slots"](table)

    frame = FrameEncoder(1, 1).encode(slots, sequence=1, watermark_ns=0, sources=NO_SOURCES)
    records = DECODER.decode(frame).records

    assert len(frame) < 25 * len(table)
    assert (records.ids[: records.count] == table["neuron_id"]).all()
    assert (records.times_ns[: records.count] == table["timestamp_ns"].view(np.int64)).all()
    for name in workload["FIELD_NAMES"]:
        has = records.masks[: records.count] & FIELD[name].mask != 0
        found, sent = records.values[: records.count, FIELD[name].bit][has], table[name][has]
        if step := FIELD[name].step:
            assert (has == ~np.isnan(table[name])).all()
            assert np.abs(found.view(np.float64) - sent).max() <= step / 2 * (1 + 1e-9)
        else:
            assert has.all()
            assert (found == sent.astype(np.int64)).all()


def test_common_workload_is_the_same_for_the_same_seed() -> None:
    """Who quotes a figure quotes it for the same bytes."""
    records = runpy.run_path(str(ROOT / "perf" / "workload.py"))["records"]

    assert records(500, seed=3).tobytes() == records(500, seed=3).tobytes()
    assert records(500, seed=3).tobytes() != records(500, seed=4).tobytes()
