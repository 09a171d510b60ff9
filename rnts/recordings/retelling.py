"""Makes a recorded frame one of another agent: the same records, at other times if asked to.

The columns stay as they are, so that what a float was rounded to is what it is. Renewed are the
header, the time of the first record (the others are differences), and the table of sources: who
plays a recording is the only source of what it plays.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_FINAL, SOURCE_LOST
from rnts.frame import FRAME_BYTES_MAX, FrameHeader
from rnts.frame_body import RECORDS, SECTION, SOURCES, TABLE, Lz4, decompress
from rnts.frame_header import HEADER_BYTES, KEYFRAME, LZ4, VERSION, refused, seal
from rnts.kernels.varint import VARINT_BYTES_MAX, put_integers

_TIMES = 36  # the column of RECORDS that begins with the time of the first record
_KEPT_FLAGS = 0xFF00  # of what is in a frame; no reader depends on them
_TIME = struct.Struct("<q")
_FLAGS, _IN_FRAME = COLUMN["flags"], COLUMN["in_frame"]


class Identity:
    """Who tells: an agent, a life, and its one source with what it has told so far."""

    def __init__(self, agent_id: int, incarnation: int, source_key: int) -> None:
        self.agent_id, self.incarnation = agent_id, incarnation
        self.base = 0  # number of the keyframe of the present group
        self.watermark_ns = 0
        self._row = np.zeros((1, len(COLUMN)), np.int64)
        self._row[0, COLUMN["key"]] = source_key

    def baseline(self) -> NDArray[np.int64]:
        """The source as it was before the first record."""
        row = self._row.copy()
        row[0, 1:] = 0
        row[0, _FLAGS] = SOURCE_BASELINE
        return row

    def rows(self, records: int, is_last: bool = False) -> NDArray[np.int64]:
        """The row of a frame with so many records, which are told by that."""
        row = self._row
        row[0, _IN_FRAME] = records
        row[0, COLUMN["attempts"]] += records
        row[0, COLUMN["delivered"]] += records
        row[0, _FLAGS] = SOURCE_FINAL if is_last else 0
        return row


def record_count(sources: NDArray[np.int64]) -> int:
    """The records of a frame as its sources account for them: names are none."""
    is_counted = (sources[:, _FLAGS] & (SOURCE_BASELINE | SOURCE_LOST)) == 0
    return int(sources[is_counted, _IN_FRAME].sum())


def retell(
    payload: bytes, header: FrameHeader, teller: Identity, number: int, records: int, shift_ns: int
) -> bytes:
    """The frame as entry `number` of another life; `records` are those that count.

    Raises FrameError where it does not fit into a frame any more.
    """
    columns = _records(payload, header)
    if columns and shift_ns:
        _shift(columns, shift_ns)
    teller.watermark_ns = max(teller.watermark_ns, header.watermark_ns + shift_ns)
    if header.is_keyframe:
        teller.base = number
    return _frame(teller, number, header, columns, teller.rows(records))


def farewell(teller: Identity, number: int) -> bytes:
    """The last frame of a life: no record, and its source ends."""
    header = FrameHeader(VERSION, 0, HEADER_BYTES, 0, 0, 0, 0, 0, 0, 0, 0)
    return _frame(teller, number, header, bytearray(), teller.rows(0, is_last=True))


def _frame(
    teller: Identity,
    number: int,
    header: FrameHeader,
    columns: bytearray,
    rows: NDArray[np.int64],
) -> bytes:
    body = b"".join((_section(RECORDS, columns) if columns else b"", _table(rows)))
    flags = header.flags & (_KEPT_FLAGS | KEYFRAME)
    packed = Lz4().compress(memoryview(body)) if header.flags & LZ4 else None
    raw_bytes = len(body)
    if packed is not None:
        body, flags = packed, flags | LZ4
    if HEADER_BYTES + len(body) > FRAME_BYTES_MAX:
        raise refused("length", FRAME_BYTES_MAX, body)
    made = FrameHeader(
        VERSION, flags, HEADER_BYTES, teller.agent_id, teller.incarnation, number,
        teller.base, teller.watermark_ns, header.record_count, raw_bytes, len(body),
    )  # fmt: skip
    return seal(made, body)


def _records(payload: bytes, header: FrameHeader) -> bytearray:
    """The section with the records, which a decoder has checked before."""
    body = payload[header.header_bytes :]
    if header.flags & LZ4:
        opened = decompress(body, header.raw_bytes)
        assert opened is not None
        body = opened
    at = 0
    while at < len(body):
        section, length = SECTION.unpack_from(body, at)
        at += SECTION.size
        if section == RECORDS:
            return bytearray(body[at : at + length])
        at += length
    return bytearray()


def _shift(columns: bytearray, shift_ns: int) -> None:
    """Move the time of the first record."""
    at = 0
    while at < len(columns):
        column, length, shift = columns[at], 0, 0
        at += 1
        while True:
            byte = columns[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        if column == _TIMES:
            (time_ns,) = _TIME.unpack_from(columns, at)
            moved_ns = (time_ns + shift_ns + (1 << 63)) % (1 << 64) - (1 << 63)
            _TIME.pack_into(columns, at, moved_ns)
            return
        at += length


def _section(section: int, content: bytes | bytearray) -> bytes:
    return SECTION.pack(section, len(content)) + content


def _table(rows: NDArray[np.int64]) -> bytes:
    out = np.zeros(TABLE.size + rows.size * VARINT_BYTES_MAX, np.uint8)
    TABLE.pack_into(out.data, 0, *rows.shape)
    end = put_integers(rows.reshape(-1), out, TABLE.size)
    return _section(SOURCES, out[:end].tobytes())
