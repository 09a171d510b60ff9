"""One test for each pain that other alert engines are known for, named after it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alert_tools import EPOCH, NAN, PAGE, RULE, SECOND, WARNING, Bench

from rnts.alerts.flapping import Flapping
from rnts.alerts.rule import Receiver
from rnts.alerts.suppression import Inhibition, Silence

FOR_5S = replace(RULE, for_ns=5 * SECOND)
FIRES, RESOLVES = "hot firing 1", "hot resolved 1"


class Benches:
    """Makes benches in one folder and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, []  # type: ignore[var-annotated]

    def __call__(self, *arguments: object, **keywords: object) -> Bench:
        """A bench, as its class makes it."""
        bench = Bench(self.folder, *arguments, **keywords)  # type: ignore[arg-type]
        self.made.append(bench)
        return bench


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Benches]:
    """Benches that are closed after the test."""
    benches = Benches(tmp_path)
    yield benches
    for bench in benches.made:
        bench.memory.close()


def test_restart_while_firing(make: Benches) -> None:
    """What fired before a restart fires after it, nobody is told twice, and its end is told."""
    bench = make()
    assert bench.steps(1, 1) == [FIRES]
    episode = bench.life().episode

    bench.restart(downtime_ns=3_600 * SECOND)

    assert bench.life().state == "firing" and bench.life().episode == episode
    assert bench.steps(1, 1) == []
    assert bench.steps(0) == [RESOLVES]


@pytest.mark.parametrize("downtime_s", [0, 2, 3_600])
def test_restart_while_pending(make: Benches, downtime_s: int) -> None:
    """`for` keeps its age over a restart, and the downtime is not counted as held."""
    bench = make(FOR_5S)
    assert bench.steps(1, 1, 1, 1) == []  # 3 s have held

    bench.restart(downtime_ns=downtime_s * SECOND)

    assert bench.life().held_ns == 3 * SECOND
    assert bench.steps(1, 1) == []  # 4 s: the first sample after a restart only starts the clock
    assert bench.steps(1) == [FIRES]


def test_restart_while_recovering(make: Benches) -> None:
    """`keep_firing_for` is not lost in a restart: the alert resolves only after all of it."""
    bench = make(replace(RULE, keep_firing_ns=3 * SECOND))
    assert bench.steps(1, 0, 0) == [FIRES]

    bench.restart(downtime_ns=3_600 * SECOND)

    assert bench.life().state == "recovering"
    assert bench.steps(0, 0) == []
    assert bench.steps(0) == [RESOLVES]


def test_restart_before_delivery(make: Benches) -> None:
    """What was perhaps not delivered is told again, under the same key."""
    bench = make()
    bench.delivered.is_reachable = False
    bench.steps(1)

    bench.restart()

    first, second = bench.keys()
    assert first == second


def test_reload_keeps_unchanged_rules(make: Benches) -> None:
    """A reload leaves alerts of unchanged rules alone, and ends those of changed and removed."""
    other, gone = replace(RULE, name="other"), replace(RULE, name="gone")
    bench = make(RULE, other, gone)
    for rule in ("hot", "other", "gone"):
        bench.step({"n1": 1}, rule)

    bench.table.reload([replace(RULE, causes=("a leak",)), replace(other, condition="x > 2")])
    told = bench.step({"n1": 1})

    assert sorted(told) == ["gone resolved 1", "other resolved 1"]
    assert bench.life().state == "firing"
    reasons = [alert["reason"] for each in bench.delivered.got[-2:] for alert in each.alerts]
    assert sorted(reasons) == ["the rule has changed", "the rule was removed"]


def test_reload_over_a_restart(make: Benches) -> None:
    """The same holds where the rules changed while nothing ran."""
    gone = replace(RULE, name="gone")
    bench = make(RULE, gone)
    bench.step({"n1": 1})
    bench.step({"n1": 1}, "gone")

    bench.restart(RULE)

    assert bench.step({"n1": 1}) == ["gone resolved 1"]
    assert ("gone", "n1") not in {key for key, life in bench.lives.items() if life.is_active}


