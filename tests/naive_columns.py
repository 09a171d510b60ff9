"""The wire format read the slow way: a decoder written from `docs/wire.md`, in integers and lists.

It shares no code with the codec; what it needs to know of fields it reads from the document.
"""

import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import lz4.block

DOCUMENT = (Path(__file__).parent.parent / "docs" / "wire.md").read_text()
WORD = 1 << 64
FLOATS = ("f32", "f64")


class RefusedError(Exception):
    """A frame that the document calls wrong."""


@dataclass
class NaiveField:
    """A row of the document's table of fields."""

    bit: int
    name: str
    kind: str
    stored: str
    step: float | None


def _documented_fields() -> dict[int, NaiveField]:
    row = r"^\| (\d+) \| `(\w+)` \| (\w+) \| (\w+) \| ([\d.]*) ?\|$"
    rows = re.findall(row, DOCUMENT, re.MULTILINE)
    return {
        int(bit): NaiveField(int(bit), name, kind, stored, float(step) if step else None)
        for bit, name, kind, stored, step in rows
    }


FIELDS = _documented_fields()
KINDS = {1: "sample", 2: "event", 3: "link", 4: "name"}
MAY_HAVE = {
    kind: sum(1 << f.bit for f in FIELDS.values() if f.kind == name) for kind, name in KINDS.items()
}


@dataclass
class NaiveRecord:
    """One record: what was set, by name; floats as floats, the rest as unsigned integers."""

    neuron_id: int
    time_ns: int
    kind: int
    mask: int
    values: dict[str, int | float] = field(default_factory=dict)
    text: bytes = b""


@dataclass
class NaiveFrame:
    """A frame with everything that is in it."""

    header: dict[str, int]
    records: list[NaiveRecord] = field(default_factory=list)
    sources: list[list[int]] = field(default_factory=list)
    meta: bytes = b""


