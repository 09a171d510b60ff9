"""What the two ends of a session remember from frame to frame, in tables that grow with neurons."""

import secrets

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import columns, dictionary

NEURONS_MAX = columns.KEYS_MAX  # different neurons, and different shapes, of one group of frames
_ROWS_MIN = 256
_ROWS_KEPT = 32_768  # that stay in hand when a group ends
_LINE_BYTES = 64


def _rows(count: int) -> NDArray[np.int64]:
    """Rows for so many neurons that begin where cache lines do: a row is three of them."""
    words = np.zeros(count * columns.ROW_WORDS + _LINE_BYTES // 8, np.int64)
    first = -words.ctypes.data % _LINE_BYTES // 8
    rows = words[first : first + count * columns.ROW_WORDS].reshape(count, columns.ROW_WORDS)
    assert count == 0 or rows.ctypes.data % _LINE_BYTES == 0
    return rows


def _grown(count: int, capacity: int) -> int:
    """A larger capacity for `count`: twice the old one at least, so that copying stays cheap."""
    return min(max(count, 2 * capacity, _ROWS_MIN), NEURONS_MAX)


class EncoderState:
    """An encoder's neurons and shapes by their keys, and what it last sent of each neuron."""

    def __init__(self) -> None:
        self.states = np.zeros((columns.DICTIONARIES, dictionary.STATE_WORDS), np.int64)
        self.states[:, dictionary.SEED] = secrets.randbits(62)
        self.tables = np.zeros((columns.DICTIONARIES, 0, 2), np.int64)
        self.keys = np.zeros((columns.DICTIONARIES, 0), np.int64)
        self.rows = _rows(0)

    @property
    def neurons(self) -> int:
        """How many neurons the group has."""
        return int(self.states[columns.NEURON_LINE, dictionary.COUNT])

    @property
    def shapes(self) -> int:
        """How many combinations of a kind and a mask the group has."""
        return int(self.states[columns.SHAPE_LINE, dictionary.COUNT])

    def clear(self) -> None:
        """Forget everything; memory that the last group hardly used is given back."""
        if self.keys.shape[1] > max(_ROWS_KEPT, 4 * self.neurons, 4 * self.shapes):
            self.keys = self.keys[:, :0].copy()
            self.rows = _rows(0)
        self.states[:, dictionary.EPOCH] += 1
        self.states[:, dictionary.COUNT] = 0

    def has_room(self, news: int) -> bool:
        """Whether the group can take so many new neurons; makes room for them if it can."""
        known, capacity = max(self.neurons, self.shapes), self.keys.shape[1]
        if known + news > NEURONS_MAX:
            return False
        if known + news > capacity:
            self._grow(_grown(known + news, capacity))
        return True

    def _grow(self, capacity: int) -> None:
        used = self.keys.shape[1]
        keys = np.zeros((columns.DICTIONARIES, capacity), np.int64)
        keys[:, :used] = self.keys
        rows = _rows(capacity)
        rows[: self.neurons] = self.rows[: self.neurons]
        self.keys, self.rows = keys, rows
        bits = (2 * capacity - 1).bit_length()
        self.tables = np.zeros((columns.DICTIONARIES, 1 << bits, 2), np.int64)
        self.states[:, dictionary.HASH_SHIFT] = 64 - bits
        for line in range(columns.DICTIONARIES):
            dictionary.refill(self.tables[line], self.states[line], keys[line])


class DecoderSession:
    """What a decoder knows of one agent's frames; it is forgotten with the agent's session.

    `base` is the keyframe of the present group and `next` the frame that is due, both 0 before the
    first keyframe. Only `FrameDecoder` changes it, and only by frames that it does not refuse.
    """

    def __init__(self) -> None:
        self.base = self.next = 0
        self.neurons = self.shape_count = 0
        self.scales = np.zeros(columns.FIELD_COLUMNS)
        self.rows = _rows(0)
        self.shapes = np.zeros(0, np.int64)

    def clear(self) -> None:
        """Begin a group; memory that the last one hardly used is given back."""
        if len(self.rows) > max(_ROWS_KEPT, 4 * self.neurons):
            self.rows = _rows(0)
        self.base = self.next = self.neurons = self.shape_count = 0

    def grow(self, neurons: int, shapes: int) -> None:
        """Have rows for so many neurons and shapes."""
        if neurons > len(self.rows):
            rows = _rows(_grown(neurons, len(self.rows)))
            rows[: self.neurons] = self.rows[: self.neurons]
            self.rows = rows
        if shapes > len(self.shapes):
            grown = np.zeros(_grown(shapes, len(self.shapes)), np.int64)
            grown[: self.shape_count] = self.shapes[: self.shape_count]
            self.shapes = grown

    def copy(self) -> "DecoderSession":
        """The same once more, for a frame that may have to be opened again."""
        other = DecoderSession()
        other.__dict__.update(self.__dict__)
        other.rows = _rows(len(self.rows))
        other.rows[: self.neurons] = self.rows[: self.neurons]
        other.shapes, other.scales = self.shapes.copy(), self.scales.copy()
        return other

    def swap(self, other: "DecoderSession") -> None:
        """Take over all that another one has and give it what was here."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__
