"""What clients of standing expressions are told: who is true, who is gone, who has most of it."""

import math

import numpy as np
import pytest
from naive_reflex import MS
from naive_windows import Item, to_records
from reflex_tools import CRITICAL, DEACTIVATED, ERROR, HEALTHY, Town, neuron

from rnts.kernels import sliding_state as words
from rnts.kernels.histogram import BUCKETS
from rnts.kernels.process_ids import PROCESS_BITS_BELOW, PROCESS_MARK
from rnts.model import Kind
from rnts.reflex.change import Update, Worst
from rnts.reflex.engine import Engine
from rnts.reflex.scope import CHUNK
from rnts.rules.condition import parse_condition, parse_quantity
from rnts.windows import Windows


def test_an_entity_is_told_of_from_when_it_is_true_until_it_is_false() -> None:
    """False from the start says nothing; true and then false are told once each."""
    town = Town()
    town.watch("queue_depth > 5")
    town.step(1, town.sample(1, queue_depth=1), town.sample(2, queue_depth=9))
    assert town.news("queue_depth > 5") == [(neuron("2"), 1.0, 9.0)]
    assert town.news("queue_depth > 5") == []

    town.step(1, town.sample(2, queue_depth=3))
    assert town.news("queue_depth > 5") == [(neuron("2"), 0.0, 3.0)]

    town.step(1, town.sample(2, queue_depth=2))
    assert town.news("queue_depth > 5") == []


def test_thousands_are_told_at_once_and_whoever_leaves_meanwhile() -> None:
    """More than are evaluated in one go are one update, whose tables follow when they are asked."""
    many = CHUNK + 500
    town, text = Town(2 * many), "queue_depth > 5"
    town.watch(text)

    def say(depth: int) -> list[Item]:
        return [town.sample(one, queue_depth=depth) for one in range(1, many + 1)]

    for leaver in (3, CHUNK + 7):
        town.step(1, *say(9))
        assert town.news(text) == [(neuron(str(one)), 1.0, 9.0) for one in range(1, many + 1)]
        town.step(1, town.event(leaver, DEACTIVATED))
        assert town.gone(text) == (neuron(str(leaver)),)
        assert len(town.engine.full(text, town.now_ns).changes) == many - 1
        town.step(1, *say(1))
        told = town.news(text)
        assert {labels for labels, _, _ in told} == {
            neuron(str(one)) for one in range(1, many + 1) if one != leaver
        }
        assert {truth for _, truth, _ in told} == {0.0} and town.news(text) == []
        assert town.engine.full(text, town.now_ns).changes == ()


def test_what_is_unknown_is_told_of_whoever_was_true() -> None:
    """A window that runs empty makes a true condition unknown, and keeps its entity listed."""
    town = Town()
    text = "max(queue_depth) over 50ms > 5 by neuron"
    town.watch(text)
    town.step(1, town.sample(1, queue_depth=9), town.sample(2, queue_depth=1))
    assert [truth for _, truth, _ in town.news(text)] == [1.0]

    town.step(100)
    ((labels, truth, value),) = town.news(text)
    assert labels == neuron("1") and math.isnan(truth) and math.isnan(value)
    assert len(town.engine.full(text, town.now_ns).changes) == 1

    town.step(1, town.sample(1, queue_depth=0))
    assert town.news(text) == [(neuron("1"), 0.0, 0.0)]
    assert town.engine.full(text, town.now_ns) == Update(text, town.now_ns, True, (), ())


def test_who_was_false_and_is_unknown_is_told_where_that_is_asked() -> None:
    """With `lists_unknown` silence is news of everybody whose truth was known."""
    town = Town()
    text = "max(queue_depth) over 50ms > 5 by neuron"
    town.watch(text, lists_unknown=True)
    town.step(1, town.sample(1, queue_depth=1), town.sample(2, memory_bytes=1))
    assert town.news(text) == []

    town.step(100)
    ((labels, truth, _),) = town.news(text)
    assert labels == neuron("1") and math.isnan(truth)

    town.step(1, town.sample(1, queue_depth=1))
    assert [told[1] for told in town.news(text)] == [0.0]


def test_values_of_what_stays_true_are_told_once_a_second() -> None:
    """A value that changes all the time is no flood."""
    town = Town()
    town.watch("queue_depth > 5")
    town.step(1, town.sample(1, queue_depth=9))
    town.news("queue_depth > 5")
    told = 0
    for depth in range(10, 110):
        town.step(20, town.sample(1, queue_depth=depth))
        told += len(town.news("queue_depth > 5"))
    assert 1 <= told <= 2


