"""What standing expressions are found to be: the values that engine, links and alerts exchange."""

from typing import NamedTuple

# Pairs in the order of their names: () for all neurons together, else "group", "host" or, for one
# neuron, all three of "group", "host" and "neuron" (its name, or its id in decimal).
Labels = tuple[tuple[str, str], ...]


class Worst(NamedTuple):
    """A neuron that has much of what is seen: `share` is its part of the whole, 0 to 1."""

    neuron: str
    value: float
    share: float


class Change(NamedTuple):
    """What an expression is of one entity now.

    truth:  of a condition 1, 0 or NaN, which is unknown; of a quantity NaN
    value:  of a quantity; of a condition what a notification shows; NaN is unknown
    worst:  of a condition that has become true of several neurons, the worst of them first
    """

    labels: Labels
    truth: float
    value: float
    worst: tuple[Worst, ...] = ()


class Update(NamedTuple):
    """What is new about one expression since the update before.

    key:      the name that its client gave the expression
    at_ns:    when it was evaluated, in nanoseconds since the epoch, by the aggregator's clock
    is_full:  these are all entities; whoever is not among them is forgotten
    changes:  entities of which something is new
    gone:     entities that exist no more
    omitted:  entities that were left out since there were more than the client asked for
    """

    key: str
    at_ns: int
    is_full: bool
    changes: tuple[Change, ...]
    gone: tuple[Labels, ...]
    omitted: int = 0
