"""`rnts rules test`: silences, restarts and other rules while series are played."""

import json
from pathlib import Path
from typing import Any

import pytest
from settings_tools import isolate
from test_rules_test import DEEP, alert, failures, told
from test_rules_test_mistakes import RULES, problems

HIGH = "50x400"  # values of a queue that is too long for as long as any test


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def wrong(*checks: dict[str, Any], meanwhile: Any, queue: str = HIGH, **more: Any) -> Any:
    """What of these checks is not met where this is done while a queue is as it is."""
    return failures(*checks, series={"queue_depth": queue}, meanwhile=meanwhile, **more)


def silence(at: str, lasts: str, **matchers: str) -> dict[str, Any]:
    """Somebody's word that alerts are known."""
    said = {"matchers": matchers or {"rule": "deep"}, "lasts": lasts, "author": "ann"}
    return {"at": at, "silence": {**said, "comment": "we know"}}


def test_a_silence_holds_back_until_it_ends() -> None:
    """What fires meanwhile is told at its end, to the moment; others are told as ever."""
    other = {**DEEP, "name": "other"}
    assert not wrong(
        {"at": "4s", "alerts": [alert(), alert(rule="other")], "told": [told(rule="other")]},
        {"at": "6900ms", "told": []},
        {"at": "7s", "told": [told(rule="deep")]},
        meanwhile=[silence("1s", "6s")],
        queue="5x2 50x400",
        alerts=[DEEP, other],
    )


def test_a_silence_is_in_time_for_what_is_reported_then() -> None:
    """What is done at a moment comes before what arrives; what still fires is told again."""
    assert not wrong(
        {"at": "4s", "told": []},
        {"at": "5s", "told": [told()]},
        {"at": "8900ms", "told": []},
        {"at": "9s", "told": [told()]},
        meanwhile=[silence("3s", "2s"), silence("7s", "2s", neuron="n1")],
        queue="5x2 50x400",
    )


@pytest.mark.parametrize("times", [1, 3])
def test_a_restart_of_alerts_neither_forgets_nor_tells_twice(times: int) -> None:
    """What fires and was told goes on, and its end is told; what is pending keeps its age."""
    slow = {**DEEP, "name": "slow", "condition": "queue_depth > 10 for 10s"}
    assert not wrong(
        {"at": "3s", "told": [told(rule="deep")]},
        {"at": "10s", "alerts": [alert(), alert("pending", rule="slow")], "told": []},
        {"at": f"{11 + times}s", "alerts": [alert(), alert(rule="slow")]},
        {"at": "20s", "alerts": [alert(), alert(rule="slow")]},
        {"at": "25s", "alerts": [], "told": [told("resolved"), told("resolved")]},
        meanwhile=[{"at": f"{5 + number}s", "restart": "alert"} for number in range(times)],
        queue="50x21 5x400",
        alerts=[DEEP, slow],
    )


def test_a_restart_of_alerts_keeps_silences() -> None:
    """They are remembered with the rest."""
    assert not wrong(
        {"at": "8900ms", "alerts": [alert()], "told": []},
        {"at": "9s", "told": [told()]},
        meanwhile=[silence("1s", "8s"), {"at": "4s", "restart": "alert"}],
        queue="5x2 50x400",
    )


@pytest.mark.parametrize("more", [[], [{"at": "6s", "restart": "alert"}]])
def test_a_restart_of_the_aggregator_is_no_recovery(more: list[Any]) -> None:
    """Who is heard again goes on firing, whatever the rule says of silence, and is told once."""
    assert not wrong(
        {"at": "4s", "told": [told()]},
        {"at": "7s", "alerts": [alert()]},
        {"at": "30s", "alerts": [alert(without_data=False)], "told": []},
        {"at": "40s", "alerts": [], "told": [told("resolved")]},
        meanwhile=[{"at": "5s", "restart": "aggregator"}, *more],
        queue="50x5 _ 50x24 5x100",
        alerts=[{**DEEP, "no_data": "resolve"}],
    )


