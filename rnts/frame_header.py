"""The fixed header of a frame, and all that can be said of a frame without opening it.

     0  magic        4s  b"RNTS"            32  sequence      u64
     4  version      u16                    40  base          u64
     6  flags        u16                    48  watermark_ns  i64
     8  header_bytes u16                    56  record_count  u32
    10  reserved     u16                    60  raw_bytes     u32  of the body when opened
    12  checksum     u32                    64  body_bytes    u32  of the body as it travels
    16  agent_id     u64                    68  reserved      u32
    24  incarnation  u64

All of it is little-endian. The checksum is the lower half of the XXH64 of the whole frame with its
own bytes at 0.
"""

import struct
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from rnts.errors import FrameError
from rnts.kernels.checksum import checksum
from rnts.records import RECORDS_MAX

MAGIC = b"RNTS"
VERSION = 2
FRAME_BYTES_MAX = 4 << 20
RAW_BYTES_MAX = 16 << 20

# Flags of the lower byte are critical: who does not know one of them must refuse the frame.
KEYFRAME = 1  # it begins a group and needs nothing of the frames before
LZ4 = 2  # its body is one block of lz4
EVENTS, NAMES = 0x100, 0x200  # it has records of these kinds, for who looks for them
_FLAGS_KNOWN = KEYFRAME | LZ4
_FLAGS_CRITICAL = 0xFF

_HEADER = struct.Struct("<4sHHHHIQQQQqIIII")
HEADER_BYTES = _HEADER.size
_CHECKSUM = struct.Struct("<I")
_CHECKSUM_MASK = 0xFFFFFFFF
_VERSION_AT, _FLAGS_AT, _LENGTH_AT, _CHECKSUM_AT, _COUNT_AT, _RAW_AT = 4, 6, 8, 12, 56, 60
BASE_AT = 40
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
    base: int  # the sequence of the keyframe of its group
    watermark_ns: int
    record_count: int
    raw_bytes: int
    body_bytes: int

    @property
    def is_keyframe(self) -> bool:
        """Whether it begins a group, and so can be opened without those before it."""
        return bool(self.flags & KEYFRAME)

    @property
    def has_possible_base(self) -> bool:
        """Whether its base is its own number in a keyframe, and below it in every other frame.

        Only what has no records may belong to no group, or have no number either.
        """
        if self.is_keyframe:
            return self.base == self.sequence != 0
        if self.record_count:
            return 0 < self.base < self.sequence
        return self.base < self.sequence or self.base == self.sequence == 0


def refused(reason: str, offset: int, data: Bytes) -> FrameError:
    """The error for bytes that are no frame; they are shown in part and not copied."""
    return FrameError(reason, offset, cast("bytes", data))


def frame_header(data: Bytes) -> FrameHeader:
    """Check a frame from outside and read its header.

    Raises FrameError: "length", "magic", "version", "checksum", "flags", "count", "lz4" or "base".
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise refused("length", size, data)
    values = _HEADER.unpack_from(data)
    magic, version, flags, header_bytes, _, stated = values[:6]
    header = FrameHeader(version, flags, header_bytes, *values[6:14])
    if magic != MAGIC:
        raise refused("magic", 0, data)
    if version != VERSION:
        raise refused("version", _VERSION_AT, data)
    if header_bytes < HEADER_BYTES or size != header_bytes + header.body_bytes:
        raise refused("length", _LENGTH_AT, data)
    if size > FRAME_BYTES_MAX:
        raise refused("length", FRAME_BYTES_MAX, data)
    if stated != frame_checksum(data):
        raise refused("checksum", _CHECKSUM_AT, data)
    if flags & _FLAGS_CRITICAL & ~_FLAGS_KNOWN:
        raise refused("flags", _FLAGS_AT, data)
    if not header.has_possible_base:
        raise refused("base", BASE_AT, data)
    if header.record_count > RECORDS_MAX:
        raise refused("count", _COUNT_AT, data)
    if header.raw_bytes > RAW_BYTES_MAX:
        raise refused("length", _RAW_AT, data)
    if not flags & LZ4 and header.raw_bytes != header.body_bytes:
        raise refused("length", _RAW_AT, data)
    if header.raw_bytes > header.body_bytes * _LZ4_RATIO_MAX:
        raise refused("lz4", _RAW_AT, data)
    return header


def seal_in_place(header: FrameHeader, out: NDArray[np.uint8], view: memoryview) -> bytes:
    """The frame of `header` and the body that stands where it has to in `out`, with its checksum.

    `view` is that of `out`, of which making one takes longer than using it. The header's lengths
    must be true.
    """
    version, flags, header_bytes, *others = header
    _HEADER.pack_into(view, 0, MAGIC, version, flags, header_bytes, 0, 0, *others, 0)
    size = header_bytes + header.body_bytes
    _CHECKSUM.pack_into(view, _CHECKSUM_AT, checksum(out, size) & _CHECKSUM_MASK)
    return bytes(view[:size])


def seal(header: FrameHeader, body: Bytes) -> bytes:
    """The frame of `header` and `body`, with its checksum."""
    out = np.zeros(HEADER_BYTES + len(body), np.uint8)
    out[HEADER_BYTES:] = np.frombuffer(body, np.uint8)
    return seal_in_place(header, out, out.data)


def frame_checksum(frame: Bytes) -> int:
    """The checksum of a frame as if its own bytes were 0."""
    content = np.frombuffer(frame, np.uint8).copy()
    content[_CHECKSUM_AT : _CHECKSUM_AT + _CHECKSUM.size] = 0
    found: int = checksum(content, len(content))
    return found & _CHECKSUM_MASK
