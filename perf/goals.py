"""What figures must be, and what they aim at, in the unit of the figure."""

from typing import NamedTuple


class Goal(NamedTuple):
    """The most that a figure may be, and what is aimed at where there is such a number."""

    must: float
    aim: float | None = None


GOALS = {
    "reflex": {
        "histogram_insert_ns": Goal(2, 1.2),
        "histogram_insert_weighted_ns": Goal(8, 6),
        "fold_ns": Goal(120, 70),
        "fold_million_neurons_ns": Goal(350, 200),
        "neuron_bytes": Goal(1_536),
        "rule_ns": Goal(2, 0.5),
        "reaction_ns_p50": Goal(1.5e6, 0.6e6),
        "reaction_ns_p99": Goal(4e6, 1.5e6),
        "reaction_ns_p999": Goal(8e6, 3e6),
        "reaction_idle_ns_p50": Goal(1e6, 0.5e6),
        "reaction_idle_ns_p99": Goal(2e6, 1e6),
        "reaction_idle_ns_p999": Goal(4e6, 2e6),
        "storm_ms": Goal(50, 15),
        "lost": Goal(0),
    },
}
