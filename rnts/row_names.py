"""What the neurons of rows are called: of thousands at once, whose identities are far apart."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.neurons import ID


class RowNames:
    """A name for each row, or the neuron's id in decimal; `find` has the name of an id, or "".

    A name is kept with the id that the row had, so nobody has to say that a row is another's now.
    """

    def __init__(self, rows: NDArray[np.int64], find: Callable[[int], str]) -> None:
        self._rows, self._find = rows, find
        self._ids = np.zeros(len(rows), np.uint64)
        self._names = np.empty(len(rows), object)

    def note(self, row: int, neuron_id: int, name: str) -> None:
        """A neuron has said what it is called."""
        self._ids[row], self._names[row] = neuron_id, name or str(neuron_id)

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Ask for the names of these again: what they were may be forgotten."""
        self._ids[rows] = 0

    def of(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """The names of the neurons of rows."""
        chosen = np.array(rows, np.int64)
        ids = self._rows[chosen, ID].view(np.uint64)
        is_new = (self._ids[chosen] != ids) | (ids == 0)
        if is_new.any():
            for row, neuron_id in zip(chosen[is_new].tolist(), ids[is_new].tolist(), strict=True):
                self.note(row, neuron_id, self._find(neuron_id))
        return list(self._names[chosen])
