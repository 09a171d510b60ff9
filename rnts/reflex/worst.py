"""The neurons that have most of what has become true of several of them."""

import numpy as np

from rnts.kernels import flips as kernel
from rnts.population import Population
from rnts.reflex.change import Worst
from rnts.reflex.labels import neuron_names
from rnts.reflex.scope import Flips, Scope
from rnts.reflex.store import Store


def find_worst(
    scope: Scope, flips: Flips, store: Store, population: Population
) -> dict[int, tuple[Worst, ...]]:
    """The worst of each entity of which an expression has become true; one pass for all."""
    source = flips.standing.worst
    told = zip(flips.entities, flips.codes, strict=True)
    entities = [entity for entity, code in told if code == kernel.IS_TRUE]
    if source is None or not entities:
        return {}
    places = np.full(store.capacity[scope.index], -1, np.int64)
    places[entities] = np.arange(len(entities))
    who = np.zeros((len(entities), kernel.WORST), np.int64)
    much = np.zeros((len(entities), kernel.WORST + 1))
    kernel.find_worst(
        source.series, source.state, scope.index, len(population.used), store.arrays,
        population.rows, places, (who, much),
    )  # fmt: skip
    named = {}
    for entity, rows, values in zip(entities, who.tolist(), much.tolist(), strict=True):
        rows = [row for row in rows if row]
        whole = values[kernel.WORST]
        named[entity] = tuple(
            Worst(name, value, value / whole)
            for name, value in zip(neuron_names(rows, population), values, strict=False)
        )
    return named
