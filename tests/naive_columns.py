"""The wire format read the slow way: a decoder written from `docs/wire.md`, in integers and lists.

It shares no code with the codec; what it needs to know of fields it reads from the document.
"""

import copy
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lz4.block
from naive_parts import Reader, RefusedError, signed, unzigzag, xxh64

DOCUMENT = (Path(__file__).parent.parent / "docs" / "wire.md").read_text()
FLOATS = ("f32", "f64")


@dataclass
class NaiveField:
    """A row of the document's table of fields."""

    bit: int
    name: str
    kind: str
    stored: str
    is_counter: bool
    step: float | None


def _documented_fields() -> dict[int, NaiveField]:
    row = r"^\| (\d+) \| `(\w+)` \| (\w+) \| (\w+)(, counter)? \| ([\d.]*) ?\|$"
    rows = re.findall(row, DOCUMENT, re.MULTILINE)
    return {
        int(bit): NaiveField(
            int(bit), name, kind, stored, bool(counter), float(step) if step else None
        )
        for bit, name, kind, stored, counter, step in rows
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


@dataclass
class NaiveSession:
    """What a reader knows of one agent; codes and changes by (row, bit), scales by bit."""

    base: int = 0
    due: int = 0
    neurons: list[int] = field(default_factory=list)
    shapes: list[int] = field(default_factory=list)
    codes: dict[tuple[int, int], int] = field(default_factory=dict)
    changes: dict[tuple[int, int], int] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)


def decode(data: bytes, session: NaiveSession | None = None) -> NaiveFrame:
    """Read a frame, and take what it says into the session; raises RefusedError."""
    header = _header(data)
    known = copy.deepcopy(session) if session is not None else NaiveSession()
    if header["flags"] & 1:
        known = NaiveSession(header["base"], header["sequence"])
    is_due = known.base > 0 and (known.base, known.due) == (header["base"], header["sequence"])
    if header["record_count"] and not is_due:
        raise RefusedError("base")
    frame = _body(data[header["header_bytes"] :], header, known)
    if is_due:
        known.due += 1
    if session is not None:
        session.__dict__.update(known.__dict__)
    return frame


def _body(body: bytes, header: dict[str, int], session: NaiveSession) -> NaiveFrame:
    if header["flags"] & 2:
        try:
            body = lz4.block.decompress(body, uncompressed_size=header["raw_bytes"])
        except lz4.block.LZ4BlockError as error:
            raise RefusedError("lz4") from error
    if len(body) != header["raw_bytes"]:
        raise RefusedError("raw_bytes")
    frame = NaiveFrame(header)
    sections = _parts(Reader(body), lambda reader: reader.number(4), known=(1, 2, 3))
    records = sections.get(1, b"")
    if header["record_count"]:
        frame.records = _records(records, header["record_count"], session)
    elif records:
        raise RefusedError("columns without records")
    if sections.get(2):
        frame.sources = _sources(Reader(sections[2]))
    frame.meta = sections.get(3, b"")
    if len(frame.meta) > 65_536:
        raise RefusedError("meta")
    return frame