def test_neurons_that_leave_are_gone() -> None:
    """One that says that it leaves is gone at once, and new if it speaks again."""
    town = Town()
    text = "health_status == 'critical'"
    town.watch(text)
    town.step(1, town.sample(1, health=CRITICAL), town.sample(2, health=CRITICAL))
    assert len(town.news(text)) == 2

    town.step(1, town.event(1, DEACTIVATED))
    assert town.gone(text) == (neuron("1"),)

    town.step(1, town.sample(1, health=CRITICAL))
    assert town.news(text) == [(neuron("1"), 1.0, 2.0)]


def test_a_row_that_is_used_again_is_another_neuron() -> None:
    """Retired neurons are gone, and who takes their row has none of their windows."""
    town = Town(max_neurons=1, retire_after_ns=5_000 * MS)
    texts = ("errors over 1h > 0 by neuron", "count(queue_depth) over 1h > 1 by neuron")
    for text in texts:
        town.watch(text)
    town.step(1, town.event(1, ERROR), *[town.sample(1, queue_depth=1)] * 2)
    assert [town.news(text)[0][0] for text in texts] == [neuron("1")] * 2

    town.steady_ns += 60_000 * MS
    town.windows.advance(town.now_ns, complete=True)
    assert town.windows.population.known == 0
    town.step(1, town.sample(7, queue_depth=1))
    assert [town.gone(text) for text in texts] == [(neuron("1"),)] * 2
    town.step(1, town.event(7, ERROR))
    assert town.news(texts[0]) == [(neuron("7"), 1.0, 1.0)]
    assert town.news(texts[1]) == []


def test_a_neuron_that_moves_is_told_under_its_new_labels() -> None:
    """The old labels are gone, and the new ones are as true as they were."""
    town = Town()
    town.watch("queue_depth > 5")
    town.step(1, town.sample(1, queue_depth=9))
    town.news("queue_depth > 5")

    town.step(1, town.name(1, "ann", "a", "h"))
    update = town.engine.take("queue_depth > 5", town.now_ns)
    assert update is not None and update.gone == (neuron("1"),)
    assert [one.labels for one in update.changes] == [neuron("ann", "a", "h")]


def test_groups_without_neurons_are_gone() -> None:
    """The last neuron of a group takes what is told of the group with it."""
    town = Town()
    text = "critical_neurons > 0 by group"
    town.watch(text)
    town.step(1, town.name(1, "ann", "a"), town.sample(1, health=CRITICAL))
    assert town.news(text) == [((("group", "a"),), 1.0, 1.0)]

    town.step(1, town.event(1, DEACTIVATED))
    assert town.gone(text) == ((("group", "a"),),)


def test_the_worst_neurons_are_named_with_their_share() -> None:
    """Of what becomes true of several, those with the largest part of what is shown."""
    town = Town()
    rules = ("errors over 1s > 9 by group", "mean(processing_time_ms) over 1s > 1 by group")
    for text in rules:
        town.watch(text)
    names = [town.name(one, f"n{one}", "a") for one in range(1, 6)]
    errors = [town.event(one, ERROR) for one in range(1, 6) for _ in range(one)]
    slow = [town.sample(one, processing_time_ns=one * 10**6) for one in range(1, 6)]
    town.step(1, *names, *errors, *slow)

    for text, unit in zip(rules, (1.0, 1e6), strict=True):
        update = town.engine.take(text, town.now_ns)
        assert update is not None
        assert update.changes[0].worst == tuple(
            Worst(f"n{one}", one * unit, one / 15) for one in (5, 4, 3)
        )


def test_the_worst_of_states_and_extremes() -> None:
    """Of neurons in a state some are named; of a maximum those that are nearest to it."""
    town = Town()
    rules = ("critical_neurons >= 2 by all", "max(queue_depth) over 1s > 5 by all")
    for text in rules:
        town.watch(text)
    town.step(1, *[town.sample(one, health=CRITICAL, queue_depth=4 * one) for one in (1, 2)])
    first, second = (town.engine.take(text, town.now_ns) for text in rules)
    assert first is not None and second is not None
    assert {one.share for one in first.changes[0].worst} == {0.5}
    assert second.changes[0].worst == (Worst("2", 8.0, 1.0), Worst("1", 4.0, 0.5))


