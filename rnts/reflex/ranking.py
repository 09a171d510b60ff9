"""What a client knows of a quantity: the largest of its values, and which of them are new."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.flips import IS_TRUE
from rnts.reflex.certainty import Found
from rnts.reflex.change import Change, Labels, Update

_NAN = float("nan")


class Ranking:
    """At most `limit` entities of a quantity, those with the largest values; the rest is counted.

    An entity that larger ones push out is told as gone; it comes back like one that is new.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._told: dict[int, tuple[Labels, float]] = {}
        self._left: dict[Labels, None] = {}
        self._omitted = 0

    def leave(self, entity: int) -> None:
        """An entity is no more, or is now another."""
        if told := self._told.pop(entity, None):
            self._left[told[0]] = None

    def take(
        self,
        key: Any,
        at_ns: int,
        found: Found,
        labels: Callable[[int], Labels],
    ) -> Update | None:
        """What is new since the last take; None if nothing is."""
        top, omitted = self._top(found.values, found.codes)
        changes, gone = [], dict(self._left)
        for entity in [entity for entity in self._told if entity not in top]:
            name, _ = self._told.pop(entity)
            if found.codes[entity] == IS_TRUE:
                gone[name] = None
            else:
                changes.append(Change(name, _NAN, _NAN))
        news = []
        for entity, value in top.items():
            told = self._told.get(entity)
            if told is None or told[1] != value:
                self._told[entity] = (told[0] if told else labels(entity), value)
                news.append(entity)
        changes += self._changes(news, found)
        self._left.clear()
        if gone:  # a neuron that came back may be told already, before its old row is left
            for name, _ in self._told.values():
                gone.pop(name, None)
        if not changes and not gone and omitted == self._omitted:
            return None
        self._omitted = omitted
        return Update(key, at_ns, False, tuple(changes), tuple(gone), omitted)

    def full(
        self,
        key: Any,
        at_ns: int,
        found: Found,
        labels: Callable[[int], Labels],
    ) -> Update:
        """The largest, in their order."""
        top, self._omitted = self._top(found.values, found.codes)
        self._left.clear()
        self._told = {entity: (labels(entity), value) for entity, value in top.items()}
        changes = tuple(self._changes([*self._told], found))
        return Update(key, at_ns, True, changes, (), self._omitted)

    def _changes(self, entities: list[int], found: Found) -> Iterator[Change]:
        """What these are that are told."""
        certain = found.certainties(entities) if entities else ()
        told = map(self._told.__getitem__, entities)
        for (name, value), certainty in zip(told, certain or repeat(None), strict=False):
            yield Change(name, _NAN, value, (), certainty)

    def _top(
        self, values: NDArray[np.float64], codes: NDArray[np.uint8]
    ) -> tuple[dict[int, float], int]:
        """The largest known values by entity, the largest first, and how many more there are."""
        (known,) = (codes == IS_TRUE).nonzero()
        found = values[known]
        omitted = max(0, known.size - self._limit)
        if omitted:
            chosen = np.argpartition(-found, self._limit - 1)[: self._limit]
            known, found = known[chosen], found[chosen]
        order = np.lexsort((known, -found))
        return dict(zip(known[order].tolist(), found[order].tolist(), strict=True)), omitted