class Reader:
    """Takes bytes from the front of some."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise RefusedError("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = 0
        for index in range(10):
            byte = self.number(1)
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if value >= WORD or (byte == 0 and index > 0):
                    raise RefusedError("varint")
                return value
        raise RefusedError("varint")

    def run(self, count: int) -> list[int]:
        values: list[int] = []
        while len(values) < count:
            block = min(64, count - len(values))
            width = self.number(1)
            if width > 64:
                raise RefusedError("width")
            bits = self.number((block * width + 7) // 8)
            values += [(bits >> (j * width)) % (1 << width) for j in range(block)]
        return values

    def sparse(self, records: int) -> list[int]:
        count = self.varint()
        if count > records:
            raise RefusedError("sparse")
        indices: list[int] = []
        for gap in self.run(count):
            indices.append((indices[-1] if indices else -1) + gap)
            if gap == 0 or indices[-1] >= records:
                raise RefusedError("sparse")
        return indices

    def end(self) -> None:
        if self.at != len(self.data):
            raise RefusedError("not used up")


def signed(value: int) -> int:
    """The int64 with these 64 bits."""
    value %= WORD
    return value - WORD if value >= WORD // 2 else value


def unzigzag(value: int) -> int:
    """0, 1, 2, 3, 4 … are 0, -1, 1, -2, 2 …"""
    return value // 2 if value % 2 == 0 else -(value // 2) - 1


def zigzag(value: int) -> int:
    """0, -1, 1, -2, 2 … are 0, 1, 2, 3, 4 …"""
    return 2 * value if value >= 0 else -2 * value - 1


def varint(value: int) -> bytes:
    """An unsigned integer, seven bits a byte."""
    last = []
    while value >= 0x80:
        last.append(value % 0x80 + 0x80)
        value //= 0x80
    return bytes((*last, value))


def pack(values: list[int]) -> bytes:
    """A run of unsigned integers, through one large integer a block."""
    packed = b""
    for start in range(0, len(values), 64):
        block = values[start : start + 64]
        width = max(block).bit_length()
        bits = sum(value << (j * width) for j, value in enumerate(block))
        packed += bytes((width,)) + bits.to_bytes((len(block) * width + 7) // 8, "little")
    return packed


def decode(data: bytes) -> NaiveFrame:
    """Read a frame; raises RefusedError."""
    header = _header(data)
    body = data[header["header_bytes"] :]
    if header["flags"] & 2:
        try:
            body = lz4.block.decompress(body, uncompressed_size=header["raw_bytes"])
        except lz4.block.LZ4BlockError as error:
            raise RefusedError("lz4") from error
    if len(body) != header["raw_bytes"]:
        raise RefusedError("raw_bytes")
    frame = NaiveFrame(header)
    sections = _parts(Reader(body), 4, known=(1, 2, 3))
    frame.records = _records(sections.get(1, b""), header["record_count"])
    if sections.get(2):
        frame.sources = _sources(Reader(sections[2]))
    frame.meta = sections.get(3, b"")
    if len(frame.meta) > 65_536:
        raise RefusedError("meta")
    return frame


def _header(data: bytes) -> dict[str, int]:
    names = re.findall(r"^\| (\d+) \| (\w+) \| ([ui]\d+) \|", DOCUMENT, re.MULTILINE)
    sizes = {name: int(kind[1:]) // 8 for _, name, kind in names}
    if len(data) < 64 or data[:4] != b"RNTS":
        raise RefusedError("magic")
    header = {
        name: int.from_bytes(data[int(at) : int(at) + sizes[name]], "little", signed=kind[0] == "i")
        for at, name, kind in names
    }
    if zlib.crc32(data[:12] + bytes(4) + data[16:]) != header["checksum"]:
        raise RefusedError("checksum")
    flags = header["flags"]
    wrong = (
        header["version"] != 1,
        flags & 0xFC or not flags & 1,
        header["header_bytes"] < 64,
        header["header_bytes"] + header["body_bytes"] != len(data),
        len(data) > 4 << 20,
        header["raw_bytes"] > 16 << 20,
        header["record_count"] > 65_536,
    )
    if any(wrong):
        raise RefusedError("header")
    return header


def _parts(reader: Reader, length_bytes: int, known: tuple[int, ...]) -> dict[int, bytes]:
    """Sections of a body, or columns of a section."""
    parts: dict[int, bytes] = {}
    seen = set()
    while reader.at < len(reader.data):
        part = reader.number(1)
        content = reader.take(reader.number(length_bytes))
        if part >= 128 or part in seen:
            raise RefusedError("part")
        seen.add(part)
        if part in known:
            parts[part] = content
    return parts


def _sources(reader: Reader) -> list[list[int]]:
    rows, columns = reader.number(2), reader.number(2)
    documented = (
        DOCUMENT.split("which are, in this order:")[1].split("A section")[0].count("`") // 2
    )
    if rows > 4_096 or columns != documented:
        raise RefusedError("sources")
    table = [[unzigzag(reader.varint()) for _ in range(columns)] for _ in range(rows)]
    reader.end()
    return table


def _keys(content: bytes) -> list[int]:
    if len(content) % 8 or len(content) > 8 * 65_536:
        raise RefusedError("keys")
    return [key for (key,) in struct.iter_unpack("<Q", content)]


def _records(content: bytes, count: int) -> list[NaiveRecord]:
    columns = _parts(Reader(content), 3, known=tuple(range(38)))
    neurons, shapes = _keys(columns.get(32, b"")), _keys(columns.get(33, b""))
    for shape in shapes:
        kind, mask = divmod(shape, 1 << 32)
        if kind not in KINDS or mask & sum(1 << bit for bit in FIELDS) & ~MAY_HAVE[kind]:
            raise RefusedError("shape")
    rows = _whole_run(columns.get(34, b""), count)
    shape_rows = _whole_run(columns.get(35, b""), count)
    if any(row >= len(neurons) for row in rows) or any(row >= len(shapes) for row in shape_rows):
        raise RefusedError("index")
    times = _times(columns.get(36, b""), count)
    records = []
    for row, shape_row, time in zip(rows, shape_rows, times, strict=True):
        kind, mask = divmod(shapes[shape_row], 1 << 32)
        records.append(NaiveRecord(neurons[row], time, kind, mask & MAY_HAVE[kind]))
    for bit in FIELDS:
        _values(columns.get(bit, b""), FIELDS[bit], records, rows)
    _texts(columns.get(37, b""), records)
    return records


def _whole_run(content: bytes, count: int) -> list[int]:
    reader = Reader(content)
    values = reader.run(count)
    reader.end()
    return values


def _times(content: bytes, count: int) -> list[int]:
    reader = Reader(content)
    time = reader.number(8) if count else 0
    times = []
    for change in reader.run(count):
        time += unzigzag(change)
        times.append(signed(time))
    reader.end()
    return times


def _values(content: bytes, about: NaiveField, records: list[NaiveRecord], rows: list[int]) -> None:
    having = [i for i, record in enumerate(records) if record.mask >> about.bit & 1]
    firsts, seen = [], set()
    for i in having:
        if rows[i] not in seen:
            firsts.append(i)
            seen.add(rows[i])
    others = [i for i in having if i not in set(firsts)]
    reader = Reader(content)
    changes = dict(zip(firsts, reader.run(len(firsts)), strict=True))
    changes |= dict(zip(others, reader.run(len(others)), strict=True))
    last: dict[int, int] = {}
    for i in having:
        code = signed(last.get(rows[i], 0) + unzigzag(changes[i]))
        last[rows[i]] = code
        records[i].values[about.name] = _meaning(code, about)
    if about.step and having:
        exceptions = reader.sparse(len(records))
        for i in exceptions:
            if i not in having:
                raise RefusedError("exception")
            records[i].values[about.name] = struct.unpack("<d", reader.take(8))[0]
    reader.end()


def _meaning(code: int, about: NaiveField) -> int | float:
    if about.step:
        return float(code) / round(1 / about.step)
    bits = int(about.stored[1:])
    raw = (code % (1 << bits)).to_bytes(bits // 8, "little")
    if about.stored in FLOATS:
        value: float = struct.unpack("<f" if bits == 32 else "<d", raw)[0]
        return value
    return int.from_bytes(raw, "little")


def _texts(content: bytes, records: list[NaiveRecord]) -> None:
    if not content:
        return
    reader = Reader(content)
    indices = reader.sparse(len(records))
    for index, size in zip(indices, reader.run(len(indices)), strict=True):
        records[index].text = reader.take(size)
    reader.end()
