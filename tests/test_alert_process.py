"""The real alert process, killed, reloaded, doubled and hung: what is told is as defined."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_process_tools import RULE, AlertProcess, alert_process
from process_tools import until

AT_ONCE = {**RULE, "condition": "queue_depth > 1"}
FIRED, RESOLVED = "hot firing", "hot resolved"


@pytest.fixture
def alerts(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlertProcess]:
    """A process that is not started yet; paths of sockets have to be short."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(runtime_folder / "xdg"))
    monkeypatch.chdir(runtime_folder)
    with alert_process(runtime_folder) as process:
        yield process


def test_death_at_every_step_of_an_episode(alerts: AlertProcess) -> None:
    """SIGKILL when nothing, pending, firing, recovering and over: each is told exactly once."""
    alerts.write_rules({**RULE, "keep_firing_for": "300ms"})
    begin = {"truths": {"a/n1": 1}, "is_full": True}
    alerts.start()
    alerts.tell("hot", truths={}, is_full=True)
    alerts.kill()

    alerts.start()
    alerts.tell("hot", **begin, is_live=False)  # the clock of `for` stands still: no samples follow
    alerts.wait_state("pending")
    alerts.kill()

    alerts.start()
    alerts.wait_state("pending")
    alerts.tell("hot", **begin)
    alerts.wait_state("firing")
    alerts.wait_settled()
    assert alerts.kinds() == [FIRED]
    alerts.kill()

    alerts.start()
    alerts.wait_state("firing")
    alerts.tell("hot", **begin)
    alerts.tell("hot", truths={"a/n1": 0}, is_live=False)
    alerts.wait_state("recovering")
    alerts.kill()

    alerts.start()
    alerts.wait_state("recovering")
    alerts.tell("hot", truths={"a/n1": 0}, is_full=True)
    alerts.wait_state("none")
    alerts.wait_settled()
    alerts.kill()

    alerts.start()
    alerts.tell("hot", truths={}, is_full=True)
    until(lambda: alerts.status().get("is_live"))
    first, second = alerts.noted()
    assert [first["kind"], second["kind"]] == ["firing", "resolved"]
    assert set(alerts.keys().values()) == {1}
    assert first["alerts"][0]["episode"] == second["alerts"][0]["episode"]
    assert second["alerts"][0]["reason"] == "recovered"


def test_notification_says_what_was_seen(alerts: AlertProcess) -> None:
    """Value, bound, window, worst neurons with their share, since when, and what to look at."""
    alerts.write_rules({**AT_ONCE, "condition": "max(queue_depth) over 5s > 1.5 by neuron"})
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1})
    until(lambda: alerts.kinds() == [FIRED])

    (told,) = alerts.noted()
    (alert,) = told["alerts"]
    assert (alert["value"], alert["bound"], alert["window_ns"]) == (2.0, "> 1.5", 5 * 10**9)
    assert told["worst"] == [{"entity": "a/n1", "value": 2.0, "share": 0.5}]
    assert told["suggested_causes"] == ["consumers that are slower than what comes in"]
    assert told["group"] == {"group": "a"} and told["severity"] == "critical"
    assert abs(alert["since_event_ns"] - alert["since_wall_ns"]) < 60 * 10**9


def test_death_while_an_action_hangs(alerts: AlertProcess) -> None:
    """What was begun and not known to have arrived is told again, under the same key."""
    alerts.write_rules({**AT_ONCE, "action": "hang"})
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1}, is_full=True)
    until(alerts.began_file.exists)
    assert alerts.status()["waiting"] == 1
    alerts.kill()

    alerts.may_end_file.touch()  # the command outlives the process that began it
    alerts.start()
    until(lambda: len(alerts.noted()) == 2)
    assert sorted(alerts.keys().values()) == [2]
    alerts.wait_settled()


def test_hanging_action_holds_up_nothing(alerts: AlertProcess) -> None:
    """While one action hangs others are carried out, questions are answered, and its end comes."""
    hang = {"name": "slow", "actions": ["hang"]}
    rule = {**AT_ONCE, "receivers": ["slow"]}
    alerts.write_rules(rule, receivers=[hang])
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1})
    until(lambda: alerts.kinds() == [FIRED])
    until(lambda: alerts.status().get("waiting") == 1)
    alerts.tell("hot", truths={"a/n1": 0})
    until(lambda: alerts.kinds() == [FIRED, RESOLVED])
    alerts.may_end_file.touch()
    alerts.wait_settled()
    assert sorted(each["receiver"] for each in alerts.noted()) == ["note"] * 2 + ["slow/hang"] * 2
    assert alerts.end() == 143


