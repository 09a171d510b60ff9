"""Frames: what an agent sends and an aggregator opens; a keyframe stands alone, others follow one.

A frame is a header (`rnts/frame_header.py`) and a body of sections: records as columns, the table
of their sources, opaque bytes. A section is one byte `type`, four bytes of length, and its bytes.
`docs/wire.md` has the whole format.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.codec_state import DecoderSession
from rnts.columns import SLOTS_PER_FRAME_MAX, ColumnDecoder
from rnts.frame_body import (
    CRITICAL,
    META,
    META_BYTES_MAX,
    RECORDS,
    SECTION,
    SOURCES,
    SOURCES_PER_FRAME_MAX,
    TABLE,
    decompress,
)
from rnts.frame_encoder import FrameEncoder
from rnts.frame_header import (
    BASE_AT,
    FRAME_BYTES_MAX,
    LZ4,
    RAW_BYTES_MAX,
    Bytes,
    FrameHeader,
    frame_header,
    refused,
)
from rnts.kernels.bitpack import SPARE_BYTES
from rnts.kernels.varint import get_integers
from rnts.records import Records

__all__ = [
    "FRAME_BYTES_MAX",
    "META_BYTES_MAX",
    "SLOTS_PER_FRAME_MAX",
    "SOURCES_PER_FRAME_MAX",
    "DecoderSession",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "FrameHeader",
    "frame_header",
]


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


class FrameDecoder:
    """Opens frames; one that it refuses leaves nothing behind."""

    def __init__(self) -> None:
        self._alone = DecoderSession()
        self._columns = ColumnDecoder(RAW_BYTES_MAX)
        self._data = np.zeros(RAW_BYTES_MAX + SPARE_BYTES, np.uint8)
        self._view = self._data.data

    def decode(
        self,
        data: Bytes,
        header: FrameHeader | None = None,
        session: DecoderSession | None = None,
    ) -> Frame:
        """Open a frame; `header` is what `frame_header(data)` said, for who called it before.

        session: what came of the frames of this agent before. Without one, only keyframes and
        frames without records can be opened. Raises FrameError; then the session is as it was, and
        from reason "section" on, the offset counts in the opened body.
        """
        if header is None:
            header = frame_header(data)
        if session is None:
            session, self._alone.base = self._alone, 0
        is_due = (header.base, header.sequence) == (session.base, session.next) and session.base
        if header.record_count and not is_due and not header.is_keyframe:
            raise refused("base", BASE_AT, data)
        body = self._open_body(data, header)
        spans = _find_sections(body)
        sources = self._read_sources(body, *spans.get(SOURCES, (0, 0)))
        meta_start, meta_end = spans.get(META, (0, 0))
        if meta_end - meta_start > META_BYTES_MAX:
            raise refused("meta", meta_start, body)
        span = spans.get(RECORDS, (0, 0))
        if not header.record_count and span[0] < span[1]:
            raise refused("section", span[0], body)
        records = self._columns.decode(
            self._data, span, header.record_count, header.is_keyframe, session
        )
        if is_due or header.is_keyframe:
            session.base, session.next = header.base, header.sequence + 1
        return Frame(
            header.version, header.flags, header.agent_id, header.incarnation, header.sequence,
            header.watermark_ns, records, sources, bytes(body[meta_start:meta_end]),
        )  # fmt: skip

    def _open_body(self, data: Bytes, header: FrameHeader) -> memoryview:
        """Decompress the body to where kernels may look a little past its end."""
        body: Bytes = memoryview(data)[header.header_bytes :]
        if header.flags & LZ4:
            opened = decompress(body, header.raw_bytes)
            if opened is None:
                raise refused("lz4", header.header_bytes, data)
            body = opened
        view = self._view[: header.raw_bytes]
        view[:] = body
        return view

    def _read_sources(self, body: memoryview, start: int, end: int) -> NDArray[np.int64]:
        """The table of sources, which must fill its section."""
        rows, width = 0, len(SOURCE_COLUMNS)
        if start == end:
            return np.zeros((rows, width), np.int64)
        if end - start < TABLE.size:
            raise refused("sources", start, body)
        rows, columns = TABLE.unpack_from(body, start)
        start += TABLE.size
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
        start = position + SECTION.size
        if start > size:
            raise refused("section", position, body)
        section, section_bytes = SECTION.unpack_from(body, position)
        if section_bytes > size - start or section >= CRITICAL or section in spans:
            raise refused("section", position, body)
        position = start + section_bytes
        spans[section] = (start, position)
    return spans
