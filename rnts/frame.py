"""Frames: what an agent sends and an aggregator opens; each is one run of bytes that stands alone.

A frame is a header (`rnts/frame_header.py`) and a body of sections: records as columns, the table
of their sources, opaque bytes. A section is one byte `type`, four bytes of length, and its bytes.
`docs/wire.md` has the whole format.
"""

import struct
from dataclasses import dataclass

import lz4.block
import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.columns import COLUMNS_BYTES_MAX, SLOTS_PER_FRAME_MAX, ColumnDecoder, ColumnEncoder
from rnts.frame_header import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    KEYFRAME,
    LZ4,
    RAW_BYTES_MAX,
    VERSION,
    Bytes,
    FrameHeader,
    frame_header,
    refused,
    seal,
)
from rnts.kernels.bitpack import SPARE_BYTES
from rnts.kernels.varint import VARINT_BYTES_MAX, get_integers, put_integers
from rnts.records import Records

__all__ = [
    "FRAME_BYTES_MAX",
    "META_BYTES_MAX",
    "SLOTS_PER_FRAME_MAX",
    "SOURCES_PER_FRAME_MAX",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "FrameHeader",
    "frame_header",
]

META_BYTES_MAX = 64 << 10
SOURCES_PER_FRAME_MAX = 4_096

# Sections; a reader skips those below 128 that it does not know.
_RECORDS, _SOURCES, _META, _CRITICAL = 1, 2, 3, 128
_SECTION = struct.Struct("<BI")
_TABLE = struct.Struct("<HH")  # rows and columns of the sources, before their varints
_SAVING_MIN = 0.03  # lz4 takes time at both ends: what it hardly makes smaller goes without it

# The worst that `encode` can be given fits, so it never has to refuse what its limits allow.
_SOURCES_BYTES_MAX = SOURCES_PER_FRAME_MAX * len(SOURCE_COLUMNS) * VARINT_BYTES_MAX + _TABLE.size
_SECTIONS_BYTES_MAX = COLUMNS_BYTES_MAX + _SOURCES_BYTES_MAX + META_BYTES_MAX + 3 * _SECTION.size
assert HEADER_BYTES + _SECTIONS_BYTES_MAX <= FRAME_BYTES_MAX


@dataclass(slots=True)
class Frame:
    """An opened frame; `records` belong to the decoder and are overwritten by its next frame.

    sources: int64[sources, len(SOURCE_COLUMNS)], see `rnts/accounting.py`.
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


class FrameEncoder:
    """Makes the frames of one agent; all the memory that it will use is taken at construction."""

    def __init__(self, agent_id: int, incarnation: int, compression: str = "lz4") -> None:
        if compression not in ("lz4", "none"):
            raise ValueError(f"compression is lz4 or none, and not {compression!r}")
        self._agent_id = agent_id
        self._incarnation = incarnation
        self._compresses = compression == "lz4"
        self._columns = ColumnEncoder()
        self._out = np.zeros(_SECTIONS_BYTES_MAX, np.uint8)
        self._view = self._out.data

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
        SOURCES_PER_FRAME_MAX or META_BYTES_MAX, and for slots that hold no record; whatever keeps
        to these fits.
        """
        end, count = 0, 0
        if len(slots) > 0:
            end, count = self._columns.encode(slots, self._out, _SECTION.size)
            _SECTION.pack_into(self._view, 0, _RECORDS, end - _SECTION.size)
        if len(sources) > 0:
            end = self._put_sources(sources, end)
        if meta:
            end = self._put_meta(meta, end)
        body, flags = self._compress(self._view[:end])
        header = FrameHeader(
            VERSION, KEYFRAME | flags, HEADER_BYTES, self._agent_id, self._incarnation,
            sequence, watermark_ns, count, end, len(body),
        )  # fmt: skip
        return seal(header, body)

    def _put_sources(self, sources: NDArray[np.int64], position: int) -> int:
        """Write the section of sources; returns the position after it."""
        rows, width = sources.shape
        if rows > SOURCES_PER_FRAME_MAX or width != len(SOURCE_COLUMNS):
            raise ValueError(
                f"sources have at most {SOURCES_PER_FRAME_MAX} rows of {len(SOURCE_COLUMNS)}"
                f" columns, and these {rows} of {width}"
            )
        start = position + _SECTION.size
        _TABLE.pack_into(self._view, start, rows, width)
        numbers = np.ascontiguousarray(sources, np.int64).reshape(-1)
        end: int = put_integers(numbers, self._out, start + _TABLE.size)
        assert end > 0, "the buffer has room for the worst case"
        _SECTION.pack_into(self._view, position, _SOURCES, end - start)
        return end

    def _put_meta(self, meta: bytes, position: int) -> int:
        """Write the section of opaque bytes; returns the position after it."""
        if len(meta) > META_BYTES_MAX:
            raise ValueError(f"meta has at most {META_BYTES_MAX} bytes, and this {len(meta)}")
        start = position + _SECTION.size
        end = start + len(meta)
        _SECTION.pack_into(self._view, position, _META, len(meta))
        self._view[start:end] = meta
        return end

    def _compress(self, body: memoryview) -> tuple[Bytes, int]:
        """The body as it is to travel, and the flag that says so."""
        if self._compresses and len(body) > 0:
            packed: bytes = lz4.block.compress(body, store_size=False)
            if len(packed) <= (1 - _SAVING_MIN) * len(body):
                return packed, LZ4
        return body, 0


