"""Storms: columns tell and remember what single alerts would tell and remember."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_tools import EPOCH, NEVER_FLAPS, RULE, SECOND, Bench

from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch
from rnts.alerts.life import Key
from rnts.alerts.life_documents import ALIKE, document_of
from rnts.alerts.memory import Memory
from rnts.alerts.rule import Receiver
from rnts.alerts.storm import STORM_MIN
from rnts.alerts.suppression import Inhibition, Silence
from rnts.alerts.watched import sample_of
from rnts.reflex.change import Changes

MANY = STORM_MIN + 50
RECEIVERS = (
    Receiver("page", group_by=("group",)),
    Receiver("chat", group_by=("host", "zone"), burst=2),
    Receiver("wall", group_by=()),
)
STORMY = replace(RULE, receivers=("page", "chat", "wall"), limit=1_000)
TWO = replace(STORMY, receivers=("page", "chat"))  # who have a group for those beyond a limit


def changes_of(entities: list[int], truth: float, values: list[float]) -> Changes:
    """What a rule is of neurons in seven groups on two hosts."""
    columns = [
        [f"g{each % 7}" for each in entities],
        [f"h{each % 2}" for each in entities],
        [f"n{each}" for each in entities],
    ]
    return Changes(("group", "host", "neuron"), columns, [truth] * len(entities), values, {})


class Pair:
    """Two benches that are handed the same: one takes changes whole, the other one by one."""

    def __init__(self, folder: Path, **others: Any) -> None:
        others = {"receivers": RECEIVERS, "flapping": NEVER_FLAPS, **others}
        rules = others.pop("rules", (STORMY,))
        self.whole = Bench(folder / "whole", *rules, **others)
        self.single = Bench(folder / "single", *rules, **others)
        self.storms = 0
        grow = self.whole.table.grow

        def counted() -> None:
            self.storms += len(self.whole.table.lives.storms)
            grow()

        self.whole.table.grow = counted  # type: ignore[method-assign]

    def step(self, *handed: Changes, rule: str = "hot") -> list[str]:
        """A second passes, these are handed in, and both tell and remember the same."""
        for bench in (self.whole, self.single):
            bench.now_ns += SECOND
        event_ns = EPOCH + self.whole.now_ns
        for changes in handed:
            self.whole.table.lives.observe_all(rule, Batch(changes, event_ns))
            for change in changes:
                sample = sample_of(change, event_ns, math.nan)
                self.single.table.lives.observe(rule, change.labels, sample)
        told = self.whole.tick()
        assert sorted(told) == sorted(self.single.tick())
        self.compare()
        return told

    def compare(self) -> None:
        """All that was told, all lives, and all that a restart would find are equal."""
        got = [sorted(str(each.document()) for each in one.delivered.got) for one in self.both]
        assert got[0] == got[1]
        lives = [self.lives(bench) for bench in self.both]
        assert lives[0] == lives[1]
        assert self.whole.table.counts == self.single.table.counts
        files = [remembered(bench.folder) for bench in self.both]
        assert files[0] == files[1]

    @property
    def both(self) -> tuple[Bench, Bench]:
        """The two benches."""
        return self.whole, self.single

    @staticmethod
    def lives(bench: Bench) -> dict[Key, str]:
        """All that there is of each alert."""
        return {key: str(document_of(life)) for key, life in bench.table.lives.by_key.items()}


def remembered(folder: Path) -> dict[str, str]:
    """What a process that starts now would find."""
    memory = Memory(folder)
    found = memory.restore()
    memory.close()
    documents = found.documents.items() if found else ()
    return {name: json.dumps(each, sort_keys=True) for name, each in documents}


def test_a_storm_tells_and_remembers_what_single_alerts_would(tmp_path: Path) -> None:
    """Firing, still firing, over, and firing again, with values that are equal, or are not."""
    pair, entities = Pair(tmp_path), list(range(MANY))
    told = pair.step(changes_of(entities, 1.0, [2.0] * MANY))
    assert sorted(told) == sorted(
        ["hot firing 150", "hot firing 75", "hot firing 75"]
        + [f"hot firing {len(range(each, MANY, 7))}" for each in range(7)]
    )
    assert pair.storms == 1
    assert pair.step(changes_of(entities, 1.0, [3.0] * MANY)) == []
    pair.step(changes_of(entities[:120], 0.0, [0.0] * 120))
    pair.step(changes_of(entities, 1.0, [5.0 * one for one in entities]))
    assert pair.storms == 1  # some of them still fire, so each is looked at


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_handed_in_whole_is_as_if_handed_in_singly(tmp_path: Path, seed: int) -> None:
    """Values unknown or not, several pieces, entities that come twice, limits, a few as well."""
    chance = random.Random(seed)
    rule = replace(
        STORMY,
        severity=chance.choice(("critical", "warning", "info")),
        for_ns=chance.choice((0, 0, 2 * SECOND)),
        limit=chance.choice((1_000, 120)),
        no_data=chance.choice(("keep", "ok")),
    )
    waits = [replace(each, group_wait_ns=chance.choice((0, 3 * SECOND))) for each in RECEIVERS]
    pair, start = Pair(tmp_path, rules=(rule,), receivers=waits), 0
    for _ in range(5):
        if chance.random() < 0.2:
            until_ns = EPOCH + pair.whole.now_ns + 3 * SECOND
            for bench in pair.both:
                bench.table.add_silence(Silence("s", (("neuron", "n7"),), "ann", until_ns))
        handed = []
        for _ in range(chance.choice((1, 1, 2))):
            count = chance.choice((1, 30, STORM_MIN, MANY))
            start = chance.choice((start, start, 0, 400))
            entities = [chance.randrange(start, start + 300) for _ in range(count)]
            if chance.random() < 0.6:
                entities = list(dict.fromkeys(entities))
            values = [chance.choice((math.nan, 1.0, -5.0, math.inf, one)) for one in entities]
            handed.append(changes_of(entities, chance.choice((1.0, 1.0, 0.0)), values))
            start += 300
        pair.step(*handed)
        pair.step()


@pytest.mark.parametrize("is_tight", [False, True])
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_keys_do_not_depend_on_who_comes_first(
    tmp_path: Path, severity: str, is_tight: bool
) -> None:
    """The same alerts in one tick are told under the same keys, in any order and in pieces, also
    where the rule has no places for all of them."""
    rule = replace(STORMY, severity=severity, limit=120 if is_tight else 1_000)
    found = set()
    for number in range(4):
        entities = list(range(MANY))
        random.Random(number).shuffle(entities)
        cut = (0, 40, 110, 0)[number]
        pair = Pair(tmp_path / str(number), rules=(rule,))
        parts = [part for part in (entities[:cut], entities[cut:]) if part]
        pair.step(*(changes_of(part, 1.0, [2.0] * len(part)) for part in parts))
        pair.step()
        assert sum(each.count for each in pair.whole.delivered.got) == 3 * (
            121 if is_tight else MANY
        )
        found.add(tuple(sorted(pair.whole.keys())))
        groups = [each.group for each in pair.whole.delivered.got if each.receiver == "page"]
        assert all({"group": f"g{group}"} in groups for group in range(7))
    assert len(found) == 1


def test_pieces_of_a_storm_are_told_together(tmp_path: Path) -> None:
    """What an aggregator found in two steps is one notification a group where it comes at once."""
    pair = Pair(tmp_path)
    pieces = [changes_of(list(range(at, at + 60)), 1.0, [1.0] * 60) for at in (0, 60, 120)]
    assert min(pair.step(*pieces)) == "hot firing 180"
    assert pair.storms == 1


@pytest.mark.parametrize("reason", ["silence", "inhibition", "flapping", "for", "warning"])
def test_what_may_not_be_told_at_once_is_told_singly(tmp_path: Path, reason: str) -> None:
    """Whatever has to be known of each alert before it is told is known, also in a storm; where
    some flap each is looked at."""
    hushed, rule = (("neuron", "n7"),), STORMY
    others: dict[str, Any] = {}
    if reason == "inhibition":
        others["inhibitions"] = [Inhibition((("neuron", "n0"),), hushed)]
    elif reason == "flapping":
        others["flapping"] = Flapping(begins_at=1, ends_below=1)
    elif reason == "for":
        rule = replace(STORMY, for_ns=SECOND)
    elif reason == "warning":
        rule = replace(STORMY, severity="warning")
    told = 0
    pair = Pair(tmp_path, rules=(rule,), **others)
    if reason == "silence":
        for bench in pair.both:
            bench.table.add_silence(Silence("s", hushed, "ann", 2 * EPOCH))
    for _ in range(3):
        told += len(pair.step(changes_of(list(range(MANY)), 1.0, [2.0] * MANY)))
    assert pair.storms == (reason != "flapping") and told


def test_a_death_in_a_storm_tells_nothing_under_another_key(tmp_path: Path) -> None:
    """The journal is written before the storm is told, and says as much as all lives would."""
    bench = Bench(tmp_path, STORMY, receivers=RECEIVERS)
    bench.delivered.is_reachable = False
    bench.now_ns += SECOND
    whole = changes_of(list(range(MANY)), 1.0, [2.0] * MANY)
    bench.table.lives.observe_all("hot", Batch(whole, EPOCH + bench.now_ns))
    bench.table.grow = lambda: None  # type: ignore[method-assign]  # it dies before that
    assert len(bench.tick()) == 10
    keys = bench.keys()
    journal = (tmp_path / "alerts.journal").read_text()
    assert journal.count("\n") == 1 and f'"{ALIKE}storm/0/hot/0"' in journal
    bench.restart()
    assert sorted(bench.keys()) == sorted(keys + keys)
    assert len(bench.table.lives.by_key) == MANY
    bench.table.lives.observe_all("hot", Batch(whole, EPOCH + bench.now_ns + SECOND))
    assert bench.step() == []


def test_lives_that_are_alike_are_one_document(tmp_path: Path) -> None:
    """A snapshot of a storm is a few columns; one that differs has a document of its own."""
    pair = Pair(tmp_path)
    pair.step(changes_of(list(range(MANY)), 1.0, [float(one) for one in range(MANY)]))
    pair.step(changes_of([5], 0.0, [0.0]))
    documents = pair.whole.table.everything()
    kinds = sorted(name.partition("/")[0] for name in documents if not name.startswith("out"))
    assert kinds == ["alike", "life", "rule", "silences"]
