"""The neurons that have most of what has become true of several of them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnts.kernels import flips as kernel
from rnts.population import Population
from rnts.reflex.change import Worst
from rnts.reflex.readings import SCOPES
from rnts.reflex.scope import Flips
from rnts.reflex.store import Store

_NOBODY = -1
Named = dict[int, tuple[Worst, ...]]  # by entity


class _Wanted(NamedTuple):
    """What the worst are wanted of: a series of neurons or a state, of entities of a scope."""

    series: int
    state: int
    scope: int


def find_worst(flips: Sequence[Flips], store: Store, population: Population) -> list[Named]:
    """The worst of each entity of which an expression has become true: one pass for all flips."""
    asked = [_asked(each) for each in flips]
    wanted: dict[_Wanted, dict[int, int]] = {}
    rows = 0
    for each, entities in zip(flips, asked, strict=True):
        if entities:
            of_all = wanted.setdefault(_wanted_by(each), {})
            for entity in entities:  # others may have asked the same of it
                rows += of_all.setdefault(entity, rows) == rows
    if not wanted:
        return [{}] * len(flips)
    found = list(_look(wanted, rows, store, population))
    return [
        {entity: found[wanted[_wanted_by(each)][entity]] for entity in entities} if entities else {}
        for each, entities in zip(flips, asked, strict=True)
    ]


def _asked(each: Flips) -> list[int]:
    """The entities of which an expression has become true, if anything says who is worst."""
    if each.standing.worst is None:
        return []
    told = zip(each.entities, each.codes, strict=True)
    return [entity for entity, code in told if code == kernel.IS_TRUE]


def _wanted_by(each: Flips) -> _Wanted:
    source = each.standing.worst
    assert source is not None
    return _Wanted(source.series, source.state, SCOPES.index(each.standing.condition.scope))


def _look(
    wanted: dict[_Wanted, dict[int, int]], rows: int, store: Store, population: Population
) -> Iterator[tuple[Worst, ...]]:
    """The worst of each row of the results, as `wanted` numbers them."""
    sizes = [store.capacity[each.scope] for each in wanted]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    places = np.full(sum(sizes), _NOBODY, np.int64)
    for start, entities in zip(starts, wanted.values(), strict=True):
        places[start + np.fromiter(entities, np.int64, len(entities))] = list(entities.values())
    who = np.zeros((rows, kernel.WORST), np.int64)
    much = np.zeros((rows, kernel.WORST + 1))
    table = np.array([(*each, start) for each, start in zip(wanted, starts, strict=True)], np.int64)
    kernel.find_worst(
        table, len(population.used), store.arrays, population.rows, places, (who, much)
    )
    for of_row, values in zip(who.tolist(), much.tolist(), strict=True):
        named = [row for row in of_row if row]
        whole = values[kernel.WORST]
        yield tuple(
            Worst(name, value, value / whole)
            for name, value in zip(population.row_names.of(named), values, strict=False)
        )
