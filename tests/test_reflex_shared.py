"""Expressions that share what they read are right from their first value on, whoever was first."""

from collections.abc import Callable

import pytest
from naive_windows import Item
from reflex_tools import ERROR, Town
from test_certainty import certainty, told

from rnts.rules.condition import parse_condition, parse_quantity

Say = Callable[[Town, int], list[Item]]


def says(town: Town, number: int) -> list[Item]:
    """What one neuron reports each time: the same levels, four activations, and an error."""
    sample = town.sample(1, queue_depth=10, processing_time_ns=1_000, activation_count=4 * number)
    return [sample, town.event(1, ERROR)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("count(queue_depth) > 1e9", "mean(queue_depth)", 10.0),
        ("p99(processing_time_ns) > 1e9 by group", "mean(processing_time_ns) by neuron", 1_000.0),
        ("mean(queue_depth) < 0 by host", "mean(queue_depth) by neuron", 10.0),
        ("errors > 1e9 by neuron", "error_rate by neuron", 0.25),
        ("rate(activation_count) > 1e9 by group", "error_rate by neuron", 0.25),
    ],
)
def test_who_joins_later_takes_of_the_same_records_all_or_nothing(
    first: str, second: str, expected: float
) -> None:
    """An expression of which one series was kept before is unknown or right, and never a multiple.

    Sums of a second over weights of a few milliseconds were forty times the mean.
    """
    town = Town()
    town.watch(first)
    for number in range(40):
        town.step(10, *says(town, number))
    town.engine.register("later", parse_quantity(second), is_condition=False)

    found = []
    for number in range(40, 120):
        town.step(10, *says(town, number))
        found += [change.value for change in told(town, "later")]

    assert len(found) >= 60  # unknown for a sixth of the window at most
    assert found == pytest.approx([expected] * len(found))


@pytest.mark.parametrize("has_room", [True, False])
def test_who_joins_later_need_not_wait_for_a_long_pane(has_room: bool) -> None:
    """Of ten minutes' panes a reading has series of its own, if there is memory, and they go with
    it; otherwise it waits."""
    town = Town()
    town.step(0)
    town.watch("p99(processing_time_ns) over 1h > 1e9 by group")
    for number in range(20):
        town.step(10, *says(town, number))
    before = town.engine.memory_bytes
    if not has_room:
        rows = town.engine._store.capacity[0]
        town.engine._store.arena.bytes_max = before + (64 + 8 + 2) * rows + 3 * 4_096
    text = "mean(processing_time_ns) over 1h by neuron"
    town.engine.register("later", parse_quantity(text), is_condition=False)
    town.engine.register("too", parse_quantity(text), is_condition=False) if has_room else None

    town.step(10, *says(town, 20))
    town.step(10, *says(town, 21))

    assert [change.value for change in told(town, "later")] == ([1_000.0] if has_room else [])
    if has_room:
        town.engine.remove("too")
    town.engine.remove("later")
    assert town.engine.memory_bytes == before


def test_who_joins_later_claims_no_interval_that_it_cannot_know() -> None:
    """What was left out of a count before its excess was kept is in no interval: it is unknown."""
    town = Town()
    town.step(0)
    town.watch("mean(queue_depth) > 1e9")
    for _ in range(40):
        town.step(10, town.sample(1, queue_depth=1, weight=4.0))
    town.engine.register("later", parse_quantity("count(queue_depth)"), is_condition=False)

    for _ in range(10):
        town.step(10, town.sample(1, queue_depth=1, weight=4.0))
    early = certainty(town, "later")
    for _ in range(100):
        town.step(10, town.sample(1, queue_depth=1, weight=4.0))
    late = certainty(town, "later")

    assert early.low is None and early.high is None
    assert early.effective_samples == pytest.approx(50 * 4 / 3, rel=0.2)
    assert late.low is not None and late.high is not None
    assert late.low < 4 * 101 < late.high


def test_the_rate_of_a_newcomer_is_over_the_time_since_it_came() -> None:
    """A neuron that counts a hundred a second does so in its first second, too; other neurons and
    how long their windows were held have nothing to do with that."""
    town = Town()
    text = "rate(activation_count) over 1s < 50 by neuron"
    town.watch(text)
    for number in range(150):
        town.step(10, town.sample(1, activation_count=number))
    assert town.news(text) == []

    for number in range(120):
        others = town.sample(1, activation_count=150 + number)
        town.step(10, town.sample(2, activation_count=number), others)
        if number >= 20:  # a pane of it: before that, it is over one
            assert not town.engine.full(text, town.now_ns).changes


def test_who_asks_for_hundreds_is_told_at_once_and_asked_for_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a batch only what it changed is looked at: of the others not even their values."""
    town = Town()
    texts = [f"queue_depth > {number}" for number in range(300)]
    for text in texts:
        town.engine.register(text, parse_condition(text))
    town.step(1_000, town.sample(1, queue_depth=100))
    assert sum(bool(town.news(text)) for text in texts) == 100
    looked_at: list[str] = []
    found = town.engine._found
    monkeypatch.setattr(
        town.engine, "_found", lambda one: (looked_at.append(one.condition.text), found(one))[1]
    )

    town.step(1, town.sample(1, queue_depth=101))

    assert [text for text in texts if town.news(text)] == ["queue_depth > 100"] == looked_at
