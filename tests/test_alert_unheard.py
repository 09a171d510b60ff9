"""Entities with alerts of which an aggregator that tells everything anew has not heard yet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_fed import ENTITY, FIRES, RESOLVES, Fed
from alert_source import labels_of
from alert_tools import NAN, RULE, SECOND

from rnts.alerts.feed import CONDITION
from rnts.alerts.rule import Rule
from rnts.standing.query import ABOUT_MAX, Query, pack_queries


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Any]:
    """Makes one whose entity fires, and of whom a new aggregator knows nothing."""
    made: list[Fed] = []

    def make(rule: Rule = RULE) -> Fed:
        it = Fed(tmp_path, rule)
        made.append(it)
        it.tell({ENTITY: 1}, is_full=True)
        assert it.step() == [FIRES]
        it.tell(is_full=True)
        return it

    yield make
    for each in made:
        each.bench.memory.close()


def reason(it: Fed) -> str:
    """Why the alert that was told of last is over."""
    return str(it.bench.delivered.got[-1].alerts[0]["reason"])


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize(
    ("policy", "told"),
    [("keep", []), ("alert", []), ("ok", [RESOLVES]), ("resolve", [RESOLVES])],
)
def test_who_is_never_heard_again_has_no_data(
    fed: Any, policy: str, told: list[str], is_restarted: bool
) -> None:
    """What the rule says of no data is done, and nobody hears of a recovery that nobody saw."""
    it = fed(replace(RULE, no_data=policy))
    if is_restarted:
        it.restart()
        it.tell(is_full=True)
    assert it.steps(60) == told
    if told:
        assert reason(it) == "no data" and it.state == "resolved"
    else:
        assert it.state == "firing" and it.bench.lives[("hot", ENTITY)].is_without_data


@pytest.mark.parametrize("is_restarted", [False, True])
def test_who_is_heard_again_goes_on_firing(fed: Any, is_restarted: bool) -> None:
    """Within the time of the policy it is the same episode, of which nobody is told again."""
    it = fed(replace(RULE, no_data="resolve"))
    assert it.steps(2) == []
    if is_restarted:
        it.restart()
        it.tell(is_full=True)
    it.tell({ENTITY: 1})
    assert it.steps(10) == [] and it.state == "firing"
    assert not it.bench.lives[("hot", ENTITY)].is_without_data
    it.tell({ENTITY: 0})
    assert it.step() == [RESOLVES] and reason(it) == "recovered"


def test_who_is_said_to_be_false_recovers_when_windows_are_full(fed: Any) -> None:
    """The windows of an aggregator that has just begun are empty: that is no recovery either."""
    it = fed(replace(RULE, window_ns=5 * SECOND))
    it.step()
    it.tell({ENTITY: 0})
    assert it.steps(6) == [] and it.state == "firing"
    assert it.steps(1) == [RESOLVES] and reason(it) == "recovered"


def test_who_is_true_again_before_windows_are_full_is_true(fed: Any) -> None:
    """False while windows are empty and then true: what it is after that counts at once."""
    it = fed(replace(RULE, window_ns=30 * SECOND))
    it.tell({ENTITY: 0})
    it.step()
    it.tell({ENTITY: 1})
    assert it.steps(3) == [] and it.state == "firing"
    it.tell({ENTITY: 0})
    assert it.step() == [RESOLVES]


def test_who_is_known_and_false_is_over(fed: Any) -> None:
    """An alert that is remembered, and whose entity recovered while nobody looked, is resolved."""
    it = fed()
    it.restart()
    assert it.steps(5) == [] and it.state == "firing"  # nothing was told yet
    it.tell({ENTITY: 0}, is_full=True)
    assert it.steps(3) == []
    assert it.steps(1) == [RESOLVES] and reason(it) == "recovered"


def test_who_is_unknown_is_not_over(fed: Any) -> None:
    """The aggregator knows who it is, and nothing of what the rule reads: there are no data."""
    it = fed()
    it.tell({ENTITY: NAN})
    assert it.steps(20) == [] and it.bench.lives[("hot", ENTITY)].is_without_data


def test_who_never_comes_back_has_left(fed: Any) -> None:
    """The aggregator gives up waiting as for a neuron that is silent, and says that it is gone."""
    it = fed()
    it.steps(5)
    it.tell(gone=(ENTITY,))
    assert it.bench.tick() == [RESOLVES] and reason(it) == "left"


def test_who_left_and_came_back_at_once_has_not_left(fed: Any) -> None:
    """One update may say that an entity is gone and that it is true: it is there."""
    it = fed()
    it.tell({ENTITY: 1}, gone=(ENTITY,))
    assert it.steps(3) == [] and it.state == "firing"


def test_entities_that_are_asked_about(fed: Any) -> None:
    """Those with alerts, by the values of their labels, under the keys that are asked for."""
    it = fed(replace(RULE, limit=2 * ABOUT_MAX))
    key = CONDITION + "hot"
    values = tuple(value for _, value in labels_of(ENTITY))
    assert it.feed.about([key, "resolve/hot", "unknown"]) == {key: [values]}
    it.tell({f"a/m{number}": 1 for number in range(ABOUT_MAX)})
    it.bench.tick()
    assert len(it.feed.about([key])[key]) == ABOUT_MAX
    assert it.bench.table.counts["not_asked"] == 1


def test_what_is_asked_fits_into_a_message(fed: Any) -> None:
    """Names may be long: of so many characters of labels only, as they stand in a document."""
    it = fed(replace(RULE, limit=2 * ABOUT_MAX))
    key = CONDITION + "hot"
    it.tell({f"{'ü' * 120}/{number}": 1 for number in range(1_000)})
    it.bench.tick()
    asked = len(it.feed.about([key])[key])
    assert 300 < asked < 1_001 and it.bench.table.counts["not_asked"] == 1_001 - asked
    about = {key: it.feed.about([key])[key]}
    assert len(pack_queries({key: Query("queue_depth > 1", True)}, about)) < 1 << 20


def test_nobody_asks_about_those_beyond_a_limit(fed: Any) -> None:
    """The one alert for all of them is about no entity, also where silence is an alert."""
    it = fed(replace(RULE, limit=1, no_data="alert"))
    it.tell({ENTITY: 1, "a/n2": 1})
    assert it.step() == [FIRES]
    assert it.steps(5) == []
    assert [len(life.flips) for life in it.bench.lives.values()] == [1, 1]
    assert len(it.feed.about([CONDITION + "hot"])[CONDITION + "hot"]) == 1