def test_dry_run_does_nothing_and_remembers_nothing(alerts: AlertProcess) -> None:
    """It says what it would do, and needs no folder, so a process for real may run beside it."""
    alerts.write_rules(AT_ONCE)
    alerts.start("--dry-run")
    alerts.tell("hot", truths={"a/n1": 1})
    until(lambda: "dry run: would run" in alerts.errors())
    assert alerts.end(signal.SIGINT) == 130
    assert alerts.noted() == [] and not alerts.memory.exists()
    assert "Traceback" not in alerts.errors()


def test_reload(alerts: AlertProcess) -> None:
    """A changed file and SIGHUP are read; unchanged rules go on, a faulty file changes nothing.

    What is odd about rules that are valid is said.
    """
    never = {**AT_ONCE, "name": "never", "condition": "error_rate > 50 by neuron"}
    other = {**AT_ONCE, "name": "other"}
    alerts.write_rules(AT_ONCE, other)
    alerts.start()
    for rule in ("hot", "other"):
        alerts.tell(rule, truths={"a/n1": 1}, is_full=True)
    until(lambda: sorted(alerts.kinds()) == [FIRED, "other firing"])

    faulty = "alerts: [{name: hot, severity: high, condition: queu_depth > 1}]"
    alerts.rules_file.write_text(faulty)
    alerts.running.send_signal(signal.SIGHUP)
    until(lambda: "the rules that were in force stay so" in alerts.errors())
    place = f"rules.yaml:1:{faulty.index('queu') + 1}"
    assert f"{place}: alerts.0.condition: unknown name queu_depth" in alerts.errors()
    assert len(alerts.states()) == 2

    alerts.write_rules({**AT_ONCE, "causes": ["a leak"]}, never)
    until(lambda: alerts.kinds()[2:] == ["other resolved"])
    assert alerts.states() == {"hot a/n1": "firing"}
    assert alerts.noted()[2]["alerts"][0]["reason"] == "the rule was removed"
    assert alerts.status()["rules"] == 2 and "1 removed" in alerts.errors()
    assert "never: error_rate > 50 is never true once it is known" in alerts.errors()


def test_two_processes_of_one_folder(alerts: AlertProcess) -> None:
    """The second is refused, with the exit code of wrong use, and the first goes on."""
    alerts.start()
    first = alerts.running
    second = alerts.spawn()
    try:
        assert second.wait(30) == 2
    finally:
        alerts.process = first
    assert f"another rnts alert of this user works in {alerts.memory}" in alerts.errors()
    assert alerts.status()["pid"] == first.pid


def test_aggregator_that_is_not_heard(alerts: AlertProcess) -> None:
    """While it is silent an alert stays, is without data, and one that waits for data fires."""
    silent = {**AT_ONCE, "name": "silent", "no_data": "alert"}
    alerts.write_rules(AT_ONCE, silent)
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1}, is_full=True)
    alerts.tell("silent", truths={"a/n2": float("nan")}, is_full=True)
    until(lambda: sorted(alerts.kinds()) == [FIRED, "silent firing"])
    alerts.tell(is_live=False)
    until(lambda: alerts.ask("alerts")["alerts"][0]["is_without_data"])
    assert alerts.noted()[1]["alerts"][0]["reason"] == "no data"
    until(lambda: "the aggregator is not heard" in alerts.errors())


def test_nothing_is_left(alerts: AlertProcess) -> None:
    """After its end there are no sockets of it; a start where nobody may write is refused."""
    alerts.start()
    assert list(alerts.folder.glob("alerts-*.sock"))
    assert alerts.end() == 143
    assert not list(alerts.folder.glob("alerts-*.sock"))
    assert sorted(os.listdir(alerts.memory)) == ["alerts.journal", "alerts.snapshot"]

    (alerts.folder / "file").touch()
    alerts.write_rules(RULE, alerting={"folder": str(alerts.folder / "file" / "x")})
    assert alerts.spawn().wait(30) == 2
    assert "cannot be remembered" in alerts.errors()