def test_restart_before_the_end_of_a_removed_rule_is_told(make: Benches) -> None:
    """Who was told of an alert hears of its end, also where its rule is gone by then."""
    gone = replace(WARNING, name="gone")
    bench = make(RULE, gone, receivers=[replace(PAGE, group_wait_ns=2 * SECOND)])
    assert [bench.step({"n1": 1}, "gone") for _ in range(3)] == [[], [], ["gone firing 1"]]
    bench.table.reload([RULE])
    assert bench.step() == []

    bench.restart(RULE)

    assert [bench.step() for _ in range(2)] == [[], ["gone resolved 1"]]


def test_no_data_is_not_resolved(make: Benches) -> None:
    """Silence keeps an alert firing, which then says that it is without data."""
    bench = make()
    bench.steps(1)

    assert [bench.step() for _ in range(10)] == [[]] * 10
    assert bench.life().state == "firing" and bench.life().is_without_data
    assert bench.table.counts["without_data"] == 1
    assert bench.steps(0) == [RESOLVES]


def test_no_data_alerts(make: Benches) -> None:
    """Where a rule asks for it, three intervals of silence are an alert, data its end."""
    bench = make(replace(RULE, no_data="alert"))
    assert bench.steps(0) == []

    assert [bench.step() for _ in range(4)] == [[], [], [FIRES], []]
    assert bench.delivered.got[0].alerts[0]["reason"] == "no data"
    assert bench.steps(0) == [RESOLVES]


def test_no_data_is_ok(make: Benches) -> None:
    """Where a rule asks for it, silence counts as recovery, with its `keep_firing_for`."""
    bench = make(replace(RULE, no_data="ok", keep_firing_ns=2 * SECOND))
    bench.steps(1)

    assert [bench.step() for _ in range(5)] == [[], [], [], [], [RESOLVES]]


def test_no_data_resolves(make: Benches) -> None:
    """Where a rule asks for it, three intervals of silence resolve, with that reason."""
    bench = make(replace(RULE, no_data="resolve"))
    bench.steps(1)

    assert [bench.step() for _ in range(3)] == [[], [], [RESOLVES]]
    assert bench.delivered.got[-1].alerts[0]["reason"] == "no data"


def test_short_gap_neither_advances_nor_resets(make: Benches) -> None:
    """Unknown truths stop the clock of `for` and do not set it back."""
    bench = make(FOR_5S)
    assert bench.steps(1, 1, 1, NAN, NAN, 1) == []  # 2 s held, then unknown
    assert bench.life().held_ns == 2 * SECOND
    assert bench.steps(1, 1) == [] and bench.steps(1) == [FIRES]


def test_entity_that_left_is_resolved(make: Benches) -> None:
    """An alert of an entity that is gone ends with that reason, whatever the rule says of data."""
    bench = make(replace(RULE, no_data="alert"))
    bench.step({"n1": 1, "n2": 1})

    bench.table.leave({"neuron": "n1"})

    assert bench.step({"n2": 1}) == [RESOLVES]
    assert bench.delivered.got[-1].alerts[0]["reason"] == "left"
    assert [bench.step({"n2": 1}) for _ in range(5)] == [[]] * 5
    assert ("hot", "n1") not in bench.lives or not bench.life().is_active


def test_flapping_is_told_once(make: Benches) -> None:
    """What fires and resolves again and again is told as flapping, once, until it has calmed."""
    calm = Flapping(window_ns=60 * SECOND, begins_at=6, ends_below=3)
    bench = make(flapping=calm)

    told = bench.steps(1, 0, 1, 0, 1, 0, 1, 0, 1, 0)
    assert told == [FIRES, RESOLVES, FIRES, RESOLVES, FIRES, "hot flapping 1"]
    assert bench.steps(1, *[0] * 54) == []
    assert bench.steps(*[0] * 10) == [RESOLVES]


def test_hysteresis(make: Benches) -> None:
    """With `resolve_when` an alert ends where that holds, and not where its condition fails."""
    bench = make(replace(RULE, has_resolve_when=True, resolve_when="load < 0.5"))
    assert bench.step({"n1": 1}) == [FIRES]
    assert bench.step({"n1": 0}, resolve=0) == []
    assert bench.step({"n1": 0}, resolve=NAN) == []
    assert bench.life().state == "recovering"
    assert bench.step({"n1": 1}) == []
    assert bench.step({"n1": 0}, resolve=1) == [RESOLVES]


