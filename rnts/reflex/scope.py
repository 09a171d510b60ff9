"""The expressions of one scope: read, computed and compared with before, all in one go."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import durations, flips
from rnts.kernels import sliding_state as words
from rnts.kernels.sliding_readings import READING_WORDS, gather
from rnts.population import Population
from rnts.reflex.expressions import Standing
from rnts.reflex.ranking import Ranking
from rnts.reflex.readings import SCOPES, Source
from rnts.reflex.store import Store

if TYPE_CHECKING:
    from rnts.rules.condition import Reading

CHUNK = 4_096  # entities that are read and computed at a time


class Flips(NamedTuple):
    """An expression has become something else of these; see `kernels.flips` for the codes."""

    standing: Standing
    entities: list[int]
    codes: list[int]


class Scope:
    """Evaluates the expressions of a scope for entities that are given by their indices."""

    def __init__(self, name: str, population: Population, store: Store) -> None:
        self.name, self.index = name, SCOPES.index(name)
        self.standing: list[Standing] = []
        self._population, self._store = population, store
        self._scratch = (np.zeros(durations.BUCKETS, np.float32), np.zeros(2))
        self._is_current = True

    def set(self, standing: list[Standing]) -> None:
        """Evaluate these from now on."""
        self.standing, self._is_current = standing, False

    def _prepare(self) -> None:
        """Write the program of all expressions, and make room for what they compute."""
        # Whoever has no expressions is spared the language.
        from rnts.rules.program import Program

        program = Program([one.condition for one in self.standing])
        sources: dict[Reading, Source] = {}
        for one in self.standing:
            sources |= one.sources
        found = [sources[reading] for reading in program.readings]
        listed = np.array([source.words for source in found], np.int64)
        self._readings = listed.reshape(-1, READING_WORDS)
        self._percentiles = np.array([source.percentile for source in found])
        self._expressions = np.array(
            [
                (
                    isinstance(one.told, Ranking), one.tells_unknown, one.values.place,
                    one.codes.place * 8, 0,
                )
                for one in self.standing
            ],
            np.int64,
        ).reshape(-1, flips.EXPRESSION_WORDS)  # fmt: skip
        self._has_quantities = bool(self._expressions[:, flips.IS_QUANTITY].any())
        # A neuron may be looked at twice: because of the batch, and because it is due.
        chunk = (
            CHUNK if self.index == words.NEURON else min(CHUNK, self._store.capacity[self.index])
        )
        self._read = np.empty(len(found) * chunk)
        self._truth = np.empty(len(self.standing) * chunk)
        self._values = np.empty(len(self.standing) * chunk)
        self._flips = np.empty((len(self.standing) * chunk, 3), np.int64)
        self._program, self._is_current = program, True

    def evaluate(self, entities: NDArray[np.int64]) -> list[Flips]:
        """Find what each expression is of these entities now: what a client may hear of."""
        if not self._is_current:
            self._prepare()
        found: list[Flips] = []
        for start in range(0, entities.size, CHUNK):
            found += self._evaluate(entities[start : start + CHUNK])
        if self._has_quantities:
            for row in self._expressions[:, flips.HAS_CHANGED].nonzero()[0].tolist():
                self.standing[row].is_new = True
                self._expressions[row, flips.HAS_CHANGED] = 0
        return _together(found)

    def _evaluate(self, entities: NDArray[np.int64]) -> list[Flips]:
        count, store = entities.size, self._store
        read = self._read[: len(self._readings) * count].reshape(-1, count)
        shape = (len(self.standing), count)
        truth = self._truth[: shape[0] * count].reshape(shape)
        values = self._values[: shape[0] * count].reshape(shape)
        gather(
            entities, self._readings, self._percentiles, store.arrays, self._population.rows,
            self._scratch, read,
        )  # fmt: skip
        self._program.evaluate(read, truth, values)
        arena = store.arena
        found = flips.note(
            entities, truth, values, self._expressions, arena.cells, arena.bytes, self._flips
        )
        return self._of_expressions(self._flips[:found]) if found else []

    def _of_expressions(self, table: NDArray[np.int64]) -> list[Flips]:
        """The flips that a kernel has written, which has them by expression."""
        ends = [*((table[1:, 0] != table[:-1, 0]).nonzero()[0] + 1).tolist(), len(table)]
        found, start = [], 0
        for end in ends:
            entities, codes = table[start:end, 1:].T.tolist()
            found.append(Flips(self.standing[table[start, 0]], entities, codes))
            start = end
        return found


def _together(found: list[Flips]) -> list[Flips]:
    """Those of each expression at once, whatever chunks they were found in."""
    by_expression: dict[int, list[Flips]] = {}
    for flips_of_chunk in found:
        by_expression.setdefault(id(flips_of_chunk.standing), []).append(flips_of_chunk)
    if len(by_expression) == len(found):
        return found
    return [
        Flips(
            those[0].standing,
            [entity for each in those for entity in each.entities],
            [code for each in those for code in each.codes],
        )
        for those in by_expression.values()
    ]
