"""Recoveries of many at once: columns tell and remember what single alerts would."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_tools import EPOCH, SECOND, Bench
from test_alert_storm import MANY, RECEIVERS, STORMY, Pair, changes_of

from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch
from rnts.alerts.life import FIRING, PENDING, RECOVERING, RESOLVED
from rnts.alerts.life_documents import ALIKE
from rnts.alerts.rule import Receiver, Rule
from rnts.alerts.suppression import Silence
from rnts.reflex.change import Certainty, Changes

ALL = list(range(MANY))
TRUE, FALSE = changes_of(ALL, 1.0, [2.0] * MANY), changes_of(ALL, 0.0, [math.nan] * MANY)


class Moving(Pair):
    """Two benches of which one takes changes whole; `moved` are the alerts that went together."""

    def __init__(self, folder: Path, **others: Any) -> None:
        super().__init__(folder, **others)
        self.moved = 0

    def step(self, *handed: Changes, rule: str = "hot") -> list[str]:
        """As for all pairs; and what went together is counted."""
        told = super().step(*handed, rule=rule)
        self.moved += sum(len(move.lives) for move in self.whole.table.lives.moves)
        return told

    @property
    def states(self) -> Counter[str]:
        """How many alerts are in which state."""
        return Counter(life.state for life in self.whole.table.lives.by_key.values())


def test_a_recovery_of_many_is_one_notification_a_group(tmp_path: Path) -> None:
    """Ten groups and receivers hear what single alerts would say, and nobody hears it again."""
    pair = Moving(tmp_path)
    begun = pair.step(TRUE)
    assert pair.step(FALSE) == [told.replace("firing", "resolved") for told in begun]
    assert pair.moved == MANY and pair.states == {RESOLVED: MANY}
    assert pair.step(FALSE) == [] and pair.step() == []


@pytest.mark.parametrize("keep_s", [1, 3])
def test_a_recovery_has_to_hold_as_long_as_the_rule_says(tmp_path: Path, keep_s: int) -> None:
    """All recover, are true again, recover once more for long enough, and are told then."""
    pair = Moving(tmp_path, rules=(replace(STORMY, keep_firing_ns=keep_s * SECOND),))
    pair.step(TRUE)
    assert pair.step(FALSE) == [] and pair.states == {RECOVERING: MANY}
    assert pair.step(TRUE) == [] and pair.states == {FIRING: MANY}
    for _ in range(keep_s):
        assert pair.step(FALSE) == []
    assert min(pair.step(FALSE)).startswith("hot resolved ")
    assert pair.moved == (keep_s + 3) * MANY and pair.states == {RESOLVED: MANY}


def test_parts_that_began_at_different_times_are_told_together(tmp_path: Path) -> None:
    """Each alert's episode is its own, and stands in the key of what is told of all."""
    pair = Moving(tmp_path)
    for part in (ALL[:40], ALL[40::2], ALL[41::2]):
        pair.step(changes_of(part, 1.0, [float(one) for one in part]))
    pair.step()
    assert max(pair.step(FALSE)) == "hot resolved 75"
    assert pair.moved >= MANY and pair.states == {RESOLVED: MANY}


def test_alerts_that_waited_fire_together(tmp_path: Path) -> None:
    """With `for`, too, all that fire are one notification a group; later ones have their own."""
    pair = Moving(tmp_path, rules=(replace(STORMY, for_ns=2 * SECOND),))
    pair.step(changes_of(ALL[:50], 1.0, [1.0] * 50))
    assert pair.step(TRUE) == [] and not pair.moved
    pair.step()
    assert pair.step(TRUE) and pair.moved == MANY
    assert pair.states == {FIRING: MANY} and pair.step(TRUE) == []
    assert max(pair.step(FALSE)) == "hot resolved 75"
    assert pair.moved == 3 * MANY and pair.states == {RESOLVED: MANY}


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_alerts_that_never_fire_go_and_come_together(tmp_path: Path, severity: str) -> None:
    """Nobody hears of them, and nothing of them is kept; the next time they are new ones."""
    pair = Moving(tmp_path, rules=(replace(STORMY, for_ns=2 * SECOND, severity=severity),))
    for times in (1, 2):
        assert pair.step(TRUE) == [] == pair.step(TRUE) and pair.states == {PENDING: MANY}
        assert pair.step(FALSE) == [] and pair.states == {}
        assert pair.storms == times and pair.moved == 2 * times * MANY


