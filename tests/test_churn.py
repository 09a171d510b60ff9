"""Groups and hosts come and go: few at a time, far more in all than there are places for."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from alert_tools import RULE, Bench
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import Item
from reflex_tools import CRITICAL, DEACTIVATED, HEALTHY, Town

from rnts import population as population_module
from rnts.alerts.feed import Feed
from rnts.places import OTHER, Places
from rnts.rules.condition import parse_condition

MS = 1_000_000
SECOND = 1_000 * MS
PLACES = 14
ALIVE, LIFE_S = 4, 4  # entities at a time, each of which lives so long
TOTAL = 60
RECORDS = "records over 10s"


@pytest.fixture(autouse=True)
def few_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many places for hosts as for groups."""
    monkeypatch.setattr(population_module, "HOSTS_MAX", PLACES)


def town(**others: object) -> Town:
    """A population whose groups are given up two seconds after their last neuron."""
    options = {"max_groups": PLACES, "retire_after_ns": 2 * SECOND, "unsealed": 2, **others}
    found = Town(100, **options)
    found.windows.digests.is_on = True
    return found


class Churn:
    """A town in which one entity begins each second; how much it says is its own."""

    def __init__(self, says_goodbye: bool) -> None:
        self.town, self._says_goodbye = town(), says_goodbye
        self.emitted: dict[int, Counter[str]] = {}  # by window and group
        self.of_entity: Counter[str] = Counter()

    def seconds(self) -> Iterator[int]:
        """Go on by a second, fold what is said in it, and close what is over."""
        it = self.town
        for second in range(TOTAL):
            first = max(0, second - LIFE_S + 1)
            items = [it.name(second + 1, f"n{second}", f"e{second}", f"e{second}")]
            for number in range(first, second + 1):
                items += [it.sample(number + 1, queue_depth=number) for _ in range(number % 5 + 1)]
            if self._says_goodbye and first > 0:
                items.append(it.event(first, DEACTIVATED))
            it.step(0, *items)
            window = it.now_ns // SECOND
            for item in items[1:]:
                name = f"e{item.neuron_id - 1}"
                self.of_entity[name] += 1
                self.emitted.setdefault(window, Counter())[name] += 1
            yield second
            it.step(1_000)
            it.windows.advance(it.now_ns, complete=True)


@pytest.mark.parametrize("says_goodbye", [False, True])
def test_nobody_ends_in_other_and_nothing_is_attributed_to_another(says_goodbye: bool) -> None:
    """Each window names whose records it has, and windows that slide, longer than any life, have
    those of one entity only, though its place was another one's a moment ago."""
    churn = Churn(says_goodbye)
    engine, population = churn.town.engine, churn.town.windows.population
    texts = [f"{RECORDS} > 0 by {scope}" for scope in ("group", "host")]
    for text in (*texts, "p99_processing_time_ms over 10s > 1 by group"):
        churn.town.watch(text)
    for second in churn.seconds():
        for places in (population.groups, population.host_places):
            assert places.find(f"e{second}") not in (None, OTHER)
        for text in texts:
            found = {one.labels[0][1]: one.value for one in engine.full(text, 0).changes}
            assert found[f"e{second}"] == churn.of_entity[f"e{second}"]
            assert all(found[name] == churn.of_entity[name] for name in found)
            assert len(found) >= min(second + 1, ALIVE)
    assert population.groups.given_up > TOTAL - 2 * PLACES
    assert population.host_places.given_up == population.groups.given_up
    told = {
        digest.window: Counter(dict(zip(digest.groups, digest.words[:, 1].tolist(), strict=True)))
        for digest in churn.town.windows.digests.fetch()
    }
    assert {window: +counts for window, counts in told.items()} == churn.emitted


def test_who_watches_is_told_that_a_group_is_gone_and_that_another_is_there() -> None:
    """Standing queries hear of both ends under their names; what is false of the new one is not
    what was true of the old one."""
    it = town(max_groups=1)
    it.watch("critical_neurons > 0 by group")
    it.step(0, it.name(1, "a", "old"), it.sample(1, health=CRITICAL))
    assert it.news("critical_neurons > 0 by group") == [((("group", "old"),), 1.0, 1.0)]
    it.step(10, it.event(1, DEACTIVATED))
    assert it.gone("critical_neurons > 0 by group") == ((("group", "old"),),)
    for _ in range(8):
        it.step(1_000)
        it.windows.advance(it.now_ns, complete=True)
    it.step(0, it.name(2, "b", "new"), it.sample(2, health=HEALTHY))
    assert it.windows.population.group_names == ["default", "other", "new"]
    assert not it.news("critical_neurons > 0 by group")
    it.step(10, it.sample(2, health=CRITICAL))
    assert it.news("critical_neurons > 0 by group") == [((("group", "new"),), 1.0, 1.0)]


