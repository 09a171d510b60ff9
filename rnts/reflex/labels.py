"""The entities of a scope by their labels, and neurons by their names."""

from rnts.population import Population
from rnts.reflex.change import Labels


def neuron_name(row: int, population: Population) -> str:
    """The name of the neuron of a row, or its id in decimal."""
    neuron_id = population.id_of(row)
    identity = population.identity_of(neuron_id)
    return identity.name if identity and identity.name else str(neuron_id)


def labels_of(scope: str, entity: int, population: Population) -> Labels:
    """The labels of an entity, in the order of their names."""
    if scope == "neuron":
        host = population.host_names[population.hosts[entity]]
        name = neuron_name(entity, population)
        return (("group", population.group_of(entity)), ("host", host), ("neuron", name))
    if scope == "group":
        return (("group", population.group_names[entity]),)
    return (("host", population.host_names[entity]),) if scope == "host" else ()
