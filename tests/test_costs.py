"""What rules cost a neuron is told before they run, and is what the engine then lends."""

import pytest

from rnts.population import Population
from rnts.reflex.costs import RULES_BYTES_MAX, bytes_of
from rnts.reflex.engine import Engine
from rnts.rules.condition import parse_condition

NEURONS = 4_095  # and the row of those beyond the limit

BY_NEURON = {
    "health_status == 'critical' for 30s": 9,
    "max(queue_depth) > 9 by neuron": 64 + 9,
    "mean(queue_depth) over 5s > 9 by neuron": 128 + 9,
    "error_rate > 0.5 by neuron": 256 + 9,
    "p99_processing_time_ms > 9 by neuron": 4_376 + 9,
    "absent(activation_count, 5s) by neuron": 8 + 9,
}


@pytest.mark.parametrize(("text", "expected"), BY_NEURON.items())
def test_what_a_rule_by_neuron_takes_is_what_the_documentation_says(
    text: str, expected: int
) -> None:
    """Bytes a neuron are those of docs/rules.md, and those that the engine sets aside."""
    condition = parse_condition(text)
    engine = Engine(Population(NEURONS, 8))
    engine.register("one", condition)

    assert bytes_of([condition]) == expected
    assert engine.memory_bytes == expected * (NEURONS + 1)


def test_a_rule_of_several_takes_what_names_their_worst() -> None:
    """All neurons together have one entry, and a neuron a line that says how much is its own."""
    assert bytes_of([parse_condition("p99_processing_time_ms > 100")]) == 64
    assert bytes_of([parse_condition("critical_neurons > 3")]) == 0


def test_what_rules_share_is_counted_once() -> None:
    """Two rules that read the same take its memory once, and each its own truth."""
    conditions = [parse_condition(f"max(queue_depth) > {limit} by neuron") for limit in (5, 9)]

    assert bytes_of(conditions) == 64 + 2 * 9
    assert bytes_of([]) == 0


def test_the_shipped_rules_leave_a_neuron_within_its_bound() -> None:
    """Percentiles of each neuron alone take more than all rules may."""
    assert bytes_of([parse_condition("p50_processing_time_ms > 1 by neuron")]) > RULES_BYTES_MAX
    shipped = (
        "p99_processing_time_ms > 100",
        "health_status == 'critical' for 30s",
        "error_rate > 0.5 and affected_neurons > 10",
    )
    assert bytes_of([parse_condition(text) for text in shipped]) == 137 <= RULES_BYTES_MAX
