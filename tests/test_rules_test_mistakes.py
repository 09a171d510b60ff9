"""What is said about files of tests that are wrong, and how series are read."""

from pathlib import Path

import pytest
from settings_tools import isolate

from rnts.errors import ConfigError, UsageError
from rnts.rehearsal.loading import load_all, load_rules_test
from rnts.rehearsal.notation import POINTS_MAX, NotationError, read_series
from rnts.rehearsal.script import expand, read_values

RULES = 'alerts: [{name: slow, condition: "queue_depth > 1", severity: info}]\n'


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def problems(text: str) -> list[str]:
    """What is said about a file with this text; fails if nothing is."""
    Path("t.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_rules_test(Path("t.yaml"))
    return caught.value.problems


def test_structure() -> None:
    """Unknown names, wrong types and faults of rules are told together, each at its place."""
    assert problems(
        "alerts:\n"
        '  - {name: slow, condition: "queue_dept > 1", severity: critical}\n'
        "tests:\n"
        "  - name: a\n"
        "    intervall: 1s\n"
        "    neurons: [{name: x, grup: g, series: {queue_depth: 5}}]\n"
        "    checks:\n"
        "      - {at: 5, alerts: [{rule: slow, state: fire, value: [2, 1]}]}\n"
        "      - {at: 5s, told: [{receiver: log}], alerts: [{rule: slow, state: firing,\n"
        "         labels: {grup: a}}]}\n"
    ) == [
        "t.yaml:2:30: alerts.0.condition: unknown name queue_dept; did you mean queue_depth?",
        "t.yaml:5:5: tests.0.intervall: unknown setting; did you mean interval?",
        "t.yaml:6:25: tests.0.neurons.0.grup: unknown setting; did you mean group?",
        (
            "t.yaml:6:56: tests.0.neurons.0.series.queue_depth: found the number 5; expected "
            'values in quotes, for example 1+1x10; to make it text, quote it: "5"'
        ),
        (
            "t.yaml:8:14: tests.0.checks.0.at: found the number 5; expected a duration such as "
            "500ms, 30s or 1h, for example 30s"
        ),
        (
            "t.yaml:8:46: tests.0.checks.0.alerts.0.state: found the text 'fire'; expected "
            "pending, firing or recovering, for example firing"
        ),
        (
            "t.yaml:8:59: tests.0.checks.0.alerts.0.value: expected a number, or a list of the "
            "least and the most that is right"
        ),
        (
            "t.yaml:9:25: tests.0.checks.1.told.0: kind is missing; expected firing, resolved, "
            "flapping or digest, for example firing"
        ),
        (
            "t.yaml:10:18: tests.0.checks.1.alerts.0.labels: 'grup' is no label of an entity; did "
            "you mean group?"
        ),
    ]


def test_meaning() -> None:
    """Names that nobody has, times that go back, and values that are none."""
    assert problems(
        RULES + "tests:\n"
        "  - name: a\n"
        "    neurons:\n"
        "      - name: x{1..5}\n"
        "        series:\n"
        "          queue_depth: '1 2x 3'\n"
        "          queue_dept: '1'\n"
        "          health: critcal\n"
        "          errors: '-1'\n"
        "          processing_time_ms: '1'\n"
        "          processing_time_ns: '2'\n"
        "      - {name: 'x{5..6}', comes: 5s, leaves: 5s}\n"
        "      - {name: 'y{6..5}'}\n"
        "    checks:\n"
        "      - {at: 5s, alerts: [{rule: slw, state: firing}]}\n"
        "      - {at: 5s, told: [{receiver: lg, kind: firing, rule: slow2}]}\n"
        "  - {name: a, rules: [sloww], checks: []}\n"
    ) == [
        (
            "t.yaml:7:27: tests.0.neurons.0.series.queue_depth: '2x' is no value; write numbers as "
            "in 1 2x3 1+1x10, _ for none"
        ),
        (
            "t.yaml:8:11: tests.0.neurons.0.series.queue_dept: unknown metric queue_dept; did you "
            "mean queue_depth?"
        ),
        (
            "t.yaml:9:19: tests.0.neurons.0.series.health: 'critcal' is no state; did you mean "
            "critical?"
        ),
        "t.yaml:10:19: tests.0.neurons.0.series.errors: errors is never below 0",
        (
            "t.yaml:12:31: tests.0.neurons.0.series.processing_time_ns: processing_time_ns is "
            "processing_time_ms in another unit, or by another name"
        ),
        "t.yaml:13:16: tests.0.neurons.1.name: 'x5' is the name of an earlier neuron",
        "t.yaml:13:46: tests.0.neurons.1.leaves: 5s is not after it comes, at 5s",
        "t.yaml:14:16: tests.0.neurons.2.name: {6..5} is no range of 1 to 10,000 numbers",
        "t.yaml:16:34: tests.0.checks.0.alerts.0.rule: there is no rule 'slw'; did you mean slow?",
        "t.yaml:17:14: tests.0.checks.1.at: checks stand in the order of time; 5s is before it",
        "t.yaml:17:36: tests.0.checks.1.told.0.receiver: nobody is told by 'lg'; did you mean log?",
        "t.yaml:17:60: tests.0.checks.1.told.0.rule: there is no rule 'slow2'; did you mean slow?",
        "t.yaml:18:12: tests.1.name: 'a' is the name of an earlier test",
        "t.yaml:18:22: tests.1.rules: there is no rule 'sloww'; did you mean slow?",
        "t.yaml:18:39: tests.1.checks: it checks nothing",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: [{name: a, checks: [{at: 1s}]}]", ":1:1: there are no rules; rules names"),
        (RULES + "tests: []\n", ":2:8: tests: there is no test"),
        (RULES + "tests: [{name: a, checks: [{at: 2d}]}]", "tests.0.checks.0.at: a test is at"),
        (f"rules: r.yaml\n{RULES}tests: []\n", ":2:1: alerts: the file that rules names has its"),
        ("rules: gone.yaml\ntests: [{name: a, checks: [{at: 1s}]}]", "gone.yaml: cannot be read:"),
        ("[]", ":1:1: the file is not a mapping"),
        ("a: [", "is not YAML"),
        (
            (
                'alerts: [{name: a, condition: "errors > 1", severity: info, receivers: opp}]\n'
                "receivers: [{name: ops, actions: log}]\ntests: [{name: a, checks: [{at: 1s}]}]\n"
            ),
            ":1:72: alerts.0.receivers: no entry of receivers has the name 'opp'; did you mean ops",
        ),
    ],
)
def test_other_mistakes(text: str, said: str) -> None:
    """One thing that is wrong is told as one thing."""
    (problem,) = problems(text)
    assert said in problem


