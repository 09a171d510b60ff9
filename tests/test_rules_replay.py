"""`rnts rules replay`: a recording played through rules, without a clock and without an action."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from recording_tools import SECOND, START_NS, entries, frames, name_of, record_to
from settings_tools import ROOT, isolate
from typer.testing import CliRunner, Result
from wire_tools import NaiveRecord, sample

from rnts.commands.rules import app
from rnts.errors import ConfigError, RntsError, UsageError
from rnts.reflex.engine import MEMORY_BYTES_MAX, PATIENCE_NS, Engine
from rnts.tap_client import Lost

RUNNER = CliRunner()
DOCUMENT = (ROOT / "docs" / "rules-test.md").read_text()
LONG = {
    "name": "long_queue",
    "condition": "max(queue_depth) over 5s > 100 by group for 10s",
    "severity": "warning",
    "receivers": "on_call",
}
ON_CALL = {"name": "on_call", "actions": ["log"], "group_wait": "0s"}


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def story(seconds: int) -> list[list[NaiveRecord]]:
    """A second each: cortex has a long queue from 12 s to 41 s, motor at the beginning."""
    made = []
    for second in range(seconds):
        at_ns = START_NS + second * SECOND
        depths = {1: 150 if 12 <= second < 36 else 5, 2: 5, 3: 140 if second < 3 else 7}
        made.append([sample(each, at_ns, queue_depth=depth) for each, depth in depths.items()])
    names = {1: ("worker-1", "cortex"), 2: ("worker-2", "cortex"), 3: ("arm-1", "motor")}
    made[0] = [name_of(each, *said) for each, said in names.items()] + made[0]
    return made


def record(path: str, seconds: int = 61, gap: tuple[int, int] = (0, 0)) -> None:
    """A recording of the story, without the frames of a gap; then comes a keyframe."""
    first, last = gap
    found: list[Any] = list(
        entries(frames(story(seconds), keyframes=(1, last + 1)), step_ns=SECOND)
    )
    if last:
        at_ns = found[last].at_ns
        found[first - 1 : last] = [Lost(last - first + 1, "left_out", at_ns)]
    record_to(Path(path), found)


def write(path: str, *rules: dict[str, Any], **sections: Any) -> str:
    """A file of rules."""
    document = {"alerts": rules, "receivers": [ON_CALL], **sections}
    Path(path).write_text(json.dumps(document))
    return path


def run(*arguments: str) -> Result:
    """The command, which raises nothing of its own."""
    return RUNNER.invoke(app, ["replay", *arguments], catch_exceptions=False)


def replayed(rules: str, recording: str, *more: str) -> dict[str, Any]:
    """The document of a replay."""
    document: dict[str, Any] = json.loads(run(rules, "--from", recording, *more, "--json").stdout)
    return document


def steps(episode: dict[str, Any]) -> list[tuple[str, float]]:
    """The states of an episode, with the seconds since the beginning."""
    return [(step["state"], step["after_ns"] / SECOND) for step in episode["steps"]]


def test_the_document_shows_what_happens() -> None:
    """The example of docs/rules-test.md is what a recording like that comes to."""
    record("incident.rec", gap=(51, 54))
    write("alerts.yaml", LONG)
    result = run("alerts.yaml", "--from", "incident.rec")
    (shown,) = re.findall(r"```\n(incident.rec:.*?)```", DOCUMENT, re.DOTALL)
    assert (result.stdout, result.exit_code) == (shown, 0)


def test_each_episode_is_told_with_its_times() -> None:
    """When it was pending, fired and was over; what would have been sent, as actions get it."""
    record("r.rec")
    document = replayed(write("r.yaml", LONG), "r.rec")
    motor, cortex = document["episodes"]
    assert steps(cortex) == [("pending", 12), ("firing", 22), ("resolved", 40.05)]
    assert [step["value"] for step in cortex["steps"]] == [150, 150, None]
    assert cortex["steps"][-1]["reason"] == "recovered"
    assert (cortex["rule"], cortex["severity"]) == ("long_queue", "warning")
    assert (cortex["labels"], cortex["is_early"]) == ({"group": "cortex"}, False)
    assert steps(motor) == [("pending", 0), ("inactive", 7.05)]
    assert (motor["has_fired"], motor["is_early"], motor["is_open"]) == (False, True, False)
    begun, ended = document["told"]
    assert (begun["receiver"], begun["kind"], ended["kind"]) == (
        "on_call/log",
        "firing",
        "resolved",
    )
    assert begun["alerts"][0]["episode"] == cortex["key"]
    assert begun["wall_ns"] - document["started_ns"] == 22 * SECOND
    assert (document["frames"], document["records"], document["is_whole"]) == (61, 186, True)


def test_what_goes_on_at_the_end_is_told_to() -> None:
    """An alert that fires when the recording ends has no end."""
    record("r.rec", seconds=30)
    *_, cortex = replayed(write("r.yaml", LONG), "r.rec")["episodes"]
    assert cortex["is_open"] and steps(cortex) == [("pending", 12), ("firing", 22)]
    shown = run("r.yaml", "--from", "r.rec").stdout
    assert "and is firing at the end" in shown


def test_the_same_recording_and_rules_give_the_same_bytes() -> None:
    """Also in another process, whose sets and clocks are others."""
    record("r.rec", seconds=26, gap=(20, 24))
    rules = [
        {"name": f"q{n}", "condition": f"queue_depth >= {n} for {n}s", "severity": "info"}
        for n in range(5, 8)
    ]
    write("r.yaml", LONG, *rules)
    arguments = ("r.yaml", "--from", "r.rec", "--json")
    here = run(*arguments).stdout
    assert here == run(*arguments).stdout
    command = [sys.executable, "-m", "rnts", "rules", "replay", *arguments]
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert (there.stdout, there.stderr) == (here, "")
    assert len(json.loads(here)["episodes"]) > 5


def test_a_slow_machine_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looking at neurons costs decides nothing, and no clock is read."""
    record("r.rec", seconds=15)
    write("r.yaml", {**LONG, "condition": "absent(queue_depth, 200ms) by neuron"})
    before = run("r.yaml", "--from", "r.rec", "--json").stdout
    clock = itertools.count(0, 100 * SECOND)
    defaults = (MEMORY_BYTES_MAX, lambda: next(clock), PATIENCE_NS)
    monkeypatch.setattr(Engine.__init__, "__defaults__", defaults)
    for name in ("time_ns", "monotonic_ns", "time", "monotonic"):
        monkeypatch.setattr(time, name, lambda: next(clock))
    assert run("r.yaml", "--from", "r.rec", "--json").stdout == before
    assert next(clock) == 0 and len(json.loads(before)["episodes"]) > 3


