"""The life of an alert against its slow twin, and what notifications and misuse look like."""

import json
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from alert_tools import EPOCH, NAN, NEVER_FLAPS, PAGE, RULE, SECOND, WARNING, Bench
from hypothesis import given
from hypothesis import strategies as st
from naive_alerts import firing

from rnts.alerts.bucket import Bucket
from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch
from rnts.alerts.life import Moment
from rnts.alerts.rule import Receiver, Rule
from rnts.alerts.storm import STORM_MIN
from rnts.alerts.suppression import Silence
from rnts.alerts.table import AlertTable
from rnts.reflex.change import Changes

TRUTHS = st.sampled_from([0.0, 1.0, 1.0, NAN])
STEPS_MS = st.sampled_from([1, 500, 1_000, 3_000, 3_001, 9_000])
TIMES_MS = st.sampled_from([0, 1, 1_000, 4_500])


@given(st.lists(st.tuples(TRUTHS, STEPS_MS), max_size=40), TIMES_MS, TIMES_MS)
def test_life_agrees_with_its_twin(
    samples: list[tuple[float, int]], for_ms: int, keep_ms: int
) -> None:
    """Whatever truths come when: it fires when the twin says so, and is told once an episode."""
    rule = replace(RULE, for_ns=for_ms * 1_000_000, keep_firing_ns=keep_ms * 1_000_000)
    table = AlertTable([rule], [replace(PAGE, repeat_ns=0)], (), NEVER_FLAPS)
    times = [ms * 1_000_000 for ms in accumulate(step_ms for _, step_ms in samples)]
    history = [(truth, time_ns) for (truth, _), time_ns in zip(samples, times, strict=True)]
    found, told = [], []
    for truth, time_ns in history:
        table.observe("hot", {"neuron": "n1"}, truth, 2.0, EPOCH + time_ns)
        told += table.tick(time_ns, EPOCH + time_ns)
        found.append(any(life.is_firing for life in table.lives.by_key.values()))

    expected = firing(history, rule.for_ns, rule.keep_firing_ns, rule.gap_ns)
    assert found == expected
    changes = [now for was, now in zip([False, *expected], expected, strict=False) if was != now]
    assert [each.kind == "firing" for each in told] == changes
    assert len({each.key for each in told}) == len(told)


def test_notification_says_what_was_seen(tmp_path: Path) -> None:
    """Value, bound, window, the worst entities and their share, since when, and what to look at."""
    bench = Bench(tmp_path, replace(RULE, causes=("a leak", "a loop")))
    worst = (("n7", 3.0, 0.25), ("n8", 9.0, 0.75))
    bench.table.observe("hot", {"group": "g"}, 1, 6.0, EPOCH, worst=worst)
    bench.tick()
    bench.memory.close()

    document = json.loads(json.dumps(bench.delivered.got[0].document(), allow_nan=False))
    [alert] = document["alerts"]
    assert document["title"] == "hot group=g 1 firing" and document["group"] == {"group": "g"}
    assert (alert["value"], alert["bound"], alert["window_ns"]) == (6.0, "1", SECOND)
    assert alert["since_event_ns"] == EPOCH and alert["condition"] == "load > 1"
    assert document["worst"][0] == {"entity": "n8", "value": 9.0, "share": 0.75}
    assert document["suggested_causes"] == ["a leak", "a loop"]


def test_unknown_names_are_counted(tmp_path: Path) -> None:
    """A sample of a rule, or a rule's receiver, that nobody knows is counted and harms nobody."""
    bench = Bench(tmp_path, replace(RULE, receivers=("nobody",)))
    bench.table.observe("another", {}, 1, 1.0, EPOCH)
    assert bench.step({"n1": 1}) == []
    assert bench.table.counts["unknown_rule"] == 1
    assert bench.table.counts["unknown_receiver"] == 1
    assert bench.step({"n1": 0}) == [] and bench.table.counts["unknown_receiver"] == 1
    bench.memory.close()


def test_a_receiver_that_is_gone_is_counted_once(tmp_path: Path) -> None:
    """It is not counted again while others wait to hear of the end of a rule that is gone, too."""
    bench = Bench(tmp_path, replace(WARNING, receivers=("page", "gone")), receivers=[
        replace(PAGE, group_wait_ns=0), replace(PAGE, name="gone", group_wait_ns=0)])  # fmt: skip
    assert bench.step({"n1": 1}) == ["hot firing 1"] * 2
    slow = replace(PAGE, group_wait_ns=9 * SECOND)
    bench.table.reload_telling([slow], (), NEVER_FLAPS)
    bench.table.reload([])
    assert [told for _ in range(12) for told in bench.step(seconds=1)] == ["hot resolved 1"]
    assert bench.table.counts["unknown_receiver"] == 1
    bench.memory.close()


