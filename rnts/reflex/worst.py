"""The neurons that have most of what has become true of several of them."""

import numpy as np

from rnts.kernels import flips as kernel
from rnts.population import Population
from rnts.reflex.change import Worst
from rnts.reflex.labels import neuron_name
from rnts.reflex.scope import Flip, Scope
from rnts.reflex.store import Store

Named = dict[tuple[int, int], tuple[Worst, ...]]  # by the id of a standing, and the entity


def find_worst(scope: Scope, flips: list[Flip], store: Store, population: Population) -> Named:
    """The worst of each entity of which an expression has become true; one pass an expression."""
    named: Named = {}
    by_standing: dict[int, list[Flip]] = {}
    for flip in flips:
        if flip.code == kernel.IS_TRUE and flip.standing.worst is not None:
            by_standing.setdefault(id(flip.standing), []).append(flip)
    used = len(population.used)
    for which, of_it in by_standing.items():
        source = of_it[0].standing.worst
        assert source is not None
        places = np.full(store.capacity[scope.index], -1, np.int64)
        places[[flip.entity for flip in of_it]] = np.arange(len(of_it))
        who = np.zeros((len(of_it), kernel.WORST), np.int64)
        much = np.zeros((len(of_it), kernel.WORST + 1))
        kernel.find_worst(
            source.series, source.state, scope.index, used, store.arrays, population.rows,
            places, (who, much),
        )  # fmt: skip
        for flip, rows, values in zip(of_it, who.tolist(), much.tolist(), strict=True):
            named[which, flip.entity] = tuple(
                Worst(neuron_name(row, population), value, value / values[kernel.WORST])
                for row, value in zip(rows, values[: kernel.WORST], strict=True)
                if row
            )
    return named
