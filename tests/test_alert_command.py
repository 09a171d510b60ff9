"""`rnts alert` as people use it: silences, the list of alerts, and what is said where none runs."""

import getpass
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_process_tools import RULE, AlertProcess, alert_process
from process_tools import until
from screen_tools import without_faults
from settings_tools import isolate
from typer.testing import CliRunner, Result

from rnts.alerts.control import ask_alerts, control_endpoint
from rnts.commands._alerts import summary
from rnts.commands._findings import Level, findings
from rnts.commands.alert import app
from rnts.commands.status import _alerts
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.links.zmq import QueryLink

RUNNER = CliRunner()
AT_ONCE = {**RULE, "condition": "queue_depth > 1"}


@pytest.fixture
def alerts(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlertProcess]:
    """A process that is not started yet."""
    isolate(monkeypatch, runtime_folder)
    with alert_process(runtime_folder) as process:
        process.write_rules(AT_ONCE)
        yield process


def rnts_alert(alerts: AlertProcess, *arguments: str) -> Result:
    """`rnts alert --rules FILE ARGUMENTS…`."""
    return RUNNER.invoke(app, ["--rules", str(alerts.rules_file), *arguments])


def said(alerts: AlertProcess, *arguments: str) -> str:
    """What is printed where all is right."""
    result = rnts_alert(alerts, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_silence_from_its_beginning_to_its_end(alerts: AlertProcess) -> None:
    """What is silenced is not told, lives on over a kill, and is told when the silence is ended."""
    alerts.start()
    line = said(alerts, "silence", "rule=hot", "group=a", "--for", "1h", "--author", "ann",
                "--comment", "we know")  # fmt: skip
    silence_id = line.split()[0]
    assert line == f"{silence_id}  silences 0 alerts now\n"
    alerts.tell("hot", truths={"a/n1": 1, "b/n1": 1}, is_full=True)
    until(lambda: alerts.kinds() == ["hot firing"])
    assert [each["group"] for each in alerts.noted()] == [{"group": "b"}]
    alerts.wait_settled()
    alerts.kill()

    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1, "b/n1": 1}, is_full=True)
    assert f"{silence_id}  group=a rule=hot  for " in said(alerts, "silences")
    assert "by ann: we know" in said(alerts, "silences")
    (silenced,) = [line for line in said(alerts, "list").splitlines() if "group=a" in line]
    assert silenced.startswith("critical  firing") and silenced.endswith("2 > 1  silenced")
    assert alerts.status()["counts"]["alerts"]["silenced"] >= 1

    assert said(alerts, "unsilence", silence_id) == f"{silence_id}  has ended\n"
    until(lambda: len(alerts.noted()) == 2)
    assert alerts.noted()[1]["group"] == {"group": "a"}
    assert said(alerts, "silences") == "no silences\n"


def test_programs_get_documents(alerts: AlertProcess) -> None:
    """With --json there is one document, which also says how the process is."""
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1}, is_full=True)
    alerts.wait_state("firing")
    document = json.loads(said(alerts, "list", "--json"))
    (alert,) = document["alerts"]
    assert (document["version"], document["count"]) == (1, 1)
    assert (alert["rule"], alert["state"], alert["value"]) == ("hot", "firing", 2.0)
    assert alert["told"] == {"note": "firing"}
    assert document["process"]["pid"] == alerts.running.pid
    silence = json.loads(said(alerts, "silence", "severity=critical", "--for", "1m", "--json"))
    assert silence["covers"] == 1 and silence["silence"]["author"]
    assert len(json.loads(said(alerts, "silences", "--json"))["silences"]) == 1


