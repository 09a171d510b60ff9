"""What names of figures mean, and how two runs compare."""

from typing import Any

import pytest

from rnts.commands._bench_table import print_goals, verdict
from rnts.perf import figures
from rnts.perf.goals import GOALS, Goal

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("name", "towards"),
    [
        ("records_per_second", 1),
        ("balanced", 1),
        ("njit_ns", -1),
        ("latency_ns_p99", -1),
        ("bytes_per_record", -1),
        ("agent_cpu_seconds_per_million", -1),
        ("agent_memory_mib", -1),
        ("core_percent", -1),
        ("lost", -1),
        ("overload_lost", 0),
        ("other_cpu_percent", 0),
        ("lane_slots", 0),
        ("hash", 0),
    ],
)
def test_names_say_which_way_is_better(name: str, towards: int) -> None:
    """The unit decides; circumstances, and what happens beyond the limit, are not judged."""
    assert figures.direction(name) == towards


def documents(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Two documents with one benchmark each."""
    return tuple({"version": 1, "benchmarks": {"one": found}} for found in (before, after))


@pytest.mark.parametrize(
    ("name", "before", "after", "worse_percent"),
    [
        ("call_ns", 100, 120, 20),
        ("call_ns", 100, 80, -20),
        ("records_per_second", 200, 150, 25),
        ("records_per_second", 200, 250, -25),
        ("lost", 0, 3, INFINITE),
        ("lost", 3, 0, -100),
        ("records_per_second", 0, 5, -INFINITE),
        ("balanced", True, False, 100),
        ("call_ns", 0, 0, 0),
    ],
)
def test_change_is_told_in_per_cent(
    name: str, before: float, after: float, worse_percent: float
) -> None:
    """Worse is above 0, whichever way is better; anything against nothing is beyond all limits."""
    (change,) = figures.compare(*documents({name: before}, {name: after}), peers={})

    assert change.worse_percent == worse_percent


def test_only_what_both_runs_have_is_compared() -> None:
    """Figures that are new, gone, absent or no numbers make no change."""
    before = {"a_ns": 1, "gone_ns": 1, "absent_ns": None, "hash": "0"}
    after = {"a_ns": 1, "new_ns": 1, "absent_ns": 2, "hash": "1"}
    changes = figures.compare(*documents(before, after), peers={})

    assert [change.figure for change in changes] == ["a_ns"]
    assert figures.changed_results(*documents(before, after)) == ["one"]


def test_peers_are_shown_and_not_judged() -> None:
    """That another library became slower is told, and is no regression of ours."""
    peers = {"one": frozenset({"peer_ns"})}
    before, after = {"peer_ns": 1, "our_ns": 100}, {"peer_ns": 9, "our_ns": 101}
    changes = figures.compare(*documents(before, after), peers)

    assert [change.is_peer for change in changes] == [True, False]
    assert figures.worst(changes) == pytest.approx(1)
    assert figures.worst([]) == 0


@pytest.mark.parametrize(
    ("value", "goal", "says"),
    [
        (5.0, Goal(8, 6), "aim"),
        (8.0, Goal(8, 6), "must"),
        (8.1, Goal(8, 6), "MISSED"),
        (0, Goal(0), "must"),
        (None, Goal(8, 6), "MISSED"),
    ],
)
def test_a_figure_is_held_against_its_goal(value: float | None, goal: Goal, says: str) -> None:
    """The most that it may be, and what is aimed at; what was not measured has missed both."""
    assert verdict(value, goal) == says


def test_goals_are_of_figures_of_which_less_is_better() -> None:
    """Each goal is the most that a figure may be, and its aim is below that."""
    for of_benchmark in GOALS.values():
        for figure, goal in of_benchmark.items():
            assert figures.direction(figure) == -1
            assert goal.aim is None or goal.aim < goal.must


def test_goals_are_printed_beside_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row has the figure, its must and its aim in the same unit, and whether they are kept."""
    print_goals({"reflex": {"rule_ns": 0.4, "storm_ms": 60.0}, "fold": {"a_ns": 1}}, GOALS)

    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "_" in line]
    assert rows == [
        ["reflex", "rule_ns", "0.40", "ns", "2", "ns", "0.50", "ns", "aim"],
        ["storm_ms", "60.0", "ms", "50.0", "ms", "15.0", "ms", "MISSED"],
    ]
