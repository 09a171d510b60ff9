"""`rnts rules check`: how rules are told to people and to programs, and where their faults are."""

import json
from pathlib import Path

import pytest
from settings_tools import DATA, isolate
from typer.testing import CliRunner

from rnts.commands.rules import app
from rnts.errors import ConfigError
from rnts.settings_scalar import place_within
from rnts.settings_yaml import parse

RUNNER = CliRunner()
ALERTS = str(DATA / "alerts.yaml")


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def test_each_rule_is_told_in_words() -> None:
    """Scope, readings, windows and duration of each rule of the specification."""
    result = RUNNER.invoke(app, ["check", ALERTS])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == f"{ALERTS}: 3 rules, ok"
    assert lines[lines.index("neuron_death") :][1:5] == [
        "when health_status == 'critical' for 30s",
        "of neuron: each neuron (inferred)",
        "reads health as it last said itself, now",
        "holds for 30s",
    ]
    assert "reads 99 % percentile of processing_time_ns, over 1s" in lines
    assert lines[-4:] == [
        "action trigger_emergency_protocol",
        "takes 64 bytes a neuron",
        "",
        "together they take 137 bytes a neuron of the aggregator's memory",
    ]


def test_programs_get_the_same() -> None:
    """With --json the rules are a document, with durations in nanoseconds."""
    document = json.loads(RUNNER.invoke(app, ["check", ALERTS, "--json"]).stdout)
    assert (document["version"], len(document["rules"])) == (1, 3)
    assert [rule["neuron_bytes"] for rule in document["rules"]] == [64, 9, 64]
    assert document["neuron_bytes"] == 137 <= document["neuron_bytes_max"]
    rule = document["rules"][1]
    assert (rule["name"], rule["severity"], rule["action"]) == ("neuron_death", "critical", [])
    assert (rule["scope"], rule["scope_inferred"], rule["for_ns"]) == ("neuron", True, 30 * 10**9)
    assert rule["readings"] == [
        {
            "function": "health",
            "metric": "",
            "window_ns": 0,
            "scope": "neuron",
            "words": "health as it last said itself, now",
        }
    ]


def test_rules_that_take_too_much_memory_are_named() -> None:
    """The file is right, and one is warned with the figure and the rule that takes most of it."""
    Path("rules.yaml").write_text(
        "alerts:\n"
        "  - {name: deep, severity: info, condition: max(queue_depth) > 9 by neuron}\n"
        "  - {name: slow, severity: info, condition: p99_processing_time_ms > 9 by neuron}\n"
    )
    result = RUNNER.invoke(app, ["check", "rules.yaml"])

    assert result.exit_code == 0
    assert "together they take 4,458 bytes a neuron" in result.stdout
    assert "most of it for slow" in result.stderr


def test_all_faults_of_a_file_are_told_at_once() -> None:
    """Each fault of each rule has its own line and column of the file; the exit code is 3."""
    Path("rules.yaml").write_text(
        "alerts:\n"
        "  - {name: a, severity: info, condition: foo > 1 or bar > 2}\n"
        "  - name: b\n"
        "    severity: info\n"
        "    condition: |\n"
        "      queue_depth > 1\n"
        "        or errors\n"
    )
    result = RUNNER.invoke(app, ["check", "rules.yaml"])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 3
    assert [line.split(": ")[:2] for line in result.exception.problems] == [
        ["rules.yaml:2:42", "alerts.0.condition"],
        ["rules.yaml:2:53", "alerts.0.condition"],
        ["rules.yaml:7:12", "alerts.1.condition"],
    ]


def test_rules_of_processors_are_told() -> None:
    """What they are about, how long it lasts, and who is told; they count as rules."""
    Path("rules.yaml").write_text(
        "processors:\n"
        "  - {name: odd, processor: anomaly, severity: info, at_least: critical, action: log}\n"
    )
    result = RUNNER.invoke(app, ["check", "rules.yaml"])
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "rules.yaml: 1 rule, ok",
        "",
        "odd",
        "when the processor anomaly says so, from critical on",
        "severity info",
        "lasts until it has not said so for 1m",
        "action log",
    ]
    document = json.loads(RUNNER.invoke(app, ["check", "rules.yaml", "--json"]).stdout)
    assert (document["rules"], document["processors"][0]["processor"]) == ([], "anomaly")


def test_looking_for_names_has_an_end() -> None:
    """A file of nothing but faults is refused before each of them was looked at."""
    condition = " or ".join(["quue_depth > 1"] * 20)
    rules = [
        {"name": f"{n}", "severity": "info", "condition": condition + " " * (n % 7)}
        for n in range(40)
    ]
    Path("rules.yaml").write_text(json.dumps({"alerts": rules}))
    result = RUNNER.invoke(app, ["check", "rules.yaml"])
    assert isinstance(result.exception, ConfigError)
    problems = result.exception.problems
    assert "did you mean queue_depth?" in problems[0]
    assert problems[-1] == "and 1 problems more"


def test_a_file_without_rules_is_right() -> None:
    """It has no rules, and that is said."""
    Path("rules.yaml").write_text("agent: {host: true}\n")
    result = RUNNER.invoke(app, ["check", "rules.yaml"])
    assert (result.exit_code, result.stdout) == (0, "rules.yaml: 0 rules, ok\n")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: errors > X", "1:13"),
        ("a: 'errors > X'", "1:14"),
        ("a: '''t'' == X'", "1:14"),
        ('a: "errors > X"', "1:14"),
        ("a: errors\n   > X", "2:6"),
        ("a: |\n  errors\n  > X\n", "3:5"),
        ("a: >-\n  errors >\n\n   X", "4:4"),
        ("b: &c errors > X\na: *c", "1:16"),
        ("a: " + r'"errors\x20> X"', None),
    ],
)
def test_characters_of_scalars_are_found_in_the_file(text: str, place: str | None) -> None:
    """However a condition is written in YAML, its characters have places; escapes have none."""
    tree = parse(text, "f")
    found = place_within(tree.place(("a",)), tree.plain["a"].index("X"))
    assert (found and str(found)) == (place and f"f:{place}")


def test_a_rule_takes_what_both_of_its_conditions_take() -> None:
    """An aggregator keeps what says that it is over, too."""
    Path("rules.yaml").write_text(
        "alerts:\n"
        "  - {name: full, condition: queue_depth > 5, severity: info,\n"
        "     resolve_when: mean(queue_depth) over 5s < 3 by neuron}\n"
    )
    document = json.loads(RUNNER.invoke(app, ["check", "rules.yaml", "--json"]).stdout)
    assert document["rules"][0]["neuron_bytes"] == document["neuron_bytes"] == 9 + 2 * 64 + 9
