"""The entities of a scope by their labels, and neurons by their names."""

from collections.abc import Iterable, Sequence

import numpy as np

from rnts.kernels.neurons import GROUP, LATEST, LEFT
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


def label_columns(
    scope: str, entities: Sequence[int], population: Population
) -> list[Sequence[str]]:
    """The values of each label by entity, in the order of their names."""
    groups, hosts = population.group_names.__getitem__, population.host_names.__getitem__
    if scope == "neuron":
        rows = np.array(entities, np.int64)
        of_groups = map(groups, population.rows[rows, GROUP].tolist())
        of_hosts = map(hosts, population.hosts[rows].tolist())
        return [list(of_groups), list(of_hosts), population.row_names.of(rows)]
    if scope == "all":
        return []
    return [list(map(groups if scope == "group" else hosts, entities))]


def label_rows(
    scope: str, entities: Sequence[int], population: Population
) -> Iterable[tuple[str, ...]]:
    """The values of the labels of each entity, in the order of their names."""
    columns = label_columns(scope, entities, population)
    return zip(*columns, strict=True) if columns else [()] * len(entities)


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
