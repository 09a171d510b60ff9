"""From what an aggregator tells to samples of alerts: what holds, is over, or is not known."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_fed import ENTITY, FIRES, RESOLVES, Fed
from alert_source import update
from alert_tools import EPOCH, NAN, RULE, SECOND

from rnts.alerts.feed import RESOLVE, query_key
from rnts.alerts.rule import Rule


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Any]:
    """Makes one of rules."""
    made: list[Fed] = []

    def make(*rules: Rule) -> Fed:
        made.append(Fed(tmp_path, *rules))
        return made[-1]

    yield make
    for each in made:
        each.bench.memory.close()


def test_an_update_is_handed_in_at_once(fed: Any) -> None:
    """Truth, value and worst neurons of an update are in the next tick's notification."""
    it = fed()
    it.tell({ENTITY: 1})
    assert it.bench.tick() == [FIRES]
    (told,) = it.bench.delivered.got
    assert told.alerts[0]["labels"] == {"group": "a", "host": "h", "neuron": ENTITY}
    assert told.worst == [{"entity": ENTITY, "value": 2.0, "share": 0.5}]
    assert told.alerts[0]["since_event_ns"] == EPOCH + it.bench.now_ns
    it.tell({ENTITY: 0})
    assert it.bench.tick() == [RESOLVES]


def test_what_is_listed_holds_until_it_is_told_otherwise(fed: Any) -> None:
    """`for` counts although the aggregator says nothing new, since it says that it is alive."""
    it = fed(replace(RULE, for_ns=3 * SECOND))
    it.tell({ENTITY: 1}, is_full=True)
    assert it.steps(3) == [FIRES]
    assert it.steps(20) == [] and it.state == "firing"
    assert not it.bench.lives[("hot", ENTITY)].is_without_data


