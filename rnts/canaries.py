"""The canaries that an aggregator hears of: a population of their own, beside that of the users.

What they say enters no window, no count of neurons and no rule, because it never comes there. It is
counted as aggregated, late or of the future, like any record; the engine that looks at them is one
like the users', with other neurons.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.canary_ids import METRIC, is_canary
from rnts.kernels import fold_state as words
from rnts.kernels import neurons as table
from rnts.model import FIELD, Kind
from rnts.population import Population
from rnts.records import Records
from rnts.reflex.change import Update
from rnts.reflex.engine import Engine

if TYPE_CHECKING:
    from rnts.rules.condition import Condition

CANARIES_MAX = 1_024  # those beyond it are counted and not looked at
_MEMORY_BYTES_MAX = 1 << 20  # of what is asked of them
_METRIC = FIELD[METRIC]

Places = NDArray[np.int64]  # of records in their batch


class Fates(NamedTuple):
    """What became of the canaries' records of a batch; `windows` has the aggregated ones."""

    late: int
    future: int
    windows: dict[int, int]


def places_of_canaries(records: Records) -> Places:
    """Which records of a batch are canaries'; 5 µs for a thousand of them, 35 for 16,384."""
    return is_canary(records.ids[: records.count]).nonzero()[0]


@contextmanager
def hidden(records: Records, places: Places) -> Iterator[None]:
    """Have a fold pass by these records, as it does by names; a fold for each stretch between
    would have a program slow it down a hundred times that is a canary at each second record."""
    kinds = records.kinds[places]
    records.kinds[places] = Kind.NAME
    try:
        yield
    finally:
        records.kinds[places] = kinds


class Canaries:
    """Who they are, what they said last, and an engine for those who ask of them.

    `records` counts those that were aggregated. It is evaluated only when there is news of them.
    """

    def __init__(self) -> None:
        self.records = 0
        self._population = Population(CANARIES_MAX, 1)
        self._engine = Engine(self._population, _MEMORY_BYTES_MAX)
        self._has_news = False

    @property
    def known(self) -> int:
        """How many there are."""
        return self._population.known

    def fold(self, records: Records, places: Places, state: NDArray[np.int64]) -> Fates:
        """Take in what canaries say in a batch that the others' fold has just dealt with."""
        window_ns, time_max_ns = int(state[words.WINDOW_NS]), int(state[words.TIME_MAX_NS])
        places = places[records.kinds[places] != Kind.NAME]
        times_ns = records.times_ns[places]
        windows = times_ns // window_ns
        is_future = times_ns > time_max_ns
        is_counted = windows < state[words.COUNTED_BEFORE]  # already
        is_late = ~is_future & ~is_counted & (windows < state[words.FIRST_UNSEALED])
        self._note(records, places[~is_future & ~is_late])
        filled = Counter(windows[~(is_future | is_counted | is_late)].tolist())
        self.records += filled.total()
        return Fates(int(is_late.sum()), int(is_future.sum()), filled)

    def _note(self, records: Records, places: Places) -> None:
        """Keep what records say as the last values of their canaries."""
        places = places[(records.masks[places] & _METRIC.mask) != 0]
        found = np.empty(places.size, np.int64)
        ids, times_ns = records.ids[places], records.times_ns[places]
        table.take_rows(ids, times_ns, self._population.arrays, found)
        if not found.all():
            has_row = found != table.OVERFLOW_ROW
            places, found = places[has_row], found[has_row]
        rows = self._population.rows
        rows[found, table.LAST + _METRIC.bit] = records.values[places, _METRIC.bit]
        rows[found, table.SEEN] |= 1 << _METRIC.bit
        self._has_news |= found.size > 0

    def retire(self, silent_since_ns: int) -> None:
        """Forget those that have been silent since then."""
        before = self._population.retired
        self._population.welcome()
        self._population.retire(0, silent_since_ns)
        self._has_news |= self._population.retired != before

    def register(self, key: Any, condition: "Condition", **more: Any) -> None:
        """Evaluate an expression over them from now on; see `Engine.register`."""
        self._engine.register(key, condition, **more)
        self._has_news = True

    def ask_about(self, key: Any, entities: Iterable[tuple[str, ...]]) -> None:
        """Tell of these, too; see `Engine.ask_about`."""
        self._engine.ask_about(key, entities)

    def remove(self, key: Any) -> None:
        """Forget an expression."""
        self._engine.remove(key)

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Find out what all expressions are now, where there is news."""
        if self._has_news:
            self._has_news = False
            self._engine.look_at_all()
            self._engine.evaluate(now_ns, steady_ns)

    def take(self, key: Any, now_ns: int) -> Update | None:
        """What is new of an expression since the last time."""
        return self._engine.take(key, now_ns)

    def full(self, key: Any, now_ns: int) -> Update:
        """All that is to be known of it."""
        return self._engine.full(key, now_ns)

    def document(self) -> dict[str, int]:
        """What the snapshot says of them."""
        return {"known": self.known, "records": self.records}
