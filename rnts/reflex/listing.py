"""What a client knows of a condition: the entities that it was told of, and what is new of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.flips import IS_FALSE, IS_LOST, IS_TRUE
from rnts.reflex.asked import Answer, Asked
from rnts.reflex.certainty import Found
from rnts.reflex.change import Changes, Labels, Update, Worst

REFRESH_NS = 1_000_000_000  # the least between two tellings of a value whose truth stays
ASKED_AT_ONCE = 1_000  # that are looked for in that time: it takes 3 ms
_TRUTH = np.zeros(4)  # by codes
_TRUTH[IS_TRUE], _TRUTH[IS_LOST] = 1.0, np.nan
# By entity, as they are now.
Values = NDArray[np.float64]
Codes = NDArray[np.uint8]
LabelColumns = Callable[[list[int]], list[Sequence[str]]]
Find = Callable[[tuple[str, ...]], int | None]


class Listing:
    """The entities of a condition from when they are true until they are false or gone.

    What is told of an entity is told with the labels of its first. All is kept by entity in plain
    tables and taken in and told as columns: ten thousand flips at once are 4 ms, where one object
    for each took 60. Tables are brought up to date when they are next asked, which is after that.
    """

    def __init__(self, names: tuple[str, ...], find: Find, patience_ns: int) -> None:
        """`find` has the entity of the values of labels; for `patience_ns`: see `Asked`."""
        self._names, self._find = names, find
        self._asked = Asked(patience_ns)
        self._labels_by: dict[int, tuple[str, ...]] = {}  # see `_labels`
        self._values_by: dict[int, float] = {}  # see `_values`
        self._begun: tuple[list[int], list[Sequence[str]]] | None = None  # and columns of labels
        self._told: tuple[list[int], list[float]] | None = None
        self._worst: dict[int, tuple[Worst, ...]] = {}  # of those that have any
        self._news: dict[int, None] = {}  # entities of which something is new, in that order
        self._gone: dict[Labels, None] = {}
        self._refreshed_ns = 0

    @property
    def _labels(self) -> dict[int, tuple[str, ...]]:
        """The values of the labels of those that are listed."""
        self._catch_up()
        return self._labels_by

    @property
    def _values(self) -> dict[int, float]:
        """The values that are told."""
        self._catch_up()
        return self._values_by

    def _catch_up(self) -> None:
        """Bring the tables up to date."""
        if self._begun is not None:
            (entities, columns), self._begun = self._begun, None
            rows = zip(*columns, strict=True) if columns else repeat(())
            self._labels_by.update(zip(entities, rows, strict=False))
        if self._told is not None:
            self._values_by.update(zip(*self._told, strict=True))
            self._told = None

    def flip(
        self,
        entities: list[int],
        codes: list[int],
        label_columns: LabelColumns,
        worst: Mapping[int, tuple[Worst, ...]],
    ) -> None:
        """The truth of each of these has changed; `label_columns` has labels of the new ones."""
        labels = self._labels
        fresh = [entity for entity in entities if entity not in labels] if labels else entities
        if fresh:
            self._begun = fresh, label_columns(fresh)
        self._news.update(dict.fromkeys(entities))
        if self._worst:
            for entity in entities:
                self._worst.pop(entity, None)
        self._worst.update(worst)
        if IS_FALSE in codes:
            for entity, code in zip(entities, codes, strict=True):
                if code == IS_FALSE and entity not in self._values:
                    self._forget(entity)  # nobody has heard that it was true

    def _forget(self, entity: int) -> tuple[str, ...]:
        """Keep nothing of an entity that is listed; the values of its labels."""
        self._values.pop(entity, None)
        self._worst.pop(entity, None)
        self._news.pop(entity, None)
        return self._labels.pop(entity)

    def leave(self, entity: int) -> None:
        """An entity is no more, or is now another."""
        if entity in self._labels:
            is_told = entity in self._values
            labels = self._labels_of(self._forget(entity))
            if is_told:
                self._gone[labels] = None

    def ask(self, entities: Iterable[tuple[str, ...]], steady_ns: int) -> None:
        """Tell of these, too, once they are known, or that they are gone; none are listed yet."""
        self._asked.ask(entities, steady_ns)

    def _answer(self, steady_ns: int, codes: Codes, most: int | None = None) -> Answer:
        """Note what is to be told of those that were asked about, of so many at most."""
        answer = self._asked.answer(self._find, codes, steady_ns, most)
        for entity, values in answer.known.items():
            self._labels.setdefault(entity, values)
        self._news.update(dict.fromkeys(answer.known))
        self._gone.update(dict.fromkeys(self._labels_of(values) for values in answer.gone))
        return answer

    def _labels_of(self, values: tuple[str, ...]) -> Labels:
        return tuple(zip(self._names, values, strict=True))

    def is_due(self, steady_ns: int) -> bool:
        """Whether a take would look at anything."""
        is_refreshed = steady_ns - self._refreshed_ns < REFRESH_NS
        return bool(self._news or self._gone) or not is_refreshed

    def take(self, key: Any, at_ns: int, steady_ns: int, found: Found) -> Update | None:
        """What is new since the last take, with new values once a second; None if nothing is."""
        if steady_ns - self._refreshed_ns >= REFRESH_NS:
            self._refreshed_ns = steady_ns
            self._refresh(found.values, found.codes)
            self._answer(steady_ns, found.codes, ASKED_AT_ONCE)
        if not self._news and not self._gone:
            return None
        changes = self._changes(list(self._news), found)
        update = Update(key, at_ns, False, changes, self._left())
        self._tell(found)
        return update

    def _left(self) -> tuple[Labels, ...]:
        """Who is gone; not who came back, and by another row is listed already."""
        if not self._gone:
            return ()
        there = set(self._labels.values())
        return tuple(one for one in self._gone if tuple(value for _, value in one) not in there)

    def full(self, key: Any, at_ns: int, steady_ns: int, found: Found) -> Update:
        """All that is to be known; what was new is told with it."""
        self._refreshed_ns = steady_ns
        answered = self._answer(steady_ns, found.codes).known
        entities = list(self._labels)
        is_listed = (found.codes[entities] >= IS_TRUE).tolist()
        listed = [*compress(entities, is_listed)]
        if answered:  # who was asked about is told of though it is false
            listed = [*dict.fromkeys((*listed, *answered))]
        update = Update(key, at_ns, True, self._changes(listed, found), tuple(self._gone))
        self._news = dict.fromkeys(entities)
        self._tell(found)
        return update

    def _columns(self, entities: list[int]) -> list[Sequence[str]]:
        """The values of each label of these."""
        if not entities:
            return [()] * len(self._names)
        if self._begun is not None and self._begun[0] == entities:
            return self._begun[1]
        return list(zip(*map(self._labels.__getitem__, entities), strict=True))

    def _changes(self, entities: list[int], found: Found) -> Changes:
        """What these are now."""
        columns, those = self._columns(entities), np.array(entities, np.int64)
        worst = self._worst and {
            place: self._worst[entity]
            for place, entity in enumerate(entities)
            if entity in self._worst
        }
        truths, values = _TRUTH[found.codes[those]].tolist(), found.values[those].tolist()
        certainties = found.certainties(entities)
        return Changes(self._names, columns, truths, values, worst, certainties)

    def _refresh(self, values: Values, codes: Codes) -> None:
        """Note all that are told and whose values have changed."""
        if not self._values:
            return
        entities = np.fromiter(self._values, np.int64, len(self._values))
        before = np.fromiter(self._values.values(), np.float64, len(self._values))
        now = values[entities]
        is_news = (before != now) & ~(np.isnan(before) & np.isnan(now))
        is_news &= codes[entities] >= IS_TRUE
        self._news.update(dict.fromkeys(entities[is_news].tolist()))

    def _tell(self, found: Found) -> None:
        """What was new is told; what is false is listed no more."""
        entities = list(self._news)
        those = np.array(entities, np.int64)
        if self._told is not None:
            self._catch_up()
        self._told = entities, found.values[those].tolist()
        is_false = found.codes[those] < IS_TRUE
        if is_false.all() and len(entities) == len(self._labels):
            for table in (self._labels, self._values, self._worst):
                table.clear()
        elif is_false.any():
            for entity in compress(entities, is_false.tolist()):
                self._forget(entity)
        self._news.clear()
        self._gone.clear()
