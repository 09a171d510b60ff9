"""Columns of records: the arrays in which the kernels of the codec work, and the order of calls."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnts.codec_state import DecoderSession, EncoderState
from rnts.frame_header import EVENTS, NAMES, refused
from rnts.kernels import columns, decode, deltas, encode, unfold
from rnts.kernels.runs import COMPACT, PLAIN
from rnts.model import FIELDS, KIND_MASK, LAYOUT, STEPS, Kind, Storage
from rnts.records import RECORDS_MAX, Records

SLOTS_PER_FRAME_MAX = 16_384  # what an encoder takes at once, so that the worst frame is 4 MiB

# The most that a slot can come to, at the full width of everything: its fields, a word each; what
# lies beside the grid, and where; the keys of its neuron and shape, both their rows of 20 bits,
# and its time. A slot of text takes less.
_FIELDS_OF_SLOT_MAX = max(mask.bit_count() for mask in KIND_MASK.values())
_GRIDDED = sum(field.mask for field in FIELDS if field.step)
SLOT_BYTES_MAX = 8 * _FIELDS_OF_SLOT_MAX + (8 + 2) * _GRIDDED.bit_count() + 8 + 8 + 5 + 8
_WIDTHS_AND_HEADERS = columns.GRIDS * (32 + 3 * SLOTS_PER_FRAME_MAX // 64) + 32 * columns.GRID_BYTES
COLUMNS_BYTES_MAX = SLOTS_PER_FRAME_MAX * SLOT_BYTES_MAX + _WIDTHS_AND_HEADERS

_CACHED_ROWS = 1_024  # of neurons, which stay near; those of more are fetched ahead
assert len(FIELDS) <= columns.FIELD_COLUMNS and KIND_MASK[Kind.SAMPLE] <= columns.ROW_FIELDS_MASK
assert all(
    getattr(columns, f"STORAGE_{storage.name}") == storage and int(kind) < columns.KINDS
    for storage in Storage
    for kind in Kind
)

REASONS = {
    columns.BAD_COLUMN: "column",
    columns.BAD_DICTIONARY: "dictionary",
    columns.BAD_SHAPE: "shape",
    columns.BAD_RUN: "run",
    columns.BAD_INDEX: "index",
    columns.BAD_SPARSE: "sparse",
    columns.BAD_TEXT: "text",
    columns.BAD_GRID: "grid",
}
_MISUSES = {
    columns.BAD_SLOT: "a slot's count of slots or bytes of text does not fit what was given",
    columns.BAD_SHAPE: "a slot's kind is unknown, or its mask has fields of another kind",
    columns.NO_ROOM: "the columns do not fit into the buffer",
}


def _control() -> NDArray[np.int64]:
    """The header array of the kernels, with what the model says."""
    control = np.zeros(columns.CONTROL_WORDS, np.int64)
    control[: columns.KINDS] = -1
    for kind, mask in KIND_MASK.items():
        control[columns.KIND_MASKS + kind] = mask
    control[columns.FIELDS] = sum(field.mask for field in FIELDS)
    control[columns.NO_FLOATS] = sum(f.mask for f in FIELDS if not f.storage.is_float)
    return control


def _layout() -> NDArray[np.int64]:
    """The model's layout, with the word of a row where each counter's last change is kept."""
    layout = np.array(LAYOUT, np.int64)
    counters = np.flatnonzero(layout[:, columns.SLOPE])
    assert len(counters) <= columns.SLOPES_MAX
    layout[counters, columns.SLOPE] = columns.SLOPES_AT + np.arange(len(counters))
    return layout


def scales_of(steps: Mapping[str, float]) -> NDArray[np.float64]:
    """Steps in one unit, a value a field; 0 without a grid. `steps` overrules the model's.

    A decimal step has no exact float64, but its inverse has one: steps of 0.1 come back as 42.3
    and not as 42.300000000000004.
    """
    scales = np.zeros(columns.FIELD_COLUMNS)
    for field, modelled in zip(FIELDS, STEPS, strict=True):
        step = steps.get(field.name, modelled)
        scales[field.bit] = 1 / step if step else 0.0
    return scales


class ColumnEncoder:
    """Turns slots into columns, against the last value of every field of every neuron."""

    def __init__(self, steps: Mapping[str, float] | None = None, is_compact: bool = False) -> None:
        self.state = EncoderState()
        self.flags = 0  # of the last frame, for who looks for events and names
        self._layout = _layout()
        self._scales = scales_of(steps or {})
        self._work = np.zeros((columns.WORK_LINES, SLOTS_PER_FRAME_MAX), np.int64)
        self._streams = np.zeros((columns.STREAM_LINES, SLOTS_PER_FRAME_MAX), np.uint64)
        self._control = _control()
        self._control[columns.EFFORT] = COMPACT if is_compact else PLAIN

    def encode(
        self, slots: NDArray[np.int64], out: NDArray[np.uint8], start: int, is_keyframe: bool = True
    ) -> tuple[int, int]:
        """Write the records in `slots`, int64[k, 16], to `out` from `start` on.

        Returns (the position after them, how many they are). Raises ValueError for more than
        SLOTS_PER_FRAME_MAX slots and for slots that hold no record; then, and where
        `state.has_room(k)` is false, the next one has to be a keyframe.
        """
        if len(slots) > SLOTS_PER_FRAME_MAX:
            raise ValueError(
                f"a frame takes {SLOTS_PER_FRAME_MAX} slots, and these are {len(slots)}"
            )
        state, control = self.state, self._control
        if is_keyframe:
            state.clear()
        if len(slots) == 0:
            return start, 0
        has_room = state.has_room(len(slots))
        assert has_room, "who encodes begins a new group before this one is full"
        control[columns.RECORDS :] = 0
        control[columns.PREFETCHES] = state.neurons > _CACHED_ROWS
        control[columns.POSITION] = start
        control[columns.NEURONS_BEFORE], control[columns.SHAPES_BEFORE] = (
            state.neurons, state.shapes,
        )  # fmt: skip
        work, streams, keys, rows = self._work, self._streams, state.keys, state.rows
        records = encode.index_records(
            slots, state.tables, state.states, keys, rows, work, streams, control
        )
        if records < 0:
            raise ValueError(_MISUSES[records])
        layout, scales = self._layout, self._scales
        deltas.subtract_last(slots, layout, scales, rows, work, streams, control)
        fault = encode.write_columns(slots, layout, scales, keys, work, streams, out, control)
        if fault != 0:
            raise ValueError(_MISUSES[fault])
        kinds = int(control[columns.KINDS_SEEN])
        self.flags = EVENTS * (kinds >> Kind.EVENT & 1) | NAMES * (kinds >> Kind.NAME & 1)
        return int(control[columns.POSITION]), records


class ColumnDecoder:
    """Turns columns back into records, with what a session knows of its neurons."""

    def __init__(self, text_bytes_max: int) -> None:
        self.records = Records.allocate(text_bytes_max)
        self._spare = DecoderSession()
        self._layout = _layout()
        self._scratch = (
            np.zeros((columns.WORK_LINES, RECORDS_MAX), np.int64),
            np.zeros((columns.STREAM_LINES, RECORDS_MAX), np.uint64),
            np.zeros((columns.CRITICAL, 2), np.int64),
        )
        self._control = _control()

    def decode(
        self, data: NDArray[np.uint8], span: tuple[int, int], count: int, is_keyframe: bool,
        session: DecoderSession,
    ) -> Records:  # fmt: skip
        """The `count` records in data[start:end], which SPARE_BYTES must follow; `span` says where.

        What is returned is overwritten by the next call. Raises FrameError, and then the session is
        as it was. A keyframe is read into a spare session, which takes the place of the other.
        """
        self.records.count = 0
        if not is_keyframe:
            return self._decode(data, span, count, session) if count else self.records
        self._spare.clear()
        records = self._decode(data, span, count, self._spare) if count else self.records
        session.swap(self._spare)
        return records

    def _decode(
        self, data: NDArray[np.uint8], span: tuple[int, int], count: int, session: DecoderSession
    ) -> Records:
        records, control = self.records, self._control
        layout, scratch = self._layout, self._scratch
        work, streams, _ = scratch
        fault, needed = columns.FEW_ROWS, (0, 0)
        while fault == columns.FEW_ROWS:
            session.grow(*needed)
            control[columns.RECORDS :] = 0
            control[columns.PREFETCHES] = session.neurons > _CACHED_ROWS
            control[columns.RECORDS] = count
            control[columns.POSITION], control[columns.END] = span
            control[columns.NEURONS_BEFORE] = session.neurons
            control[columns.SHAPES_BEFORE] = session.shape_count
            fault = decode.read_columns(
                data, layout, session.scales, session.rows, session.shapes, scratch, control
            )
            needed = int(control[columns.NEURONS_AFTER]), int(control[columns.SHAPES_AFTER])
        if fault != 0:
            at = int(control[columns.POSITION]) or span[0]
            raise refused(REASONS[fault], at, data[: span[1]].data)
        deltas.add_last(
            layout, session.scales, session.rows, work, streams, records.values, control
        )
        unfold.fill_heads(
            session.rows, session.shapes, scratch, control,
            records.ids, records.times_ns, records.kinds, records.masks,
        )  # fmt: skip
        unfold.fill_texts(data, streams, control, records.text_offsets, records.text)
        unfold.fill_exceptions(data, streams, records.values, control)
        session.neurons = int(control[columns.NEURONS_AFTER])
        session.shape_count = int(control[columns.SHAPES_AFTER])
        records.count = count
        return records
