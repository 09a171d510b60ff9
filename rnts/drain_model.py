"""What the kernel that drains lanes has to know of the model: which words of a slot are what."""

import numpy as np
from numpy.typing import NDArray

from rnts.model import FIELDS, KIND_MASK, Kind, Storage

KIND_MASKS = np.array([0, *(KIND_MASK[kind] for kind in Kind)], np.int64)
FLOATS = np.array(
    [
        (f.mask, f.word, f.shift, int(f.storage is Storage.F64))
        for f in FIELDS
        if f.storage.is_float
    ],
    np.int64,
)


def _exponents() -> NDArray[np.int64]:
    """Words that hold floats, and the bits of their exponents; one float in a word stands twice."""
    found: dict[int, list[int]] = {}
    for field in (f for f in FIELDS if f.storage.is_float):
        bits = 0x7FF0000000000000 if field.storage is Storage.F64 else 0x7F800000 << field.shift
        found.setdefault(field.word, []).append(bits)
    return np.array([(word, bits[0], bits[-1]) for word, bits in found.items()], np.int64)


EXPONENTS = _exponents()
