"""Records for the tests of the wire: made, packed into slots, compared, damaged."""

import hashlib
import math
import random
import struct
from collections.abc import Iterator
from dataclasses import replace

import naive_columns
import numpy as np
from naive_columns import NaiveRecord, NaiveSession
from naive_parts import Reader, RefusedError, varint
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.errors import FrameError
from rnts.frame import DecoderSession, Frame, FrameDecoder, FrameEncoder
from rnts.frame_header import HEADER_BYTES, frame_checksum
from rnts.model import FIELD, FIELDS, KIND_MASK, SLOT_BYTES, SLOT_WORDS, Kind, Storage
from rnts.records import Records

NO_SOURCES = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)
START_NS = 1_790_000_000_000_000_000
ODD_FLOATS = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e300, 2.0**51, -(2.0**51) * 0.1, 1e14)


def sample(neuron_id: int, time_ns: int, **values: float) -> NaiveRecord:
    """A record of the kind that its fields belong to; a sample if it has none."""
    mask = sum(FIELD[name].mask for name in values)
    kind = FIELD[next(iter(values))].kind if values else Kind.SAMPLE
    return NaiveRecord(neuron_id, time_ns, int(kind), mask, dict(values))


def stored_bits(name: str, value: float) -> int:
    """The bits of a value in its slot."""
    storage = FIELD[name].storage
    if storage is Storage.F32:
        with np.errstate(over="ignore"):
            return int(np.float32(value).view(np.uint32))
    if storage is Storage.F64:
        return int(np.float64(value).view(np.uint64))
    return int(value)