@pytest.mark.parametrize("scope", ["host", "all"])
def test_processes_that_are_only_looked_at_do_not_dilute_the_error_rate(scope: str) -> None:
    """They report no errors: how often they run says nothing of the share that fails."""
    town, process = Town(), PROCESS_MARK << PROCESS_BITS_BELOW | 7
    town.watch(f"error_rate > 0.4 by {scope}")
    town.watch(f"rate(activation_count) > 1000 by {scope}")
    town.step(0, *(town.name(one, f"n{one}", host="h") for one in (1, process)))
    for count in range(3):
        said = {1: count * 10, process: count * 10_000}
        errors = [town.event(1, ERROR)] * (count * 5)
        town.step(10, *(town.sample(one, activation_count=n) for one, n in said.items()), *errors)
    [(_, truth, value)] = town.news(f"error_rate > 0.4 by {scope}")
    assert (truth, value) == (1, 0.75)
    assert town.news(f"rate(activation_count) > 1000 by {scope}")


def test_a_thousand_flips_at_once() -> None:
    """All are told in one update, and so is their recovery."""
    town = Town()
    text = "health_status == 'critical'"
    town.watch(text)
    for health, truth in ((CRITICAL, 1.0), (HEALTHY, 0.0)):
        town.step(1, *[town.sample(one, health=health) for one in range(1, 1_001)])
        told = town.news(text)
        assert len({labels for labels, _, _ in told}) == 1_000
        assert {one for _, one, _ in told} == {truth}


def test_quantities_are_told_from_the_largest_to_the_limit() -> None:
    """The rest is counted, and whoever is pushed out is gone."""
    town = Town()
    town.engine.register("depth", parse_quantity("queue_depth"), limit=2)
    town.step(1, *[town.sample(one, queue_depth=one) for one in (1, 2, 3)])
    update = town.engine.take("depth", town.now_ns)
    assert update is not None and update.omitted == 1
    assert [(one.labels, one.value) for one in update.changes] == [
        (neuron("3"), 3.0),
        (neuron("2"), 2.0),
    ]
    town.step(1, town.sample(1, queue_depth=9))
    update = town.engine.take("depth", town.now_ns)
    assert update is not None and update.gone == (neuron("2"),) and update.omitted == 1
    assert [(one.labels, one.value) for one in update.changes] == [(neuron("1"), 9.0)]
    assert town.engine.take("depth", town.now_ns) is None


def test_of_states_the_worst_are_told() -> None:
    """However many never said how they are, they push out nobody who is critical."""
    town = Town()
    town.engine.register("health", parse_quantity("health_status"), limit=3)
    silent = [town.sample(number, queue_depth=1) for number in range(1, 6)]
    said = [town.sample(7 + state, health=state) for state in (0, 1, 2)]
    town.step(1, *silent, *said)

    update = town.engine.full("health", town.now_ns)

    assert [change.value for change in update.changes] == [2, 1, 3]
    assert update.omitted == 5


def test_memory_is_refused_with_its_figures_and_nothing_changes() -> None:
    """An expression that does not fit leaves no trace, and what stood under its key stands."""
    town = Town(max_neurons=100_000)
    town.engine = Engine(town.windows.population, memory_bytes_max=20_000_000)
    town.engine.register("key", parse_quantity("queue_depth"))
    held = town.engine.memory_bytes
    with pytest.raises(ValueError, match=r"p99\(processing_time_ns\).* bytes .*20000000"):
        town.engine.register("key", parse_quantity("p99(processing_time_ns) by neuron"))
    assert town.engine.memory_bytes == held
    assert town.engine.full("key", 0).changes == ()


def test_what_another_scope_takes_the_place_of_is_evaluated_no_more() -> None:
    """Its memory is given back, and may be anybody's by then."""
    town = Town()
    for text in ("queue_depth > 1 by neuron", "errors > 1 by group", "records by host"):
        town.engine.register("key", parse_quantity(text))
        town.step(1, town.sample(1, queue_depth=5))
        evaluated = [one.condition.text for scope in town.engine._scopes for one in scope.standing]
        assert evaluated == [text]


