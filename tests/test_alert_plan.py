"""From settings to what the machines of alerts take: rules, receivers, bounds, causes, actions."""

import json
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alert_tools import RULE, SECOND, Bench
from settings_tools import ROOT, isolate

from rnts.alerts.action import ActionError
from rnts.alerts.actions_apprise import AppriseAction
from rnts.alerts.actions_local import PublishAction
from rnts.alerts.causes import usual_causes
from rnts.alerts.notification import Notification
from rnts.alerts.plan import Plan, make_plan, memory_folder
from rnts.alerts.rule import Receiver
from rnts.alerts.suppression import Inhibition
from rnts.alerts.workshop import Workshop
from rnts.errors import ConnectError, UsageError
from rnts.model import METRICS
from rnts.rules.bounds import bound_of, shown_readings, window_of
from rnts.rules.condition import parse_condition
from rnts.rules.vocabulary import COUNTS, FUNCTIONS
from rnts.settings import Settings, load_file


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, runtime_folder)


def settings_of(**sections: Any) -> Settings:
    """The settings of a file with these sections."""
    Path("r.yaml").write_text(json.dumps(sections))
    return load_file(Path("r.yaml"))


def plan_of(rule: dict[str, Any], **sections: Any) -> Plan:
    """The plan of a file with a rule `a`."""
    rule = {"name": "a", "severity": "info", "condition": "errors > 1", **rule}
    return make_plan(settings_of(alerts=[rule], **sections))


def test_a_rule_has_all_that_is_said_of_it() -> None:
    """Each field of a rule arrives, with durations in nanoseconds."""
    plan = plan_of(
        {
            "condition": "p99_processing_time_ms over 5s > 100\n  by group for 1m",
            "resolve_when": "p99_processing_time_ms over 5s < 50 by group",
            "keep_firing_for": "1.5s",
            "no_data": "ok",
            "interval": "2s",
            "limit": 7,
            "causes": ["a deployment"],
        }
    )
    (rule,) = plan.rules
    assert rule.condition == "p99_processing_time_ms over 5s > 100 by group for 1m"
    assert (rule.for_ns, rule.keep_firing_ns, rule.interval_ns) == (
        60 * SECOND,
        3 * SECOND // 2,
        2 * SECOND,
    )
    assert (rule.no_data, rule.limit, rule.causes) == ("ok", 7, ("a deployment",))
    assert (rule.bound, rule.window_ns) == ("> 100", 5 * SECOND)
    assert plan.queries.keys() == {"condition/a", "resolve/a"}
    assert plan.queries["resolve/a"].expression == rule.resolve_when


def test_who_is_told() -> None:
    """An action of a rule is a receiver with defaults; each action of a receiver is one of it."""
    note = {"name": "note", "kind": "log"}
    team = {"name": "team", "actions": ["note", "log"], "group_by": ["host"], "burst": 3}
    team |= {"group_wait": "2s", "repeat": "0s", "refill": "5s", "resolved": False}
    plan = plan_of({"action": "note", "receivers": "team"}, actions=[note], receivers=[team])
    assert plan.rules[0].receivers == ("note", "team/note", "team/log")
    assert plan.routes == {"log": "log", "note": "note", "team/note": "note", "team/log": "log"}
    assert plan.receivers[:2] == (Receiver("log"), Receiver("note"))
    expected = Receiver("team/log", ("host",), 2 * SECOND, 0, 3, 5 * SECOND, False)
    assert plan.receivers[3] == expected


def test_who_says_nothing_is_told_by_the_log() -> None:
    """A rule without action and receivers is not told to nobody."""
    plan = plan_of({})
    assert plan.rules[0].receivers == ("log",) and plan.routes == {"log": "log"}


def test_inhibitions_flapping_and_folder() -> None:
    """What is about all alerts arrives as well."""
    inhibition = {"source": {"rule": "a"}, "target": {"severity": "info"}, "equal": ["group"]}
    sections = {
        "inhibitions": [inhibition],
        "alerting": {"folder": "/x", "flapping": {"window": "1m", "begins_at": 4}},
    }
    plan = plan_of({}, **sections)
    assert plan.inhibitions == (Inhibition((("rule", "a"),), (("severity", "info"),), ("group",)),)
    assert (plan.flapping.window_ns, plan.flapping.begins_at) == (60 * SECOND, 4)
    assert memory_folder(settings_of(alerting=sections["alerting"])) == Path("/x")


def test_how_a_condition_is_written_is_no_change() -> None:
    """White space does not end the alerts of a rule; its meaning does."""
    digests = [
        plan_of({"condition": text}).rules[0].digest
        for text in ("errors > 1", " errors\n  >   1", "errors > 2")
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("condition", "bound", "window_s"),
    [
        ("p99_processing_time_ms > 100", "> 100", 1),
        ("100 < max(memory_mb) over 5s", "> 100", 5),
        ("health_status == 'critical' for 30s", "== critical", 0),
        ("error_rate > 0.5 and affected_neurons > 10", "> 0.5", 1),
        ("not (queue_depth < 2 * 3)", ">= 6", 0),
        ("1 < queue_depth < 9", "> 1", 0),
        ("delta(queue_depth) over 1m > 2 * queue_depth", "> (2 * queue_depth)", 60),
        ("mean(cpu_usage_percent) < -10 / 4", "< -2.5", 1),
        ("p50_processing_time_ms < p99_processing_time_ms", "< p99_processing_time_ms", 1),
        ("absent(activation_count, 5s)", "", 5),
        ("health != 'healthy' or queue_depth > 3", "!= healthy", 0),
    ],
)
def test_bound_and_window(condition: str, bound: str, window_s: int) -> None:
    """The value that is shown has a bound as people write it, and a window."""
    parsed = parse_condition(condition)
    assert (bound_of(parsed), window_of(parsed)) == (bound, window_s * SECOND)


