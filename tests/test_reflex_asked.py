"""Entities that a client asks about: told of though they are false, or as gone."""

import math

import pytest
from test_reflex import CRITICAL, DEACTIVATED, HEALTHY, Town, neuron

from rnts.reflex import listing
from rnts.rules.condition import parse_quantity
from rnts.text import name_to_id

SICK = "health_status == 'critical'"
QUEUE = "max(queue_depth) over 1s > 5 by group"
A, B = name_to_id("a"), name_to_id("b")
PATIENCE_MS = 60_000


def test_who_is_asked_about_is_told_of_as_soon_as_it_is_known() -> None:
    """False is told once, to whoever asked; nobody else that is false is told of."""
    town = Town()
    town.watch(SICK)
    town.step(10, town.name(B, "b"), town.sample(B, health=HEALTHY))
    town.engine.ask_about(SICK, [("default", "", "a"), ("default", "", "b")])
    whole = town.engine.full(SICK, town.now_ns)
    assert [(each.labels, each.truth) for each in whole.changes] == [(neuron("b"), 0)]
    town.step(2_000)
    assert town.news(SICK) == [] and town.gone(SICK) == ()
    town.step(10, town.name(A, "a"), town.sample(A, health=HEALTHY))
    town.step(1_000)
    assert town.news(SICK) == [(neuron("a"), 0, HEALTHY)]
    town.step(2_000)
    assert town.news(SICK) == []


def test_who_is_true_is_told_as_ever() -> None:
    """Asking changes nothing for those that a condition is true of, then false."""
    town = Town()
    town.watch(SICK)
    town.engine.ask_about(SICK, [("default", "", "a")])
    town.step(10, town.name(A, "a"), town.sample(A, health=CRITICAL))
    assert town.news(SICK) == [(neuron("a"), 1, CRITICAL)]
    town.step(10, town.sample(A, health=HEALTHY))
    assert town.news(SICK) == [(neuron("a"), 0, HEALTHY)]
    town.step(2_000)
    assert town.news(SICK) == []


def test_who_has_other_labels_is_another() -> None:
    """A neuron that has moved to another group is not the one that was asked about."""
    town = Town()
    town.watch(SICK)
    town.engine.ask_about(SICK, [("g", "h", "a")])
    town.step(10, town.name(A, "a", "other", "h"), town.sample(A, health=HEALTHY))
    town.step(1_000)
    assert town.news(SICK) == []
    town.step(10, town.name(A, "a", "g", "h"))
    town.step(1_000)
    assert town.news(SICK) == [(neuron("a", "g", "h"), 0, HEALTHY)]


def test_who_has_not_said_how_it_is_is_not_known() -> None:
    """Neither by a name, which agents repeat of the silent, nor by a sample without health.

    So it is after a restart of the aggregator: a critical neuron has not recovered by reporting.
    """
    town = Town()
    town.watch(SICK)
    town.engine.ask_about(SICK, [("default", "", "a")])
    town.step(10, town.name(A, "a"))
    town.step(1_000)
    assert town.news(SICK) == []
    town.step(10, town.sample(A, queue_depth=1))
    town.step(1_000)
    assert town.news(SICK) == [] and town.gone(SICK) == ()
    town.step(10, town.sample(A, health=HEALTHY))
    town.step(1_000)
    assert town.news(SICK) == [(neuron("a"), 0, HEALTHY)]


def test_who_never_said_how_it_is_is_unknown() -> None:
    """That is what it is; whether it is in any other state nobody knows, nor that it is in none."""
    texts = ("health == 'unknown'", "health != 'healthy'", "not health == 'critical'", SICK)
    town = Town()
    for text in texts:
        town.watch(text, lists_unknown=True)
    town.engine.register("state", parse_quantity("health_status"))

    def truths() -> list[list[float]]:
        return [[truth for _, truth, _ in town.news(text)] for text in texts]

    town.step(10, town.name(A, "a"), town.sample(A, queue_depth=1))
    assert truths() == [[1], [], [], []]
    assert town.news("state")[0][2] == 3
    town.step(10, town.sample(A, health=CRITICAL))
    assert truths() == [[0], [1], [], [1]]
    town.step(10, town.sample(A, health=3))  # which it says itself now
    assert truths() == [[1], [], [1], [0]]


def test_who_is_unknown_is_not_told_of() -> None:
    """A group that is there, and of which nothing is known that the condition reads."""
    town = Town()
    town.watch(QUEUE)
    town.engine.ask_about(QUEUE, [("g",)])
    town.step(10, town.name(A, "a", "g"), town.sample(A, cpu_usage_percent=1))
    town.step(PATIENCE_MS / 2)
    town.step(PATIENCE_MS / 2, town.sample(A, cpu_usage_percent=1))
    assert town.news(QUEUE) == [] and town.gone(QUEUE) == ()
    town.step(10, town.sample(A, queue_depth=1))
    town.step(1_000)
    ((labels, truth, _),) = town.news(QUEUE)
    assert (labels, truth) == ((("group", "g"),), 0)


@pytest.mark.parametrize(
    ("text", "values", "labels"),
    [
        (SICK, ("g", "h", "a"), neuron("a", "g", "h")),
        (QUEUE, ("g",), (("group", "g"),)),
        (QUEUE.replace("group", "host"), ("h",), (("host", "h"),)),
    ],
)
def test_who_never_comes_is_gone(text: str, values: tuple[str, ...], labels: object) -> None:
    """After as long as a neuron is silent before it is retired, whoever it was once."""
    town = Town()
    town.watch(text)
    town.step(10, town.name(A, "a", "g", "h"))
    town.step(10, town.event(A, DEACTIVATED))
    town.step(10)
    town.engine.ask_about(text, [values])
    town.step(PATIENCE_MS - 1_000)
    assert town.gone(text) == ()
    town.step(1_001)
    assert town.gone(text) == (labels,)
    town.step(PATIENCE_MS)
    assert town.gone(text) == ()


def test_many_are_looked_for_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many each second, so that batches wait for none of it; each has its turn."""
    monkeypatch.setattr(listing, "ASKED_AT_ONCE", 2)
    town, names = Town(), [f"n{number}" for number in range(5)]
    town.watch(SICK)
    town.engine.ask_about(SICK, [("default", "", name) for name in names])
    for name in reversed(names):
        town.step(10, town.name(name_to_id(name), name), town.sample(name_to_id(name), health=0))
    told = []
    for count in (2, 2, 1, 0):
        town.step(1_000)
        told.append(town.news(SICK))
        assert len(told[-1]) == count
    assert {labels for each in told for labels, _, _ in each} == {neuron(name) for name in names}


def test_all_together_are_always_there() -> None:
    """They have no labels, and are known once they were looked at."""
    town = Town()
    text = "errors > 5"
    town.watch(text)
    town.engine.ask_about(text, [()])
    town.step(1_001)
    ((labels, truth, value),) = town.news(text)
    assert (labels, truth) == ((), 0) and not math.isnan(value)


def test_other_labels_are_refused() -> None:
    """Entities of another scope, or of what is no condition, are a fault of who asks."""
    town = Town()
    town.watch(SICK)
    town.engine.ask_about(SICK, [("g", "h", "a")])
    with pytest.raises(ValueError, match="have the labels"):
        town.engine.ask_about(SICK, [("g",)])
