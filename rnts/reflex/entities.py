"""Which entities are looked at: those that a batch was about, and by and by all the others."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import sliding_state as words
from rnts.kernels.neurons import GROUP, OVERFLOW_ROW
from rnts.kernels.sliding_members import look_at
from rnts.population import Population
from rnts.reflex.store import Store

SWEEP_NS = 50_000_000  # each entity is looked at so often, where that takes few enough of the time
SLICE = 16_384  # rows that are looked at in one go
PAUSES = 20  # a slice that took so long is followed by so many times without one
FEW = 256  # groups or hosts that are looked at every time
_HEAD = 2  # words in front of the rows that `look_at` writes
_ONLY = np.zeros(1, np.int64)
_NOBODY = np.zeros(0, np.int64)


class Look(NamedTuple):
    """For each scope the entities to evaluate, and those that are gone or are another now."""

    there: tuple[NDArray[np.int64], ...]
    gone: tuple[list[int], ...]


class Entities:
    """Rows of neurons, and the groups and hosts that they belong to."""

    def __init__(self, population: Population, store: Store, clock_ns: Callable[[], int]) -> None:
        self._population, self._store, self._clock_ns = population, store, clock_ns
        self._there = np.zeros(store.capacity[words.NEURON] + SLICE, np.int64)
        self._next_row = 0
        self._due_ns = 0
        self._began_ns: int | None = None
        self._is_whole = False
        self._changes_seen = -1
        self._existing = [_NOBODY, _NOBODY, _NOBODY, _ONLY]

    def look_at_all(self) -> None:
        """Look at everything the next time."""
        self._is_whole = True

    def count(self, scope: int) -> int:
        """One more than the highest index of an entity of a scope."""
        if scope == words.NEURON:
            return len(self._population.used) + 1
        names = (self._population.group_names, self._population.host_names, [""])
        return len(names[scope - 1])

    def look(self, steady_ns: int) -> Look:
        """Look at what was touched, and at a slice of the rest if that is due."""
        state, lists, population = self._store.state, self._store.lists, self._population
        touched = lists[0, : state[words.TOUCHED]]
        is_due = self._is_whole or steady_ns >= self._due_ns
        self._began_ns = self._clock_ns() if is_due else None
        parts = [touched]
        renamed = sorted(population.renamed)
        population.renamed.clear()
        if renamed:
            parts.append(np.array(renamed, np.int64))
        if is_due:
            parts.append(self._slice(steady_ns))
        wanted = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self._there.size < wanted.size + _HEAD:
            self._there = np.zeros(2 * wanted.size + _HEAD, np.int64)
        found = look_at(wanted, population.rows, self._store.arrays, self._there)
        gone = lists[1, : state[words.GONE]].tolist()
        gone_of_scopes = self._changed()
        there = [self._there[_HEAD : _HEAD + found]]
        for scope in (words.GROUP, words.HOST):
            there.append(self._of_many(scope, touched, is_due))
        return Look((*there, _ONLY), ([*gone, *renamed], *gone_of_scopes, []))

    def done(self) -> None:
        """What was to be looked at has been evaluated."""
        state = self._store.state
        state[words.TOUCHED] = state[words.GONE] = 0
        state[words.EPOCH] += 1
        if self._began_ns is not None:
            taken_ns = self._clock_ns() - self._began_ns
            self._due_ns = max(self._due_ns, int(state[words.NOW_NS]) + PAUSES * taken_ns)

    def _slice(self, steady_ns: int) -> NDArray[np.int64]:
        """The rows that are looked at next, whatever came of them."""
        used = self.count(words.NEURON)
        if self._is_whole:
            first, last = OVERFLOW_ROW, used
        else:
            first = self._next_row if self._next_row < used else OVERFLOW_ROW
            last = min(first + SLICE, used)
        self._is_whole, self._next_row = False, last
        self._due_ns = steady_ns + SWEEP_NS * min(last - first, SLICE) // max(used, 1)
        return np.arange(first, last)

    def _changed(self) -> tuple[list[int], list[int]]:
        """Note groups and hosts that have neurons now; those that have none any more."""
        state, members = self._store.state, self._store.members
        gone: tuple[list[int], list[int]] = ([], [])
        if state[words.MEMBERS_CHANGED] == self._changes_seen:
            return gone
        self._changes_seen = int(state[words.MEMBERS_CHANGED])
        for scope in (words.GROUP, words.HOST):
            existing = members[scope, : self.count(scope)].nonzero()[0]
            gone[scope - 1].extend(np.setdiff1d(self._existing[scope], existing).tolist())
            self._existing[scope] = existing
        return gone

    def _of_many(self, scope: int, touched: NDArray[np.int64], is_due: bool) -> NDArray[np.int64]:
        """The groups or hosts to evaluate: all if they are few or due, else those touched."""
        existing = self._existing[scope]
        if is_due or existing.size <= FEW:
            return existing
        rows, hosts = self._population.rows, self._population.hosts
        of_rows = rows[touched, GROUP] if scope == words.GROUP else hosts[touched]
        marks = np.zeros(self.count(scope), bool)
        marks[of_rows[of_rows >= 0]] = True
        return marks.nonzero()[0]
