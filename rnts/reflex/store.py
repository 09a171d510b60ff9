"""The series that readings are computed from, each kept once however many ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnts.kernels import durations
from rnts.kernels import sliding_state as words
from rnts.kernels.sliding_members import begin_distinct
from rnts.population import Population
from rnts.reflex.arena import Arena, Piece

SERIES_MAX = 512
PANE_NS_MIN = 10_000_000
PANE_NS_WAITED_FOR = 1_000_000_000  # a longer one is not waited for where series began apart
COPIES_MAX = 4
# With the number of the newest: one line of the cache, and eight. Last values also keep the one
# that was before them.
PANES_OF_NEURONS, PANES_OF_MANY = 7, 63
PANES_OF_CHANGES, PANES_OF_DURATIONS, PANES_OF_HISTOGRAMS = 6, 8, 16
# What is touched of a pane's histogram is mostly two pages, of seventeen.
_HISTOGRAM_BYTES = 8192

# A row of the plan that nobody has; panes of it can be counted all the same, and never turn.
_NEVER_NS = 1 << 62
_UNUSED = np.zeros(words.PLAN_WORDS, np.int64)
_UNUSED[[words.STATISTIC, words.PANES, words.PANE_NS]] = words.NONE, 1, _NEVER_NS


class SeriesKey(NamedTuple):
    """What a series is: a statistic of a column, of entities of a scope, over a window.

    `panes` is the most that the window is cut into; both are 0 for the time of the last report.
    `copy` tells series apart that are the same, but for when they began.
    """

    statistic: int
    column: int
    scope: int
    window_ns: int
    panes: int
    copy: int = 0

    @property
    def pane_ns(self) -> int:
        """How long a pane lasts: one of them is begun, the others hold the window."""
        if not self.panes:
            return PANE_NS_MIN
        return max(-(-self.window_ns // (self.panes - 1)), PANE_NS_MIN)

    @property
    def panes_used(self) -> int:
        """How many panes there are: one more than the window takes."""
        return -(-self.window_ns // self.pane_ns) + 1 if self.panes else 1

    @property
    def width(self) -> int:
        """Words an entity; a line of the cache where it is eight."""
        if self.statistic == words.DURATIONS:
            return self.panes_used * durations.BUCKETS // 2 + 8
        if self.statistic in (words.HISTOGRAM, words.EXCESSES):
            return (self.panes_used + 1) * words.HISTOGRAM_WORDS + 1
        if self.statistic == words.LAST:
            return self.panes + 2
        return self.panes + 1


class DistinctKey(NamedTuple):
    """Which neurons are counted, of entities of which scope, over which window."""

    what: int
    scope: int
    window_ns: int


@dataclass
class _Held:
    """A row of a plan that is in use: how often it is asked for, and the memory it has."""

    index: int
    users: int
    piece: Piece | None = None


class Store:
    """The arrays that the fold fills for standing expressions, and who is kept in them."""

    def __init__(self, population: Population, memory_bytes_max: int) -> None:
        rows = population.rows.shape[0]
        groups, hosts = population.health.shape[0], population.hosts_max
        self.capacity = (rows, groups, hosts, 1)  # entities of each scope
        entities = max(groups, hosts)
        self.arena = Arena(memory_bytes_max)
        self.state = np.zeros(words.STATE_WORDS, np.int64)
        self.state[words.EPOCH] = 1
        self.lists = np.zeros((5, rows), np.int64)
        self.members = np.zeros((2 * words.SCOPES, entities), np.int64)
        self._plan = np.zeros((SERIES_MAX, words.PLAN_WORDS), np.int64)
        self._plan[:] = _UNUSED
        self._known = np.zeros((rows, words.ROW_WORDS), np.int64)
        self._hosts = population.hosts
        self._distinct_plan = np.zeros((words.DISTINCT_MAX, words.DISTINCT_WORDS), np.int64)
        self._counts = np.zeros((words.DISTINCT_MAX, entities), np.int64)
        self._entered = np.zeros(words.ENTERED_SHAPE, np.int64)
        self._entities = np.zeros(words.ENTITIES_SHAPE, np.int64)
        self._series: dict[SeriesKey, _Held] = {}
        self._turn_ns = 0  # when the next pane begins
        self._distinct: dict[DistinctKey, _Held] = {}
        self.arrays = self._arrays()

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (
            self.state, self._plan, self.arena.cells, self.arena.small, self._known, self._hosts,
            self.lists, self._distinct_plan, self._counts, self.members, self._entered,
            self._entities,
        )  # fmt: skip

    def keep(self, key: SeriesKey | DistinctKey) -> int:
        """The row of a plan of what is kept from now on; raises ValueError if it cannot be."""
        return self._distinct_row(key) if isinstance(key, DistinctKey) else self._series_row(key)

    def _series_row(self, key: SeriesKey) -> int:
        if held := self._series.get(key):
            held.users += 1
            return held.index
        index = _vacant(self._series, SERIES_MAX, "series")
        width, entities = key.width, self.capacity[key.scope]
        expected = None
        if key.statistic in (words.HISTOGRAM, words.EXCESSES):
            expected = entities * (key.panes_used + 1) * _HISTOGRAM_BYTES
        is_beside = key.statistic == words.EXCESSES
        piece = self.arena.lend(width * entities, expected, is_beside)
        self._plan[index, : words.NOW] = (
            key.statistic, key.scope, key.column, key.panes_used, key.pane_ns, width,
            piece.place, self.state[words.NOW_NS],
        )  # fmt: skip
        self._series[key] = _Held(index, 1, piece)
        self.state[words.SERIES] = max(int(self.state[words.SERIES]), index + 1)
        self.arrays = self._arrays()
        self._turn_ns = 0
        self.set_time(int(self.state[words.NOW_NS]))
        return index

    def from_one_time(self, keys: Sequence[SeriesKey]) -> Sequence[SeriesKey]:
        """Copies of these that were begun together, or that nobody has yet; else as they are.

        Where panes are long nobody has to wait for the next one because others came before.
        """
        if max((key.pane_ns for key in keys), default=0) <= PANE_NS_WAITED_FOR:
            return keys
        for copy in range(COPIES_MAX):
            copies = [key._replace(copy=copy) for key in keys]
            held = [self._series.get(key) for key in copies]
            if len({one and int(self._plan[one.index, words.SINCE]) for one in held}) == 1:
                return copies
        return keys

    def first_whole_pane(self, keys: Sequence[SeriesKey | DistinctKey]) -> int:
        """The first pane that all of these hold whole, where they are kept since other times; or 0.

        Others may have read one of them before: of the same records a reading takes all, or none.
        """
        rows = [self._plan[self._series[key].index] for key in keys if isinstance(key, SeriesKey)]
        since_ns = {int(row[words.SINCE]) for row in rows}
        if len(since_ns) < 2:
            return 0
        return max(since_ns) // int(rows[0][words.PANE_NS]) + 2

    def set_time(self, steady_ns: int) -> None:
        """Say what time it is, so that compiled code need not divide for each entity."""
        self.state[words.NOW_NS] = steady_ns
        if steady_ns < self._turn_ns:
            return
        plan = self._plan[: self.state[words.SERIES]]
        plan[:, words.NOW] = steady_ns // plan[:, words.PANE_NS] + 1
        plan[:, words.PANE] = plan[:, words.NOW] % plan[:, words.PANES]
        ends_ns = plan[:, words.NOW] * plan[:, words.PANE_NS]
        self._turn_ns = int(ends_ns.min(initial=_NEVER_NS))

    def release(self, scope: int, entity: int) -> bool:
        """Empty all that is kept of a group or host, whose index is another one's from now on.

        Whether that went: not where neurons still count for it, which are looked at by and by.
        """
        if self.state[words.IS_ON] and self.members[scope, entity]:
            return False
        plan = self._plan[: self.state[words.SERIES]]
        plan = plan[(plan[:, words.SCOPE] == scope) & (plan[:, words.STATISTIC] != words.NONE)]
        newest = plan[:, words.CELLS] + (entity + 1) * plan[:, words.WIDTH] - 1
        self.arena.cells[newest[self.arena.cells[newest] != 0.0]] = 0.0
        return True

    def _distinct_row(self, key: DistinctKey) -> int:
        """The row of the counts of such neurons, which begins at the next look at all of them."""
        if held := self._distinct.get(key):
            held.users += 1
            return held.index
        index = _vacant(self._distinct, words.DISTINCT_MAX, "counts of neurons")
        self._distinct_plan[index] = key
        self._distinct[key] = _Held(index, 1)
        self.state[words.DISTINCT] = max(int(self.state[words.DISTINCT]), index + 1)
        begin_distinct(index, self.arrays)
        return index

    def drop(self, key: SeriesKey | DistinctKey) -> None:
        """One fewer asks for it; with the last its memory is given back."""
        if isinstance(key, DistinctKey):
            held = self._distinct[key]
            held.users -= 1
            if held.users == 0:
                del self._distinct[key]
                self._distinct_plan[held.index, words.WHAT] = -1
            return
        held = self._series[key]
        held.users -= 1
        if held.users == 0:
            del self._series[key]
            self._plan[held.index] = _UNUSED
            assert held.piece is not None
            self.arena.take_back(held.piece)
            used = max((one.index + 1 for one in self._series.values()), default=0)
            self.state[words.SERIES] = used


def _vacant(held: "dict[SeriesKey, _Held] | dict[DistinctKey, _Held]", most: int, what: str) -> int:
    """The lowest row of a plan that is not in use."""
    taken = {one.index for one in held.values()}
    index = next((i for i in range(most) if i not in taken), None)
    if index is None:
        raise ValueError(f"standing expressions have at most {most} {what}, and all are in use")
    return index
