"""Frames: what an agent sends and an aggregator opens, one self-contained run of bytes each.

A frame is a header of 64 bytes and a body of sections; `docs/wire.md` has the whole format.

     0  magic        4s  b"RNTS"            24  incarnation   u64
     4  version      u16                    32  sequence      u64
     6  flags        u16                    40  watermark_ns  i64
     8  header_bytes u16                    48  record_count  u32
    10  reserved     u16                    52  raw_bytes     u32  of the body, opened
    12  checksum     u32                    56  body_bytes    u32  as it travels
    16  agent_id     u64                    60  reserved      u32

Everything is little-endian. The checksum is the CRC-32 of the frame with these four bytes at 0.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

import lz4.block
import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.columns import COLUMNS_BYTES_MAX, SLOTS_PER_FRAME_MAX, ColumnDecoder, ColumnEncoder
from rnts.errors import FrameError
from rnts.kernels.bitpack import SPARE_BYTES
from rnts.kernels.varint import VARINT_BYTES_MAX, get_integers, put_integers
from rnts.records import RECORDS_MAX, Records

__all__ = [
    "FRAME_BYTES_MAX",
    "META_BYTES_MAX",
    "RAW_BYTES_MAX",
    "SLOTS_PER_FRAME_MAX",
    "SOURCES_PER_FRAME_MAX",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "FrameHeader",
    "frame_header",
]

MAGIC = b"RNTS"
VERSION = 1
FRAME_BYTES_MAX = 4 << 20
RAW_BYTES_MAX = 16 << 20
META_BYTES_MAX = 64 << 10
SOURCES_PER_FRAME_MAX = 1_024

_HEADER = struct.Struct("<4sHHHHIQQQqIIII")
_CHECKSUM = struct.Struct("<I")
_CHECKSUM_AT = 12
_SECTION = struct.Struct("<BI")
_TABLE = struct.Struct("<HH")  # rows and columns of the sources, in front of their varints
HEADER_BYTES = _HEADER.size

# lz4 costs time at both ends; a frame that it makes hardly smaller travels without it.
_SAVING_MIN = 0.03
_LZ4_RATIO_MAX = 255  # bytes that one byte of lz4 can stand for

# The worst that an encoder can be given fits: it never has to refuse what its limits allow.
_SECTIONS_BYTES_MAX = (
    COLUMNS_BYTES_MAX
    + SOURCES_PER_FRAME_MAX * len(SOURCE_COLUMNS) * VARINT_BYTES_MAX
    + META_BYTES_MAX
    + 3 * _SECTION.size
    + _TABLE.size
)
assert HEADER_BYTES + _SECTIONS_BYTES_MAX <= FRAME_BYTES_MAX


class Flags(IntFlag):
    """What a reader must know to open a frame; it may ignore unknown flags from 256 on."""

    KEYFRAME = 1  # stands alone: needs nothing of the frames before
    LZ4 = 2  # the body is one block of lz4


_FLAGS_KNOWN = int(Flags.KEYFRAME | Flags.LZ4)
_FLAGS_CRITICAL = 0xFF


class Section(IntEnum):
    """The parts of a body; a reader may skip unknown ones below 128."""

    RECORDS = 1
    SOURCES = 2
    META = 3


_SECTION_CRITICAL = 128


class FrameHeader(NamedTuple):
    """What a frame says of itself before its body is opened."""

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


@dataclass
class Frame:
    """An opened frame; `records` belong to the decoder and are overwritten by its next frame.

    sources: int64[sources, len(SOURCE_COLUMNS)], see `rnts.accounting`.
    meta:    opaque bytes, JSON by convention.
    """

    version: int
    flags: int
    agent_id: int
    incarnation: int
    sequence: int
    watermark_ns: int
    records: Records
    sources: NDArray[np.int64]
    meta: bytes


def frame_header(data: bytes | memoryview) -> FrameHeader:
    """Check a frame from outside (lengths, checksum, flags, limits) and read its header.

    Raises FrameError: "length", "magic", "version", "checksum", "flags", "count" or "lz4".
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise FrameError("length", size, data)
    values = _HEADER.unpack_from(data)
    magic, version, flags, header_bytes, _, checksum = values[:6]
    header = FrameHeader(version, flags, header_bytes, *values[6:13])
    if magic != MAGIC:
        raise FrameError("magic", 0, data)
    if version != VERSION:
        raise FrameError("version", 4, data)
    if header_bytes < HEADER_BYTES or size != header_bytes + header.body_bytes:
        raise FrameError("length", 8, data)
    if size > FRAME_BYTES_MAX or header.raw_bytes > RAW_BYTES_MAX:
        raise FrameError("length", 52, data)
    if checksum != _checksum(memoryview(data)):
        raise FrameError("checksum", _CHECKSUM_AT, data)
    if flags & _FLAGS_CRITICAL & ~_FLAGS_KNOWN or not flags & Flags.KEYFRAME:
        raise FrameError("flags", 6, data)
    if header.record_count > RECORDS_MAX:
        raise FrameError("count", 48, data)
    if not flags & Flags.LZ4 and header.raw_bytes != header.body_bytes:
        raise FrameError("length", 52, data)
    if header.raw_bytes > header.body_bytes * _LZ4_RATIO_MAX:
        raise FrameError("lz4", 52, data)
    return header


