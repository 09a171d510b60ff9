"""What a client knows of a condition: the entities that it was told of, and what is new of them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.flips import IS_FALSE, IS_LOST, IS_TRUE
from rnts.reflex.change import Change, Labels, Update, Worst

REFRESH_NS = 1_000_000_000  # the least between two tellings of a value whose truth stays
_TRUTH = {IS_TRUE: 1.0, IS_FALSE: 0.0, IS_LOST: float("nan")}


@dataclass(slots=True)
class _Listed:
    """An entity of which something is told; what is told is told with the labels of its first."""

    labels: Labels
    code: int
    value: float
    worst: tuple[Worst, ...] = ()
    is_told: bool = False

    def change(self) -> Change:
        return Change(self.labels, _TRUTH[self.code], self.value, self.worst)


class Listing:
    """The entities of a condition from when they are true until they are false or gone."""

    def __init__(self) -> None:
        self._listed: dict[int, _Listed] = {}
        self._news: dict[int, None] = {}  # entities of which something is new, in that order
        self._gone: dict[Labels, None] = {}
        self._refreshed_ns = 0

    def flip(
        self, entity: int, code: int, value: float, labels: Callable[[], Labels], worst: Any = ()
    ) -> None:
        """The truth of an entity has changed."""
        listed = self._listed.get(entity)
        if listed is None:
            listed = self._listed[entity] = _Listed(labels(), code, value)
        listed.code, listed.value, listed.worst = code, value, worst
        self._news[entity] = None
        if code == IS_FALSE and not listed.is_told:
            del self._listed[entity], self._news[entity]  # nobody has heard that it was true

    def leave(self, entity: int) -> None:
        """An entity is no more, or is now another."""
        listed = self._listed.pop(entity, None)
        self._news.pop(entity, None)
        if listed is not None and listed.is_told:
            self._gone[listed.labels] = None

    def take(
        self, key: Any, at_ns: int, steady_ns: int, values: NDArray[np.float64]
    ) -> Update | None:
        """What is new since the last take, with new values once a second; None if nothing is."""
        if steady_ns - self._refreshed_ns >= REFRESH_NS:
            self._refreshed_ns = steady_ns
            self._refresh(values)
        if not self._news and not self._gone:
            return None
        changes = [self._listed[entity].change() for entity in self._news]
        gone = tuple(self._gone)
        self._tell()
        return Update(key, at_ns, False, tuple(changes), gone)

    def full(self, key: Any, at_ns: int, values: NDArray[np.float64]) -> Update:
        """All that is to be known; what was new is told with it."""
        self._refresh(values)
        changes = [one.change() for one in self._listed.values() if one.code != IS_FALSE]
        self._news.update(dict.fromkeys(self._listed))
        self._tell()
        return Update(key, at_ns, True, tuple(changes), ())

    def _refresh(self, values: NDArray[np.float64]) -> None:
        """Take in the values of all that are listed, and note those that have changed."""
        if not self._listed:
            return
        entities = list(self._listed)
        for entity, value in zip(entities, values[entities].tolist(), strict=True):
            listed = self._listed[entity]
            is_same = listed.value == value or (isnan(listed.value) and isnan(value))
            if not is_same and listed.code != IS_FALSE:
                listed.value = value
                self._news[entity] = None

    def _tell(self) -> None:
        """What was new is told; what is false is listed no more."""
        for entity in self._news:
            listed = self._listed[entity]
            listed.is_told = True
            if listed.code == IS_FALSE:
                del self._listed[entity]
        self._news.clear()
        self._gone.clear()
