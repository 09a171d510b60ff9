"""Records of the spool: what is known of an entry, with a checksum of its own, found anywhere.

     0  magic          4s  b"RSPL"          40  offset         u64  of it in the data file
     4  version        u16                  48  payload_bytes  u32
     6  flags          u16  1: no payload   52  payload_crc    u32
     8  first          u64                  56  sources        u32  rows of counts behind it
    16  last           u64                  60  checksum       u32  of all this and the counts
    24  base           u64                  64  (key i64, records i64) for each source
    32  reserved       u64

All of it is little-endian. A segment of the spool is two files of such records: in the data file a
payload follows each, the index has none of them. So each place tells what the other has lost.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAGIC = b"RSPL"
VERSION = 1
LOST = 1  # it was given up: there are counts and no payload
_RECORD = struct.Struct("<4sHHQQQQQIII")
_CHECKSUM = struct.Struct("<I")
_COUNT_BYTES = 16
RECORD_BYTES = _RECORD.size + _CHECKSUM.size
SOURCES_MAX = 65_536


class Record(NamedTuple):
    """What a record says; it has been checked."""

    flags: int
    first: int
    last: int
    base: int
    offset: int
    payload_bytes: int
    payload_crc: int
    counts: dict[int, int]

    @property
    def is_lost(self) -> bool:
        """Whether its payload was given up before it was written."""
        return bool(self.flags & LOST)

    @property
    def size(self) -> int:
        """Bytes of the record without its payload."""
        return RECORD_BYTES + _COUNT_BYTES * len(self.counts)

    def pack(self) -> bytes:
        """The record's bytes."""
        flags, first, last, base, offset, payload_bytes, payload_crc, counts = self
        head = _RECORD.pack(
            MAGIC, VERSION, flags, first, last, base, 0, offset, payload_bytes, payload_crc,
            len(counts),
        )  # fmt: skip
        flat = [number for pair in counts.items() for number in pair]
        tail = struct.pack(f"<{len(flat)}q", *flat)
        crc = zlib.crc32(tail, zlib.crc32(head))
        return b"".join((head, _CHECKSUM.pack(crc), tail))


def read_record(raw: bytes, at: int) -> Record | None:
    """The record at `at`, or None where there is none that is whole."""
    if len(raw) - at < RECORD_BYTES:
        return None
    values = _RECORD.unpack_from(raw, at)
    magic, version, flags, first, last, base, _, offset, payload_bytes, payload_crc, rows = values
    if magic != MAGIC or version != VERSION or rows > SOURCES_MAX or last < first:
        return None
    start = at + RECORD_BYTES
    end = start + _COUNT_BYTES * rows
    if end > len(raw):
        return None
    (expected,) = _CHECKSUM.unpack_from(raw, at + _RECORD.size)
    if zlib.crc32(raw[start:end], zlib.crc32(raw[at : at + _RECORD.size])) != expected:
        return None
    flat = struct.unpack_from(f"<{2 * rows}q", raw, start)
    counts = dict(zip(flat[::2], flat[1::2], strict=True))
    return Record(flags, first, last, base, offset, payload_bytes, payload_crc, counts)


def scan(raw: bytes, has_payloads: bool) -> Iterator[tuple[int, Record]]:
    """All whole records in some bytes with their positions; what is damaged is stepped over."""
    at = 0
    while (at := raw.find(MAGIC, at)) >= 0:
        record = read_record(raw, at)
        if record is None:
            at += 1
            continue
        yield at, record
        at += record.size + (record.payload_bytes if has_payloads else 0)


def merge(indexes: Iterable[bytes]) -> Record | None:
    """One record of a loss in place of all in these indexes; None where their numbers have gaps."""
    records = sorted((r for raw in indexes for _, r in scan(raw, False)), key=lambda r: r.first)
    counts: dict[int, int] = {}
    expected = records[0].first if records else 0
    for record in records:
        if record.first != expected:
            return None
        expected = record.last + 1
        for source, count in record.counts.items():
            counts[source] = counts.get(source, 0) + count
    if not records or len(counts) > SOURCES_MAX:
        return None
    return Record(LOST, records[0].first, expected - 1, records[0].base, 0, 0, 0, counts)