def test_for_ends_between_intervals(fed: Any) -> None:
    """An alert whose time is over does not wait for the interval: the next sign of life does."""
    it = fed(replace(RULE, for_ns=SECOND // 2, interval_ns=60 * SECOND))
    it.tell({ENTITY: 1})
    assert it.step(0.3) == [] and it.step(0.1) == []
    assert it.step(0.1) == [FIRES]


def test_silence_of_the_aggregator_is_silence(fed: Any) -> None:
    """While it is not heard nothing is handed in: `for` stands still, and there is no data."""
    it = fed(replace(RULE, for_ns=10 * SECOND))
    it.tell({ENTITY: 1}, is_full=True)
    it.steps(2)
    assert it.steps(60, is_live=False) == []
    assert it.state == "pending" and it.bench.lives[("hot", ENTITY)].is_without_data


def test_unknown_is_not_over(fed: Any) -> None:
    """An entity that is listed as unknown keeps its alert, which is without data after a while."""
    it = fed()
    it.tell({ENTITY: 1})
    assert it.step() == [FIRES]
    it.tell({ENTITY: NAN})
    assert it.steps(10) == []
    assert it.state == "firing" and it.bench.lives[("hot", ENTITY)].is_without_data


def test_entity_that_left(fed: Any) -> None:
    """Who is gone is resolved with that reason, and its alerts of other rules too."""
    it = fed(RULE, replace(RULE, name="other"))
    for rule in ("hot", "other"):
        it.tell({ENTITY: 1, "a/n2": 1}, rule)
    it.step()
    it.tell(gone=(ENTITY,))
    it.tell(rule="other", gone=(ENTITY,))
    assert it.bench.tick() == [RESOLVES, "other resolved 1"]
    assert {a["reason"] for each in it.bench.delivered.got[-2:] for a in each.alerts} == {"left"}
    assert it.bench.lives[("hot", "a/n2")].state == "firing"


def test_a_group_that_left_takes_its_neurons_with_it(fed: Any) -> None:
    """Whoever has all labels of what is gone is over."""
    it = fed()
    it.tell({ENTITY: 1, "b/n1": 1, "a/": 1})
    it.step()
    it.tell(gone=("a/",))
    it.bench.tick()
    states = {key[1]: life.state for key, life in it.bench.lives.items() if life.is_active}
    assert states == {"b/n1": "firing"}


def test_recovery_that_has_to_hold(fed: Any) -> None:
    """`keep_firing_for` counts although an entity that is false is not listed any more."""
    it = fed(replace(RULE, keep_firing_ns=5 * SECOND))
    it.tell({ENTITY: 1}, is_full=True)
    assert it.step() == [FIRES]
    it.steps(5)
    it.tell({ENTITY: 0})
    assert it.steps(4) == [] and it.state == "recovering"
    assert it.steps(1) == [RESOLVES]


def test_recovery_by_a_second_condition(fed: Any) -> None:
    """With `resolve_when` it is over only when that is true, wherever that is told first."""
    it = fed(replace(RULE, has_resolve_when=True, resolve_when="load < 0.5"))
    it.tell({ENTITY: 1}, is_full=True)
    it.tell(kind=RESOLVE, is_full=True)
    assert it.step() == [FIRES]
    it.tell({ENTITY: 0})
    assert it.steps(10) == [] and it.state == "recovering"
    it.tell({ENTITY: NAN}, kind=RESOLVE)
    assert it.steps(3) == []
    it.bench.now_ns += SECOND // 10
    it.tell({ENTITY: 1}, kind=RESOLVE)
    assert it.bench.tick() == [RESOLVES]


def test_false_and_recovered_at_once(fed: Any) -> None:
    """Both conditions may change in one evaluation, in whatever order that is told."""
    it = fed(replace(RULE, has_resolve_when=True, resolve_when="load < 0.5"))
    it.tell({ENTITY: 1}, is_full=True)
    it.tell(kind=RESOLVE, is_full=True)
    assert it.step() == [FIRES]
    at_ns = EPOCH + it.bench.now_ns + SECOND // 10
    it.take(update("hot", {ENTITY: 0}, at_ns), update("hot", {ENTITY: 1}, at_ns, kind=RESOLVE))
    assert it.bench.tick() == [RESOLVES]


def test_silence_as_an_alert(fed: Any) -> None:
    """With `no_data: alert` an entity that falls silent fires, though it never did before."""
    it = fed(replace(RULE, no_data="alert"))
    it.tell(is_full=True)
    assert it.steps(10) == []
    it.tell({ENTITY: NAN})
    assert it.steps(2) == [] and it.steps(2) == [FIRES]
    assert it.bench.delivered.got[0].alerts[0]["reason"] == "no data"
    it.tell({ENTITY: 0})
    assert it.step() == [RESOLVES]
    assert it.steps(10) == []  # it is heard: false is told each interval


def test_reload(fed: Any) -> None:
    """Rules that ask the same keep what is known of them; others wait to be told anew."""
    other = replace(RULE, name="other")
    it = fed(RULE, other)
    for rule in ("hot", "other"):
        it.tell({ENTITY: 1}, rule, is_full=True)
    it.step()
    it.bench.table.reload([RULE, replace(other, condition="load > 2")])
    it.feed.reload(it.bench.table.lives.rules)
    assert it.steps(10) == ["other resolved 1"]
    assert not it.bench.lives[("hot", ENTITY)].is_without_data
    it.tell({ENTITY: 1}, "gone")
    assert it.bench.table.counts["updates_unknown"] == 1


def test_a_storm_of_departures_is_one_look(fed: Any) -> None:
    """Thousands that leave at once end thousands of alerts, in one notification a group."""
    it = fed(replace(RULE, limit=10_000))
    names = [f"a/n{number}" for number in range(3_000)]
    it.tell(dict.fromkeys(names, 1))
    assert it.step() == ["hot firing 3000"]
    it.tell(gone=tuple(names))
    assert it.bench.tick() == ["hot resolved 3000"]


def test_keys_have_the_length_that_queries_take() -> None:
    """Names of rules may be as long as keys; the key of a longer one is its digest."""
    assert query_key(RESOLVE, "slow") == "resolve/slow"
    long = query_key(RESOLVE, "x" * 255)
    assert len(long) <= 255 and long != query_key(RESOLVE, "y" * 255)


def test_who_is_beyond_a_limit_may_be_true_no_longer(fed: Any) -> None:
    """Where all is told anew nobody says that these are false: they are, once windows are full."""
    it = fed(replace(RULE, limit=2))
    it.tell({}, is_full=True)
    it.tell({f"a/n{number}": 1 for number in range(5)})
    assert it.step() == [FIRES, "hot firing 2"]
    listed = [dict(key.labels).get("neuron") for key in it.bench.table.lives.by_key]
    it.tell({name: 0 for name in listed if name}, is_full=True)
    it.tell({name: 0 for name in listed if name})
    told = it.steps(8)
    assert told.count("hot resolved 2") == 1 and told.count(RESOLVES) == 1
    assert not any(life.is_active for life in it.bench.lives.values())
