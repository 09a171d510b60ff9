"""What many alerts are told by standing queries at once: the same as if each were told singly."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from alert_tools import EPOCH, SECOND, Bench
from test_alert_storm import MANY, RECEIVERS, STORMY, changes_of

from rnts.alerts import together
from rnts.alerts.feed import CONDITION, RESOLVE, Feed
from rnts.alerts.flapping import Flapping
from rnts.alerts.life_documents import document_of
from rnts.alerts.rule import Rule
from rnts.reflex.change import Update

ALL = list(range(MANY))
HYSTERESIS = replace(STORMY, receivers=("page",), has_resolve_when=True, resolve_when="load < 1")


class Told(NamedTuple):
    """What an aggregator tells of a rule: of whom, and of which condition."""

    key: str
    entities: list[int]
    truth: float
    is_full: bool = False


class Road:
    """A bench behind a feed: updates go in, and what is listed is said again each second."""

    def __init__(self, folder: Path, rule: Rule) -> None:
        receivers, flapping = RECEIVERS[:1], Flapping()
        self.bench = Bench(folder, rule, receivers=receivers, flapping=flapping)
        self.counts: Counter[str] = Counter()
        self.feed = Feed(self.bench.table.lives, self.counts)
        self.moved = self.said = 0

    def second(self, told: list[Told]) -> None:
        """A second passes, and this is told in it."""
        bench = self.bench
        bench.now_ns += SECOND
        at_ns = EPOCH + bench.now_ns
        updates = [
            Update(f"{one.key}hot", at_ns, one.is_full, self._changes(one), ()) for one in told
        ]
        if updates:
            self.feed.take(updates, bench.now_ns)
            self.tick()
        self.feed.repeat(bench.now_ns, at_ns)
        self.tick()

    def _changes(self, one: Told):  # type: ignore[no-untyped-def]
        return changes_of(one.entities, one.truth, [2.0 * one.truth] * len(one.entities))

    def tick(self) -> None:
        """One tick, and how many alerts went on together in it."""
        self.bench.tick()
        self.moved += sum(len(move.lives) for move in self.bench.table.lives.moves)

    def state(self) -> tuple[list[str], dict[str, str]]:
        """All that was told so far, and all that there is of each alert."""
        said = [str(each.document()) for each in self.bench.delivered.got]
        lives = self.bench.table.lives.by_key.items()
        return sorted(said), {str(key): str(document_of(life)) for key, life in lives}


def story(seed: int, rule: Rule) -> list[list[Told]]:
    """Seconds of what an aggregator tells, of all or of parts, by both conditions of a rule."""
    chance = random.Random(seed)
    found = [[Told(CONDITION, [], 1.0, True), Told(RESOLVE, [], 1.0, True)]]
    for _ in range(10):
        part = ALL[chance.choice((0, 0, 0, 40)) :: chance.choice((1, 1, 1, 1, 2))]
        truth = chance.choice((1.0, 0.0))
        told = [Told(CONDITION, part, truth)]
        if rule.has_resolve_when:
            resolve = Told(RESOLVE, part, 1.0 - truth)
            told = chance.choice(([resolve, *told], [resolve, *told], told, [resolve]))
        if chance.random() < 0.1:
            told = [one._replace(is_full=True) for one in told]
        found += [told, *([] for _ in range(chance.choice((1, 1, 3))))]
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep_s", [0, 2])
@pytest.mark.parametrize("is_hysteresis", [False, True])
def test_many_are_as_if_each_were_told_singly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, keep_s: int, is_hysteresis: bool
) -> None:
    """With `resolve_when` and `keep_firing_for` or not, whole states among what is told."""
    rule = HYSTERESIS
    if not is_hysteresis:
        rule = replace(rule, has_resolve_when=False, resolve_when="")
    severity = "warning" if seed >= 2 else "critical"
    rule = replace(
        rule, keep_firing_ns=keep_s * SECOND, for_ns=(seed % 2) * 2 * SECOND, severity=severity
    )
    seconds = story(seed, rule)
    road = Road(tmp_path / "whole", rule)
    whole = []
    for told in seconds:
        road.second(told)
        whole.append(road.state())
    assert road.moved
    monkeypatch.setattr(together, "STORM_MIN", 1_000_000)
    monkeypatch.setattr(together, "may_storm", lambda rule, changes: False)
    road = Road(tmp_path / "single", rule)
    for told, expected in zip(seconds, whole, strict=True):
        road.second(told)
        assert road.state() == expected
    assert not road.moved


def test_a_recovery_by_another_condition_is_told_at_once(tmp_path: Path) -> None:
    """Between both bounds alerts recover; by `resolve_when` all are over, in one notification a
    group, however many they are."""
    road = Road(tmp_path, HYSTERESIS)
    road.second(story(0, HYSTERESIS)[0])
    road.second([Told(CONDITION, ALL, 1.0)])
    road.second([Told(CONDITION, ALL, 0.0)])
    assert {life.state for life in road.bench.lives.values()} == {"recovering"}
    road.second([Told(RESOLVE, ALL, 1.0)])
    kinds = Counter(each.kind for each in road.bench.delivered.got)
    assert kinds == {"firing": 7, "resolved": 7}
    assert road.moved >= 2 * MANY and math.isclose(road.bench.life("n1").value, 2.0)


def test_who_never_fired_has_no_alert_by_resolve_when(tmp_path: Path) -> None:
    """Where silence is an alert, too: that many are well is no news of any of them."""
    rule = replace(HYSTERESIS, no_data="alert")
    road = Road(tmp_path, rule)
    road.second(story(0, rule)[0])
    road.second([Told(RESOLVE, ALL, 1.0)])
    assert not road.bench.lives
