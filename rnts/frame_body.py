"""What a frame's body is made of: sections, their limits, and lz4 around all of them."""

import struct

import lz4.block

from rnts.accounting import SOURCE_COLUMNS
from rnts.columns import COLUMNS_BYTES_MAX
from rnts.frame_header import FRAME_BYTES_MAX, HEADER_BYTES, Bytes
from rnts.kernels.varint import VARINT_BYTES_MAX

META_BYTES_MAX = 64 << 10
SOURCES_PER_FRAME_MAX = 4_096

# Sections; a reader skips those below 128 that it does not know.
RECORDS, SOURCES, META, CRITICAL = 1, 2, 3, 128
SECTION = struct.Struct("<BI")
TABLE = struct.Struct("<HH")  # rows and columns of the sources, before their varints
BODY_AT = HEADER_BYTES
_LZ4_SAVING_MIN, _LZ4_SKIPPED = 0.1, 63
COMPRESSIONS = ("lz4", "rice", "none")

# The worst that `encode` can be given fits, so it never has to refuse what its limits allow.
_SOURCES_BYTES_MAX = SOURCES_PER_FRAME_MAX * len(SOURCE_COLUMNS) * VARINT_BYTES_MAX + TABLE.size
SECTIONS_BYTES_MAX = COLUMNS_BYTES_MAX + _SOURCES_BYTES_MAX + META_BYTES_MAX + 3 * SECTION.size
assert HEADER_BYTES + SECTIONS_BYTES_MAX <= FRAME_BYTES_MAX


class Lz4:
    """Compresses bodies as long as that pays; where it does not, it is tried now and then.

    It takes as long as all the rest of encoding, which is too much for a few bytes in a hundred.
    """

    def __init__(self) -> None:
        self._skipped = _LZ4_SKIPPED  # bodies since the last that was tried

    def compress(self, body: memoryview) -> bytes | None:
        """The packed body; None if it is to travel as it is."""
        if self._skipped < _LZ4_SKIPPED:
            self._skipped += 1
            return None
        packed: bytes = lz4.block.compress(body, store_size=False)
        if len(packed) <= (1 - _LZ4_SAVING_MIN) * len(body):
            return packed
        self._skipped = 0
        return None


def decompress(body: Bytes, raw_bytes: int) -> bytes | None:
    """The opened body; None if it is none, or not of this size."""
    try:
        opened: bytes = lz4.block.decompress(body, uncompressed_size=raw_bytes)
    except lz4.block.LZ4BlockError:
        return None
    return opened if len(opened) == raw_bytes else None