def _checksum(frame: memoryview) -> int:
    """CRC-32 of a frame as if its checksum were 0."""
    crc = zlib.crc32(frame[:_CHECKSUM_AT])
    crc = zlib.crc32(bytes(_CHECKSUM.size), crc)
    return zlib.crc32(frame[_CHECKSUM_AT + _CHECKSUM.size :], crc)


class FrameEncoder:
    """Makes the frames of one agent; holds all the memory that it will need (12 MiB when busy)."""

    def __init__(self, agent_id: int, incarnation: int, compression: str = "lz4") -> None:
        if compression not in ("lz4", "none"):
            raise ValueError(f"compression is lz4 or none, not {compression!r}")
        self._agent_id = agent_id
        self._incarnation = incarnation
        self._compresses = compression == "lz4"
        self._columns = ColumnEncoder()
        self._out = np.zeros(FRAME_BYTES_MAX, np.uint8)
        self._view = memoryview(self._out)

    def encode(
        self,
        slots: NDArray[np.int64],
        *,
        sequence: int,
        watermark_ns: int,
        sources: NDArray[np.int64],
        meta: bytes = b"",
    ) -> bytes:
        """One frame of the records in `slots`, int64[k, 16], in their order; k may be 0.

        sources: int64[s, len(SOURCE_COLUMNS)]. Raises ValueError beyond SLOTS_PER_FRAME_MAX,
        SOURCES_PER_FRAME_MAX or META_BYTES_MAX and for slots that hold no record; whatever is
        within them fits.
        """
        end, count = HEADER_BYTES, 0
        if len(slots):
            end, count = self._columns.encode(slots, self._out, HEADER_BYTES + _SECTION.size)
            size = end - HEADER_BYTES - _SECTION.size
            _SECTION.pack_into(self._view, HEADER_BYTES, Section.RECORDS, size)
        if len(sources):
            end = self._put_sources(sources, end)
        if meta:
            end = self._put_meta(meta, end)
        return self._seal(end, sequence, watermark_ns, count)

    def _put_sources(self, sources: NDArray[np.int64], position: int) -> int:
        """Write the section of sources; returns the position after it."""
        rows, width = sources.shape
        if rows > SOURCES_PER_FRAME_MAX or width != len(SOURCE_COLUMNS):
            raise ValueError(f"a frame takes {SOURCES_PER_FRAME_MAX} x {len(SOURCE_COLUMNS)} sources"
                             f", and these are {rows} x {width}")
        start = position + _SECTION.size
        _TABLE.pack_into(self._view, start, rows, width)
        flat = np.ascontiguousarray(sources, np.int64).reshape(-1)
        end: int = put_integers(flat, self._out, start + _TABLE.size)
        _SECTION.pack_into(self._view, position, Section.SOURCES, end - start)
        return end

    def _put_meta(self, meta: bytes, position: int) -> int:
        """Write the section of opaque bytes; returns the position after it."""
        if len(meta) > META_BYTES_MAX:
            raise ValueError(f"a frame takes {META_BYTES_MAX} bytes of meta, not {len(meta)}")
        start = position + _SECTION.size
        _SECTION.pack_into(self._view, position, Section.META, len(meta))
        self._view[start : start + len(meta)] = meta
        return start + len(meta)

    def _seal(self, end: int, sequence: int, watermark_ns: int, count: int) -> bytes:
        """Compress the body where that pays, and put the header in front."""
        body: bytes | memoryview = self._view[HEADER_BYTES:end]
        raw_bytes, flags = len(body), Flags.KEYFRAME
        if self._compresses and raw_bytes:
            packed = lz4.block.compress(body, store_size=False)
            if len(packed) <= (1 - _SAVING_MIN) * raw_bytes:
                body, flags = packed, flags | Flags.LZ4
        header = bytearray(
            _HEADER.pack(
                MAGIC, VERSION, flags, HEADER_BYTES, 0, 0, self._agent_id, self._incarnation,
                sequence, watermark_ns, count, raw_bytes, len(body), 0,
            )  # fmt: skip
        )
        _CHECKSUM.pack_into(header, _CHECKSUM_AT, zlib.crc32(body, zlib.crc32(header)))
        return b"".join((header, body))