def test_of_many_each_is_counted_that_has_no_receiver(tmp_path: Path) -> None:
    """How often somebody who does not exist was to be told does not depend on how many came."""
    counts = set()
    for number, most in enumerate((STORM_MIN, STORM_MIN - 1)):
        rule = replace(RULE, receivers=("nobody",))
        bench = Bench(tmp_path / str(number), rule)
        for first in range(0, STORM_MIN, most):
            names = [f"n{each}" for each in range(first, min(first + most, STORM_MIN))]
            truths, values = [1.0] * len(names), [2.0] * len(names)
            batch = Batch(Changes(("neuron",), [names], truths, values, {}), EPOCH)
            bench.table.lives.observe_all("hot", batch)
            assert bench.tick() == []
        counts.add(bench.table.counts["unknown_receiver"])
    assert counts == {STORM_MIN}


def test_only_what_would_be_told_is_held_back(tmp_path: Path) -> None:
    """A silence is no news of an alert of which all were told, and is not counted for it."""
    bench = Bench(tmp_path)
    assert bench.step({"n1": 1}) == ["hot firing 1"]
    bench.table.add_silence(Silence("s", (("rule", "hot"),), "ann", 2 * EPOCH))
    changed_ns = bench.life().changed_ns
    assert bench.step({"n1": 1}) == [] and not bench.table.counts["silenced"]
    assert bench.life().changed_ns == changed_ns
    assert bench.step({"n2": 1}) == [] and bench.table.counts["silenced"] == 1


def test_who_left_and_came_back_is_remembered_so(tmp_path: Path) -> None:
    """Also where only that has changed, and its alert is over."""
    bench = Bench(tmp_path)
    bench.steps(1)
    bench.table.leave({"neuron": "n1"})
    bench.step()
    bench.step(seconds=0.1)
    assert bench.life().is_gone
    bench.step({"n1": 0}, seconds=0.1)
    bench.restart()
    assert not bench.life().is_gone


def test_bucket() -> None:
    """A bucket gives its burst, then one each time, and never holds more than its burst."""
    bucket = Bucket(2, 10)
    assert bucket.fill(0) == 2
    bucket.take(), bucket.take(), bucket.take()
    assert [bucket.fill(now) for now in (5, 10, 19, 20, 500)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rule("r", "x", severity="loud"),
        lambda: Rule("r", "x", no_data="guess"),
        lambda: Rule("r", "x", interval_ns=0),
        lambda: Receiver("r", burst=0),
        lambda: Flapping(begins_at=2, ends_below=3),
        lambda: Silence("s", (), "ann", 1),
        lambda: Silence("s", (("rule", "r"),), "", 1),
        lambda: Silence("s", (("rule", "r"),), "ann", 0),
    ],
)
def test_misuse_is_refused(make: type) -> None:
    """What cannot be meant is refused where it is said."""
    with pytest.raises(ValueError):
        make()


def test_who_waits_for_a_group_is_not_looked_at_meanwhile(tmp_path: Path) -> None:
    """Nothing is described while it can only wait; who joins, or ends, wakes all of the rule."""
    waits = [replace(PAGE, group_wait_ns=2 * SECOND)]
    waits.append(replace(PAGE, name="mail", group_wait_ns=4 * SECOND))
    bench = Bench(tmp_path, replace(WARNING, receivers=("page", "mail")), receivers=waits)
    looked_at, notify = [], bench.table._notifier.notify

    def counted(unsettled: list[Any], at: Moment) -> Any:
        looked_at.append(len(unsettled))
        return notify(unsettled, at)

    bench.table._notifier.notify = counted  # type: ignore[method-assign,assignment]
    told = [bench.step({"n1": 1}, seconds=0.5) for _ in range(2)]
    told += [bench.step({"n2": 1, "n3": 1}, seconds=0.5), bench.step({"n3": 0}, seconds=0.5)]
    told += [bench.step({"n1": 1, "n2": 1}, seconds=0.5) for _ in range(7)]
    assert told == [[], [], [], [], ["hot firing 2"], [], [], [], ["hot firing 2"], [], []]
    assert looked_at == [1, 0, 3, 3, 2, 2, 0, 0, 2, 2, 0]
    bench.memory.close()