def test_warnings_go_on_together_and_wait_for_their_groups(tmp_path: Path) -> None:
    """They begin, recover and come back by columns, and are told when their groups have waited."""
    waits = [replace(each, group_wait_ns=2 * SECOND) for each in RECEIVERS]
    pair = Moving(tmp_path, rules=(replace(STORMY, severity="warning"),), receivers=waits)
    assert pair.step(TRUE) == [] == pair.step(TRUE)
    assert max(pair.step(TRUE)) == "hot firing 75"
    assert pair.step(FALSE) == [] == pair.step(FALSE) and pair.states == {RESOLVED: MANY}
    assert max(pair.step(FALSE)) == "hot resolved 75"
    assert pair.storms == 1 and pair.moved == 5 * MANY


@pytest.mark.parametrize("reason", ["flapping", "unsettled"])
def test_what_has_more_to_tell_is_looked_at_singly(tmp_path: Path, reason: str) -> None:
    """Alerts that flap, or of which a receiver has yet to hear."""
    others: dict[str, Any] = {}
    if reason == "flapping":
        others["flapping"] = Flapping(begins_at=2, ends_below=1)
    pair = Moving(tmp_path, **others)
    if reason == "unsettled":  # what was told singly is looked at once more
        handed = [changes_of([each], 1.0, [2.0]) for each in (*ALL, 0)]
        pair.step(*handed)
    else:
        pair.step(TRUE)
    pair.step(FALSE)
    assert not pair.moved


@pytest.mark.parametrize("seed", [*range(8), 322])
def test_whatever_goes_on_whole_is_as_if_it_went_on_singly(tmp_path: Path, seed: int) -> None:
    """Parts in any order, certain or not, kept firing or not, with limits and policies."""
    chance, certain = random.Random(seed), random.Random(seed)
    rule = replace(
        STORMY,
        severity=chance.choice(("critical", "warning", "info")),
        for_ns=chance.choice((0, 0, 2 * SECOND)),
        keep_firing_ns=chance.choice((0, 2 * SECOND)),
        limit=chance.choice((1_000, 120)),
        no_data=chance.choice(("keep", "ok", "resolve", "alert")),
    )
    waits = [replace(each, group_wait_ns=chance.choice((0, 3 * SECOND))) for each in RECEIVERS]
    pair = Moving(tmp_path, rules=(rule,), receivers=waits, flapping=Flapping())
    for _ in range(9):
        if chance.random() < 0.2:
            until_ns = EPOCH + pair.whole.now_ns + 3 * SECOND
            for bench in pair.both:
                bench.table.add_silence(Silence("s", (("group", "g3"),), "ann", until_ns))
        handed = []
        cut, step = chance.choice((0, 60, 110)), chance.choice((1, 1, 2))
        for part in (ALL[:cut:step], ALL[cut::step]):
            truth = chance.choice((0.0, 0.0, 1.0))
            values = [chance.choice((1.0, 2.0, one)) * truth for one in part]
            if part:
                changes = changes_of(part, truth, values)
                if truth and certain.random() < 0.5:
                    changes.certainties = [Certainty(value, value + 1) for value in values]
                handed.append(changes)
        pair.step(*handed)
        for _ in range(chance.choice((1, 1, 5))):
            pair.step()
    assert pair.moved


EPISODE = [1, 1, 0, 0, 0, 0]  # firing, recovering, resolved
AFTERWARDS = [0, 0, 0, 0]
KEPT = replace(STORMY, keep_firing_ns=2 * SECOND)