def test_inhibition_race(make: Benches) -> None:
    """Cause and effect that fire in one tick: only the cause is told, in whichever order."""
    effect = replace(RULE, name="effect")
    explained = Inhibition((("rule", "hot"),), (("rule", "effect"),), ("neuron",))
    bench = make(effect, RULE, inhibitions=[explained])

    bench.observe("effect", {"neuron": "n1"}, 1)
    bench.observe("hot", {"neuron": "n1"}, 1)
    bench.observe("effect", {"neuron": "n2"}, 1)

    assert sorted(bench.tick()) == ["effect firing 1", FIRES]
    assert bench.table.counts["inhibited"] == 1


def test_inhibited_is_not_resolved(make: Benches) -> None:
    """An alert that another one comes to explain is not told as over, nor again when alone."""
    effect = replace(RULE, name="effect")
    explained = Inhibition((("rule", "hot"),), (("rule", "effect"),), ("neuron",))
    bench = make(effect, RULE, inhibitions=[explained])
    assert bench.step({"n1": 1}) == ["effect firing 1"]
    assert bench.step({"n1": 1}, "hot") == [FIRES]
    assert bench.step({"n1": 0}, "hot") == [RESOLVES]
    assert bench.step({"n1": 1}) == []
    assert bench.step({"n1": 0}) == ["effect resolved 1"]


def test_inhibition_ends_before_the_effect(make: Benches) -> None:
    """An effect that outlives its cause is told then; one that ends with it never was."""
    effect = replace(RULE, name="effect")
    explained = Inhibition((("rule", "hot"),), (("rule", "effect"),), ("neuron",))
    bench = make(effect, RULE, inhibitions=[explained])
    for entity in ("n1", "n2"):
        bench.observe("hot", {"neuron": entity}, 1)
        bench.observe("effect", {"neuron": entity}, 1)
    assert bench.tick() == ["hot firing 2"]

    bench.now_ns += SECOND
    for entity, outlives in (("n1", 1), ("n2", 0)):
        bench.observe("hot", {"neuron": entity}, 0)
        bench.observe("effect", {"neuron": entity}, outlives)

    assert sorted(bench.tick()) == ["effect firing 1", "hot resolved 2"]


def silence(bench: Bench, seconds: int) -> Silence:
    """A silence of the rule `hot` from now on."""
    expires_ns = EPOCH + bench.now_ns + seconds * SECOND
    return Silence("s1", (("rule", "hot"),), "ann", expires_ns)


def test_silence_expiry(make: Benches) -> None:
    """A silence that ends while the alert fires is followed by a notification, under a new key."""
    bench = make()
    bench.steps(1)
    bench.table.add_silence(silence(bench, 3))

    assert [bench.step({"n1": 1}) for _ in range(4)] == [[], [], [FIRES], []]
    first, second = bench.keys()
    assert second == f"{first}-2"


def test_silence_keeps_what_is_new_quiet(make: Benches) -> None:
    """What begins in a silence is told when it ends, what also ended in it is not; all of it is
    remembered over a restart."""
    bench = make()
    bench.table.add_silence(silence(bench, 4))
    assert bench.step({"n1": 1, "n2": 1}) == []
    bench.restart()
    assert bench.step({"n1": 1, "n2": 0}) == []
    assert [bench.step({"n1": 1}) for _ in range(3)] == [[], [FIRES], []]


def test_storm_is_one_notification_a_group(make: Benches) -> None:
    """Ten thousand neurons that turn critical at once are one notification for each group."""
    count = 10_000
    bench = make(replace(RULE, limit=count))
    for number in range(count):
        bench.observe("hot", {"neuron": f"n{number}", "group": f"g{number % 4}"}, 1)

    assert bench.tick() == [f"hot firing {count // 4}"] * 4
    assert all(len(each.alerts) == 20 and len(each.worst) == 5 for each in bench.delivered.got)
    assert bench.tick() == []


def test_storm_of_groups_becomes_a_digest(make: Benches) -> None:
    """Beyond a receiver's tokens one digest tells all of the rest, and critical ones go out."""
    slow = Receiver("page", ("neuron",), 0, burst=3, refill_ns=60 * SECOND)
    urgent = replace(RULE, name="urgent")
    bench = make(WARNING, urgent, receivers=[slow])

    told = bench.step({f"n{number}": 1 for number in range(50)})
    assert told == [FIRES, FIRES, "hot digest 48"]
    assert bench.step({"n50": 1}) == []  # no token is left, so it waits
    assert bench.step({"n1": 1}, "urgent") == ["urgent firing 1"]
    assert bench.table.counts["held_back"] > 0 and bench.table.counts["digested"] == 48
    assert bench.step({"n50": 1}, seconds=60) == [FIRES]