def test_requests_that_are_none(alerts: AlertProcess) -> None:
    """Each is refused with a reason, and the process goes on."""
    alerts.start()
    pid = alerts.running.pid
    for arguments, words in (
        (("silence", "nueron=a", "--for", "1h"), "no label of an alert; did you mean neuron?"),
        (("silence", "rule", "--for", "1h"), "is no matcher; write label=value"),
        (("silence", "rule=a", "rule=b", "--for", "1h"), "stands twice"),
        (("silence", "rule=a", "--for", "1"), "is no duration; write 1s, 1ms or 1m"),
    ):
        error = rnts_alert(alerts, *arguments).exception
        assert isinstance(error, UsageError) and words in str(error)
    error = rnts_alert(alerts, "unsilence", "x").exception
    assert isinstance(error, RntsError) and "no silence 'x'; in force: none" in str(error)
    error = rnts_alert(alerts, "silence", "rule=a", "--for", "0s").exception
    assert isinstance(error, RntsError) and "has to end after it begins" in str(error)
    assert "the request is refused" in _refusal(alerts, "nonsense")
    silence = {"matchers": {"rule": "a"}, "author": "ann", "for_ns": 1}
    for odd in ({"for_ns": 10**40}, {"author": "a" * 20_000}, {"comment": "a" * 20_000}):
        assert "a silence lasts a year" in _refusal(alerts, "silence", **silence | odd)
    assert "the request is refused" in _refusal(alerts, "silence", **silence | {"for_ns": math.inf})
    assert "the request is refused" in _refusal(alerts, "alerts", limit=math.inf)
    deep = QueryLink(control_endpoint(alerts.memory))
    assert b"the request is refused" in deep.ask([b"[" * 100_000], 30_000)[-1]
    deep.close()
    assert alerts.status()["pid"] == pid


def test_a_silence_has_an_author(alerts: AlertProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is nobody with a name, as in many containers, is asked for one."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr(getpass, "getuser", nobody)
    error = rnts_alert(alerts, "silence", "rule=hot", "--for", "1h").exception
    assert isinstance(error, UsageError) and "--author NAME" in str(error)


def _refusal(alerts: AlertProcess, kind: str, **said: object) -> str:
    with pytest.raises(RntsError) as caught:
        ask_alerts(alerts.memory, {"type": kind, **said})
    return str(caught.value)


def test_nobody_is_there(alerts: AlertProcess) -> None:
    """Without a process, and with one that died, it is said what to start."""
    error = rnts_alert(alerts, "list").exception
    assert isinstance(error, ConnectError) and error.exit_code == 4
    assert f"no rnts alert works in {alerts.memory}; start it" in str(error)


def test_without_rules_it_does_not_start(alerts: AlertProcess) -> None:
    """A process of no rules is wrong use; what is wrong with rules is told with its place."""
    alerts.write_rules()
    assert alerts.spawn().wait(30) == 2
    assert "there are no rules: give --rules FILE" in alerts.errors()
    alerts.write_rules({**AT_ONCE, "action": "nobody"})
    assert alerts.spawn().wait(30) == 3
    assert "no entry of actions has the name 'nobody'" in alerts.errors()


def test_status_says_what_fires(alerts: AlertProcess) -> None:
    """`rnts status` has the alerts of the process, where one works, among what is wrong."""
    assert _alerts(alerts.rules_file) == {}
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1, "a/n2": 1}, is_full=True)
    alerts.wait_state("firing")
    document = without_faults() | _alerts(alerts.rules_file)
    assert [(each.level, each.text) for each in findings(document)] == [
        (Level.CRITICAL, "alert hot fires (2)")
    ]


def test_summary_tells_what_is_wrong() -> None:
    """What hinders alerts is in the first line."""
    process = {"rules": 2, "is_live": False, "is_dry_run": True, "memory": "disk_full"}
    states = [{"state": "firing", "count": 1_200}, {"state": "pending", "count": 300}]
    document = {"count": 1_500, "counts": states, "alerts": []}  # of whom a thousand are listed
    document["process"] = {**process, "actions_left_alone": ["page"]}
    assert summary(document) == (
        "2 rules · 1500 alerts · 1200 firing · no aggregator is heard · dry run · "
        "cannot be remembered: disk_full · actions that fail: page"
    )