def test_expressions_share_what_they_read_and_give_it_back() -> None:
    """The same reading twice takes its series once; with the last expression all is free."""
    town = Town()
    town.engine.register(1, parse_condition("mean(queue_depth) > 1 by neuron"))
    once = town.engine.memory_bytes
    town.engine.register(2, parse_condition("mean(queue_depth) > 2 by neuron"))
    codes_and_values = 2 * 4096 * -(-2_001 * 8 // 4096)
    assert town.engine.memory_bytes - once < codes_and_values
    town.engine.register(2, parse_condition("mean(queue_depth) > 3 by neuron"))
    town.engine.remove(1)
    town.engine.remove(2)
    town.engine.remove(2)
    assert town.engine.memory_bytes == 0


def test_old_news_and_what_was_counted_before_enter_no_window() -> None:
    """They are no reason to act now; old news is counted, and tells last values all the same."""
    town = Town()
    town.windows = Windows(10_000 * MS, (50,), max_neurons=10)
    town.engine = town.windows.reflex
    texts = ("records over 1s", "queue_depth")
    for text in texts:
        town.engine.register(text, parse_quantity(text))
    town.engine.arrive(town.now_ns, town.steady_ns)
    old = Item(1, town.now_ns - 5_001 * MS, Kind.SAMPLE, {"queue_depth": 4})
    town.windows.fold(to_records([old, town.sample(1, queue_depth=5)]), town.now_ns)
    town.windows.fold(to_records([old]), town.now_ns, counted_before=2**62)
    town.engine.evaluate(town.now_ns, town.steady_ns)

    assert [one.value for one in town.engine.full(texts[0], 0).changes] == [1.0]
    assert [one.value for one in town.engine.full(texts[1], 0).changes] == [5.0]
    assert town.engine.stale == 1


def test_a_histogram_that_ran_empty_holds_nothing_at_all() -> None:
    """What was added is taken away exactly, also with weights that are no round numbers."""
    town = Town()
    town.engine.register(1, parse_quantity("p50(queue_depth) over 50ms by all"))
    for turn in range(40):
        weight = float(np.float32(1 / 0.3))
        samples = [town.sample(1, queue_depth=turn * 7 + k, weight=weight) for k in range(5)]
        town.step(7, *samples)
    town.step(1_000, town.sample(1, queue_depth=3))
    _, plan, cells = town.engine.arrays[:3]
    (row,) = (plan[:, words.STATISTIC] == words.HISTOGRAM).nonzero()[0]
    first = plan[row, words.CELLS] + plan[row, words.PANES] * words.HISTOGRAM_WORDS
    total = cells[first : first + BUCKETS]
    assert total.sum() == 1.0 and (total != 0).sum() == 1


def test_a_weight_beyond_reason_leaves_no_trace() -> None:
    """What was there before and with it is counted again when it has left the window."""
    town = Town()
    text = "p50(queue_depth) over 50ms by all"
    town.engine.register(text, parse_quantity(text))
    town.step(10, *(town.sample(1, queue_depth=7) for _ in range(5)))
    town.step(10, town.sample(1, queue_depth=7, weight=1e30))
    for _ in range(10):
        town.step(20, town.sample(1, queue_depth=7), *[town.sample(1, queue_depth=900)] * 2)
    ((value),) = [one.value for one in town.engine.full(text, town.now_ns).changes]
    assert value == pytest.approx(900, rel=0.01)
    _, plan, cells = town.engine.arrays[:3]
    (row,) = (plan[:, words.STATISTIC] == words.HISTOGRAM).nonzero()[0]
    first = plan[row, words.CELLS] + plan[row, words.PANES] * words.HISTOGRAM_WORDS
    assert (cells[first : first + BUCKETS] >= 0).all()


def test_others_are_looked_at_without_being_touched() -> None:
    """Silence makes things true within the time of a sweep, however little comes."""
    town = Town()
    text = "absent(queue_depth, 100ms) by neuron"
    town.watch(text)
    town.step(1, town.sample(1, queue_depth=1))
    for _ in range(20):
        town.step(10, town.sample(2, queue_depth=1))
    assert [labels for labels, _, _ in town.news(text)] == [neuron("1")]


@pytest.mark.parametrize(
    ("text", "bytes_of_neuron"),
    [
        ("queue_depth", 0),
        ("max(queue_depth) by neuron", 64),
        ("mean(queue_depth) by neuron", 128),
        ("error_rate by neuron", 256),
        ("p99(processing_time_ms) by neuron", 4_376),
        ("absent(queue_depth) by neuron", 8),
        ("delta(queue_depth) by neuron", 64),
    ],
)
def test_an_expression_costs_what_is_documented(text: str, bytes_of_neuron: int) -> None:
    """The bytes a neuron of docs/rules.md, "What it costs", and nine for each expression."""
    town = Town(max_neurons=9_999)
    town.engine.register(text, parse_quantity(text))
    assert town.engine.memory_bytes == 10_000 * (bytes_of_neuron + 9)