def test_limit_collapses_and_never_clears(make: Benches) -> None:
    """Beyond its limit a rule keeps the alerts that it has and adds one for all of the rest."""
    bench = make(replace(RULE, limit=3))
    assert bench.step({f"n{number}": 1 for number in range(3)}) == ["hot firing 3"]
    everything = {f"n{number}": 1.0 for number in range(10)}

    assert bench.step(everything) == [FIRES]  # the one for those beyond
    assert bench.delivered.got[-1].alerts[0]["value"] == 7
    assert sum(life.is_firing for life in bench.lives.values()) == 4
    assert bench.step(everything) == []
    assert bench.step({**everything, **{f"n{n}": 0.0 for n in range(3, 10)}}) == [RESOLVES]


def test_duplicates(make: Benches) -> None:
    """A sample that comes twice is one sample, and one episode is one notification a receiver."""
    both = replace(RULE, for_ns=1, receivers=("page", "mail"))
    bench = make(both, receivers=[PAGE, replace(PAGE, name="mail")])

    for _ in range(3):
        bench.observe("hot", {"neuron": "n1"}, 1)
    assert bench.tick() == []  # three times the same is not held in two samples
    assert bench.step({"n1": 1}) == [FIRES, FIRES]
    assert bench.steps(1, 1, 1) == []
    assert bench.table.counts["duplicates"] == 2
    assert len({(each.receiver, each.key) for each in bench.delivered.got}) == 2


def test_repeat_interval(make: Benches) -> None:
    """What still fires is told again after the repeat interval, under a key of its own."""
    bench = make(receivers=[replace(PAGE, repeat_ns=5 * SECOND)])

    assert bench.steps(*[1] * 11) == [FIRES] * 3
    assert len(set(bench.keys())) == 3


@pytest.mark.parametrize("skew_s", [-86_400, -3, 86_400])
def test_clock_skew(make: Benches, skew_s: int) -> None:
    """An entity whose clock steps while an alert is pending delays it by a step, not for ever."""
    bench = make(FOR_5S)
    assert bench.steps(1, 1, 1) == []
    bench.skew_ns = skew_s * SECOND

    assert bench.steps(1, 1, 1, 1) == [FIRES]
    counts = bench.table.counts
    assert counts["clock_set_back"] == (skew_s < 0) and counts["gaps"] == (skew_s > 0)


def test_stopped_clock_is_no_data(make: Benches) -> None:
    """Samples whose time stands still are no news, so the rule's word on no data holds."""
    bench = make(replace(RULE, no_data="alert"))
    bench.steps(0)
    event_ns = EPOCH + bench.now_ns

    told = []
    for _ in range(3):
        bench.table.observe("hot", {"neuron": "n1"}, 0, 0.0, event_ns)
        told += bench.step()
    assert told == [FIRES]


def test_skipped_evaluations(make: Benches) -> None:
    """Evaluations that are left out neither reset `for` nor need to be made up for."""
    bench = make(FOR_5S)
    bench.steps(1)
    told = [bench.step({"n1": 1}, seconds=seconds) for seconds in (2.5, 2.5)]
    assert told == [[], [FIRES]]


def test_lag_is_event_time(make: Benches) -> None:
    """`for` is what the data say, also where they arrive late and all at once."""
    bench = make(FOR_5S)
    for second in range(6):
        bench.table.observe("hot", {"neuron": "n1"}, 1, 2.0, EPOCH + second * SECOND)

    assert bench.tick() == [FIRES]
    assert bench.delivered.got[0].alerts[0]["since_event_ns"] == EPOCH


def test_group_wait(make: Benches) -> None:
    """Alerts that are not critical wait for others of their group; critical ones never do."""
    bench = make(WARNING, receivers=[replace(PAGE, group_wait_ns=2 * SECOND)])
    told = [bench.step({f"n{number}": 1}) for number in range(4)]
    assert told == [[], [], ["hot firing 3"], []]


def test_ended_before_it_was_told(make: Benches) -> None:
    """What ends within the group's wait is not told at all, and stays to be counted as a flip."""
    bench = make(WARNING, receivers=[replace(PAGE, group_wait_ns=2 * SECOND)])
    assert bench.steps(1, 0, 0, 0) == []
    assert len(bench.life().flips) == 2
