"""Columns of records: the arrays in which the kernels of the codec work, and the order of calls."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnts.codec_state import DecoderSession, EncoderState
from rnts.frame_header import EVENTS, NAMES, refused
from rnts.kernels import columns, plain
from rnts.kernels.encode import encode_columns
from rnts.kernels.runs import COMPACT, PLAIN
from rnts.kernels.unfold import decode_columns
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

# Words behind each line of scratch: lines that are powers of two apart share the same few places of
# a cache, and a record goes into twenty lines at once.
_LINE_PADDING = 64 + 8
assert len(FIELDS) <= columns.FIELD_COLUMNS and KIND_MASK[Kind.SAMPLE] <= columns.ROW_FIELDS_MASK
assert all(
    getattr(columns, f"STORAGE_{storage.name}") == storage and int(kind) < columns.KINDS
    for storage in Storage
    for kind in Kind
)
assert all(
    (word, shift, storage) == LAYOUT[field][:3] and storage in (Storage.F32, Storage.F64)
    for field, word, shift, storage in plain.FLOATS
)
assert all(
    (word, shift, bits) == (LAYOUT[field][0], LAYOUT[field][1], FIELDS[field].storage.bits)
    and not FIELDS[field].storage.is_float
    for field, word, shift, bits in plain.GAUGES
)
assert all(
    (word, 0, Storage.U64) == LAYOUT[field][:3] and FIELDS[field].role == "counter"
    for field, word, _ in plain.COUNTERS
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
        self._model = (_layout(), scales_of(steps or {}))
        width = SLOTS_PER_FRAME_MAX + _LINE_PADDING
        self._scratch = (
            np.zeros((columns.WORK_LINES, width), np.int64),
            np.zeros((columns.STREAM_LINES, width), np.uint64),
        )
        self._control = _control()
        self._control[columns.EFFORT] = COMPACT if is_compact else PLAIN
        self._words = self._control.data  # the same: Python reads and writes them in half the time

    def encode(
        self, slots: NDArray[np.int64], out: NDArray[np.uint8], start: int, is_keyframe: bool = True
    ) -> tuple[int, int]:
        """Write the records in `slots`, int64[k, 16], to `out` from `start` on.

        Returns (the position after them, how many they are). Raises ValueError for more than
        SLOTS_PER_FRAME_MAX slots and for slots that hold no record; then, and where
        `state.can_take(k)` is false, the next one has to be a keyframe.
        """
        if len(slots) > SLOTS_PER_FRAME_MAX:
            raise ValueError(
                f"a frame takes {SLOTS_PER_FRAME_MAX} slots, and these are {len(slots)}"
            )
        state, words = self.state, self._words
        if is_keyframe:
            state.clear()
        if len(slots) == 0:
            return start, 0
        found = columns.FEW_ROWS
        while found == columns.FEW_ROWS:
            found = encode_columns(
                slots, state.known, self._model, self._scratch, out, start, self._control
            )
            if found == columns.FEW_ROWS:
                assert state.can_take(len(slots)), "who encodes begins a new group before"
                state.make_room(len(slots))
        if found < 0:
            raise ValueError(_MISUSES[found])
        state.neurons, state.shapes = words[columns.NEURONS_AFTER], words[columns.SHAPES_AFTER]
        kinds = words[columns.KINDS_SEEN]
        self.flags = EVENTS * (kinds >> Kind.EVENT & 1) | NAMES * (kinds >> Kind.NAME & 1)
        return words[columns.POSITION], found


class ColumnDecoder:
    """Turns columns back into records, with what a session knows of its neurons."""

    def __init__(self, text_bytes_max: int) -> None:
        self.records = Records.allocate(text_bytes_max)
        records = self.records
        self._arrays = (
            records.ids, records.times_ns, records.kinds, records.masks, records.values,
            records.text_offsets, records.text,
        )  # fmt: skip
        self._spare = DecoderSession()
        self._layout = _layout()
        width = RECORDS_MAX + _LINE_PADDING
        self._scratch = (
            np.zeros((columns.WORK_LINES, width), np.int64),
            np.zeros((columns.STREAM_LINES, width), np.uint64),
            np.zeros((columns.CRITICAL, 2), np.int64),
        )
        self._control = _control()
        self._words = self._control.data

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
        words, fault, needed = self._words, columns.FEW_ROWS, (0, 0)
        while fault == columns.FEW_ROWS:
            session.grow(*needed)
            words[columns.RECORDS] = count
            words[columns.NEURONS_BEFORE] = session.neurons
            words[columns.SHAPES_BEFORE] = session.shape_count
            model, known = (self._layout, session.scales), (session.rows, session.shapes)
            fault = decode_columns(
                data, *span, model, known, self._scratch, self._arrays, self._control
            )
            needed = words[columns.NEURONS_AFTER], words[columns.SHAPES_AFTER]
        if fault != 0:
            at = words[columns.POSITION] or span[0]
            raise refused(REASONS[fault], at, data[: span[1]].data)
        session.neurons, session.shape_count = needed
        self.records.count = count
        return self.records