def test_a_test_and_a_replay_agree() -> None:
    """The same series, as a test and as a recording, make the same alerts at the same times."""
    record("r.rec")
    neurons = [
        {"name": "worker-1", "group": "cortex", "series": {"queue_depth": "5x11 150x23 5x24"}},
        {"name": "worker-2", "group": "cortex", "series": {"queue_depth": "5x60"}},
        {"name": "arm-1", "group": "motor", "series": {"queue_depth": "140x2 7x57"}},
    ]
    checks = []
    for episode in replayed(write("r.yaml", LONG), "r.rec")["episodes"]:
        for name, after_s in steps(episode):
            alert = {"rule": "long_queue", "state": name, "labels": episode["labels"]}
            alerts = [alert] if name in ("pending", "firing") else []
            checks.append((after_s, {"at": f"{round(after_s * 1000)}ms", "alerts": alerts}))
    case = {"name": "it", "neurons": neurons, "checks": [each for _, each in sorted(checks)]}
    Path("t.yaml").write_text(json.dumps({"rules": "r.yaml", "tests": [case]}))
    result = RUNNER.invoke(app, ["test", "t.yaml"], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (0, "it: ok, 5 checks\n1 tests, 0 failed\n")


def test_no_action_is_taken() -> None:
    """A command is not run, and no address is bound: what would have been is told."""
    record("r.rec")
    actions = [
        {"name": "touch", "kind": "command", "command": ["/bin/touch", str(Path("touched"))]},
        {"name": "say", "kind": "publish", "endpoint": f"ipc://{Path('s.sock').absolute()}"},
    ]
    rule = {**LONG, "receivers": [], "action": ["touch", "say"]}
    document = replayed(write("r.yaml", rule, actions=actions), "r.rec")
    assert sorted({each["receiver"] for each in document["told"]}) == ["say", "touch"]
    assert not Path("touched").exists() and not Path("s.sock").exists()


def test_what_a_recording_lacks_is_told() -> None:
    """Gaps with their reasons, frames that build on missing ones, damage, and a torn end."""
    found = entries(frames(story(30), keyframes=(1, 20)), step_ns=SECOND)
    lost = Lost(3, "link", found[9].at_ns)
    record_to(Path("r.rec"), [*found[:6], lost, *found[9:]])
    whole, payload = Path("r.rec").read_bytes(), found[24].payload
    at = whole.index(payload) + len(payload) // 2
    Path("r.rec").write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 : -10])
    document = replayed(write("r.yaml", LONG), "r.rec")
    assert not document["is_whole"] and document["torn_bytes"] > 0
    assert (document["gaps"], document["frames_lost"]) == (1, {"link": 3})
    assert document["gaps_listed"][0]["after_ns"] == 9 * SECOND
    assert document["frames_skipped"] == {"base": 10 + 5}
    assert document["damaged_bytes"] == 64 + len(payload)
    assert document["frames"] == 6 + 5
    said = run("r.yaml", "--from", "r.rec").stdout.splitlines()
    assert "gap at +9.000s: 3 frames, link" in said
    assert "15 frames were left out: base" in said
    assert f"{64 + len(payload)} damaged bytes were stepped over" in said


