"""Arrays whose rows begin where cache lines do, so that a row lies in as few of them as can be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LINE_BYTES = 64


def aligned_zeros(rows: int, columns: int, kind: type[np.generic]) -> NDArray[Any]:
    """Zeros of shape [rows, columns] that begin at a cache line; untouched pages cost nothing."""
    size = np.dtype(kind).itemsize
    assert _LINE_BYTES % size == 0
    spare = _LINE_BYTES // size
    memory = np.zeros(rows * columns + spare, kind)
    ahead = -memory.ctypes.data % _LINE_BYTES // size
    return memory[ahead : ahead + rows * columns].reshape(rows, columns)
