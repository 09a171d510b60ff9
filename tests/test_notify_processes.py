"""Real agents, aggregators, alerts and `rnts up` under a service manager that the test plays."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from alert_process_tools import RULE, AlertProcess, alert_process
from notify_tools import PlayedManager, played_manager
from process_tools import children, has_agent, running, snapshot, stalled, until
from settings_tools import isolate


@pytest.fixture(autouse=True)
def own_settings(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of this machine count for nothing."""
    isolate(monkeypatch, runtime_folder)


@pytest.fixture
def managers(tmp_path: Path) -> Iterator[tuple[PlayedManager, PlayedManager]]:
    """One for each of two processes; their paths are as long as pytest's folders."""
    with ExitStack() as stack:
        folders = tmp_path / "a", tmp_path / "b"
        for folder in folders:
            folder.mkdir()
        first, second = (stack.enter_context(played_manager(folder)) for folder in folders)
        yield first, second


def test_agent_and_aggregator_tell_how_they_are(
    managers: tuple[PlayedManager, PlayedManager],
) -> None:
    """Ready when they work, alive while they turn, silent while stuck, and their end is told."""
    of_agent, of_aggregator = managers
    with running("-q", "agent", "--no-host", **of_agent.variables) as agent:
        assert "looks for an aggregator at ipc://" in of_agent.wait("READY")["STATUS"]
        with running("-q", "aggregate", **of_aggregator.variables) as aggregator:
            of_aggregator.wait("READY")
            assert snapshot(), "ready, and yet it does not answer"
            until(lambda: has_agent(snapshot()))
            until(lambda: "delivers to" in of_agent.wait("WATCHDOG")["STATUS"])
            until(lambda: "1 agents" in of_aggregator.wait("WATCHDOG")["STATUS"])

            with stalled(agent.pid):
                before = of_agent.count("WATCHDOG")
                of_aggregator.wait("WATCHDOG", more=6)  # twice as long as the watchdog waits
                assert of_agent.count("WATCHDOG") == before
            of_agent.wait("WATCHDOG")

            agent.terminate()
            assert agent.wait(30) == 143
            aggregator.send_signal(signal.SIGINT)
            assert aggregator.wait(30) == 130
    for manager in managers:
        assert manager.names() == ["READY", "WATCHDOG", "STOPPING"]
        assert manager.heard[-1]["STATUS"] == "is ending"


def test_agent_that_cannot_run_is_never_ready(
    managers: tuple[PlayedManager, PlayedManager],
) -> None:
    """A second one of a user ends, and has told nothing to whom would have taken it for ready."""
    first, second = managers
    with running("-q", "agent", "--no-host", **first.variables):
        first.wait("READY")
        with running("-q", "agent", "--no-host", **second.variables) as other:
            assert other.wait(30) == 2
    assert second.listen() == []


@pytest.fixture
def alerts(
    runtime_folder: Path,
    managers: tuple[PlayedManager, PlayedManager],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[AlertProcess]:
    """An alert process of the first manager, not started yet."""
    for name, value in managers[0].variables.items():
        monkeypatch.setenv(name, value)
    with alert_process(runtime_folder) as process:
        yield process


def test_alert_tells_of_its_reloads(
    alerts: AlertProcess, managers: tuple[PlayedManager, PlayedManager]
) -> None:
    """Ready with its rules in force, busy while they are read again, ready again, then its end."""
    manager = managers[0]
    alerts.start()
    assert "1 rules" in manager.wait("READY")["STATUS"]
    manager.wait("WATCHDOG", more=3)

    alerts.write_rules(RULE, {**RULE, "name": "hotter"})
    alerts.running.send_signal(signal.SIGHUP)
    until(lambda: manager.count("RELOADING"))
    until(lambda: "2 rules" in manager.wait("WATCHDOG")["STATUS"])
    assert manager.names()[:5] == ["READY", "WATCHDOG", "RELOADING", "MONOTONIC_USEC", "READY"]

    assert alerts.end() == 143
    assert manager.names()[-1] == "STOPPING"


def test_commands_of_actions_are_not_the_service(alerts: AlertProcess) -> None:
    """What an action runs has no address to tell anything to, and no watchdog."""
    script = f"env >> {alerts.began_file}; echo '{{}}' >> {alerts.noted_file}"
    note = {"name": "note", "kind": "command", "command": ["/bin/sh", "-c", script]}
    alerts.write_rules({**RULE, "condition": "queue_depth > 1"}, actions=[note])
    alerts.start()
    alerts.tell("hot", truths={"a/n1": 1}, is_full=True)
    until(alerts.noted)
    told = alerts.began_file.read_text()
    assert "PATH=" in told
    assert "NOTIFY_SOCKET" not in told and "WATCHDOG_" not in told


def test_up_speaks_for_all(managers: tuple[PlayedManager, PlayedManager]) -> None:
    """Ready once aggregator and agent work, with its usual line as status; children say nothing."""
    manager = managers[0]
    with running("up", "--no-host", "--json", **manager.variables) as process:
        assert "neurons" in manager.wait("READY")["STATUS"]
        pids = until(lambda: (c := children(process)).keys() >= {"agent", "aggregate"} and c)
        for pid in pids.values():
            assert not psutil.Process(pid).environ().keys() & manager.variables.keys()
        manager.wait("WATCHDOG", more=2)
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 143
    assert manager.names() == ["READY", "WATCHDOG", "STOPPING"]