def test_other_rules_are_compared() -> None:
    """What fires under one file only, or at another time, is told with the difference."""
    record("r.rec", seconds=24)
    sooner = {**LONG, "condition": LONG["condition"].replace("10s", "4s")}
    more = {"name": "any", "condition": "max(queue_depth) > 100", "severity": "info"}
    write("r.yaml", LONG), write("other.yaml", sooner, more)
    compared = replayed("r.yaml", "r.rec", "--compare", "other.yaml")["compared"]
    assert (compared["rules"], compared["fired"]) == ("other.yaml", 4)
    found = []
    for each in compared["divergences"]:
        times = [at and (at - START_NS) / SECOND - 1 for at in (each["here_ns"], each["other_ns"])]
        found.append((each["rule"], each["labels"].get("group"), *times))
    assert found == [
        ("any", None, None, 0),
        ("long_queue", "motor", None, 4),
        ("any", None, None, 12),
        ("long_queue", "cortex", 22, 16),
    ]
    shown = run("r.yaml", "--from", "r.rec", "--compare", "other.yaml").stdout.splitlines()
    assert shown[-4:] == [
        "   +0.000s  only there: any",
        "   +4.000s  only there: long_queue group=motor",
        "  +12.000s  only there: any",
        "  +22.000s  -6.000s there: long_queue group=cortex",
    ]


def test_a_clock_that_is_set_back_takes_no_time() -> None:
    """Arrivals that go back are followed, and what has to hold holds no shorter for it."""
    found = entries(frames(story(40)), step_ns=SECOND)
    found[17:] = [each._replace(at_ns=each.at_ns - SECOND // 2) for each in found[17:]]
    record_to(Path("r.rec"), found)
    *_, cortex = replayed(write("r.yaml", LONG), "r.rec")["episodes"]
    (_, pending_s), (_, firing_s) = steps(cortex)
    assert pending_s == 12 and 21.5 <= firing_s <= 22


def test_there_has_to_be_something_to_play() -> None:
    """No rules, no recording, an empty one, and rules that are wrong are told as such."""
    record("r.rec", seconds=2)
    record_to(Path("empty.rec"), [])
    rules = write("r.yaml", LONG)
    Path("wrong.yaml").write_text("alerts: [{name: a, condition: foo > 1, severity: info}]")
    Path("none.yaml").write_text("alerts: []")
    for arguments, error in (
        (("none.yaml", "r.rec"), UsageError),
        (("wrong.yaml", "r.rec"), ConfigError),
        ((rules, "gone.rec"), UsageError),
        ((rules, "empty.rec"), UsageError),
        ((rules, "r.yaml"), RntsError),
    ):
        with pytest.raises(error):
            run(arguments[0], "--from", arguments[1])