@pytest.mark.parametrize(
    ("policy", "ends"), [("keep", "left"), ("alert", "left"), ("ok", "soon"), ("resolve", "soon")]
)
def test_who_is_not_heard_after_a_restart_has_no_data(policy: str, ends: str) -> None:
    """The rule's word on silence decides, and after a minute the neuron has left."""
    firing = [] if ends == "soon" else [alert(without_data=True)]
    assert not wrong(
        {"at": "4s", "told": [told()]},
        {"at": "6900ms", "alerts": [alert()], "told": []},
        {"at": "10s", "alerts": firing, "told": [told("resolved")] if ends == "soon" else []},
        {"at": "60s", "alerts": firing, "told": []},
        {"at": "70s", "alerts": [], "told": [told("resolved")] if ends == "left" else []},
        meanwhile=[{"at": "5s", "restart": "aggregator"}],
        queue="50x4",
        alerts=[{**DEEP, "no_data": policy}],
    )


def test_who_is_well_after_a_restart_has_recovered() -> None:
    """An aggregator that was started again says of whom it has heard that all is well."""
    assert not wrong(
        {"at": "4s", "told": [told()]},
        {"at": "7900ms", "alerts": [alert()], "told": []},
        {"at": "8s", "alerts": [], "told": [told("resolved")]},
        meanwhile=[{"at": "5s", "restart": "aggregator"}],
        queue="50x4 5x100",
    )


def test_other_rules_from_a_file_and_from_here() -> None:
    """What is the same goes on, what is gone is resolved, what is new begins."""
    Path("more.yaml").write_text(json.dumps({"alerts": [DEEP, {**DEEP, "name": "new"}]}))
    changed = {**DEEP, "name": "new", "condition": "queue_depth > 20"}
    assert not wrong(
        {"at": "4s", "alerts": [alert()], "told": [told(rule="deep")]},
        {"at": "6s", "alerts": [alert(), alert(rule="new")], "told": [told(rule="new")]},
        {"at": "9s", "alerts": [alert(rule="new")], "told": [
            told("resolved", rule="deep"), told("resolved", rule="new"), told(rule="new"),
        ]},
        meanwhile=[
            {"at": "5s", "reload": "more.yaml"},
            {"at": "7s", "reload": {"alerts": [changed]}},
        ],
    )  # fmt: skip


def test_other_rules_outlive_restarts() -> None:
    """After a restart of either process it is the newest rules that are asked."""
    changed = {**DEEP, "condition": "queue_depth > 100"}
    assert not wrong(
        {"at": "4s", "told": [told()]},
        {"at": "20s", "alerts": [], "told": [told("resolved")]},
        meanwhile=[
            {"at": "5s", "reload": {"alerts": [changed]}},
            {"at": "7s", "restart": "alert"},
            {"at": "8s", "restart": "aggregator"},
        ],
    )


def test_what_is_wrong_is_told_with_its_place() -> None:
    """Kinds and times of what is done, at their lines and columns."""
    assert problems(
        RULES + "tests:\n"
        "  - name: a\n"
        "    meanwhile:\n"
        "      - {at: 0s, restart: alert}\n"
        "      - {at: 7s, restart: alert, reload: r.yaml}\n"
        "      - {at: 5s}\n"
        "      - {at: 9s, restart: aggregator}\n"
        "    checks: [{at: 8s}]\n"
    ) == [
        "t.yaml:5:14: tests.0.meanwhile.0.at: at 0s nothing has begun",
        (
            "t.yaml:6:9: tests.0.meanwhile.1: one of silence, restart and reload is done at a "
            "time, and here is restart and reload"
        ),
        (
            "t.yaml:7:9: tests.0.meanwhile.2: one of silence, restart and reload is done at a "
            "time, and here is nothing"
        ),
        (
            "t.yaml:7:14: tests.0.meanwhile.2.at: what is done stands in the order of time; 7s is "
            "before it"
        ),
        (
            "t.yaml:8:14: tests.0.meanwhile.3.at: the last check, with which the test ends, is "
            "before it"
        ),
    ]


