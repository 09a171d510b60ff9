"""The fixed header of a frame, and all that can be said of a frame without opening it.

     0  magic        4s  b"RNTS"            24  incarnation   u64
     4  version      u16                    32  sequence      u64
     6  flags        u16                    40  watermark_ns  i64
     8  header_bytes u16                    48  record_count  u32
    10  reserved     u16                    52  raw_bytes     u32  of the body when opened
    12  checksum     u32                    56  body_bytes    u32  of the body as it travels
    16  agent_id     u64                    60  reserved      u32

All of it is little-endian. The checksum is the CRC-32 of the whole frame with its own bytes at 0.
"""

import struct
import zlib
from typing import NamedTuple, cast

from rnts.errors import FrameError
from rnts.records import RECORDS_MAX

MAGIC = b"RNTS"
VERSION = 1
FRAME_BYTES_MAX = 4 << 20
RAW_BYTES_MAX = 16 << 20

# Flags of the lower byte are critical: who does not know one of them must refuse the frame.
KEYFRAME = 1  # it stands alone and needs nothing of the frames before
LZ4 = 2  # its body is one block of lz4
_FLAGS_KNOWN = KEYFRAME | LZ4
_FLAGS_CRITICAL = 0xFF

_HEADER = struct.Struct("<4sHHHHIQQQqIIII")
HEADER_BYTES = _HEADER.size
_CHECKSUM = struct.Struct("<I")
_VERSION_AT, _FLAGS_AT, _LENGTH_AT, _CHECKSUM_AT, _COUNT_AT, _RAW_AT = 4, 6, 8, 12, 48, 52
_LZ4_RATIO_MAX = 255  # bytes that one byte of lz4 can stand for

Bytes = bytes | memoryview


class FrameHeader(NamedTuple):
    """What a frame says of itself; it has been checked."""

    version: int
    flags: int
    header_bytes: int
    agent_id: int
    incarnation: int
    sequence: int
    watermark_ns: int
    record_count: int
    raw_bytes: int
    body_bytes: int


def refused(reason: str, offset: int, data: Bytes) -> FrameError:
    """The error for bytes that are no frame; they are shown in part and not copied."""
    return FrameError(reason, offset, cast("bytes", data))


def frame_header(data: Bytes) -> FrameHeader:
    """Check a frame from outside and read its header.

    Raises FrameError: "length", "magic", "version", "checksum", "flags", "count" or "lz4".
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise refused("length", size, data)
    values = _HEADER.unpack_from(data)
    magic, version, flags, header_bytes, _, checksum = values[:6]
    header = FrameHeader(version, flags, header_bytes, *values[6:13])
    if magic != MAGIC:
        raise refused("magic", 0, data)
    if version != VERSION:
        raise refused("version", _VERSION_AT, data)
    if header_bytes < HEADER_BYTES or size != header_bytes + header.body_bytes:
        raise refused("length", _LENGTH_AT, data)
    if size > FRAME_BYTES_MAX:
        raise refused("length", FRAME_BYTES_MAX, data)
    if checksum != _checksum(memoryview(data)):
        raise refused("checksum", _CHECKSUM_AT, data)
    if flags & _FLAGS_CRITICAL & ~_FLAGS_KNOWN or not flags & KEYFRAME:
        raise refused("flags", _FLAGS_AT, data)
    if header.record_count > RECORDS_MAX:
        raise refused("count", _COUNT_AT, data)
    if header.raw_bytes > RAW_BYTES_MAX:
        raise refused("length", _RAW_AT, data)
    if not flags & LZ4 and header.raw_bytes != header.body_bytes:
        raise refused("length", _RAW_AT, data)
    if header.raw_bytes > header.body_bytes * _LZ4_RATIO_MAX:
        raise refused("lz4", _RAW_AT, data)
    return header


def seal(header: FrameHeader, body: Bytes) -> bytes:
    """The frame of `header` and `body`, with its checksum; the header's lengths must be true."""
    version, flags, header_bytes, *others = header
    packed = bytearray(_HEADER.pack(MAGIC, version, flags, header_bytes, 0, 0, *others, 0))
    _CHECKSUM.pack_into(packed, _CHECKSUM_AT, zlib.crc32(body, zlib.crc32(packed)))
    return b"".join((packed, body))


def _checksum(frame: memoryview) -> int:
    """CRC-32 of a frame as if the bytes of its checksum were 0."""
    crc = zlib.crc32(frame[:_CHECKSUM_AT])
    crc = zlib.crc32(bytes(_CHECKSUM.size), crc)
    return zlib.crc32(frame[_CHECKSUM_AT + _CHECKSUM.size :], crc)
