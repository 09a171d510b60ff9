"""`rnts up` with rules: from a neuron of a real program to a command, through deaths on the way."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_tools import here
from process_tools import (
    audit,
    children,
    has_agent,
    program,
    running,
    segments,
    snapshot,
    until,
)
from settings_tools import isolate

from rnts.alerts.control import ask_alerts
from rnts.errors import RntsError
from rnts.model import Health
from rnts.runtime import runtime_folder, state_folder

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
    with contextlib.suppress(RntsError):
        return ask_alerts(Path(state_folder(), "alerts"), {"type": "alerts"}, 1_000)
    return {"process": {}}


def reaction() -> dict[str, Any]:
    """What its canary measured in the last minute."""
    return dict((alerts()["process"].get("reaction") or {}).get("minute") or {})


def look_for_canaries() -> None:
    """They are counted, and nobody sees them, neither in the population nor as an alert."""
    document = snapshot()
    canaries = document["aggregator"]["canaries"]["records"]
    assert canaries and document["accounting"]["aggregated"] == canaries + 1
    assert list(document["groups"]) == ["g"] and document["neurons"]["known"] == 1
    assert [alert["rule"] for alert in alerts()["alerts"]] == ["sick"]
    assert "reaction " in here("status").stdout
    code, books = audit()
    assert (code, books["balanced"], books["problems"]) == (0, True, [])


def segments_of_canaries() -> list[Path]:
    """What an alert process would leave behind where no agent fetches it."""
    return [path for path in segments(Path(runtime_folder())) if f"{os.getpid()}-" not in path.name]


def test_a_neuron_turns_critical_and_recovers(noted: Path) -> None:
    """One notification each, although the alert process is killed in between; a canary measures.

    The rules are in a file that is named, as `rnts alert` takes it.
    """
    Path("rnts.yaml").rename("rules.yaml")
    up = ("up", "--no-host", "--json", "--rules", "rules.yaml")
    with program() as producer, running(*up) as process:
        until(lambda: has_agent(snapshot()) and "alert" in children(process))
        neuron = producer.neuron("worker", group="g")
        neuron.health(Health.CRITICAL, reason="no paper")
        until(lambda: kinds(noted) == ["firing"])
        until(lambda: alerts()["process"].get("waiting") == 0)
        assert "alert sick fires (1)" in here("status").stdout

        pid = children(process)["alert"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: children(process).get("alert", pid) != pid)
        until(lambda: alerts()["process"].get("is_live"))
        assert kinds(noted) == ["firing"]
        until(lambda: reaction().get("count", 0) > 3)  # so that `rnts up` has heard of some
        look_for_canaries()
        neuron.health(Health.HEALTHY)
        until(lambda: kinds(noted) == ["firing", "resolved"])
        process.send_signal(signal.SIGINT)
        last = json.loads(process.communicate(timeout=30)[0])
        assert last["accounting"]["balanced"] and not segments_of_canaries()
        assert last["alerts"]["process"]["reaction"]["minute"]["count"]
    (alert,) = documents(noted)[0]["alerts"]
    assert (alert["labels"]["neuron"], alert["bound"]) == ("worker", "== critical")
    assert process.returncode == 130