def test_what_is_said_of_silences_and_rules_is_checked() -> None:
    """Values and names of a silence, a restart and other rules that are no such thing."""
    assert problems(
        RULES + "tests:\n"
        "  - name: a\n"
        "    meanwhile:\n"
        "      - {at: 1s, silence: {matchers: {rul: slow}, lasts: 0s, auther: ann}}\n"
        "      - {at: 1s, silence: {matchers: {}, lasts: 1m, author: ann}}\n"
        "      - {at: 2s, restart: agent}\n"
        "      - {at: 3s, reload: 5}\n"
        "      - {at: 3s, reload: {alert: []}}\n"
        "    checks: [{at: 8s}]\n"
    ) == [
        (
            "t.yaml:5:27: tests.0.meanwhile.0.silence: author is missing; expected a name, for "
            "example ann"
        ),
        (
            "t.yaml:5:38: tests.0.meanwhile.0.silence.matchers: 'rul' is no label of an alert; did "
            "you mean rule?"
        ),
        "t.yaml:5:58: tests.0.meanwhile.0.silence.lasts: '0s' is too short; it is at least 100ms",
        "t.yaml:5:62: tests.0.meanwhile.0.silence.auther: unknown setting; did you mean author?",
        (
            "t.yaml:6:38: tests.0.meanwhile.1.silence.matchers: found an empty mapping; expected a "
            "mapping of labels (rule, severity, group, host, neuron, entity, metric) to values, "
            "for example {rule: a}"
        ),
        (
            "t.yaml:7:27: tests.0.meanwhile.2.restart: found the text 'agent'; expected alert or "
            "aggregator, for example alert"
        ),
        (
            "t.yaml:8:26: tests.0.meanwhile.3.reload: expected the path of a file of rules, or "
            "their sections"
        ),
        (
            "t.yaml:9:26: tests.0.meanwhile.4.reload: 'alert' is no section about alerts; did you "
            "mean alerts?"
        ),
    ]


def test_other_rules_are_checked_as_those_of_a_file() -> None:
    """Each fault of rules that stand here has its place; those of files have that of the file."""
    Path("other.yaml").write_text(RULES.replace("queue_depth", "queue_deep"))
    assert problems(
        RULES + "tests:\n"
        "  - name: a\n"
        "    meanwhile:\n"
        "      - at: 1s\n"
        "        reload:\n"
        "          alerts:\n"
        '            - {name: b, condition: "queue_dept > 1", severity: info}\n'
        "      - {at: 2s, reload: other.yaml}\n"
        "      - {at: 3s, reload: none.yaml}\n"
        "    checks: [{at: 8s}]\n"
    ) == [
        "t.yaml:8:37: alerts.0.condition: unknown name queue_dept; did you mean queue_depth?",
        "other.yaml:1:35: alerts.0.condition: unknown name queue_deep; did you mean queue_depth?",
        "none.yaml: cannot be read: No such file or directory",
    ]


def test_names_of_other_rules_are_known() -> None:
    """Checks name rules and receivers that there are at some time, and no others."""
    assert problems(
        RULES + "tests:\n"
        "  - name: a\n"
        "    meanwhile:\n"
        '      - {at: 1s, reload: {alerts: [{name: new, condition: "queue_depth > 1",\n'
        "         severity: info}]}}\n"
        "    checks:\n"
        "      - {at: 1s, alerts: [{rule: new, state: firing}, {rule: slow, state: firing}]}\n"
        "      - {at: 2s, alerts: [{rule: newer, state: firing}]}\n"
        "  - name: b\n"
        "    checks: [{at: 1s, alerts: [{rule: new, state: firing}]}]\n"
    ) == [
        "t.yaml:9:34: tests.0.checks.1.alerts.0.rule: there is no rule 'newer'; did you mean new?",
        "t.yaml:11:39: tests.1.checks.0.alerts.0.rule: there is no rule 'new'; known here: slow",
    ]
