"""Neurons that are forgotten and come back: whom they count for, and what clients are told."""

import pytest
from reflex_tools import CRITICAL, Town, neuron

from rnts.rules.condition import parse_quantity
from rnts.standing.view import View


def test_who_comes_back_counts_for_its_group_from_its_first_record() -> None:
    """Also where it reports so seldom that it was forgotten each time."""
    town = Town()
    text = "records by group"
    town.engine.register(text, parse_quantity(text))
    town.step(0, town.name(1, "one", "late"), town.sample(1, queue_depth=1))
    town.windows.population.retire(0, town.now_ns + 1)
    town.step(2_000)
    town.step(10, town.sample(1, queue_depth=1), town.sample(1, queue_depth=2))
    (change,) = town.engine.full(text, town.now_ns).changes
    assert (change.labels, change.value) == ((("group", "late"),), 2)


@pytest.mark.parametrize("text", ["health_status == 'critical'", "queue_depth by neuron"])
def test_who_came_back_is_not_gone_with_the_row_it_had(text: str) -> None:
    """It is looked at before the row that it had, and stays what it is when that one is left."""
    town = Town()
    town.engine.register(text, parse_quantity(text))
    is_condition = "==" in text
    view = View(is_condition)

    def listen() -> None:
        if update := town.engine.take(text, town.now_ns):
            view.apply(update)

    who = {1: "one", 2: "two"}
    town.step(0, *(town.name(number, name) for number, name in who.items()))
    town.step(10, *(town.sample(number, health=CRITICAL, queue_depth=5) for number in who))
    for _ in range(3):
        listen()
        town.step(100)
    town.windows.population.retire(0, town.now_ns + 1)
    town.step(10, town.sample(1, health=CRITICAL, queue_depth=5))
    assert town.windows.population.row_of(1) == 2  # the last one that was released
    for _ in range(5):
        listen()
        assert set(view.entities) == {neuron("one")}
        town.step(100)
