"""Frames as an agent makes them: a keyframe, then what has changed since the frame before."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.columns import ColumnEncoder
from rnts.frame_body import (
    BODY_AT,
    COMPRESSIONS,
    META,
    META_BYTES_MAX,
    RECORDS,
    SECTION,
    SECTIONS_BYTES_MAX,
    SOURCES,
    SOURCES_PER_FRAME_MAX,
    TABLE,
    Lz4,
)
from rnts.frame_header import HEADER_BYTES, KEYFRAME, LZ4, VERSION, FrameHeader, seal_in_place
from rnts.kernels.varint import put_integers

# A group may take 1 MiB, or sixteen times what a keyframe does for its neurons.
_GROUP_BYTES_MIN, _GROUP_BYTES_OF_NEURON = 1 << 20, 16 * 32


class FrameEncoder:
    """Makes the frames of one agent; its memory grows with the neurons of a group of frames.

    A *group* is a keyframe and what follows up to the next one. `base` is the sequence of the
    present group's keyframe (0: there is none yet), `group_bytes` what all its frames take.
    """

    def __init__(
        self,
        agent_id: int,
        incarnation: int,
        compression: str = "lz4",
        steps: Mapping[str, float] | None = None,
    ) -> None:
        """`steps` gives fields another grid than the model's, or none: 0 is without any loss."""
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression is {', '.join(COMPRESSIONS)}, and not {compression!r}")
        self.base = self.group_bytes = 0
        self._next = 0  # the sequence that can go on with the group
        self._agent_id = agent_id
        self._incarnation = incarnation
        self._lz4 = Lz4() if compression == "lz4" else None
        self._columns = ColumnEncoder(steps, is_compact=compression == "rice")
        self._out = np.zeros(BODY_AT + SECTIONS_BYTES_MAX, np.uint8)
        self._view = self._out.data

    @property
    def neurons(self) -> int:
        """How many neurons the present group has."""
        return self._columns.state.neurons

    def is_group_large(self, retained_bytes_max: int) -> bool:
        """Whether it is time for a keyframe; a group is the unit in which frames are kept."""
        state_bytes = _GROUP_BYTES_OF_NEURON * self.neurons
        wanted = max(_GROUP_BYTES_MIN, min(retained_bytes_max // 8, state_bytes))
        return self.group_bytes > min(wanted, retained_bytes_max // 4)

    def encode(
        self,
        slots: NDArray[np.int64],
        *,
        sequence: int,
        watermark_ns: int,
        sources: NDArray[np.int64],
        meta: bytes = b"",
        is_keyframe: bool = True,
    ) -> bytes:
        """One frame of the records in `slots`, int64[k, 16], in their order; k may be 0.

        is_keyframe: whether it has to begin a group. One that cannot go on with the last group does
        so anyway, and `base` tells. Frames of sequence 0 have no records and belong to no group.
        sources: int64[s, len(SOURCE_COLUMNS)]. Raises ValueError beyond SLOTS_PER_FRAME_MAX,
        SOURCES_PER_FRAME_MAX or META_BYTES_MAX, and for slots that hold no record; whatever keeps
        to these fits.
        """
        if sequence == 0 and len(slots):
            raise ValueError("frames with records are numbered from 1 on")
        is_keyframe = sequence > 0 and (is_keyframe or not self._can_go_on(sequence, len(slots)))
        end, count = BODY_AT, 0
        if sequence:
            self._next = 0  # unless all goes well
            start = BODY_AT + SECTION.size
            stop, count = self._columns.encode(slots, self._out, start, is_keyframe)
            if count:
                SECTION.pack_into(self._view, BODY_AT, RECORDS, stop - start)
                end = stop
        if len(sources) > 0:
            end = self._put_sources(sources, end)
        if meta:
            end = self._put_meta(meta, end)
        flags = self._columns.flags if count else 0
        flags |= KEYFRAME if is_keyframe else 0
        raw_bytes = body_bytes = end - BODY_AT
        packed = self._lz4.compress(self._view[BODY_AT:end]) if self._lz4 and raw_bytes else None
        if packed is not None:
            body_bytes, flags = len(packed), flags | LZ4
            self._view[BODY_AT : BODY_AT + body_bytes] = packed
        base = sequence if is_keyframe else self.base if sequence else 0
        header = FrameHeader(
            VERSION, flags, HEADER_BYTES, self._agent_id, self._incarnation,
            sequence, base, watermark_ns, count, raw_bytes, body_bytes,
        )  # fmt: skip
        frame = seal_in_place(header, self._out, self._view)
        if sequence:
            self._next, self.base = sequence + 1, base
            self.group_bytes = len(frame) + (0 if is_keyframe else self.group_bytes)
        return frame

    def _can_go_on(self, sequence: int, slot_count: int) -> bool:
        """Whether a frame can belong to the present group."""
        is_next = self._next == sequence and self.base > 0
        return is_next and self._columns.state.can_take(slot_count)

    def _put_sources(self, sources: NDArray[np.int64], position: int) -> int:
        """Write the section of sources; returns the position after it."""
        rows, width = sources.shape
        if rows > SOURCES_PER_FRAME_MAX or width != len(SOURCE_COLUMNS):
            raise ValueError(
                f"sources have at most {SOURCES_PER_FRAME_MAX} rows of {len(SOURCE_COLUMNS)}"
                f" columns, and these {rows} of {width}"
            )
        start = position + SECTION.size
        TABLE.pack_into(self._view, start, rows, width)
        numbers = np.ascontiguousarray(sources, np.int64).reshape(-1)
        end: int = put_integers(numbers, self._out, start + TABLE.size)
        assert end > 0, "the buffer has room for the worst case"
        SECTION.pack_into(self._view, position, SOURCES, end - start)
        return end

    def _put_meta(self, meta: bytes, position: int) -> int:
        """Write the section of opaque bytes; returns the position after it."""
        if len(meta) > META_BYTES_MAX:
            raise ValueError(f"meta has at most {META_BYTES_MAX} bytes, and this {len(meta)}")
        start = position + SECTION.size
        end = start + len(meta)
        SECTION.pack_into(self._view, position, META, len(meta))
        self._view[start:end] = meta
        return end
