"""The panes in memory: of the open windows, and of closed ones that late records may revise."""

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.aligned import aligned_zeros
from rnts.kernels import durations, histogram, panes, sampling_errors
from rnts.kernels.neurons import COLUMNS, OPEN_WINDOWS, PANES_MAX, UNSEALED_MAX, VALUES
from rnts.model import METRICS

LATENCY_COLUMN = len(METRICS)
DURATION_COLUMN = next(i for i, metric in enumerate(METRICS) if metric.name == "processing_time_ns")
# Linux's number; Python has a name for it from 3.13 on.
_MAP_NORESERVE = 0x4000

assert len(METRICS) + 1 <= VALUES, "raise COLUMNS in kernels/neurons.py for more metrics"
assert [metric.bit for metric in METRICS] == list(range(len(METRICS)))


@dataclass(frozen=True)
class Summary:
    """What a window says: a row for each group, in the order of their indices, and one for all.

    moments:      float64[groups + 1, panes.MOMENTS]
    percentiles:  float64[groups + 1, COLUMNS, percentiles], true where the count is above 0
    bounded:      int64[groups + 1, COLUMNS], 1 if the percentiles keep the histogram's bound
    sampling:     float64[groups + 1, COLUMNS, sampling_errors words], all zeros where no sample
                  was left out; None if that is so everywhere
    """

    moments: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    bounded: NDArray[np.int64]
    sampling: NDArray[np.float64] | None = None


class Panes:
    """Panes with a slot for each neuron (and row 0) and histograms for each group.

    There is one for each window that is open, and for `unsealed` closed ones; window `w` has pane
    `w % ring`. One more takes what was counted before, and is never read.
    """

    def __init__(
        self, slots: int, groups: int, percentiles: tuple[float, ...], unsealed: int = 0
    ) -> None:
        if not 0 <= unsealed <= UNSEALED_MAX:
            raise ValueError(f"0 to {UNSEALED_MAX} closed windows are revised, not {unsealed}")
        if slots > 1 << panes.SLOT_BITS:
            raise ValueError(f"a pane has at most {1 << panes.SLOT_BITS} slots, not {slots}")
        self.percentiles = percentiles
        self.ring = OPEN_WINDOWS + unsealed
        held = self.ring + 1
        assert held <= PANES_MAX
        self._slots = slots
        self._groups = groups
        self._heads = np.zeros((held, panes.HEAD_WORDS), np.int64)
        self._heads[:, panes.WINDOW] = panes.NO_WINDOW
        self._slot_words = aligned_zeros(held * slots, panes.SLOT_WORDS, np.int64)
        self._moments = aligned_zeros(held * slots, panes.MOMENTS, np.float64)
        self._durations = aligned_zeros(held * slots, durations.BUCKETS, np.float32)
        self._group_words = np.zeros((held * groups, panes.GROUP_WORDS), np.int64)
        self._group_moments = aligned_zeros(held * groups, panes.MOMENTS, np.float64)
        self._ranks = np.array(percentiles, np.float64)
        self._merged = np.zeros(histogram.BUCKETS)
        self.arrays = (
            self._heads,
            self._slot_words,
            self._moments,
            self._durations,
            self._group_words,
            self._group_moments,
            _sparse(held * groups * COLUMNS, histogram.BUCKETS),
        )

    def open(self, window: int) -> None:
        """Empty the pane of a window for it."""
        panes.open_pane(window % self.ring, window, self.arrays)

    def forget_counted(self) -> None:
        """Empty the pane of what was counted before, for the next batch of it."""
        panes.open_pane(self.ring, panes.COUNTED_BEFORE, self.arrays)

    def records(self) -> dict[int, int]:
        """The records of each window that has a pane."""
        heads = self._heads[: self.ring, [panes.WINDOW, panes.RECORDS]].tolist()
        return {window: count for window, count in heads if window != panes.NO_WINDOW}

    def counts(self) -> NDArray[np.int64]:
        """The records of each pane, for `added`."""
        return self._heads[: self.ring, panes.RECORDS].copy()

    def added(self, before: NDArray[np.int64]) -> list[tuple[int, int]]:
        """The windows that have got records since, and how many."""
        heads = self._heads[: self.ring]
        more = heads[:, panes.RECORDS] - before
        changed = more.nonzero()[0]
        return list(zip(heads[changed, panes.WINDOW].tolist(), more[changed].tolist(), strict=True))

    def holds(self, window: int) -> bool:
        """Whether the pane of a window still is that window's."""
        return bool(self._heads[window % self.ring, panes.WINDOW] == window)

    def head(self, window: int, word: int) -> int:
        """A word of the head of a window's pane."""
        return int(self._heads[window % self.ring, word])

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
        first = window % self.ring * self._groups
        return self._group_words[first : first + self._groups]

    def group_moments(self, window: int) -> NDArray[np.float64]:
        """float64[groups, MOMENTS] of a window."""
        first = window % self.ring * self._groups
        return self._group_moments[first : first + self._groups]

    def _span(self, window: int) -> slice:
        first = window % self.ring * self._slots
        return slice(first, first + self.head(window, panes.SLOTS_USED))

    def summarise(self, window: int) -> Summary:
        """The moments and percentiles of a window, by group and of all."""
        rows = self._groups + 1
        moments = np.zeros((rows, panes.MOMENTS))
        percentiles = np.zeros((rows * COLUMNS, self._ranks.size))
        bounded = np.zeros((rows, COLUMNS), np.int64)
        results = (moments, percentiles, bounded)
        panes.summarise(window % self.ring, self.arrays, self._ranks, self._merged, results)
        sampling = None
        if (moments[:, panes.SQUARES] > moments[:, panes.WEIGHTS]).any():
            sampling = self._sampling_errors(window)
        return Summary(moments, percentiles.reshape(rows, COLUMNS, -1), bounded, sampling)

    def _sampling_errors(self, window: int) -> NDArray[np.float64]:
        """How far what is estimated from samples may be off, by group and of all."""
        rows, ranks = self._groups + 1, self._ranks.size
        found = np.zeros((rows * COLUMNS, sampling_errors.words(ranks)))
        room = np.zeros((2, ranks))
        sampling_errors.estimate(
            window % self.ring, self.arrays, self._ranks, self._merged, room, found
        )
        return found.reshape(rows, COLUMNS, -1)


def _sparse(rows: int, columns: int) -> NDArray[np.float64]:
    """Zeros of which only what is touched takes memory, a small page at a time.

    NumPy asks for huge pages, and the kernel reserves what is written: with 4,096 groups that
    would be 13 GB, of which a few hundred MB are ever used.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    memory = mmap.mmap(-1, rows * columns * 8, flags=flags)
    return np.frombuffer(memory, np.float64).reshape(rows, columns)
