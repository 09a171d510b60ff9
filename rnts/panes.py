"""The panes in memory: those of the open windows, and of the newest closed one while it lasts."""

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import durations, histogram, panes
from rnts.kernels.neurons import COLUMNS, PANES
from rnts.model import METRICS

LATENCY_COLUMN = len(METRICS)
DURATION_COLUMN = next(i for i, metric in enumerate(METRICS) if metric.name == "processing_time_ns")
# Linux's number; Python has a name for it from 3.13 on.
_MAP_NORESERVE = 0x4000

assert len(METRICS) + 1 <= COLUMNS, "raise COLUMNS in kernels/neurons.py for more metrics"
assert [metric.bit for metric in METRICS] == list(range(len(METRICS)))


@dataclass(frozen=True)
class Summary:
    """What a window says: a row for each group, in the order of their indices, and one for all.

    moments:      float64[groups + 1, panes.MOMENTS]
    percentiles:  float64[groups + 1, COLUMNS, percentiles], true where the count is above 0
    bounded:      int64[groups + 1, COLUMNS], 1 if the percentiles keep the histogram's bound
    """

    moments: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    bounded: NDArray[np.int64]


class Panes:
    """`PANES` panes with a slot for each neuron (and row 0) and histograms for each group."""

    def __init__(self, slots: int, groups: int, percentiles: tuple[float, ...]) -> None:
        if slots > 1 << panes.SLOT_BITS:
            raise ValueError(f"a pane has at most {1 << panes.SLOT_BITS} slots, not {slots}")
        self.percentiles = percentiles
        self._slots = slots
        self._groups = groups
        self._heads = np.zeros((PANES, panes.HEAD_WORDS), np.int64)
        self._heads[:, panes.WINDOW] = panes.NO_WINDOW
        self._slot_words = np.zeros((PANES * slots, panes.SLOT_WORDS), np.int64)
        self._moments = np.zeros((PANES * slots, panes.MOMENTS))
        self._durations = np.zeros((PANES * slots, durations.BUCKETS), np.float32)
        self._group_words = np.zeros((PANES * groups, panes.GROUP_WORDS), np.int64)
        self._group_moments = np.zeros((PANES * groups, panes.MOMENTS))
        self._ranks = np.array(percentiles, np.float64)
        self._merged = np.zeros(histogram.BUCKETS)
        self.arrays = (
            self._heads,
            self._slot_words,
            self._moments,
            self._durations,
            self._group_words,
            self._group_moments,
            _sparse(PANES * groups * COLUMNS, histogram.BUCKETS),
        )

    def open(self, window: int) -> None:
        """Empty the pane of a window for it."""
        panes.open_pane(window % PANES, window, self.arrays)

    def holds(self, window: int) -> bool:
        """Whether the pane of a window still is that window's."""
        return bool(self._heads[window % PANES, panes.WINDOW] == window)

    def head(self, window: int, word: int) -> int:
        """A word of the head of a window's pane."""
        return int(self._heads[window % PANES, word])

    def slots(self, window: int) -> NDArray[np.int64]:
        """int64[slots used, SLOT_WORDS] of a window."""
        return self._slot_words[self._span(window)]

    def moments(self, window: int) -> NDArray[np.float64]:
        """float64[slots used, MOMENTS] of a window."""
        return self._moments[self._span(window)]

    def durations(self, window: int) -> NDArray[np.float32]:
        """float32[slots used, durations.BUCKETS] of a window."""
        return self._durations[self._span(window)]

    def groups(self, window: int) -> NDArray[np.int64]:
        """int64[groups, GROUP_WORDS] of a window."""
        first = window % PANES * self._groups
        return self._group_words[first : first + self._groups]

    def _span(self, window: int) -> slice:
        first = window % PANES * self._slots
        return slice(first, first + self.head(window, panes.SLOTS_USED))

    def summarise(self, window: int) -> Summary:
        """The moments and percentiles of a window, by group and of all."""
        rows = self._groups + 1
        moments = np.zeros((rows, panes.MOMENTS))
        percentiles = np.zeros((rows * COLUMNS, self._ranks.size))
        bounded = np.zeros((rows, COLUMNS), np.int64)
        results = (moments, percentiles, bounded)
        panes.summarise(window % PANES, self.arrays, self._ranks, self._merged, results)
        return Summary(moments, percentiles.reshape(rows, COLUMNS, -1), bounded)


def _sparse(rows: int, columns: int) -> NDArray[np.float64]:
    """Zeros of which only what is touched takes memory, a small page at a time.

    NumPy asks for huge pages, and the kernel reserves what is written: with 4,096 groups that
    would be 13 GB, of which a few hundred MB are ever used.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    memory = mmap.mmap(-1, rows * columns * 8, flags=flags)
    return np.frombuffer(memory, np.float64).reshape(rows, columns)