def to_slots(records: list[NaiveRecord]) -> NDArray[np.int64]:
    """Slots as a lane holds them; bits of fields that are not set are noise."""
    noise = random.Random(len(records))
    words: list[int] = []
    for record in records:
        head = [noise.getrandbits(64) for _ in range(SLOT_WORDS)]
        for name, value in record.values.items():
            field = FIELD[name]
            head[field.word] &= ~((1 << field.storage.bits) - 1 << field.shift)
            head[field.word] |= stored_bits(name, value) << field.shift
        more = -(-len(record.text) // SLOT_BYTES)
        head[0] = record.kind | (1 + more) << 8 | len(record.text) << 16 | record.mask << 32
        head[1], head[2] = record.neuron_id, record.time_ns % (1 << 64)
        padded = record.text.ljust(more * SLOT_BYTES, b"\xa5")
        words += [*head, *struct.unpack(f"<{len(padded) // 8}Q", padded)]
    return np.array(words, np.uint64).view(np.int64).reshape(-1, SLOT_WORDS)


def from_records(records: Records) -> list[NaiveRecord]:
    """What a decoder of ours found, in the form of the naive one."""
    found = []
    for i in range(records.count):
        mask = int(records.masks[i])
        values: dict[str, int | float] = {}
        for field in FIELDS:
            if mask & field.mask:
                word = records.values[i, field.bit]
                is_float = field.storage.is_float
                values[field.name] = float(word.view(np.float64)) if is_float else int(word) % 2**64
        text = records.text[records.text_offsets[i] : records.text_offsets[i + 1]].tobytes()
        time = int(records.times_ns[i])
        kind = int(records.kinds[i])
        found.append(NaiveRecord(int(records.ids[i]), time, kind, mask, values, text))
    return found


def without_nan(records: list[NaiveRecord]) -> list[NaiveRecord]:
    """The same with one object for each NaN: NaN differs from itself, and an object does not."""
    return [
        replace(r, values={name: math.nan if math.isnan(v) else v for name, v in r.values.items()})
        for r in records
    ]


def encode(records: list[NaiveRecord], compression: str = "none") -> bytes:
    """A frame of these records and nothing else."""
    encoder = FrameEncoder(7, 1, compression)
    return encoder.encode(to_slots(records), sequence=3, watermark_ns=START_NS, sources=NO_SOURCES)


def encode_group(batches: list[list[NaiveRecord]], compression: str = "none") -> list[bytes]:
    """A keyframe of the first records, and frames of the others that go on from it."""
    encoder = FrameEncoder(7, 1, compression)
    return [
        encoder.encode(
            to_slots(records),
            sequence=number,
            watermark_ns=START_NS,
            sources=NO_SOURCES,
            is_keyframe=number == 1,
        )
        for number, records in enumerate(batches, 1)
    ]


def assert_agree(sent: list[NaiveRecord], received: list[NaiveRecord]) -> None:
    """Equal, but for floats: those lie within half a step, and the rounding of float64."""
    assert len(sent) == len(received)
    for one, other in zip(sent, received, strict=True):
        assert replace(one, values={}) == replace(other, values={})
        assert one.values.keys() == other.values.keys()
        for name, value in one.values.items():
            expected, step = value, FIELD[name].step or 0.0
            if FIELD[name].storage is Storage.F32:
                with np.errstate(over="ignore"):
                    expected = float(np.float32(value))
            actual = other.values[name]
            if math.isnan(expected):
                assert math.isnan(actual), name
            elif math.isinf(expected) or abs(expected) > 2.0**51 * step:
                assert actual == expected, name
            else:
                rounding = 4 * math.ulp(abs(expected))
                assert abs(actual - expected) <= step / 2 + rounding, name


def random_records(seed: int, count: int) -> list[NaiveRecord]:
    """Records of all kinds and of few neurons, mostly alike, sometimes extreme, some with text."""
    chance = random.Random(seed)
    neurons = [chance.getrandbits(64) for _ in range(chance.randint(1, 6))]
    records, time = [], START_NS
    for _ in range(count):
        kind = chance.choices(list(Kind), (12, 2, 2, 1))[0]
        mask = KIND_MASK[kind]
        if chance.random() < 0.3:
            mask &= chance.getrandbits(32)
        values = {f.name: _random_value(chance, f.storage) for f in FIELDS if mask & f.mask}
        has_text = kind in (Kind.EVENT, Kind.NAME) and chance.random() < 0.7
        text = chance.randbytes(chance.choice((1, 20, 128, 129, 700))) if has_text else b""
        time += chance.choice((0, 1, 800, 10**9, -5))
        records.append(NaiveRecord(chance.choice(neurons), time, int(kind), mask, values, text))
    return records


def _random_value(chance: random.Random, storage: Storage) -> int | float:
    if storage.is_float:
        return chance.choice((chance.gauss(50, 9), chance.gauss(50, 9), chance.choice(ODD_FLOATS)))
    extreme = chance.random() < 0.1
    return chance.getrandbits(storage.bits if extreme else min(storage.bits, 12))


def reseal(frame: bytes) -> bytes:
    """The same bytes with the length and the checksum that belong to them."""
    data = bytearray(frame)
    data[64:68] = struct.pack("<I", len(data) - HEADER_BYTES)
    if not data[6] & 2:
        data[60:64] = data[64:68]
    return with_checksum(data)


def with_checksum(frame: bytes | bytearray) -> bytes:
    """The same bytes with the checksum that belongs to them."""
    checksum = struct.pack("<I", frame_checksum(bytes(frame)))
    return bytes(frame[:12]) + checksum + bytes(frame[16:])


def split_columns(frame: bytes) -> list[tuple[int, bytes]]:
    """The columns of an uncompressed frame that has nothing but records."""
    columns, reader = [], Reader(frame[HEADER_BYTES + 5 :])
    while reader.at < len(reader.data):
        columns.append((reader.number(1), reader.take(reader.varint())))
    return columns


def join_columns(header: bytes, columns: list[tuple[int, bytes]]) -> bytes:
    """A frame of a header and columns, with all lengths and the checksum right."""
    parts = [bytes((c,)) + varint(len(data)) + data for c, data in columns]
    content = b"".join(parts)
    return reseal(header[:HEADER_BYTES] + struct.pack("<BI", 1, len(content)) + content)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Some bytes of `data` flipped, replaced, removed, added or moved."""
    at, length = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 8))
    added = chance.choice((b"", b"\0", b"\1", b"\x7f", b"\x80", b"\xff", chance.randbytes(length)))
    if chance.random() < 0.3 and at < len(data):
        return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]
    if chance.random() < 0.2:
        other = chance.randrange(len(data) + 1)
        added = data[other : other + length]
    removed = chance.choice((0, len(added), length))
    return data[:at] + added + data[at + removed :]


def mutants(frame: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Damaged copies of a frame of records; checksums, and mostly lengths, are right again."""
    chance = random.Random(seed)
    columns = split_columns(frame)
    for _ in range(count):
        kind, changed, header = chance.randrange(8), list(columns), bytearray(frame[:72])
        index = chance.randrange(len(changed))
        column, data = changed[index]
        if kind == 0:
            yield reseal(frame[:72] + damage(frame[72:], chance))
            continue
        if kind == 1:
            (records,) = struct.unpack_from("<I", header, 56)
            wrong = chance.choice((0, records + 1, records - 1, 64, 65_536, 2**32 - 1))
            struct.pack_into("<I", header, 56, wrong % 2**32)
        elif kind == 2:
            changed[index] = (chance.choice((column ^ 1, 30, 34, 60, 127, 128)), data)
        elif kind == 3:
            changed.insert(chance.randrange(len(changed)), changed.pop(index))
            if chance.random() < 0.3:
                changed.append(changed[index])
        else:
            for _ in range(chance.choice((1, 1, 2, 5))):
                data = damage(data, chance)
            changed[index] = (column, data)
        yield join_columns(bytes(header), changed)


def outcome(decoder: FrameDecoder, frame: bytes, session: DecoderSession | None = None) -> str:
    """What a decoder of ours makes of some bytes, as text that can be compared."""
    try:
        opened = decoder.decode(frame, None, session)
    except FrameError as error:
        return error.reason
    return describe(opened)


def describe(frame: Frame) -> str:
    """All of an opened frame as text."""
    records = without_nan(from_records(frame.records))
    return repr((frame.sequence, records, frame.sources.tolist(), frame.meta))


def naive_outcome(frame: bytes, session: NaiveSession | None = None) -> str | None:
    """What the naive decoder makes of some bytes; None where it refuses them."""
    try:
        opened = naive_columns.decode(frame, session)
    except RefusedError:
        return None
    return repr(
        (opened.header["sequence"], without_nan(opened.records), opened.sources, opened.meta)
    )


def digest_of_everything() -> str:
    """One hash over frames that were made here and what came of them and of damaged ones."""
    digest = hashlib.sha256()
    decoder = FrameDecoder()
    with np.errstate(over="ignore"):  # without a compiler, NumPy warns where integers wrap
        for seed in range(6):
            records = random_records(seed, 40)
            frames = encode_group([records[:20], records[20:]], ("none", "lz4", "rice")[seed % 3])
            session = DecoderSession()
            for frame in (*frames, *mutants(encode(records[:9]), 40, seed)):
                digest.update(frame + outcome(decoder, frame, session).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    print(digest_of_everything())