class FrameDecoder:
    """Opens frames; one that it refuses leaves nothing behind."""

    def __init__(self) -> None:
        self._columns = ColumnDecoder(RAW_BYTES_MAX)
        self._data = np.zeros(RAW_BYTES_MAX + SPARE_BYTES, np.uint8)
        self._view = self._data.data

    def decode(self, data: Bytes, header: FrameHeader | None = None) -> Frame:
        """Open a frame; `header` is what `frame_header(data)` said, for who called it before.

        Raises FrameError. From reason "section" on, its offset counts in the opened body.
        """
        if header is None:
            header = frame_header(data)
        body = self._open_body(data, header)
        spans = _find_sections(body)
        sources = self._read_sources(body, *spans.get(_SOURCES, (0, 0)))
        meta_start, meta_end = spans.get(_META, (0, 0))
        if meta_end - meta_start > META_BYTES_MAX:
            raise refused("meta", meta_start, body)
        start, end = spans.get(_RECORDS, (0, 0))
        records = self._columns.decode(self._data, start, end, header.record_count)
        return Frame(
            header.version, header.flags, header.agent_id, header.incarnation, header.sequence,
            header.watermark_ns, records, sources, bytes(body[meta_start:meta_end]),
        )  # fmt: skip

    def _open_body(self, data: Bytes, header: FrameHeader) -> memoryview:
        """Decompress the body to where kernels may look a little past its end."""
        body: Bytes = memoryview(data)[header.header_bytes :]
        if header.flags & LZ4:
            try:
                body = lz4.block.decompress(body, uncompressed_size=header.raw_bytes)
            except lz4.block.LZ4BlockError:
                raise refused("lz4", header.header_bytes, data) from None
            if len(body) != header.raw_bytes:
                raise refused("lz4", header.header_bytes, data)
        view = self._view[: header.raw_bytes]
        view[:] = body
        return view

    def _read_sources(self, body: memoryview, start: int, end: int) -> NDArray[np.int64]:
        """The table of sources, which must fill its section."""
        rows, width = 0, len(SOURCE_COLUMNS)
        if start == end:
            return np.zeros((rows, width), np.int64)
        if end - start < _TABLE.size:
            raise refused("sources", start, body)
        rows, columns = _TABLE.unpack_from(body, start)
        start += _TABLE.size
        if rows > SOURCES_PER_FRAME_MAX or columns != width or rows * width > end - start:
            raise refused("sources", start, body)
        sources = np.zeros((rows, width), np.int64)
        if get_integers(self._data, start, end, sources.reshape(-1)) != end:
            raise refused("sources", start, body)
        return sources


def _find_sections(body: memoryview) -> dict[int, tuple[int, int]]:
    """Where each section starts and ends; what is unknown and not critical may be there, too."""
    spans: dict[int, tuple[int, int]] = {}
    position, size = 0, len(body)
    while position < size:
        start = position + _SECTION.size
        if start > size:
            raise refused("section", position, body)
        section, section_bytes = _SECTION.unpack_from(body, position)
        if section_bytes > size - start or section >= _CRITICAL or section in spans:
            raise refused("section", position, body)
        position = start + section_bytes
        spans[section] = (start, position)
    return spans
