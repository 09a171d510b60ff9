"""The tumbling windows of event time: they fill while records come and close on watermarks."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnts.canaries import Canaries, Places, hidden, places_of_canaries
from rnts.closed_window import ClosedWindow, close_window
from rnts.digests import Digests
from rnts.fold_arrays import block, codes
from rnts.kernels import fold_state as words
from rnts.kernels import neurons as table
from rnts.kernels.window import fold
from rnts.panes import Panes
from rnts.population import Population
from rnts.recent_events import NAMES, RECENT_MAX, RecentEvents
from rnts.records import Records
from rnts.reflex.engine import Engine
from rnts.retirement import make_room
from rnts.traffic import Traffic

REASONS_MAX = 1024  # new reasons of health that one batch may bring
WINDOW_NS_MIN = 1_000_000
_SWEEP_NS = 1_000_000_000  # of event time between two searches for neurons that are gone


class Folded(NamedTuple):
    """What became of a batch: records by fate, events by type, the newest window touched or -1.

    Records of kind NAME are none of these. `windows` has the aggregated ones by their window.
    """

    aggregated: int
    late: int
    future: int
    window_last: int
    events: dict[str, int]
    windows: dict[int, int]


class Windows:
    """Folds batches of records into windows of `window_ns`, of which three are open at a time.

    The last `unsealed` windows before those are closed but not sealed: a record of one of them
    revises it. An older one is late. A record that is newer by more than the ring holds closes the
    windows that it pushes out, as incomplete; that is why a record further ahead of the clock than
    `clock_ahead_ns` is refused as of the future. One window's length is the most that does no harm
    to neurons with a right clock, and the default.
    """

    def __init__(
        self,
        window_ns: int,
        percentiles: Sequence[float],
        max_neurons: int = 100_000,
        max_groups: int = 64,
        retire_after_ns: int = 60_000_000_000,
        clock_ahead_ns: int | None = None,
        unsealed: int = 0,
    ) -> None:
        if window_ns < WINDOW_NS_MIN:
            raise ValueError(f"a window lasts at least {WINDOW_NS_MIN} ns, not {window_ns}")
        if not percentiles or not all(0 < p < 100 for p in percentiles):
            raise ValueError(f"percentiles lie between 0 and 100, not {list(percentiles)}")
        self.window_ns = window_ns
        self.closed: ClosedWindow | None = None
        self.population = Population(max_neurons, max_groups)
        ranks = tuple(sorted(map(float, percentiles)))
        self.panes = Panes(max_neurons + 1, max_groups + 2, ranks, codes(), unsealed)
        self.digests = Digests(self.panes, self.population)
        self.traffic = Traffic()
        self.reflex = Engine(self.population, patience_ns=retire_after_ns)
        self.canaries = Canaries()
        self.events = RecentEvents()
        self.overflow_records = 0  # of neurons beyond `max_neurons`
        self.values_refused = 0  # NaN, infinity, and states and weights that are none
        self.reasons_skipped = 0  # of health, beyond `REASONS_MAX` in a batch
        self._retire_after_ns, self._unsealed, self._swept_ns = retire_after_ns, unsealed, 0
        self._ahead_ns = window_ns if clock_ahead_ns is None else clock_ahead_ns
        self._is_outdated = False  # whether `closed` was revised since it was summarised
        self._oldest: int | None = None  # the oldest window that was ever opened
        self._state = np.zeros(words.STATE_WORDS, np.int64)
        self._state[words.WINDOW_NS] = window_ns
        sizes = RECENT_MAX, REASONS_MAX, len(NAMES)
        self._notes = tuple(np.zeros(size, np.int64) for size in sizes)
        self._arrays = (self.population.arrays, self.panes.arrays)
        self._work = (codes(), self._notes, block(), self._state)

    @property
    def boundary(self) -> int:
        """The number of the oldest window that is not closed: all before it are."""
        return int(self._state[words.FIRST_OPEN])

    @property
    def sealed_before(self) -> int:
        """The number of the oldest window that late records may still revise."""
        return int(self._state[words.FIRST_UNSEALED])

    def resume(self, boundary: int, sealed_before: int) -> None:
        """Go on from a ledger: which windows are closed, and which of them sealed."""
        self._state[words.FIRST_OPEN] = boundary
        self._state[words.FIRST_UNSEALED] = max(sealed_before, boundary - self._unsealed)
        self.panes.keep_from(boundary)

    def fold(self, records: Records, now_ns: int, counted_before: int = 0) -> Folded:
        """Fold a batch that is in hand at `now_ns`; what it names goes first.

        What it holds of windows older than `counted_before` tells only where its neurons stand.
        """
        state = self._state
        state[words.FOLDED :] = 0
        state[words.WINDOW_LAST] = -1
        state[: words.TIME_MAX_NS + 1] = 0, records.count, now_ns, now_ns + self._ahead_ns
        state[words.COUNTED_BEFORE] = counted_before
        if counted_before:
            self.panes.forget_counted()
        self.population.take_names(records, now_ns)
        earliest_ns = 0 if counted_before else self.sealed_before * self.window_ns
        self.population.bring_back(records, earliest_ns, now_ns + self._ahead_ns)
        batch = (
            records.ids,
            records.times_ns,
            records.kinds,
            records.masks,
            records.values,
            records.values.view(np.float64),
            records.text_offsets,
            records.text,
        )
        filled: Counter[int] = Counter()
        canaries = places_of_canaries(records)
        with hidden(records, canaries):
            self._fold_batch(batch, records.count, filled)
        self.population.welcome()
        folded = self._after_fold(records, state.tolist(), dict(filled))
        return self._with_canaries(folded, records, canaries) if canaries.size else folded

    def _fold_batch(self, batch: tuple[np.ndarray, ...], end: int, filled: Counter[int]) -> None:
        """Fold the records up to `end`, and open the windows that they need."""
        stopped_at = -1
        while stopped_at < end:
            if stopped_at >= 0:
                self._open(int(batch[1][stopped_at]) // self.window_ns)
            held = self.panes.counts()
            beside = (self.traffic.arrays, self.reflex.arrays)
            stopped_at = fold(batch, *self._arrays, beside, *self._work)
            for window, count in self.panes.added(held):
                filled[window] += count
                if window < self.boundary:  # before it is pushed out
                    self._revise(window)

    def _with_canaries(self, folded: Folded, records: Records, places: Places) -> Folded:
        """What became of a batch with its canaries, which are in no window's statistics."""
        late, future, windows = self.canaries.fold(records, places, self._state)
        for window, count in windows.items():
            self.digests.leave_out(window, count, is_closed=window < self.boundary)
        return folded._replace(
            aggregated=folded.aggregated + sum(windows.values()),
            late=folded.late + late,
            future=folded.future + future,
            window_last=max((folded.window_last, *windows)),
            windows=dict(Counter(folded.windows) + Counter(windows)),
        )

    def _revise(self, window: int) -> None:
        """Late records were folded into a window that is closed."""
        self.digests.revise(window)
        self._is_outdated |= self.closed is not None and self.closed.window == window

    def _after_fold(self, records: Records, state: list[int], filled: dict[int, int]) -> Folded:
        """Keep the texts of the batch, and say what became of it."""
        events, reasons, tally = self._notes
        counts = {}
        if noted := state[words.EVENTS_NOTED]:
            counts = {name: n for name, n in zip(NAMES, tally.tolist(), strict=True) if n}
            tally[:] = 0
            self.events.counts.update(counts)
            order = np.arange(max(0, noted - RECENT_MAX), noted) % RECENT_MAX
            self.events.take(records, events[order])
        if noted := state[words.REASONS_NOTED]:
            self.population.note_reasons(records, reasons[:noted].tolist())
        self.overflow_records += state[words.OVERFLOW]
        self.values_refused += state[words.REFUSED]
        self.reasons_skipped += state[words.REASONS_SKIPPED]
        return Folded(
            aggregated=state[words.FOLDED],
            late=state[words.LATE],
            future=state[words.FUTURE],
            window_last=state[words.WINDOW_LAST],
            events=counts,
            windows=filled,
        )

    def advance(self, watermark_ns: int, complete: bool) -> int:
        """Close the windows that end at or before the watermark; returns `boundary`.

        `complete`: no more records of them will come.
        """
        if watermark_ns // self.window_ns > self.boundary:
            self._close_before(watermark_ns // self.window_ns, complete)
            self._sweep()
        elif self._is_outdated and self.closed is not None:
            self._summarise(self.closed.window, self.closed.complete)
        return self.boundary

    def show_silence(self, until_ns: int) -> None:
        """Nobody is heard: show an empty window that ends there, though none closes by that."""
        if self.closed is not None and until_ns // self.window_ns > self.closed.window + 1:
            self._summarise(until_ns // self.window_ns - 1, complete=False)

    def _open(self, number: int) -> None:
        """Open a window; those that are older than the ring reaches close as they are."""
        self._close_before(number - table.OPEN_WINDOWS + 1, complete=False)
        self.panes.open(number)
        self._oldest = number if self._oldest is None else min(self._oldest, number)

    def _close_before(self, boundary: int, complete: bool) -> None:
        """Close all windows before `boundary`. The newest is shown, and so summarised."""
        if boundary <= self.boundary:
            return
        sealed_before = max(boundary - self._unsealed, self.sealed_before)
        self.digests.close(self.boundary, boundary, sealed_before, complete)
        self._state[words.FIRST_OPEN] = boundary
        self._state[words.FIRST_UNSEALED] = sealed_before
        self.panes.keep_from(boundary - 1)
        if self._oldest is not None and self._oldest < boundary:
            self._summarise(boundary - 1, complete)

    def _summarise(self, window: int, complete: bool) -> None:
        revision = self.digests.revision_of(window)
        self._is_outdated = False
        self.closed = close_window(
            window, self.window_ns, complete, self.panes, self.population, revision
        )

    def _sweep(self) -> None:
        """Forget neurons and links that have left, or were silent for long, by event time."""
        # A neuron that is in a window that may be revised keeps its place there.
        now_ns = self.sealed_before * self.window_ns
        if now_ns - self._swept_ns < _SWEEP_NS:
            return
        self._swept_ns = now_ns
        silent_since_ns = now_ns - self._retire_after_ns
        self.population.retire(now_ns, silent_since_ns)
        read = self.panes.groups_read(self.boundary - 1, self.sealed_before)
        make_room(self.population, self.reflex, now_ns, silent_since_ns, read)
        self.canaries.retire(silent_since_ns)
        self.traffic.forget(silent_since_ns)
