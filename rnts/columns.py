"""Columns of records: the arrays in which the kernels of the codec work, and the order of calls."""

import secrets

import numpy as np
from numpy.typing import NDArray

from rnts.frame_header import refused
from rnts.kernels import columns, decode, deltas, dictionary, encode, unfold
from rnts.model import FIELDS, KIND_MASK, LAYOUT, STEPS, Kind, Storage
from rnts.records import RECORDS_MAX, Records

SLOTS_PER_FRAME_MAX = 16_384  # what an encoder takes at once, so that the worst frame is 4 MiB
NEURONS_MAX = 65_536  # different neurons, and different shapes, that a decoder keeps

# The most that a slot can come to, at the full width of everything: its fields, a word each; what
# lies beside the grid, and where; the keys of its neuron and shape, both their rows, and its time.
# A slot of text takes less.
_FIELDS_OF_SLOT_MAX = max(mask.bit_count() for mask in KIND_MASK.values())
_GRIDDED = sum(field.mask for field in FIELDS if field.step)
SLOT_BYTES_MAX = 8 * _FIELDS_OF_SLOT_MAX + (8 + 2) * _GRIDDED.bit_count() + 8 + 8 + 2 + 2 + 8
_WIDTHS_AND_HEADERS = columns.COLUMNS * (16 + 3 * SLOTS_PER_FRAME_MAX // 64)
COLUMNS_BYTES_MAX = SLOTS_PER_FRAME_MAX * SLOT_BYTES_MAX + _WIDTHS_AND_HEADERS

_LAST_WORDS = 24  # of a row of `last`, so that it is three cache lines
assert len(FIELDS) <= _LAST_WORDS <= columns.FIELD_COLUMNS
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
}
_MISUSES = {
    columns.BAD_SLOT: "a slot's count of slots or bytes of text does not fit what was given",
    columns.BAD_SHAPE: "a slot's kind is unknown, or its mask has fields of another kind",
    columns.BAD_DICTIONARY: f"more than {NEURONS_MAX} neurons",
    columns.NO_ROOM: "the columns do not fit into the buffer",
}


def _control() -> NDArray[np.int64]:
    """The header array of the kernels, with what the model says."""
    control = np.zeros(columns.CONTROL_WORDS, np.int64)
    control[: columns.KINDS] = -1
    for kind, mask in KIND_MASK.items():
        control[columns.KIND_MASKS + kind] = mask
    control[columns.FIELDS] = sum(field.mask for field in FIELDS)
    control[columns.GRIDDED] = _GRIDDED
    return control


def _scales() -> NDArray[np.float64]:
    """Steps in one unit, a value a field; 0 without a grid.

    A decimal step has no exact float64, but its inverse has one: steps of 0.1 come back as 42.3
    and not as 42.300000000000004.
    """
    return np.array([1 / step if step else 0.0 for step in STEPS])


class ColumnEncoder:
    """Turns slots into columns, against the last value of every field of every neuron."""

    def __init__(self) -> None:
        self._layout = np.array(LAYOUT, np.int64)
        self._scales = _scales()
        self._tables = np.zeros((columns.DICTIONARIES, 2 * NEURONS_MAX, 2), np.int64)
        self._states = np.zeros((columns.DICTIONARIES, dictionary.STATE_WORDS), np.int64)
        self._states[:, dictionary.SEED] = secrets.randbits(62)
        self._keys = np.zeros((columns.KEY_LINES, NEURONS_MAX), np.int64)
        self._last = np.zeros((NEURONS_MAX, _LAST_WORDS), np.int64)
        self._work = np.zeros((columns.WORK_LINES, SLOTS_PER_FRAME_MAX), np.int64)
        self._streams = np.zeros((columns.STREAM_LINES, SLOTS_PER_FRAME_MAX), np.uint64)
        self._control = _control()

    def encode(
        self, slots: NDArray[np.int64], out: NDArray[np.uint8], start: int
    ) -> tuple[int, int]:
        """Write the records in `slots`, int64[k, 16], to `out` from `start` on.

        Returns (the position after them, how many they are). Raises ValueError for more than
        SLOTS_PER_FRAME_MAX slots and for slots that hold no record.
        """
        if len(slots) > SLOTS_PER_FRAME_MAX:
            raise ValueError(
                f"a frame takes {SLOTS_PER_FRAME_MAX} slots, and these are {len(slots)}"
            )
        if len(slots) == 0:
            return start, 0
        self._begin_epoch(len(slots))
        control = self._control
        control[columns.RECORDS :] = 0
        control[columns.POSITION] = start
        last, work, streams, keys = self._last, self._work, self._streams, self._keys
        records = encode.index_records(
            slots, self._tables, self._states, keys, work, streams, control
        )
        if records < 0:
            raise ValueError(_MISUSES[records])
        layout, scales = self._layout, self._scales
        deltas.subtract_last(slots, layout, scales, last, work, streams, control)
        fault = encode.write_columns(slots, layout, scales, keys, work, streams, out, control)
        if fault != 0:
            raise ValueError(_MISUSES[fault])
        return int(control[columns.POSITION]), records

    def _begin_epoch(self, neurons_max: int) -> None:
        """Forget all neurons and shapes, so that the next frame stands alone."""
        states = self._states
        states[:, dictionary.EPOCH] += 1
        states[:, dictionary.COUNT] = 0
        states[:, dictionary.HASH_SHIFT] = 64 - (2 * neurons_max - 1).bit_length()


class ColumnDecoder:
    """Turns columns back into records; keeps nothing from one frame to the next."""

    def __init__(self, text_bytes_max: int) -> None:
        self.records = Records.allocate(text_bytes_max)
        self._layout = np.array(LAYOUT, np.int64)
        self._scales = _scales()
        self._keys = np.zeros((columns.KEY_LINES, NEURONS_MAX), np.int64)
        self._last = np.zeros((NEURONS_MAX, _LAST_WORDS), np.int64)
        self._work = np.zeros((columns.WORK_LINES, RECORDS_MAX), np.int64)
        self._streams = np.zeros((columns.STREAM_LINES, RECORDS_MAX), np.uint64)
        self._directory = np.zeros((columns.CRITICAL, 2), np.int64)
        self._control = _control()

    def decode(self, data: NDArray[np.uint8], start: int, end: int, count: int) -> Records:
        """The `count` records in data[start:end], which SPARE_BYTES must follow.

        What is returned is overwritten by the next call. Raises FrameError.
        """
        records, control = self.records, self._control
        records.count = 0
        control[columns.RECORDS :] = 0
        control[columns.RECORDS], control[columns.POSITION], control[columns.END] = (
            count, start, end,
        )  # fmt: skip
        keys, last, work, streams = self._keys, self._last, self._work, self._streams
        fault = decode.read_columns(data, keys, work, streams, self._directory, control)
        if fault != 0:
            at = int(control[columns.POSITION]) or start
            raise refused(REASONS[fault], at, data[:end].data)
        deltas.add_last(self._layout, self._scales, last, work, streams, records.values, control)
        unfold.fill_heads(
            keys, work, streams, control,
            records.ids, records.times_ns, records.kinds, records.masks,
        )  # fmt: skip
        unfold.fill_texts(data, streams, control, records.text_offsets, records.text)
        unfold.fill_exceptions(data, streams, records.values, control)
        records.count = count
        return records
