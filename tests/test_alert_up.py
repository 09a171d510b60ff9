"""`rnts up` with rules: from a neuron of a real program to a command, through deaths on the way."""

import json
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from process_tools import children, has_agent, program, run, running, snapshot, until
from settings_tools import isolate

from rnts.model import Health

NEEDED = ("rnts.standing", "rnts.reflex.engine")
pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="aggregators answer no queries yet"
)


@pytest.fixture
def noted(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that notifications are appended to, by the rules in ./rnts.yaml."""
    isolate(monkeypatch, runtime_folder)
    path = runtime_folder / "noted"
    script = f"""document=$(cat); printf '%s\\n' "$document" >> {path}"""
    sections = {
        "alerts": [
            {
                "name": "sick",
                "condition": "health_status == 'critical'",
                "severity": "critical",
                "action": "note",
            }
        ],
        "actions": [{"name": "note", "kind": "command", "command": ["/bin/sh", "-c", script]}],
    }
    Path("rnts.yaml").write_text(json.dumps(sections))
    yield path


def kinds(path: Path) -> list[str]:
    """What was told, in order."""
    return [str(each["kind"]) for each in documents(path)]


def documents(path: Path) -> list[dict[str, Any]]:
    """The notifications."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def alerts() -> dict[str, Any]:
    """What the alert process says."""
    result = run("alert", "list", "--json")
    return dict(json.loads(result.stdout)) if result.returncode == 0 else {"process": {}}


def test_a_neuron_turns_critical_and_recovers(noted: Path) -> None:
    """One notification each, although the alert process is killed in between; status tells."""
    with program() as producer, running("up", "--no-host", "--json") as process:
        until(lambda: has_agent(snapshot()) and "alert" in children(process))
        neuron = producer.neuron("worker", group="g")
        neuron.health(Health.CRITICAL, reason="no paper")
        until(lambda: kinds(noted) == ["firing"])
        until(lambda: alerts()["process"].get("waiting") == 0)
        assert "alert sick fires (1)" in run("status").stdout

        pid = children(process)["alert"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: children(process).get("alert", pid) != pid)
        until(lambda: alerts()["process"].get("is_live"))
        assert kinds(noted) == ["firing"]
        neuron.health(Health.HEALTHY)
        until(lambda: kinds(noted) == ["firing", "resolved"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    (alert,) = documents(noted)[0]["alerts"]
    assert (alert["labels"]["neuron"], alert["bound"]) == ("worker", "== critical")
    assert process.returncode == 130