def _header(data: bytes) -> dict[str, int]:
    names = re.findall(r"^\| (\d+) \| (\w+) \| ([ui]\d+) \|", DOCUMENT, re.MULTILINE)
    sizes = {name: int(kind[1:]) // 8 for _, name, kind in names}
    if len(data) < 72 or data[:4] != b"RNTS":
        raise RefusedError("magic")
    header = {
        name: int.from_bytes(data[int(at) : int(at) + sizes[name]], "little", signed=kind[0] == "i")
        for at, name, kind in names
    }
    if xxh64(data[:12] + bytes(4) + data[16:]) % (1 << 32) != header["checksum"]:
        raise RefusedError("checksum")
    flags, base, sequence = header["flags"], header["base"], header["sequence"]
    is_keyframe, is_beside = bool(flags & 1), base == sequence == 0
    wrong = (
        header["version"] != 2,
        flags & 0xFC,
        is_keyframe and (base != sequence or is_beside),
        not is_keyframe and base >= sequence and not is_beside,
        header["record_count"] and base == 0,
        header["header_bytes"] < 72,
        header["header_bytes"] + header["body_bytes"] != len(data),
        len(data) > 4 << 20,
        header["raw_bytes"] > 16 << 20,
        header["record_count"] > 65_536,
    )
    if any(wrong):
        raise RefusedError("header")
    return header


def _parts(
    reader: Reader, length: Callable[[Reader], int], known: tuple[int, ...]
) -> dict[int, bytes]:
    """Sections of a body, or columns of a section."""
    parts: dict[int, bytes] = {}
    seen = set()
    while reader.at < len(reader.data):
        part = reader.number(1)
        content = reader.take(length(reader))
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


def _keys(content: bytes, count: int, known: list[int]) -> None:
    if len(content) % 8 or len(content) > 8 * count or len(known) + len(content) // 8 > 1 << 20:
        raise RefusedError("keys")
    known += [key for (key,) in struct.iter_unpack("<Q", content)]


def _grids(content: bytes) -> dict[int, float]:
    if len(content) % 17:
        raise RefusedError("grids")
    scales: dict[int, float] = {}
    for bit, scale, error in struct.iter_unpack("<Bdd", content):
        is_float = bit not in FIELDS or FIELDS[bit].stored in FLOATS
        if bit > 31 or bit in scales or not is_float:
            raise RefusedError("grid")
        if not (2.0**-64 <= scale <= 2.0**64 and 0 <= error < float("inf")):
            raise RefusedError("grid")
        scales[bit] = scale
    return scales


def _records(content: bytes, count: int, session: NaiveSession) -> list[NaiveRecord]:
    columns = _parts(Reader(content), Reader.varint, known=tuple(range(39)))
    if not session.neurons:
        session.scales = _grids(columns.get(38, b""))
    elif columns.get(38):
        raise RefusedError("grids")
    _keys(columns.get(32, b""), count, session.neurons)
    _keys(columns.get(33, b""), count, session.shapes)
    for shape in session.shapes:
        kind, mask = divmod(shape, 1 << 32)
        if kind not in KINDS or mask & sum(1 << bit for bit in FIELDS) & ~MAY_HAVE[kind]:
            raise RefusedError("shape")
    times = _times(columns.get(36, b""), count)
    rows = _whole_run(columns.get(34, b""), count)
    shape_rows = _whole_run(columns.get(35, b""), count)
    if max(rows) >= len(session.neurons) or max(shape_rows) >= len(session.shapes):
        raise RefusedError("index")
    records = []
    for row, shape_row, time in zip(rows, shape_rows, times, strict=True):
        kind, mask = divmod(session.shapes[shape_row], 1 << 32)
        records.append(NaiveRecord(session.neurons[row], time, kind, mask & MAY_HAVE[kind]))
    for bit in FIELDS:
        _values(columns.get(bit, b""), FIELDS[bit], records, rows, session)
    _texts(columns.get(37, b""), records)
    return records


def _whole_run(content: bytes, count: int) -> list[int]:
    reader = Reader(content)
    values = reader.run(count)
    reader.end()
    return values


def _times(content: bytes, count: int) -> list[int]:
    reader = Reader(content)
    time = reader.number(8)
    times = []
    for change in reader.changes(count)[0]:
        time += change
        times.append(signed(time))
    reader.end()
    return times


def _values(
    content: bytes,
    about: NaiveField,
    records: list[NaiveRecord],
    rows: list[int],
    session: NaiveSession,
) -> None:
    having = [i for i, record in enumerate(records) if record.mask >> about.bit & 1]
    firsts, seen = [], {row for row, bit in session.codes if bit == about.bit}
    for i in having if about.bit < 16 else ():
        if rows[i] not in seen:
            firsts.append(i)
            seen.add(rows[i])
    others = [i for i in having if i not in set(firsts)]
    reader = Reader(content)
    changes = dict(zip(firsts, reader.changes(len(firsts))[0], strict=True))
    listed, are_second = reader.changes(len(others), about.is_counter)
    changes |= dict(zip(others, listed, strict=True))
    for i in having:
        key, change = (rows[i], about.bit), changes[i]
        if about.bit >= 16:
            records[i].values[about.name] = _meaning(signed(change), about, None)
            continue
        if key in session.codes and about.is_counter:
            change = signed(change + (session.changes[key] if are_second else 0))
        session.changes[key] = change if key in session.codes else 0
        session.codes[key] = signed(session.codes.get(key, 0) + change)
        value = _meaning(session.codes[key], about, session.scales.get(about.bit))
        records[i].values[about.name] = value
    if about.bit in session.scales and having:
        for i in reader.sparse(len(records)):
            if i not in having:
                raise RefusedError("exception")
            records[i].values[about.name] = struct.unpack("<d", reader.take(8))[0]
    reader.end()


def _meaning(code: int, about: NaiveField, scale: float | None) -> int | float:
    if scale is not None:
        return float(code) / scale
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
