"""The digests of an aggregator's windows: taken as they close or are revised, until written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.digest import Digest
from rnts.digest_parts import add_earlier
from rnts.kernels.digest import list_buckets
from rnts.kernels.panes import ACTIVE, GROUP_RECORDS, RECORDS
from rnts.panes import Panes
from rnts.population import Population

# Digests that wait to be written; beyond it the oldest lose their statistics, then their windows.
WAITING_MAX, LISTED_MAX = 64, 4_096


class Digests:
    """Takes the digests of windows that close or are revised, until somebody fetches them.

    Off until `is_on` is set, since taking one costs 0.1 ms.
    """

    def __init__(self, panes: Panes, population: Population) -> None:
        self.is_on = False
        self.dropped = 0  # digests that lost their statistics for want of room
        self.unlisted = 0  # records of closed windows of which no digest tells
        self._left_out: Counter[int] = Counter()  # the same of windows that are open
        self._panes, self._population = panes, population
        self._waiting: list[Digest] = []
        self._whole = 0  # of those waiting, the first that has its statistics
        self._revisions: dict[int, int] = {}  # of windows that are not sealed
        self._written: dict[int, int] = {}  # their records, as of the last digest
        self._complete: dict[int, bool] = {}
        self._newest: dict[int, Digest] = {}  # their digests
        self._earlier: dict[int, Digest] = {}  # of those that an aggregator before this one closed
        self._revised: set[int] = set()
        self._room = _room(1 << 12)

    def resume(self, unsealed: range, digests: Iterable[Digest]) -> None:
        """Go on where a ledger ends: these windows are closed, and late records may revise them."""
        self._complete = dict.fromkeys(unsealed, False)
        for digest in digests:
            if (window := digest.window) in unsealed:
                self._complete[window] = digest.complete
                self._revisions[window], self._written[window] = digest.revision, digest.records
                self._newest[window] = self._earlier[window] = digest

    def revision_of(self, window: int) -> int:
        """How often a window was revised; 0 for one that is sealed or open."""
        return self._revisions.get(window, 0)

    def revise(self, window: int) -> None:
        """Late records have come into a window that is closed."""
        if window not in self._revised:
            self._revised.add(window)
            self._revisions[window] = self._revisions.get(window, 0) + 1

    def leave_out(self, window: int, records: int, is_closed: bool) -> None:
        """A window has got records that are in no statistics: those of canaries."""
        if is_closed:
            self.unlisted += records
        else:
            self._left_out[window] += records

    def close(self, first: int, end: int, sealed_before: int, complete: bool) -> None:
        """The windows first … end - 1 close, all before `sealed_before` are sealed."""
        self._take_revised()
        for window in [window for window in self._left_out if window < end]:
            self.unlisted += self._left_out.pop(window)
        for window in range(max(first, sealed_before), end):
            self._complete[window] = complete  # for records that come late into one that had none
        for window in sorted(self._panes.records()):
            if first <= window < end:
                self._complete[window] = complete
                self._take(window)
        for window in [window for window in self._complete if window < sealed_before]:
            known: dict[int, Any]
            for known in (
                self._revisions, self._written, self._complete, self._newest, self._earlier
            ):  # fmt: skip
                known.pop(window, None)

    def fetch(self, everything: bool = False) -> list[Digest]:
        """The digests that are to be written, the oldest first; they wait no longer.

        everything: also those that are written, of windows that may still be revised.
        """
        self._take_revised()
        waiting, self._waiting, self._whole = self._waiting, [], 0
        if everything:
            new = {digest.window for digest in waiting}
            told = [self._newest[window] for window in sorted(self._newest) if window not in new]
            waiting = [*(replace(digest, added=0) for digest in told), *waiting]
        return waiting

    @property
    def has_news(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._waiting or self._revised)

    def _take_revised(self) -> None:
        for window in sorted(self._revised):
            self._take(window)
        self._revised.clear()

    def _take(self, window: int) -> None:
        if not self.is_on:
            return
        records, earlier = self._panes.head(window, RECORDS), self._earlier.get(window)
        records += 0 if earlier is None else earlier.records
        added = records - self._written.get(window, 0)
        self._written[window] = records
        digest = Digest(
            window,
            self.revision_of(window),
            self._complete.get(window, False),
            records,
            added,
            self._panes.head(window, ACTIVE),
        )
        self._fill(digest)
        if earlier is not None:
            add_earlier(digest, earlier)
        self._newest[window] = digest
        self._waiting.append(digest)
        if len(self._waiting) - self._whole > WAITING_MAX:
            self._waiting[self._whole].drop_statistics()
            self._whole += 1
            self.dropped += 1
        if len(self._waiting) > LISTED_MAX:
            unlisted = self._waiting.pop(0)
            self.unlisted += unlisted.added
            self._newest.pop(unlisted.window, None)
            self._whole -= 1

    def _fill(self, digest: Digest) -> None:
        """Copy the statistics of the groups that have records out of the window's pane."""
        panes, names = self._panes, self._population.group_names
        words = panes.groups(digest.window)[: len(names)]
        pane = digest.window % panes.ring
        found = list_buckets(pane, len(names), panes.arrays, self._room)
        if found > len(self._room[0]):
            self._room = _room(2 * found)
            list_buckets(pane, len(names), panes.arrays, self._room)
        digest.groups = list(names)
        digest.words = words.copy()
        digest.moments = panes.group_moments(digest.window)[: len(names)].copy()
        cells, indices, counts = self._room
        digest.cells, digest.indices = cells[:found].copy(), indices[:found].copy()
        digest.counts = counts[:found].copy()
        assert int(words[:, GROUP_RECORDS].sum()) == panes.head(digest.window, RECORDS)


def _room(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    return np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
