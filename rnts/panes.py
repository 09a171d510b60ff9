"""The panes in memory: of the open windows, and of closed ones that late records may revise."""

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.aligned import aligned_zeros
from rnts.kernels import durations, held, histogram, pane_readings, panes, sampling_errors
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

    moments:      float64[groups + 1, held.MOMENTS]
    percentiles:  float64[groups + 1, COLUMNS, percentiles], true where the count is above 0
    bounded:      int64[groups + 1, COLUMNS], 1 if the percentiles keep the histogram's bound
    sampling:     float64[groups + 1, COLUMNS, sampling_errors words], all zeros where no sample
                  was left out; None if that is so everywhere
    """

    moments: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    bounded: NDArray[np.int64]
    sampling: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Held:
    """What a window has of a neuron: a row of moments, and a small histogram of its durations."""

    moments: NDArray[np.float64]
    durations: NDArray[np.float32]


class Panes:
    """Panes with a slot for each neuron (and row 0) and histograms for each group.

    There is one for each window that is open, and for `unsealed` closed ones; window `w` has pane
    `w % ring`. One more takes what was counted before, and is never read. What a neuron said is
    kept of windows from `keep_from` on: those that are open, and the one that is shown.
    """

    def __init__(
        self,
        slots: int,
        groups: int,
        percentiles: tuple[float, ...],
        codes: NDArray[np.int64],
        unsealed: int = 0,
    ) -> None:
        if not 0 <= unsealed <= UNSEALED_MAX:
            raise ValueError(f"0 to {UNSEALED_MAX} closed windows are revised, not {unsealed}")
        if slots > 1 << panes.SLOT_BITS:
            raise ValueError(f"a pane has at most {1 << panes.SLOT_BITS} slots, not {slots}")
        self.percentiles = percentiles
        self.ring = OPEN_WINDOWS + unsealed
        count = self.ring + 1
        assert count <= PANES_MAX
        self._slots = slots
        self._groups = groups
        self._codes = codes
        self._kept_from = panes.NO_WINDOW
        self._heads = np.zeros((count, panes.HEAD_WORDS), np.int64)
        self._heads[:, panes.WINDOW] = panes.NO_WINDOW
        self._heads[:, panes.BANK] = held.NO_BANK
        self._slot_words = aligned_zeros(count * slots, panes.SLOT_WORDS, np.int32)
        self._held = _places(held.BANKS * slots)
        self._group_words = np.zeros((count * groups, panes.GROUP_WORDS), np.int64)
        self._group_moments = aligned_zeros(count * groups, held.MOMENTS, np.float64)
        self._ranks = np.array(percentiles, np.float64)
        self._merged = np.zeros(histogram.BUCKETS)
        self.arrays = (
            self._heads,
            self._slot_words,
            self._held,
            self._group_words,
            self._group_moments,
            _sparse(count * groups * COLUMNS, histogram.BUCKETS),
            _sparse(count * groups * COLUMNS, histogram.BUCKETS),
        )

    def open(self, window: int) -> None:
        """Empty the pane of a window for it."""
        pane, is_kept = window % self.ring, window >= self._kept_from
        panes.open_pane(pane, window, is_kept, self.arrays)
        has_bank = self._heads[pane, panes.BANK] != held.NO_BANK
        assert has_bank == is_kept, "there is a bank for each window that is kept"

    def keep_from(self, window: int) -> None:
        """Keep what neurons say of this window and later ones, and no longer of those before."""
        self._kept_from = window
        panes.let_go_before(window, self.arrays)

    def forget_counted(self) -> None:
        """Empty the pane of what was counted before, for the next batch of it."""
        panes.open_pane(self.ring, panes.COUNTED_BEFORE, 0, self.arrays)

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

    def slots(self, window: int) -> NDArray[np.int32]:
        """int32[slots used, SLOT_WORDS] of a window."""
        return self._slot_words[self._span(window)]

    def held(self, window: int, slot: int) -> Held:
        """What a window has of the neuron of one of its slots."""
        moments, small = np.zeros((1, held.MOMENTS)), np.zeros((1, durations.BUCKETS), np.float32)
        place = self._span(window).start + slot
        pane_readings.read(place, self._codes, self.arrays, moments, small)
        return Held(moments[0], small[0])

    def busy_ns(self, window: int) -> NDArray[np.float64]:
        """How long the neurons of a window worked, by slots used."""
        span = self._span(window)
        sums = np.zeros(span.stop - span.start)
        pane_readings.sum_durations(span.start, self._codes, self.arrays, sums)
        return sums

    def groups(self, window: int) -> NDArray[np.int64]:
        """int64[groups, GROUP_WORDS] of a window."""
        first = window % self.ring * self._groups
        return self._group_words[first : first + self._groups]

    def groups_read(self, shown: int, first: int) -> NDArray[np.bool_]:
        """By group, whether it has records in the window that is shown, or from `first` on."""
        numbers = self._heads[: self.ring, panes.WINDOW]
        is_read = (numbers == shown) | (numbers >= first)
        words = self._group_words[: self.ring * self._groups].reshape(self.ring, self._groups, -1)
        return np.asarray(words[is_read].any(axis=(0, 2)))

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
        moments = np.zeros((rows, held.MOMENTS))
        percentiles = np.zeros((rows * COLUMNS, self._ranks.size))
        bounded = np.zeros((rows, COLUMNS), np.int64)
        results = (moments, percentiles, bounded)
        pane_readings.summarise(window % self.ring, self.arrays, self._ranks, self._merged, results)
        sampling = None
        if (moments[:, panes.EXCESS] > 0).any():
            sampling = self._sampling_errors(window)
        return Summary(moments, percentiles.reshape(rows, COLUMNS, -1), bounded, sampling)

    def _sampling_errors(self, window: int) -> NDArray[np.float64]:
        """How far what is estimated from samples may be off, by group and of all."""
        rows, ranks = self._groups + 1, self._ranks.size
        found = np.zeros((rows * COLUMNS, sampling_errors.words(ranks)))
        room, merged = np.zeros((2, ranks)), np.zeros((2, histogram.BUCKETS))
        sampling_errors.estimate(window % self.ring, self.arrays, self._ranks, merged, room, found)
        return found.reshape(rows, COLUMNS, -1)


def _places(count: int) -> tuple[np.ndarray, ...]:
    """Room for what is held of so many neurons; what is never written costs nothing."""
    return (
        aligned_zeros(count, COLUMNS, np.float64),
        aligned_zeros(count, held.MOMENTS, np.float64),
        aligned_zeros(count, durations.BUCKETS, np.float32),
        np.zeros((held.BANKS, 2), np.int64),
    )


def _sparse(rows: int, columns: int) -> NDArray[np.float64]:
    """Zeros of which only what is touched takes memory, a small page at a time.

    NumPy asks for huge pages, and the kernel reserves what is written: with 4,096 groups that
    would be 13 GB, of which a few hundred MB are ever used.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    memory = mmap.mmap(-1, rows * columns * 8, flags=flags)
    return np.frombuffer(memory, np.float64).reshape(rows, columns)