def test_an_alert_of_a_group_that_is_gone_has_not_recovered(tmp_path: Path) -> None:
    """It is over since its group left; the next group in its place has an alert of its own."""
    it, key = town(max_groups=1), "condition/hot"
    it.engine.register(key, parse_condition("critical_neurons > 0 by group"))
    bench = Bench(tmp_path, RULE)
    feed = Feed(bench.table.lives, Counter())
    feed.take([it.engine.full(key, it.now_ns)], bench.now_ns)

    def told() -> list[tuple[str, dict[str, str], str]]:
        before = len(bench.delivered.got)
        update = it.engine.take(key, it.now_ns)
        feed.take([update] if update else [], bench.now_ns)
        bench.step()
        alerts = [(each.kind, each.alerts[0]) for each in bench.delivered.got[before:]]
        return [(kind, one["labels"], one["reason"]) for kind, one in alerts]

    it.step(0, it.name(1, "a", "old"), it.sample(1, health=CRITICAL))
    assert told() == [("firing", {"group": "old"}, "")]
    it.step(10, it.event(1, DEACTIVATED))
    assert told() == [("resolved", {"group": "old"}, "left")]
    for _ in range(8):
        it.step(1_000)
        it.windows.advance(it.now_ns, complete=True)
    it.step(0, it.name(2, "b", "new"), it.sample(2, health=CRITICAL))
    assert it.windows.population.group_names == ["default", "other", "new"]
    assert told() == [("firing", {"group": "new"}, "")]


def test_a_place_is_kept_while_a_window_may_be_read_or_revised() -> None:
    """A group whose last neuron went to another one is named in what is revised of its windows."""
    it = town(max_groups=2, retire_after_ns=1, unsealed=4)
    population, first_ns = it.windows.population, it.now_ns
    it.step(0, it.name(1, "a", "old"), it.sample(1, queue_depth=1))
    it.step(0, it.name(1, "a", "new"), it.sample(1, queue_depth=1))
    for second in range(9):
        it.step(1_000, it.sample(1, queue_depth=1))
        it.windows.advance(it.now_ns, complete=True)
        if it.windows.sealed_before <= first_ns // SECOND:
            assert not population.groups.given_up and second < 6
            it.step(0, Item(1, first_ns, values={"queue_depth": 1}))
            it.step(0, it.name(2, "b", "third"))
            assert population.group_of(population.row_of(2)) == "other"
            *_, revised = it.windows.digests.fetch()
            assert revised.window == first_ns // SECOND and revised.revision == second + 1
            assert dict(zip(revised.groups, revised.words[:, 1].tolist(), strict=True)) == {
                "default": 0, "other": 0, "old": 4 + second, "new": 0,
            }  # fmt: skip
    assert population.groups.given_up == 1
    assert population.group_names == ["default", "other", "third", "new"]


def test_who_came_while_there_was_no_room_gets_a_place_when_there_is() -> None:
    """A neuron that counts for `other` counts for its own group and host once others are gone."""
    it = town(max_groups=1)
    it.step(0, it.name(1, "a", "first"), it.sample(1, queue_depth=1))
    it.step(0, it.name(2, "b", "second"), it.sample(2, queue_depth=1))
    population = it.windows.population
    assert population.group_of(population.row_of(2)) == "other"
    it.step(0, it.event(1, DEACTIVATED))
    for _ in range(8):
        it.step(1_000, it.sample(2, queue_depth=1))
        it.windows.advance(it.now_ns, complete=True)
    assert population.group_of(population.row_of(2)) == "second"
    assert population.health.sum() == population.known == 1


def test_who_comes_back_in_time_has_the_place_that_it_had() -> None:
    """A group that was given up keeps its index until another one needs it."""
    it = town()
    it.step(0, it.name(1, "a", "mine"), it.event(1, DEACTIVATED))
    place = it.windows.population.groups.find("mine")
    for _ in range(8):
        it.step(1_000)
        it.windows.advance(it.now_ns, complete=True)
    assert it.windows.population.groups.given_up == 1
    it.step(0, it.sample(1, queue_depth=1))
    assert it.windows.population.groups.find("mine") == place
    it.step(0, it.name(2, "b", "yours"), it.sample(2, queue_depth=1))
    assert it.windows.population.groups.find("yours") == place + 1
    it.step(0, it.event(1, DEACTIVATED))
    it.step(9_000)
    it.windows.advance(it.now_ns, complete=True)
    assert not it.windows.population.known
    assert it.windows.population.groups.given_up == 1  # it waits anew before it is given up again


@given(st.lists(st.tuples(st.sets(st.integers(0, 9), max_size=4), st.booleans()), max_size=40))
def test_places_are_as_a_list_of_names_would_have_it(steps: list[tuple[set[int], bool]]) -> None:
    """Whoever is used has one index that nobody else has; who is not may lose it after two steps,
    unless it must not go, and nobody is told to be another while there is room."""
    places = Places(("", "other"), 6)
    for now, (wanted, may_go) in enumerate(steps):
        indices = {one: places.take(f"n{one}") for one in wanted}
        own = [index for index in indices.values() if index != OTHER]
        assert len(set(own)) == len(own) and all(index > OTHER for index in own)
        assert all(places.names[i] == f"n{one}" for one, i in indices.items() if i != OTHER)
        assert len(own) == len(wanted) or not places.has_room
        used = [index in own for index in range(len(places.names))]
        before, given_up = set(places.names), places.given_up
        places.give_up(np.array(used, bool), now, now - 2, lambda _: may_go)  # noqa: B023
        assert set(places.names) == before
        assert may_go or places.given_up == given_up
        assert all(places.find(places.names[index]) == index for index in own)