def hand_in(bench: Bench, truth: float) -> list[str]:
    """A second passes, and all are so."""
    bench.now_ns += SECOND
    changes = TRUE if truth else FALSE
    bench.table.lives.observe_all("hot", Batch(changes, EPOCH + bench.now_ns))
    return bench.tick()


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("rule", [STORMY, KEPT])
@pytest.mark.parametrize("dies_at", range(len(EPISODE)))
def test_a_death_at_every_step_of_all(
    tmp_path: Path, rule: Rule, dies_at: int, is_told: bool
) -> None:
    """Whoever dies behind the journal's line of any step, told or not, tells each beginning and
    each end once, under one key; what comes twice had not arrived."""
    bench = Bench(tmp_path, rule, receivers=RECEIVERS[:1])
    for step, truth in enumerate(EPISODE):
        if step == dies_at:
            bench.delivered.is_reachable = False
            if not is_told:
                bench.delivered.submit = lambda _: None  # type: ignore[method-assign]
        hand_in(bench, truth)
        if step == dies_at:
            break
    keys = bench.keys()
    bench.delivered.__dict__.pop("submit", None)
    bench.delivered.is_reachable = True
    waiting = {name.rpartition("/")[2] for name in bench.table.outbox}
    bench.restart(downtime_ns=5 * SECOND)
    for truth in (*EPISODE[dies_at + 1 :], *AFTERWARDS):
        hand_in(bench, truth)
    told = Counter(bench.keys())
    kinds = Counter(key.rpartition("-")[2] for key in told)
    assert kinds == {"firing": 7, "resolved": 7}
    assert {key for key, times in told.items() if times > 1} <= waiting
    assert set(keys) <= told.keys()
    states = Counter(life.state for life in bench.table.lives.by_key.values())
    assert states == {RESOLVED: MANY}


def test_a_recovery_of_many_is_one_document_of_a_line(tmp_path: Path) -> None:
    """What is alike is columns in the journal, too."""
    bench = Bench(tmp_path, KEPT, receivers=RECEIVERS[:1])
    for truth in (1, 0, 0, 0):
        hand_in(bench, truth)
    *_, line = (tmp_path / "alerts.journal").read_text().splitlines()
    assert f'"{ALIKE}move/0/hot/0"' in line and '"life/' not in line


def test_of_some_it_is_unknown_whether_they_have_recovered(tmp_path: Path) -> None:
    """What `resolve_when` is of others who are handed in behind them does not end their alerts."""
    bench = Bench(tmp_path, replace(STORMY, has_resolve_when=True), receivers=RECEIVERS[:1])
    hand_in(bench, 1)
    bench.now_ns += SECOND
    for part, resolve in ((ALL[::2], math.nan), (ALL[1::2], 1.0)):
        batch = Batch(changes_of(part, 0.0, [0.0] * len(part)), EPOCH + bench.now_ns, resolve)
        bench.table.lives.observe_all("hot", batch)
    bench.tick()
    states = Counter(life.state for life in bench.table.lives.by_key.values())
    assert states == {RECOVERING: MANY // 2, RESOLVED: MANY // 2}


@pytest.mark.parametrize("truth", [1, 0])
def test_a_group_is_told_once_in_a_tick(tmp_path: Path, truth: int) -> None:
    """An alert that is to be told again while many of its group begin, or end, is told next."""
    repeated = Receiver("page", group_by=(), burst=1_000, repeat_ns=5 * SECOND)
    bench = Bench(tmp_path, STORMY, receivers=[repeated])
    assert bench.step({"alone": 1}) == ["hot firing 1"]
    if not truth:
        assert hand_in(bench, 1) == ["hot firing 150"]
    while bench.now_ns < 6 * SECOND:
        assert bench.step() == []
    word = "firing" if truth else "resolved"
    assert hand_in(bench, truth) == [f"hot {word} 150"]
    assert bench.step() == ["hot firing 1"] and bench.step() == []


def test_who_is_false_and_true_again_in_one_tick_goes_on(tmp_path: Path) -> None:
    """What is told last is so, also where it is like what was told of others before."""
    bench = Bench(tmp_path, STORMY, receivers=RECEIVERS[:1])
    hand_in(bench, 1)
    for part, truth in ((ALL[:10], 1.0), (ALL[10:], 0.0), (ALL[10:], 1.0)):
        bench.now_ns += SECOND
        batch = Batch(changes_of(part, truth, [2.0] * len(part)), EPOCH + bench.now_ns)
        bench.table.lives.observe_all("hot", batch)
    bench.tick()
    states = Counter(life.state for life in bench.table.lives.by_key.values())
    assert states == {FIRING: MANY}
