"""What a client knows of a quantity: the largest of its values, and which of them are new."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.flips import IS_TRUE
from rnts.reflex.certainty import Found
from rnts.reflex.change import Change, Labels, Update
from rnts.rules.vocabulary import STATES, rank_of_state

STATE_RANKS = np.array([rank_of_state(state) for state in sorted(STATES.values())])
_NAN = float("nan")


class Ranking:
    """At most `limit` entities of a quantity, those with the largest values; the rest is counted.

    An entity that larger ones push out is told as gone; it comes back like one that is new. Of
    states those are the largest that are worst: who never said how it is comes before the healthy.
    """

    def __init__(self, limit: int, are_states: bool = False) -> None:
        self._limit, self._are_states = limit, are_states
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
        labels: Callable[[Sequence[int]], list[Labels]],
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
        news = [
            entity
            for entity, value in top.items()
            if entity not in self._told or self._told[entity][1] != value
        ]
        fresh = [entity for entity in news if entity not in self._told]
        names = dict(zip(fresh, labels(fresh), strict=True)) if fresh else {}
        for entity in news:
            name = names[entity] if entity in names else self._told[entity][0]
            self._told[entity] = (name, top[entity])
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
        labels: Callable[[Sequence[int]], list[Labels]],
    ) -> Update:
        """The largest, in their order."""
        top, self._omitted = self._top(found.values, found.codes)
        self._left.clear()
        names = zip(labels([*top]), top.values(), strict=True) if top else ()
        self._told = dict(zip(top, names, strict=True))
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
        ranks = -STATE_RANKS[found.astype(np.int64)] if self._are_states else -found
        omitted = max(0, known.size - self._limit)
        if omitted:
            chosen = np.argpartition(ranks, self._limit - 1)[: self._limit]
            known, found, ranks = known[chosen], found[chosen], ranks[chosen]
        order = np.lexsort((known, ranks))
        return dict(zip(known[order].tolist(), found[order].tolist(), strict=True)), omitted
