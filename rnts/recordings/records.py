"""The bytes of a recording: a header, then records, each with checksums of its own.

The file's header, 32 bytes           A record, 64 bytes and its payload
     0  magic        8s  b"RNTSREC\\n"      0  magic          4s  b"RREC"
     8  version      u16                   4  kind           u16  1 entry, 2 gap, 3 end
    10  header_bytes u16                   6  flags          u16  0
    12  reserved     u32                   8  at_ns          i64  when it was folded
    16  started_ns   i64                  16  speaker        u64  the agent
    24  reserved     u32                  24  incarnation    u64
    28  checksum     u32                  32  first          u64
                                          40  last           u64
                                          48  payload_bytes  u32
                                          52  payload_crc    u32
                                          56  reserved       u32
                                          60  checksum       u32  of the 60 bytes before it

All of it is little-endian, times are nanoseconds since the epoch, checksums are CRC-32. An entry's
payload is a frame (docs/wire.md), that of the others a JSON object. A hole is an entry whose frame
has the sequence 0.
"""

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

from rnts.errors import RntsError
from rnts.links.limits import MESSAGE_BYTES_MAX

MAGIC, VERSION = b"RNTSREC\n", 1
RECORD_MAGIC = b"RREC"
_HEADER = struct.Struct("<8sHHIqI")
_RECORD = struct.Struct("<4sHHqQQQQIII")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
RECORD_BYTES = _RECORD.size + _CHECKSUM.size
PAYLOAD_BYTES_MAX = MESSAGE_BYTES_MAX
assert (HEADER_BYTES, RECORD_BYTES) == (32, 64)


class Kind(IntEnum):
    """What a record is about."""

    ENTRY = 1  # a frame, or a hole, as it was folded
    GAP = 2  # here frames are missing
    END = 3  # it was ended in peace; nothing follows


class Record(NamedTuple):
    """One record; it has been checked."""

    kind: int
    at_ns: int
    speaker: int = 0
    incarnation: int = 0
    first: int = 0
    last: int = 0
    payload: bytes = b""

    @property
    def life(self) -> tuple[int, int]:
        """Whose entry it is: an agent, and which life of it."""
        return self.speaker, self.incarnation

    def pack(self) -> bytes:
        """The record's bytes, payload included."""
        kind, at_ns, speaker, incarnation, first, last, payload = self
        head = _RECORD.pack(
            RECORD_MAGIC, kind, 0, at_ns, speaker, incarnation, first, last,
            len(payload), zlib.crc32(payload), 0,
        )  # fmt: skip
        return b"".join((head, _CHECKSUM.pack(zlib.crc32(head)), payload))


class Head(NamedTuple):
    """A record's fixed part; it has been checked, its payload has not."""

    record: Record
    payload_bytes: int
    payload_crc: int

    def with_payload(self, payload: bytes) -> Record | None:
        """The whole record; None where these bytes are not its payload."""
        is_whole = len(payload) == self.payload_bytes and zlib.crc32(payload) == self.payload_crc
        return self.record._replace(payload=payload) if is_whole else None


def parse_head(raw: bytes) -> Head | None:
    """The fixed part of a record, or None where there is none that is whole."""
    if len(raw) != RECORD_BYTES:
        return None
    values = _RECORD.unpack_from(raw)
    magic, kind, _, *where, payload_bytes, payload_crc, _ = values
    (expected,) = _CHECKSUM.unpack_from(raw, _RECORD.size)
    is_ours = magic == RECORD_MAGIC and payload_bytes <= PAYLOAD_BYTES_MAX
    if not is_ours or zlib.crc32(raw[: _RECORD.size]) != expected:
        return None
    return Head(Record(kind, *where), payload_bytes, payload_crc)


def pack_header(started_ns: int) -> bytes:
    """The file's header."""
    head = _HEADER.pack(MAGIC, VERSION, HEADER_BYTES, 0, started_ns, 0)
    return head + _CHECKSUM.pack(zlib.crc32(head))


def parse_header(raw: bytes, name: str) -> tuple[int, int]:
    """(when the recording began, where its first record is); raises RntsError for another file."""
    if len(raw) < HEADER_BYTES or raw[: len(MAGIC)] != MAGIC:
        raise RntsError(f"{name} is no recording; `rnts record` makes one")
    _, version, header_bytes, _, started_ns, _ = _HEADER.unpack_from(raw)
    (expected,) = _CHECKSUM.unpack_from(raw, _HEADER.size)
    if zlib.crc32(raw[: _HEADER.size]) != expected or header_bytes < HEADER_BYTES:
        raise RntsError(f"{name}: the header of the recording is damaged")
    if version != VERSION:
        raise RntsError(f"{name} is a recording of version {version}; this program reads {VERSION}")
    return started_ns, header_bytes
