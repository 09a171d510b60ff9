"""Storms of entities whose alerts are over: columns tell what single alerts would tell."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from alert_tools import EPOCH, RULE, SECOND, Bench
from test_alert_storm import MANY, RECEIVERS, STORMY, TWO, Pair, changes_of

from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch
from rnts.alerts.life_documents import ALIKE
from rnts.reflex.change import Changes

ALL = list(range(MANY))
TRUE, FALSE = changes_of(ALL, 1.0, [2.0] * MANY), changes_of(ALL, 0.0, [0.0] * MANY)


def test_a_storm_comes_again_and_again(tmp_path: Path) -> None:
    """What was resolved and fires again goes by columns, until it flaps, and after that."""
    pair = Pair(tmp_path, flapping=Flapping(window_ns=10 * SECOND))
    for times in (1, 2, 3):
        assert min(pair.step(TRUE)).startswith("hot firing ")
        assert pair.storms == times
        assert min(pair.step(FALSE)).startswith(("hot resolved ", "hot flapping "))
    pair.step(TRUE)
    assert pair.storms == 3 and all(life.is_flapping for life in pair.whole.lives.values())
    pair.step(FALSE)
    for _ in range(12):
        pair.step()
    pair.step(TRUE)
    assert pair.storms == 4


@pytest.mark.parametrize("fresh", [0, 50])
def test_histories_may_differ(tmp_path: Path, fresh: int) -> None:
    """Some recovered later than others, some fired before, some have no alert yet."""
    pair = Pair(tmp_path)
    known = ALL[fresh:]
    pair.step(changes_of(known[:20], 1.0, [1.0] * 20))
    pair.step(changes_of(known[:20], 0.0, [0.0] * 20))
    pair.step(changes_of(known, 1.0, [float(one) for one in known]))
    for part in (known[::2], known[1::2]):
        pair.step(changes_of(part, 0.0, [0.0] * len(part)))
    pair.step()  # whoever was told of anything in the tick before comes first, in single alerts
    before = pair.storms
    pair.step(changes_of(ALL, 1.0, [3.0 * one for one in ALL]))
    assert pair.storms == before + 1
    assert all(life.is_firing for life in pair.whole.lives.values())


def test_one_that_still_fires_has_all_looked_at(tmp_path: Path) -> None:
    """Whatever has to be known of a single alert is known."""
    pair = Pair(tmp_path)
    pair.step(TRUE)
    pair.step(changes_of(ALL[1:], 0.0, [0.0] * (MANY - 1)))
    pair.step(TRUE)
    assert pair.storms == 1


def test_one_that_never_fired_has_all_looked_at(tmp_path: Path) -> None:
    """Where silence is an alert there are alerts that wait for it, and are not over."""
    pair = Pair(tmp_path, rules=(replace(STORMY, no_data="alert"),))
    pair.step(changes_of(ALL[:1], 0.0, [0.0]))
    pair.step(TRUE)
    assert pair.storms == 0


def test_whatever_comes_again_is_as_if_handed_in_singly(tmp_path: Path) -> None:
    """Parts that are over and come again, limits, flapping and times between."""
    storms = 0
    for seed in range(3):
        chance = random.Random(seed)
        rule = replace(STORMY, receivers=("page",), limit=chance.choice((1_000, 120)))
        flapping = Flapping(window_ns=chance.choice((10, 600)) * SECOND)
        page = RECEIVERS[:1]  # who has no group for those beyond the limit
        pair = Pair(tmp_path / str(seed), rules=(rule,), receivers=page, flapping=flapping)
        for _ in range(10):
            part = ALL[chance.choice((0, 0, 0, 30)) :: chance.choice((1, 1, 1, 2))]
            truth = chance.choice((1.0, 0.0))
            values = [chance.choice((1.0, 2.0, one)) * truth for one in part]
            pair.step(changes_of(part, truth, values))
            for _ in range(chance.choice((1, 1, 5))):
                pair.step()
        storms += pair.storms
    assert storms > 3


@pytest.mark.parametrize("limit", [1_000, 120])
def test_names_may_hold_anything(tmp_path: Path, limit: int) -> None:
    """Who is found by the text of its labels is nobody else, whatever parts that text has."""
    columns = [
        ["g\0" if one % 2 else "g" for one in ALL],
        ["h" if one % 2 else "\0h" for one in ALL],
        [f"n{one // 2}" for one in ALL],
    ]
    pair = Pair(tmp_path, rules=(replace(TWO, limit=limit),), receivers=RECEIVERS[:2])

    def of(truth: float) -> Changes:
        return Changes(("group", "host", "neuron"), columns, [truth] * MANY, [truth] * MANY, {})

    for times in (1, 2, 3):
        pair.step(of(1.0))
        assert pair.storms == times
        pair.step(of(0.0))
        pair.step()
    pair.step(of(1.0))
    for one in (1, MANY // 2, MANY // 2 + 1):  # of those beyond the limit, too
        for bench in pair.both:
            bench.table.leave({"group": "g\0", "host": "h", "neuron": f"n{one}"})
            bench.table.leave({"host": "\0h"} if one > MANY // 2 else {"neuron": "n9"})
        pair.step()
    assert pair.storms == 4


def test_a_death_in_a_storm_that_came_again(tmp_path: Path) -> None:
    """The line of the journal has a document for each history, and all is there after it."""
    bench = Bench(tmp_path, STORMY, receivers=RECEIVERS, flapping=Flapping())

    def hand_in(*parts: list[int], truth: float) -> None:
        bench.now_ns += SECOND
        for part in parts:
            whole = changes_of(part, truth, [2.0 * truth] * len(part))
            bench.table.lives.observe_all("hot", Batch(whole, EPOCH + bench.now_ns))
        bench.tick()

    hand_in(ALL, truth=1.0)
    hand_in(ALL[::2], truth=0.0)
    hand_in(ALL[1::2], truth=0.0)
    bench.delivered.is_reachable = False
    bench.table.grow = lambda: None  # type: ignore[method-assign]  # it dies before that
    told = len(bench.delivered.got)
    hand_in(ALL, truth=1.0)
    keys = bench.keys()[told:]
    *_, line = (tmp_path / "alerts.journal").read_text().splitlines()
    assert [f'"{ALIKE}storm/0/hot/{number}"' in line for number in range(3)] == [True, True, False]
    bench.restart()
    assert sorted(bench.keys()[told:]) == sorted(keys + keys)
    lives = bench.table.lives.by_key.values()
    assert {(life.state, len(life.flips)) for life in lives} == {("firing", 3)}
    assert len(lives) == MANY


def test_a_round_in_a_storm_touches_nobody_in_it(tmp_path: Path) -> None:
    """Alerts that were due to be forgotten when they fire again are not forgotten."""
    rule = replace(RULE, receivers=("page",))
    flapping = Flapping(window_ns=2 * SECOND)
    pair = Pair(tmp_path, rules=(rule,), receivers=RECEIVERS[:1], flapping=flapping)
    pair.step(TRUE)
    pair.step(FALSE)
    for bench in pair.both:
        bench.now_ns += SECOND  # now the first flips are old enough
    pair.step(TRUE)
    assert pair.storms == 2
    assert all(life.is_firing for life in pair.whole.lives.values())
