"""Many samples at once: a numpy structured array into the slots of a lane."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnts.misuse import TIME_MAX
from rnts.model import FIELD, METRIC_NAMES, SLOT_WORDS, Field, Kind, Storage

if TYPE_CHECKING:
    from rnts.producer import Producer

_ROWS_AT_ONCE = 1 << 16  # 8 MiB of slots
_KNOWN = {"neuron_id", "timestamp_ns", "health", "weight", *METRIC_NAMES}
_TYPES: dict[Storage, Any] = {
    Storage.U64: np.uint64,
    Storage.U32: np.uint32,
    Storage.F32: np.float32,
    Storage.F64: np.float64,
    Storage.U8: np.uint8,
}
_BITS: dict[Storage, Any] = {
    Storage.U64: np.uint64,
    Storage.U32: np.uint32,
    Storage.F32: np.uint32,
    Storage.F64: np.uint64,
    Storage.U8: np.uint8,
}


def write_batch(producer: "Producer", array: Any) -> int:
    """Write each row of a structured array as one sample; how many the lane took."""
    try:
        writer = producer.local.writer
    except AttributeError:
        writer = producer.attach_thread(len(array) if getattr(array, "ndim", 0) else 1)
    if writer is None:
        return 0
    names = getattr(getattr(array, "dtype", None), "names", None) or ()
    if "neuron_id" not in names or array.ndim != 1:
        writer.refuse("invalid")
        return 0
    producer.complaints.unknown(name for name in names if name not in _KNOWN)
    taken = 0
    for start in range(0, len(array), _ROWS_AT_ONCE):
        piece = array[start : start + _ROWS_AT_ONCE]
        try:
            rows, valid = to_slots(piece)
        except TypeError:
            writer.refuse("invalid", len(piece))
            continue
        if not valid.all():
            writer.refuse("invalid", int((~valid).sum()))
        taken += int(writer.write_slots(np.ascontiguousarray(rows[valid])))
    return taken


def to_slots(array: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Slots, int64[n, 16], of a structured array, and which rows every value of fits its field.

    Raises TypeError for a column that we know and that holds no plain numbers.
    """
    for name in array.dtype.names or ():
        kinds = "iu" if name in ("neuron_id", "timestamp_ns") else "biuf"
        if name in _KNOWN and (array.dtype[name].kind not in kinds or array.dtype[name].ndim):
            raise TypeError(f"column {name} holds {array.dtype[name]}")
    slots = np.zeros((len(array), SLOT_WORDS), np.uint64)
    slots[:, 1] = array["neuron_id"]
    slots[:, 2] = time.time_ns()
    valid = slots[:, 1] != 0
    if "timestamp_ns" in (array.dtype.names or ()):
        given = array["timestamp_ns"]
        valid &= (given >= 0) & (given <= TIME_MAX)
        slots[:, 2] = np.where(given == 0, slots[:, 2], given.astype(np.uint64))
    masks = np.zeros(len(array), np.uint64)
    for name in array.dtype.names or ():
        if name in FIELD and name in _KNOWN:
            _put_column(slots, masks, valid, FIELD[name], array[name])
    slots[:, 0] = masks << np.uint64(32) | np.uint64(int(Kind.SAMPLE) | 1 << 8)
    return slots.view(np.int64), valid


def _put_column(
    slots: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    valid: NDArray[np.bool_],
    field: Field,
    column: NDArray[Any],
) -> None:
    """Write one field of all rows; a NaN stays absent, what does not fit makes the row invalid."""
    storage = field.storage
    is_float = column.dtype.kind == "f"
    present = ~np.isnan(column) if is_float else np.ones(len(column), bool)
    if storage.is_float:
        with np.errstate(over="ignore"):
            values = column.astype(_TYPES[storage])
        fits = ~np.isinf(values) | np.isinf(column)
    elif is_float:
        fits = (column >= 0) & (column < 2.0**storage.bits)
    else:
        fits = (column >= 0) & (column <= (1 << storage.bits) - 1)
    valid &= fits | ~present
    present = present & fits
    if not storage.is_float:
        values = np.where(present, column, 0).astype(_TYPES[storage])
    bits = np.ascontiguousarray(values).view(_BITS[storage]).astype(np.uint64)
    slots[:, field.word] |= np.where(present, bits, 0).astype(np.uint64) << np.uint64(field.shift)
    masks |= np.where(present, np.uint64(field.mask), np.uint64(0))
