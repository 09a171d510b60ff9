"""Groups and hosts without neurons make room for others, once nobody reads what they reported."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import neurons as table
from rnts.places import OTHER
from rnts.population import Population
from rnts.reflex.engine import Engine
from rnts.reflex.readings import SCOPES

PLACED_AT_ONCE_MAX = 16_384  # neurons that get their own group or host at last; later ones follow


def make_room(
    population: Population,
    engine: Engine,
    now_ns: int,
    before_ns: int,
    is_read: NDArray[np.bool_],
) -> None:
    """Give up groups and hosts that have had no neuron since a time.

    engine: has windows of theirs that slide, and may know of neurons that it has yet to look at
    is_read: by group, whether anybody may yet read what it reported in a window
    """
    of_rows = population.hosts[: len(population.used) + 1]
    hosts = np.bincount(of_rows, minlength=population.hosts_max) > 0
    groups = is_read | (population.health.sum(axis=1) > 0)
    count = 0
    for scope, places, is_used in (
        ("group", population.groups, groups),
        ("host", population.host_places, hosts),
    ):
        may_go = partial(engine.release, SCOPES.index(scope))
        count += places.give_up(is_used, now_ns, before_ns, may_go)
    if count:
        _place_others(population)


def _place_others(population: Population) -> None:
    """Have neurons for whose group or host there was no room count for these."""
    groups = population.used[:, table.GROUP]
    hosts = population.hosts[1 : len(groups) + 1]
    is_other = ((groups == OTHER) | (hosts == OTHER)) & (groups != table.NO_GROUP)
    waiting = is_other.nonzero()[0][:PLACED_AT_ONCE_MAX] + 1
    for row in waiting.tolist():
        if not (population.groups.has_room or population.host_places.has_room):
            return
        population.place_again(row)
