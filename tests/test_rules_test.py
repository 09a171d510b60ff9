"""`rnts rules test`: series in, alerts and notifications out, at the times that are given."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from settings_tools import ROOT, isolate
from typer.testing import CliRunner, Result

from rnts.commands.rules import app

RUNNER = CliRunner()
EXAMPLE = str(ROOT / "config" / "alerts.test.yaml")
DOCUMENT = (ROOT / "docs" / "rules-test.md").read_text()
DEEP = {"name": "deep", "condition": "queue_depth > 10", "severity": "critical"}


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def run(*arguments: str) -> Result:
    """The command, which raises nothing of its own."""
    return RUNNER.invoke(app, ["test", *arguments], catch_exceptions=False)


def failures(
    *checks: dict[str, Any], series: Any = None, meanwhile: Any = (), **more: Any
) -> list[dict[str, Any]]:
    """What of these checks is not met by one neuron with these series and by these rules."""
    neuron = {"name": "n1", "group": "g", "host": "h", "series": series or {}, **more.pop("n", {})}
    neurons = more.pop("neurons", [neuron])
    case = {"name": "it", "neurons": neurons, "meanwhile": meanwhile, "checks": checks}
    Path("t.yaml").write_text(json.dumps({"alerts": [DEEP], **more, "tests": [case]}))
    result = run("t.yaml", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == bool(document["failed"])
    return list(document["tests"][0]["failures"])


def alert(state: str = "firing", **more: Any) -> dict[str, Any]:
    """An alert of the rule that is there unless another one is said."""
    return {"rule": "deep", "state": state, **more}


def told(kind: str = "firing", **more: Any) -> dict[str, Any]:
    """A notification to the log."""
    return {"receiver": "log", "kind": kind, **more}


def test_the_document_shows_what_happens() -> None:
    """The example of docs/rules-test.md says what stands below it, and fails as it says."""
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    (shown,) = re.findall(r"\$ rnts rules test queues.test.yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    Path("queues.test.yaml").write_text(example)
    result = run("queues.test.yaml")
    assert (result.stdout, result.exit_code) == (shown, 1)


def test_shipped_rules_pass_their_tests() -> None:
    """config/alerts.test.yaml tests each rule of config/alerts.yaml, which it names."""
    result = run(EXAMPLE)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "4 tests, 0 failed")
    text = Path(EXAMPLE).read_text()
    assert all(f"rule: {name}" in text for name in ("high_latency", "neuron_death"))


def test_one_of_the_tests_can_be_run() -> None:
    """With --run only the test of that name, of whichever file it is in."""
    name = "a dead neuron is told once, after half a minute"
    result = run(EXAMPLE, "--run", name, "--json")
    document = json.loads(result.stdout)
    assert [each["name"] for each in document["tests"]] == [name]
    assert document == {
        "version": 1,
        "failed": 0,
        "tests": [{"file": EXAMPLE, "name": name, "checks": 3, "failures": []}],
    }


def test_what_is_expected_has_to_be_so() -> None:
    """State, labels, value, and who was told are held against what there is, each by itself."""
    series = {"queue_depth": "1x2 11x5"}
    assert not failures({"at": "4s", "alerts": [alert(value=11)], "told": [told()]}, series=series)
    wrong = [
        ({"alerts": [alert("pending")]}, "pending", "firing"),
        ({"alerts": [alert(value=12)]}, "12", "11"),
        ({"alerts": [alert(value=[11.5, 12])]}, "11.5 to 12", "11"),
        ({"alerts": [alert(without_data=True)]}, "true", "false"),
        ({"alerts": [alert(labels={"neuron": "n2"})]}, "deep firing neuron=n2", "neuron=n1"),
        ({"alerts": []}, "none", "deep group=g host=h neuron=n1 firing value 11"),
        ({"alerts": [alert(), alert()]}, "deep firing", "none"),
        ({"told": [told("resolved")]}, "resolved", "firing"),
        ({"told": [told(count=2)]}, "2", "1"),
        ({"told": [told(group={"group": "g2"})]}, "log firing group=g2", "log deep group=g"),
        ({"told": []}, "none", "log deep group=g firing count 1"),
    ]
    for check, expected, got in wrong:
        found = failures({"at": "4s", **check}, series=series)
        assert expected in {each["expected"] for each in found}, check
        assert any(got in each["got"] for each in found), check


def test_each_place_is_that_of_what_is_wrong() -> None:
    """The line and column of the value that differs, or of the list that lacks something."""
    Path("t.yaml").write_text(
        "alerts: [{name: deep, condition: queue_depth > 10, severity: info}]\n"
        "tests:\n"
        "  - name: it\n"
        "    neurons: [{name: a, series: {queue_depth: '20'}}]\n"
        "    checks:\n"
        "      - at: 0s\n"
        "        alerts:\n"
        "          - {rule: deep, state: pending}\n"
        "      - at: 1s\n"
        "        told: [{receiver: log, kind: firing}]\n"
        "        alerts: []\n"
    )
    places = [line.split()[0] for line in run("t.yaml").stdout.splitlines()[1:-1]]
    assert places == ["t.yaml:8:33:", "t.yaml:11:17:"]


def test_notifications_are_those_since_the_check_before() -> None:
    """Each is told once; a check that says nothing of them passes them over."""
    series = {"queue_depth": "11x5 1x5"}
    begun, ended = {"told": [told()]}, {"told": [told("resolved")]}
    assert not failures(
        {"at": "2s", **begun}, {"at": "5s", "told": []}, {"at": "9s", **ended}, series=series
    )
    assert not failures({"at": "2s"}, {"at": "9s", **ended}, series=series)
    assert failures({"at": "9s", **begun}, series=series)


def test_a_test_may_be_about_some_of_the_rules() -> None:
    """What the others say is not compared."""
    other = {"name": "other", "condition": "queue_depth > 5", "severity": "info"}
    Path("r.yaml").write_text(json.dumps({"alerts": [DEEP, other]}))
    neuron = {"name": "n1", "series": {"queue_depth": "11x5"}}
    check = {"at": "4s", "alerts": [alert()], "told": [told()]}
    case = {"name": "it", "rules": "deep", "neurons": [neuron], "checks": [check]}
    Path("t.yaml").write_text(json.dumps({"rules": "r.yaml", "tests": [case]}))
    assert run("t.yaml").exit_code == 0
    del case["rules"]
    Path("t.yaml").write_text(json.dumps({"rules": "r.yaml", "tests": [case]}))
    assert run("t.yaml").exit_code == 1


def test_more_rules_than_one_client_may_ask() -> None:
    """They are asked by several clients of the aggregator, as in production."""
    rules = [{**DEEP, "name": f"deep-{n}", "condition": f"queue_depth > {n}"} for n in range(300)]
    alerts = [{"rule": f"deep-{n}", "state": "firing"} for n in range(298)]
    assert not failures({"at": "1s", "alerts": alerts}, series={"queue_depth": "298"}, alerts=rules)


def test_for_is_exact() -> None:
    """What has to hold for ten seconds is pending until then, and fires on that moment."""
    rule = {**DEEP, "condition": "queue_depth > 10 for 10s"}
    assert not failures(
        {"at": "14900ms", "alerts": [alert("pending")]},
        {"at": "15s", "alerts": [alert()]},
        series={"queue_depth": "1x4 11x30"},
        alerts=[rule],
    )


def test_recoveries_count_from_the_beginning() -> None:
    """Nobody was there before the test, so who is not heard of is well at once."""
    rule = {**DEEP, "interval": "20s", "keep_firing_for": "5s"}
    assert not failures(
        {"at": "7900ms", "alerts": [alert("recovering")]},
        {"at": "8s", "alerts": []},
        series={"queue_depth": "11x2 1x30"},
        alerts=[rule],
    )


def test_policies_for_silence_can_be_tested() -> None:
    """Nothing reported is no data: kept as it is, resolved, or an alert, as the rule says."""
    series = {"queue_depth": "11x3"}
    rule = {**DEEP, "condition": "max(queue_depth) > 10 by neuron"}

    def found(no_data: str, state: dict[str, Any] | None) -> list[dict[str, Any]]:
        checks = {"at": "20s", "alerts": [state] if state else []}
        return failures(checks, series=series, alerts=[{**rule, "no_data": no_data}])

    assert not found("keep", alert(without_data=True))
    assert not found("alert", alert(without_data=True))
    assert not found("resolve", None)


def test_who_leaves_takes_its_alerts_along() -> None:
    """A neuron that comes and leaves is heard of in between, and its alert ends with it."""
    neuron = {"n": {"comes": "2s", "leaves": "6s"}, "series": {"queue_depth": "_x3 11x3"}}
    assert not failures(
        {"at": "2s", "alerts": []},
        {"at": "4s", "alerts": [alert()]},
        {"at": "7s", "alerts": []},
        **neuron,
    )


def test_receivers_inhibitions_and_limits_hold() -> None:
    """Groups wait, causes hold back effects, a storm is one notification, a limit one alert."""
    many = {"name": "n{1..30}", "group": "g", "series": {"queue_depth": "11x20"}}
    cause = {"name": "cause", "condition": "max(queue_depth) > 10", "severity": "critical"}
    inhibition = {"source": {"rule": "cause"}, "target": {"rule": "deep"}}
    assert not failures(
        {"at": "5s", "told": [told(rule="deep", count=30), told(rule="cause")]},
        neurons=[many],
        alerts=[DEEP, cause],
    )
    assert not failures(
        {"at": "5s", "told": [told(rule="cause")]},
        neurons=[many],
        alerts=[DEEP, cause],
        inhibitions=[inhibition],
    )
    overflow = alert(labels={"overflow": "limit"}, value=28)
    assert not failures(
        {"at": "5s", "alerts": [alert(), overflow, alert()]},
        neurons=[many],
        alerts=[{**DEEP, "limit": 2}],
    )


def test_errors_and_units() -> None:
    """Errors are events, and a metric may be reported in any of its units."""
    rules = [
        {**DEEP, "condition": "error_rate > 0.4 and affected_neurons > 1"},
        {"name": "slow", "condition": "max(processing_time_ns) > 1e8", "severity": "info"},
    ]
    series = {"activation_count": "0+10x9", "errors": "0x2 5x9", "processing_time_ms": "101x9"}
    slow = {"rule": "slow", "state": "firing", "value": 101e6}
    neurons = [{"name": "n{1..2}", "series": series}]
    check = {"at": "6s", "alerts": [alert(value=[0.4, 0.6]), slow]}
    assert not failures(check, neurons=neurons, alerts=rules)