def test_everything_that_can_be_read_suggests_something() -> None:
    """Each metric, count and state has a cause of its own; what is shown comes first."""
    fallback = usual_causes([])
    for metric in METRICS:
        if metric.name != "connection_count":
            assert usual_causes([("mean", metric.name)]) != fallback, metric.name
    for function in (*COUNTS, "health"):
        assert usual_causes([(function, "")]) != fallback, function
    assert "absent" in FUNCTIONS
    readings = shown_readings(parse_condition("queue_depth > 1 or memory_mb > 1"))
    assert [metric for _, metric in readings] == ["queue_depth", "memory_bytes"]
    assert len(usual_causes(readings)) == 2


def test_the_example_of_the_manual() -> None:
    """What docs/alerts.md shows is valid, and says what is written beside it."""
    text = (ROOT / "docs" / "alerts.md").read_text()
    Path("r.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    plan = make_plan(load_file(Path("r.yaml")))
    assert plan.rules[0].receivers == ("on_call/page", "on_call/chat")
    assert plan.rules[0].has_resolve_when and len(plan.inhibitions) == 1


def test_the_shipped_example() -> None:
    """Its rules have all they need; the emergency protocol is published on the control topic."""
    settings = load_file(ROOT / "config" / "alerts.yaml")
    plan, workshop = make_plan(settings), Workshop()
    try:
        actions = workshop.make(settings)
        assert isinstance(actions["trigger_emergency_protocol"][0], PublishAction)
    finally:
        workshop.close()
    assert plan.rules[2].receivers == ("trigger_emergency_protocol",)
    assert plan.rules[1].for_ns == 30 * SECOND and plan.rules[1].bound == "== critical"


def test_actions_are_made_once() -> None:
    """What is said the same is the same object after a reload; topics share their address."""
    hooks = [
        {"name": "a", "kind": "publish", "topic": "x"},
        {"name": "b", "kind": "publish"},
        {"name": "c", "kind": "command", "command": ["true"], "attempts": 1, "pause": "2s"},
    ]
    rule = {"name": "r", "severity": "info", "condition": "errors > 1", "action": ["a", "b", "c"]}
    workshop = Workshop()
    try:
        before = workshop.make(settings_of(alerts=[rule], actions=hooks))
        hooks[2]["command"] = ["false"]
        after = workshop.make(settings_of(alerts=[rule], actions=hooks))
    finally:
        workshop.close()
    assert before["a"] is not before["b"]
    assert [before[name][0] is after[name][0] for name in "abc"] == [True, True, False]
    assert (after["c"][1].attempts, after["c"][1].open_ns) == (1, 2 * SECOND)


def test_a_dry_run_takes_no_control_topic_from_who_acts() -> None:
    """Two processes that act cannot have one address; one that only says what it would do has none.
    What nobody hears is counted where people look."""
    settings = load_file(ROOT / "config" / "alerts.yaml")
    acts, says = Workshop(), Workshop(is_dry_run=True)
    try:
        says.make(settings)
        action, _ = acts.make(settings)["trigger_emergency_protocol"]
        with pytest.raises(ConnectError, match="another alert process listens at"):
            Workshop().make(settings)
        assert isinstance(action, PublishAction) and action._link is not None
        action._link.publish(b"x", b"y")
        assert acts.counts == {"unheard": 1} and says.counts == {}
    finally:
        acts.close()
        says.close()


def test_an_action_that_cannot_be_had_is_named() -> None:
    """Certificates that are not there, and a library that is not installed."""
    rule = {"name": "r", "severity": "info", "condition": "errors > 1", "action": "x"}
    hook = {"kind": "webhook", "url": "https://localhost/", "authority": "/nonexistent/ca.pem"}
    for action, words in ((hook, "No such file"), ({"kind": "apprise", "url": "json://x"}, "")):
        settings = settings_of(alerts=[rule], actions=[{"name": "x", **action}])
        if words or "apprise" not in sys.modules:
            with pytest.raises(UsageError, match=f"the action 'x' cannot be had: .*{words}"):
                Workshop().make(settings)


class Told(ModuleType):
    """Stands for the library apprise: notes what it is told."""

    def __init__(self) -> None:
        super().__init__("apprise")
        self.__spec__ = logging.__spec__  # as one that was imported has
        self.told: list[dict[str, str]] = []
        self.is_reachable = True
        self.Apprise = lambda: self

    def add(self, url: str) -> bool:
        """Take a service."""
        return url.startswith("json://")

    def notify(self, **told: str) -> bool:
        """Note it."""
        self.told.append(told)
        return self.is_reachable


def test_apprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told title, text and how bad that is; what it says failed has failed."""
    library = Told()
    monkeypatch.setitem(sys.modules, "apprise", library)
    bench = Bench(tmp_path, RULE)
    bench.step({"n1": 1})
    bench.step({"n1": 0})
    bench.memory.close()
    told: list[Notification] = bench.delivered.got

    action = AppriseAction("json://user:secret@localhost/")
    for notification in told:
        action.run(notification)
    assert [(each["title"], each["notify_type"]) for each in library.told] == [
        ("hot 1 firing", "failure"),
        ("hot 1 resolved", "success"),
    ]
    assert "secret" not in action.describe(told[0])
    library.is_reachable = False
    with pytest.raises(ActionError, match="service json of apprise was not told"):
        action.run(told[0])
    with pytest.raises(UsageError, match="knows no service"):
        AppriseAction("nonsense")