def test_problems_of_all_files_are_told() -> None:
    """A name that no test has is told with one that is like it."""
    Path("a.yaml").write_text(RULES + "tests: [{name: slow one, checks: [{at: 1s}]}]")
    Path("b.yaml").write_text("tests: []")
    with pytest.raises(ConfigError) as caught:
        load_all([Path("b.yaml"), Path("c.yaml")], [])
    assert [line.split(":")[0] for line in caught.value.problems] == ["b.yaml", "c.yaml"]
    with pytest.raises(UsageError, match="did you mean slow one"):
        load_all([Path("a.yaml")], ["slow on"])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("1 2.5 1e3", [1, 2.5, 1000]),
        ("7x3", [7, 7, 7, 7]),
        ("1+2x3", [1, 3, 5, 7]),
        ("9-2x3 1", [9, 7, 5, 3, 1]),
        ("-5+1.5x2", [-5, -3.5, -2]),
        ("1e-1+1e-1x1", [0.1, 0.2]),
        ("_ 1 _x3", [None, 1, None, None, None]),
        ("1x0", [1]),
    ],
)
def test_numbers(text: str, values: list[float | None]) -> None:
    """The notation is that of promtool: `AxN` says A once and then N times more."""
    assert read_series(text, is_health=False) == values


@pytest.mark.parametrize("text", ["1+2", "x3", "1x", "--1", "1+-1x2", "nan", "__", "1,2", "_y"])
def test_what_is_no_number(text: str) -> None:
    """It is refused at its own place."""
    with pytest.raises(NotationError) as caught:
        read_series(f"1  {text}", is_health=False)
    assert caught.value.position == 3


def test_states() -> None:
    """States of health are words."""
    assert read_series("healthy _ criticalx2", is_health=True) == [0, None, 2, 2, 2]
    for text in ("5", "critical+1x2", "Critical", "well"):
        with pytest.raises(NotationError, match="is no state"):
            read_series(text, is_health=True)


def test_series_have_limits() -> None:
    """However long one is written, it takes bounded memory; numbers fit where they go."""
    for text in (f"1x{POINTS_MAX}", f"_x{POINTS_MAX} 1", "1x999999999"):
        with pytest.raises(NotationError, match="at most 100,000 values"):
            read_series(text, is_health=False)
    with pytest.raises(ValueError, match="does not fit into 32 bits"):
        read_values("queue_depth", "4294967296")
    with pytest.raises(ValueError, match="is never below 0"):
        read_values("memory_mb", "-1")
    with pytest.raises(ValueError, match="at most 10,000 errors"):
        read_values("errors", "10001")
    assert read_values("signal_strength", "-1") == [-1]


def test_units_and_ranges() -> None:
    """Values are in the unit of their name, names stand for as many neurons as they say."""
    assert read_values("processing_time_ms", "1.5") == [1_500_000]
    assert read_values("cache_hit_rate_percent", "50") == [0.5]
    assert expand("w{9..11}-a") == ["w9-a", "w10-a", "w11-a"]
    assert expand("w{1,2}") == ["w{1,2}"]
