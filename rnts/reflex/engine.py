"""The engine of standing expressions: what is registered, evaluated after each batch, and told."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rnts.kernels import sliding_state as words
from rnts.population import Population
from rnts.reflex import readings
from rnts.reflex.certainty import Certainties, Found, certainties_of, nothing_certain
from rnts.reflex.change import Labels, Update
from rnts.reflex.entities import Entities
from rnts.reflex.expressions import Standing, release, take_expression
from rnts.reflex.labels import NAMES, all_labels, entity_of, label_columns
from rnts.reflex.listing import Listing
from rnts.reflex.ranking import Ranking
from rnts.reflex.scope import Flips, Scope
from rnts.reflex.store import Store
from rnts.reflex.worst import find_worst
from rnts.rules.nodes import STATE, TRUTH

if TYPE_CHECKING:
    from rnts.rules.condition import Condition

LIMIT = 1_000  # entities of a quantity that are told, unless its client says otherwise
MEMORY_BYTES_MAX = 1 << 30
PATIENCE_NS = 60_000_000_000
BACKLOG_NS = 5_000_000_000  # what happened longer ago than this enters no window that slides


class Engine:
    """Standing expressions over the neurons of one aggregator, in its thread.

    Times are `now_ns` since the epoch and `steady_ns` of a clock that never goes back; windows are
    by the latter. `clock_ns` measures what looking at all neurons costs.
    """

    def __init__(
        self,
        population: Population,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        patience_ns: int = PATIENCE_NS,
    ) -> None:
        """`patience_ns`: who is asked about and was not heard for so long is told as gone."""
        self._population, self._patience_ns = population, patience_ns
        self._store = Store(population, memory_bytes_max)
        self._entities = Entities(population, self._store, clock_ns)
        self._scopes = [Scope(name, population, self._store) for name in readings.SCOPES]
        self._changed: set[str] = set()  # scopes whose expressions are others since they were set
        self._standing: dict[Any, Standing] = {}
        self._evaluated_ns = 0
        self.release = self._store.release

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the fold fills."""
        return self._store.arrays

    @property
    def stale(self) -> int:
        """Records that were too old to enter windows that slide; they count everywhere else."""
        return int(self._store.state[words.STALE])

    @property
    def memory_bytes(self) -> int:
        """What all expressions may take, but for intervals where samples were left out."""
        return self._store.arena.bytes_lent

    def register(
        self,
        key: Any,
        condition: "Condition",
        *,
        is_condition: bool | None = None,
        lists_unknown: bool = False,
        limit: int = LIMIT,
    ) -> None:
        """Evaluate an expression from now on, in place of what stood under its key.

        It is a condition if it is true or false, unless that is said. Its windows begin empty,
        but for those that others read already. Raises ValueError, with the figures, if there is no
        memory for it; then all stays as it was.
        """
        if limit < 1:
            raise ValueError(f"at least one entity is told, not {limit}")
        truth = condition.root.kind == TRUTH if is_condition is None else is_condition
        are_states = condition.root.kind == STATE
        told = self._listing(condition.scope) if truth else Ranking(limit, are_states)
        standing = take_expression(key, condition, told, lists_unknown, self._store)
        self.remove(key)
        self._standing[key] = standing
        self._renew(condition.scope)

    def _listing(self, scope: str) -> Listing:
        return Listing(NAMES[scope], partial(self._find, scope), self._patience_ns)

    def _find(self, scope: str, values: tuple[str, ...]) -> int | None:
        """The entity whose labels have these values, if it exists."""
        entity = entity_of(scope, values, self._population)
        if entity is None or scope not in ("group", "host"):
            return entity
        return entity if self._store.members[readings.SCOPES.index(scope), entity] else None

    def ask_about(self, key: Any, entities: Iterable[tuple[str, ...]]) -> None:
        """Tell what a condition is of these, too, as soon as it is known, or that they are gone.

        They are given by the values of their labels; raises ValueError where these are others.
        """
        one, asked = self._standing[key], list(entities)
        names = NAMES[one.condition.scope]
        if not isinstance(one.told, Listing) or {*map(len, asked)} - {len(names)}:
            raise ValueError(f"entities of {one.condition.text} have the labels {names}")
        one.told.ask(asked, int(self._store.state[words.NOW_NS]))

    def remove(self, key: Any) -> None:
        """Forget an expression, if there is one under the key."""
        if standing := self._standing.pop(key, None):
            release(standing, self._store)
            self._renew(standing.condition.scope)

    def _renew(self, scope: str) -> None:
        """Expressions of a scope have changed."""
        self._changed.add(scope)
        self._store.state[words.IS_ON] = bool(self._standing)
        self._entities.look_at_all()

    def _set_changed(self) -> None:
        """Tell scopes what they evaluate: once, however many expressions came and went."""
        for name in self._changed:
            of_scope = [one for one in self._standing.values() if one.condition.scope == name]
            self._scopes[readings.SCOPES.index(name)].set(of_scope)
        self._changed.clear()

    def look_at_all(self) -> None:
        """Have the next evaluation look at all entities, whatever it costs."""
        self._entities.look_at_all()

    def arrive(self, now_ns: int, steady_ns: int) -> None:
        """Say when the batch that is folded next has arrived."""
        state = self._store.state
        state[words.OLDEST_NS] = now_ns - BACKLOG_NS
        if steady_ns > state[words.NOW_NS]:
            self._store.set_time(steady_ns)

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Find what has changed; to be called after each batch, and now and then without one.

        It looks at all entities that the batch was about, and goes on looking at the others.
        """
        self.arrive(now_ns, steady_ns)
        self._set_changed()
        if not self._standing:
            self._population.renamed.clear()
            return
        self._evaluated_ns = now_ns
        found = self._entities.look(int(self._store.state[words.NOW_NS]))
        flips: list[tuple[str, Flips]] = []
        for scope, there, gone in zip(self._scopes, found.there, found.gone, strict=True):
            if scope.standing:
                for entity in gone:
                    self._leave(scope, entity)
                flips += [(scope.name, each) for each in scope.evaluate(there)]
        if flips:
            self._flip(flips)
        self._entities.done()

    def _leave(self, scope: Scope, entity: int) -> None:
        """An entity is no more, or another one; whoever has its index begins anew."""
        arena = self._store.arena
        for one in scope.standing:
            one.told.leave(entity)
            one.is_new = True
            arena.bytes[one.codes.place * 8 + entity] = 0

    def _flip(self, flips: list[tuple[str, Flips]]) -> None:
        """Note what clients may hear of, by scopes."""
        worst = find_worst([each for _, each in flips], self._store, self._population)
        for (scope, each), named in zip(flips, worst, strict=True):
            told = each.standing.told
            assert isinstance(told, Listing)
            columns = partial(label_columns, scope, population=self._population)
            told.flip(each.entities, each.codes, columns, named)

    def take(self, key: Any, now_ns: int) -> Update | None:
        """What is new of an expression since the last time; None if nothing is."""
        one = self._standing.get(key)
        if one is None:
            return None
        # Clients have hundreds of expressions, and each batch asks about all of them.
        at_ns, told = self._evaluated_ns or now_ns, one.told
        if isinstance(told, Listing):
            steady_ns = int(self._store.state[words.NOW_NS])
            if not told.is_due(steady_ns):
                return None
            return told.take(key, at_ns, steady_ns, self._found(one))
        if not one.is_new:
            return None
        one.is_new = False
        return told.take(key, at_ns, self._found(one), self._labels(one))

    def full(self, key: Any, now_ns: int) -> Update:
        """All that a client has to know of an expression now; raises KeyError without one."""
        one = self._standing[key]
        at_ns, found = self._evaluated_ns or now_ns, self._found(one)
        if isinstance(one.told, Listing):
            return one.told.full(key, at_ns, int(self._store.state[words.NOW_NS]), found)
        one.is_new = False
        return one.told.full(key, at_ns, found, self._labels(one))

    def _found(self, one: Standing) -> Found:
        """What an expression is by entity, as far as there are any."""
        scope = readings.SCOPES.index(one.condition.scope)
        count, arena = self._entities.count(scope), self._store.arena
        first, code_first = one.values.place, one.codes.place * 8
        values = arena.cells[first : first + count]
        certainties: Certainties = nothing_certain
        if one.certain is not None:
            certainties = partial(certainties_of, one.certain, values, store=self._store)
        return Found(values, arena.bytes[code_first : code_first + count], certainties)

    def _labels(self, one: Standing) -> Callable[[Sequence[int]], list[Labels]]:
        return partial(all_labels, one.condition.scope, population=self._population)
