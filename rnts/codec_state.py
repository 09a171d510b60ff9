"""What the two ends of a session remember from frame to frame, in tables that grow with neurons."""

import secrets

import numpy as np
from numpy.typing import NDArray

from rnts.aligned import aligned_zeros
from rnts.kernels import columns, dictionary

NEURONS_MAX = columns.KEYS_MAX  # different neurons, and different shapes, of one group of frames
_ROWS_MIN = 256
_ROWS_KEPT = 32_768  # that stay in hand when a group ends


def _rows(count: int) -> NDArray[np.int64]:
    """Rows for so many neurons; one is three cache lines."""
    return aligned_zeros(count, columns.ROW_WORDS, np.int64)


def _grown(count: int, capacity: int) -> int:
    """A larger capacity for `count`: twice the old one at least, so that copying stays cheap."""
    return min(max(count, 2 * capacity, _ROWS_MIN), NEURONS_MAX)


class EncoderState:
    """An encoder's neurons and shapes by their keys, and what it last sent of each neuron.

    `neurons` and `shapes` are how many of them the group has: who encodes keeps both up to date.
    `known` are the arrays, as `encode_columns` takes them.
    """

    def __init__(self) -> None:
        self.neurons = self.shapes = 0
        states = np.zeros((columns.DICTIONARIES, dictionary.STATE_WORDS), np.int64)
        states[:, dictionary.SEED] = secrets.randbits(62)
        tables = np.zeros((columns.DICTIONARIES, 0, 2), np.int64)
        keys = np.zeros((columns.DICTIONARIES, 0), np.int64)
        self.known = (tables, states, keys, _rows(0))

    def clear(self) -> None:
        """Forget everything; memory that the last group hardly used is given back."""
        tables, states, keys, _ = self.known
        if keys.shape[1] > max(_ROWS_KEPT, 4 * self.neurons, 4 * self.shapes):
            self.known = (tables, states, keys[:, :0].copy(), _rows(0))
        states[:, dictionary.EPOCH] += 1
        states[:, dictionary.COUNT] = 0
        self.neurons = self.shapes = 0

    def can_take(self, news: int) -> bool:
        """Whether the group can have so many more neurons and shapes."""
        return max(self.neurons, self.shapes) + news <= NEURONS_MAX

    def make_room(self, news: int) -> None:
        """Have room for so many more neurons and shapes."""
        _, states, keys, rows = self.known
        used = keys.shape[1]
        capacity = _grown(max(self.neurons, self.shapes) + news, used)
        wider_keys = np.zeros((columns.DICTIONARIES, capacity), np.int64)
        wider_keys[:, :used] = keys
        more_rows = _rows(capacity)
        more_rows[: self.neurons] = rows[: self.neurons]
        bits = (2 * capacity - 1).bit_length()
        tables = np.zeros((columns.DICTIONARIES, 1 << bits, 2), np.int64)
        states[:, dictionary.HASH_SHIFT] = 64 - bits
        for line in range(columns.DICTIONARIES):
            dictionary.refill(tables[line], states[line], wider_keys[line])
        self.known = (tables, states, wider_keys, more_rows)


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