class FrameDecoder:
    """Opens frames; a frame that it refuses leaves nothing behind."""

    def __init__(self) -> None:
        self._columns = ColumnDecoder(RAW_BYTES_MAX)
        self._data = np.zeros(RAW_BYTES_MAX + SPARE_BYTES, np.uint8)
        self._view = memoryview(self._data)

    def decode(self, data: bytes | memoryview, header: FrameHeader | None = None) -> Frame:
        """Open a frame; `header` is what `frame_header(data)` gave, where that was called before.

        Raises FrameError. Its offset counts in the opened body once that has been decompressed.
        """
        if header is None:
            header = frame_header(data)
        self._open_body(data, header)
        raw = self._view[: header.raw_bytes]
        spans = self._find_sections(raw)
        start, end = spans.get(Section.RECORDS, (0, 0))
        sources = self._read_sources(raw, *spans.get(Section.SOURCES, (0, 0)))
        meta_start, meta_end = spans.get(Section.META, (0, 0))
        if meta_end - meta_start > META_BYTES_MAX:
            raise FrameError("meta", meta_start, raw)
        records = self._columns.decode(self._data, start, end, header.record_count)
        return Frame(
            header.version, header.flags, header.agent_id, header.incarnation, header.sequence,
            header.watermark_ns, records, sources, bytes(raw[meta_start:meta_end]),
        )  # fmt: skip

    def _open_body(self, data: bytes | memoryview, header: FrameHeader) -> None:
        """Copy the body, decompressed, to where kernels may read a little too far."""
        body: bytes | memoryview = memoryview(data)[header.header_bytes :]
        if header.flags & Flags.LZ4:
            try:
                body = lz4.block.decompress(body, uncompressed_size=header.raw_bytes)
            except lz4.block.LZ4BlockError:
                raise FrameError("lz4", header.header_bytes, data) from None
            if len(body) != header.raw_bytes:
                raise FrameError("lz4", header.header_bytes, data)
        self._view[: header.raw_bytes] = body

    def _find_sections(self, raw: memoryview) -> dict[int, tuple[int, int]]:
        """Where each known section starts and ends."""
        spans: dict[int, tuple[int, int]] = {}
        position = 0
        while position < len(raw):
            start = position + _SECTION.size
            if start > len(raw):
                raise FrameError("section", position, raw)
            section, size = _SECTION.unpack_from(raw, position)
            if size > len(raw) - start or section >= _SECTION_CRITICAL or section in spans:
                raise FrameError("section", position, raw)
            spans[section] = (start, start + size)
            position = start + size
        return spans

    def _read_sources(self, raw: memoryview, start: int, end: int) -> NDArray[np.int64]:
        """The table of sources, which must fill its section."""
        width = len(SOURCE_COLUMNS)
        if start == end:
            return np.zeros((0, width), np.int64)
        if end - start < _TABLE.size:
            raise FrameError("sources", start, raw)
        rows, columns = _TABLE.unpack_from(raw, start)
        start += _TABLE.size
        if rows > SOURCES_PER_FRAME_MAX or columns != width or rows * width > end - start:
            raise FrameError("sources", start, raw)
        sources = np.zeros((rows, width), np.int64)
        if get_integers(self._data, start, end, sources.reshape(-1)) != end:
            raise FrameError("sources", start, raw)
        return sources
