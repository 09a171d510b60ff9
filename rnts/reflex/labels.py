"""The entities of a scope by their labels, and neurons by their names."""

from collections.abc import Iterable, Sequence

import numpy as np

from rnts.kernels.neurons import GROUP, ID, LATEST, LEFT
from rnts.population import Population
from rnts.reflex.change import Labels
from rnts.text import name_to_id

# The names of the labels of a scope's entities, in their order.
NAMES: dict[str, tuple[str, ...]] = {
    "neuron": ("group", "host", "neuron"),
    "group": ("group",),
    "host": ("host",),
    "all": (),
}


def neuron_names(rows: Sequence[int], population: Population) -> list[str]:
    """The names of the neurons of rows, or their ids in decimal."""
    ids = population.rows[rows, ID].view(np.uint64).tolist()
    found = zip(ids, population.identities_of(ids), strict=True)
    return [one.name if one and one.name else str(neuron_id) for neuron_id, one in found]


def label_rows(
    scope: str, entities: Sequence[int], population: Population
) -> Iterable[tuple[str, ...]]:
    """The values of the labels of each entity, in the order of their names."""
    groups, hosts = population.group_names.__getitem__, population.host_names.__getitem__
    if scope == "neuron":
        of_groups = map(groups, population.rows[entities, GROUP].tolist())
        of_hosts = map(hosts, population.hosts[entities].tolist())
        return zip(of_groups, of_hosts, neuron_names(entities, population), strict=True)
    if scope == "group":
        return zip(map(groups, entities), strict=True)
    return zip(map(hosts, entities), strict=True) if scope == "host" else [()] * len(entities)


def all_labels(scope: str, entities: Sequence[int], population: Population) -> list[Labels]:
    """The labels of each entity, in the order of their names."""
    names = NAMES[scope]
    return [
        tuple(zip(names, values, strict=True)) for values in label_rows(scope, entities, population)
    ]


def entity_of(scope: str, values: tuple[str, ...], population: Population) -> int | None:
    """The entity whose labels have these values, if it was heard of. Undoes `label_rows`."""
    if scope == "group":
        return population.groups.find(values[0])
    if scope == "host":
        return population.host_places.find(values[0])
    if scope == "all":
        return 0
    name = values[-1]
    row = population.row_of(name_to_id(name))
    if not row and name.isascii() and name.isdigit() and int(name) < 2**64:
        row = population.row_of(int(name))  # of a neuron that never said its name
    # Who was only named has said nothing yet: not even its health is known.
    if not row or population.rows[row, LEFT] or not population.rows[row, LATEST]:
        return None
    return row if [*label_rows(scope, [row], population)] == [values] else None
