"""Alerts of stream processors go the way of all others: journal, groups, silences, actions."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_process_tools import AlertProcess, alert_process
from alert_tools import EPOCH, SECOND
from process_tools import until
from settings_tools import isolate, problems
from test_alert_service import Scripted

from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.service import AlertService
from rnts.alerts.workshop import Workshop
from rnts.processors.protocol import Alert
from rnts.processors.reporting import AGAIN_NS, WAITING_MAX, Reporter, Reporting
from rnts.settings import load_file

RULE = {"name": "odd", "processor": "anomaly", "severity": "warning", "lasts": "3s"}


def found(number: int = 0, severity: str = "warning", **more: Any) -> dict[str, Any]:
    """An alert as `rnts process` has it."""
    alert = Alert(
        severity,
        f"it is odd, {number}",
        EPOCH + number * SECOND,
        entity="cortex",
        metric="queue_depth",
        value=float(number),
        suggested_actions=("look",),
        **{"labels": {"group": "cortex"}, **more},
    )
    return {"processor": "anomaly", **alert.document()}


class Station:
    """An alert process without sockets that is told by a reporter."""

    def __init__(self, folder: Path, *rules: dict[str, Any], **sections: Any) -> None:
        Path("r.yaml").write_text(json.dumps({"processors": rules or [RULE], **sections}))
        self.workshop, self.folder = Workshop(), folder
        self.told: list[Notification] = []
        self.now_s = 1.0
        self.start()

    def start(self) -> None:
        """A process that has the files and nothing else."""
        settings = load_file(Path("r.yaml"))
        self.service = AlertService(settings, Memory(self.folder), self.workshop)
        self.service.pool.submit = self.told.append  # type: ignore[method-assign]
        self.source = Scripted()
        self.service.begin(round(self.now_s * SECOND), EPOCH + round(self.now_s * SECOND))

    def step(self, *requests: bytes, seconds: float = 0.1) -> list[bytes]:
        """Go on in time; the answers."""
        self.now_s += seconds
        now_ns = round(self.now_s * SECOND)
        return self.service.step(self.source, requests, now_ns, EPOCH + now_ns)

    def said(self, *alerts: dict[str, Any]) -> dict[str, Any]:
        """The answer to a report of these, by a source of its own."""
        reporter = Reporter()
        for alert in alerts:
            reporter.offer(alert)
        answer: dict[str, Any] = json.loads(self.step(reporter.outgoing(1) or b"")[0])
        return answer

    @property
    def alerts(self) -> list[tuple[str, str, dict[str, str]]]:
        """Rule, state and labels of each alert."""
        lives = self.service.table.lives.by_key.values()
        return [(each.rule, each.state, dict(each.labels)) for each in lives]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> Iterator[Path]:
    """An empty folder, without settings of this machine."""
    isolate(monkeypatch, runtime_folder)
    yield runtime_folder


def test_a_report_is_an_alert(folder: Path) -> None:
    """It fires with its labels, value and words, is told once, and is over after its silence."""
    station = Station(folder)
    station.said(found(1))
    assert station.alerts == [("odd", "firing", {"group": "cortex", "metric": "queue_depth"})]
    for number in range(2, 5):
        station.step(seconds=0.6)
        station.said(found(number))
    (told,) = station.told
    assert (told.receiver, told.kind, told.rule, told.severity) == (
        "log",
        "firing",
        "odd",
        "warning",
    )
    (alert,) = told.alerts
    assert (alert["note"], alert["value"]) == ("it is odd, 1; look", 1.0)
    assert alert["condition"] == "processor anomaly"
    for _ in range(40):
        station.step()
    begun, ended = station.told
    assert (ended.kind, ended.alerts[0]["reason"]) == ("resolved", "recovered")
    assert ended.alerts[0]["episode"] == begun.alerts[0]["episode"]


def test_rules_choose_what_they_are_about(folder: Path) -> None:
    """By processor and severity; who gives no labels is known by the entity."""
    worst = {**RULE, "name": "worst", "at_least": "critical", "severity": "critical"}
    station = Station(folder, RULE, worst, {**RULE, "name": "other", "processor": "mine"})
    station.said(found(1), found(2, "critical", labels={}), {**found(3), "processor": "unheard"})
    assert station.alerts == [
        ("odd", "firing", {"group": "cortex", "metric": "queue_depth"}),
        ("odd", "firing", {"entity": "cortex", "metric": "queue_depth"}),
        ("worst", "firing", {"entity": "cortex", "metric": "queue_depth"}),
    ]
    assert station.service.report_counts == Counter(taken=2, without_rule=1)


def test_silences_and_inhibitions_cover_it(folder: Path) -> None:
    """What is silenced is not told, by its metric as by its group."""
    station = Station(folder)
    silence = {"type": "silence", "matchers": {"metric": "queue_depth"}, "author": "a"}
    station.step(json.dumps({**silence, "for_ns": 60 * SECOND}).encode())
    station.said(found(1))
    for _ in range(20):
        station.step()
    assert station.alerts and not station.told


def test_a_restart_neither_forgets_nor_tells_twice(folder: Path) -> None:
    """What was confirmed is remembered, and what was said again is known."""
    station = Station(folder)
    reporter = Reporter()
    reporter.offer(found(1))
    request = reporter.outgoing(1)
    assert request is not None
    station.step(request)
    for _ in range(10):
        station.step()
    (told,) = station.told
    station.service.table.settle(told)
    station.step()
    station.start()
    station.step(request)
    for _ in range(10):
        station.step()
    assert [each.kind for each in station.told] == ["firing"]
    for _ in range(40):
        station.step()
    assert [each.kind for each in station.told] == ["firing", "resolved"]


@pytest.mark.parametrize("seed", range(5))
def test_each_alert_is_taken_once_over_any_road(seed: int, folder: Path) -> None:
    """Requests and answers are lost, doubled and late: what is confirmed was taken, and once."""
    chance = random.Random(seed)
    station, reporter = Station(folder), Reporter("s")
    requests: list[bytes] = []
    answers: list[bytes] = []
    offered, now_ns = 0, 0
    while offered < 300 or reporter.waiting:
        is_last = offered >= 300
        for _ in range(0 if is_last else chance.randint(0, 9)):
            offered += 1
            reporter.offer(found(offered, labels={"neuron": f"n{offered}"}))
        now_ns += AGAIN_NS // 3
        if (request := reporter.outgoing(now_ns)) is not None:
            requests += [request] * chance.choice((0, 1, 1, 2))
        chance.shuffle(requests)
        while requests and chance.random() < 0.7:
            answers += station.step(requests.pop(), seconds=0.001) * chance.choice((0, 1, 1, 2))
        chance.shuffle(answers)
        while answers and chance.random() < 0.7:
            reporter.on_answer(answers.pop())
    assert reporter.counts == Counter(reported=offered)
    assert station.service.report_counts["taken"] == offered
    assert len(station.alerts) == offered


def test_who_is_not_heard_keeps_the_newest(folder: Path) -> None:
    """Memory is bounded, and what was lost is counted at both ends."""
    station, reporter = Station(folder), Reporter()
    reporter.offer(found(0))
    (answer,) = station.step(reporter.outgoing(1) or b"")
    reporter.on_answer(answer)
    for number in range(WAITING_MAX + 5):
        reporter.offer(found(number))
    while (request := reporter.outgoing(2 * AGAIN_NS)) is not None:
        (answer,) = station.step(request)
        reporter.on_answer(answer)
    assert reporter.counts == Counter(lost=5, reported=WAITING_MAX + 1)
    assert station.service.report_counts == Counter(missed=5, taken=WAITING_MAX + 1)


def test_what_is_no_report_is_refused(folder: Path) -> None:
    """It is answered with an error, nothing of it is taken, and the process goes on."""
    station = Station(folder)
    wrong = [
        {"alerts": {}}, {"first": 0}, {"alerts": [1]}, {"alerts": [{**found(), "severity": "x"}]},
        {"alerts": [found(), {**found(), "labels": 3}]}, {"alerts": [found()] * 1_001},
        {"alerts": [{**found(), "value": "much"}]},
    ]  # fmt: skip
    reporter = Reporter()
    for each in wrong:
        said = {"type": "report", "source": "s", "first": 1, "alerts": [found()], **each}
        (answer,) = station.step(json.dumps(said).encode())
        assert "refused" in json.loads(answer)["error"]
        reporter.on_answer(answer)
    assert not station.alerts and not station.service.report_counts
    assert reporter.counts == Counter(refused=len(wrong))


def test_mistakes_in_rules_of_processors(folder: Path) -> None:
    """They are told as those of other rules are; all rules have names of their own."""
    alert = '{name: odd, condition: "errors > 1", severity: info}'
    said = problems(
        f"alerts: [{alert}]\n"
        "processors:\n"
        "  - {name: odd, processor: a, severity: info, action: pge, at_leest: info}\n"
        "inhibitions: [{source: {rule: od}, target: {metric: a}}]\n"
        "actions: [{name: page, kind: log}]\n"
    )
    assert [line.split(": ", 1)[1] for line in said] == [
        "processors.0.name: 'odd' is the name of an earlier alert, at rnts.yaml:1:17",
        "processors.0.action: no entry of actions has the name 'pge'; did you mean page?",
        "processors.0.at_leest: unknown setting; did you mean at_least?",
        "inhibitions.0.source.rule: there is no rule 'od'; did you mean odd?",
    ]


def test_a_real_process_acts_on_it(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over its socket: the action of the rule runs once, also where the process dies meanwhile."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(runtime_folder / "xdg"))
    monkeypatch.chdir(runtime_folder)
    with alert_process(runtime_folder) as process:
        act_on_reports(process)


def act_on_reports(process: AlertProcess) -> None:
    """Report before it is there, let it act, kill it, and report again."""
    rule = {**RULE, "severity": "critical", "action": "note", "lasts": "1h"}
    process.write_rules(processors=[rule])
    reporting = Reporting(process.memory)
    try:
        reporting.reporter.offer(found(1))
        reporting.poll()
        process.start()
        until(lambda: reporting.poll() or process.kinds() == ["odd firing"])
        until(lambda: reporting.poll() or reporting.document() == {"reported": 1, "unconfirmed": 0})
        process.wait_settled()
        process.kill()
        reporting.reporter.offer(found(2))
        process.start()
        until(lambda: reporting.poll() or not reporting.reporter.waiting)
        process.wait_settled()
        assert process.kinds() == ["odd firing"]
        (alert,) = process.ask("alerts")["alerts"]
        assert (alert["value"], alert["state"]) == (2.0, "firing")
    finally:
        reporting.close()
