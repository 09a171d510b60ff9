"""The supervisor brings back what dies, gives up what cannot run, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from capture_tools import ROOT

from rnts import supervisor as module
from rnts.errors import UsageError
from rnts.process import SUPERVISED, StopEvent, claim_role
from rnts.supervisor import Child, Supervisor

# Stands for `python -m rnts`: $3 says what the child does.
FAKE = """#!/bin/sh
case "$3" in
  stay) exec sleep 1000 ;;
  log) trap 'echo "$4" >> "$5"; exit 0' TERM; echo ready >> "$5"; while :; do sleep 0.01; done ;;
  exit) echo "one" >&2; echo "two: $5" >&2; exit "$4" ;;
  stubborn) trap '' TERM; echo ready >&2; while :; do sleep 0.01; done ;;
  chatter) for i in $(seq 500); do echo "line $i" >&2; done; exit 1 ;;
esac
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until the test moves it."""
    hands = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: hands.now_s))
    return hands


@pytest.fixture
def supervisor(
    clock: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    """A supervisor of fake children; whatever happens, they are gone after the test."""
    fake = tmp_path / "fake"
    fake.write_text(FAKE)
    fake.chmod(0o700)
    monkeypatch.setattr(module, "sys", SimpleNamespace(executable=str(fake), stderr=sys.stderr))
    monkeypatch.setattr(module, "_STOP_S", 0.3)
    monkeypatch.setattr(module, "_STOP_S_MIN", 0.1)
    made = Supervisor(echo=False)
    yield made
    made.stop()
    assert [child.name for child in made.children if child.process is not None] == []


def child_of(supervisor: Supervisor, name: str) -> Child:
    """The child of that name."""
    return next(child for child in supervisor.children if child.name == name)


def wait_dead(child: Child) -> None:
    """Wait until a child's process has ended, before the supervisor has noticed."""
    assert child.process is not None
    child.process.wait(timeout=20)


def kill(child: Child) -> int:
    """Kill a child's process; its pid."""
    pid = child.pid
    os.kill(pid, signal.SIGKILL)
    wait_dead(child)
    return pid


def is_there(pid: int) -> bool:
    """Whether a process exists."""
    return Path(f"/proc/{pid}").exists()


def test_a_killed_child_comes_back_after_a_while(
    supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """It is started again when its back-off is over, not before, and that is said."""
    supervisor.start("agent", ["stay"])
    child = child_of(supervisor, "agent")
    first = kill(child)
    supervisor.check()
    assert child.process is None
    assert child.pid == 0
    assert list(supervisor.notices) == ["agent died after 0.0 s (signal 9); restart in 0.1 s"]
    clock.now_s += 0.05
    supervisor.check()
    assert child.process is None
    clock.now_s += 0.06
    supervisor.check()
    assert child.process is not None
    assert child.pid != first
    assert child.restarts == 1


def test_the_back_off_grows_and_a_steady_life_ends_it(
    supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """Each death in a row waits longer, up to 5 s; after 10 s of life all is forgiven."""
    supervisor.start("agent", ["stay"])
    child = child_of(supervisor, "agent")
    waits = []
    for lived_s in (0, 0, 0, 0, 0, 0, 9, 11, 0):
        clock.now_s += lived_s
        kill(child)
        supervisor.check()
        waits.append(round(child.restart_s - clock.now_s, 3))
        clock.now_s = child.restart_s
        supervisor.check()
    assert waits == [0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 0.1, 0.5]
    assert child.restarts == 9


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_child_that_cannot_run_is_given_up(
    code: int, supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """Exit codes that no restart can change end the attempt; its last words tell why."""
    supervisor.start("aggregator", ["exit", str(code), "port is taken"])
    child = child_of(supervisor, "aggregator")
    wait_dead(child)
    supervisor.check()
    assert supervisor.failed is child
    assert list(child.last_words) == ["one", "two: port is taken"]
    assert supervisor.notices[-1] == f"aggregator cannot run (exit code {code})"
    clock.now_s += 100
    supervisor.check()
    assert child.process is None
    assert child.restarts == 0


def test_a_failure_is_tried_again(supervisor: Supervisor, clock: SimpleNamespace) -> None:
    """Any other exit code is a death like one by a signal."""
    supervisor.start("agent", ["exit", "1", "boom"])
    child = child_of(supervisor, "agent")
    wait_dead(child)
    supervisor.check()
    assert supervisor.failed is None
    assert "exit code 1" in supervisor.notices[-1]
    clock.now_s += 1
    supervisor.check()
    assert child.restarts == 1


@pytest.mark.parametrize(("code", "restarts"), [("0", 0), ("1", 1)])
def test_a_child_that_may_end_is_not_brought_back(
    code: str, restarts: int, supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """A demo that is over is over; one that fails is tried again."""
    supervisor.start("demo", ["exit", code, "bye"], is_needed=False)
    child = child_of(supervisor, "demo")
    wait_dead(child)
    supervisor.check()
    clock.now_s += 100
    supervisor.check()
    assert child.restarts == restarts
    assert supervisor.failed is None


def test_a_needed_child_that_ends_well_is_brought_back(
    supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """An agent has no business to end by itself."""
    supervisor.start("agent", ["exit", "0", "bye"])
    wait_dead(child_of(supervisor, "agent"))
    supervisor.check()
    clock.now_s += 1
    supervisor.check()
    assert child_of(supervisor, "agent").restarts == 1


def test_children_end_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    """Who was started last is told first, and has ended before the next one is told."""
    told = tmp_path / "told"
    for name in ("aggregator", "agent", "demo"):
        supervisor.start(name, ["log", name, str(told)])
    pids = [child.pid for child in supervisor.children]
    while not told.exists() or told.read_text().count("ready") < 3:
        assert all(is_there(pid) for pid in pids)
    module._STOP_S = 20.0
    supervisor.stop()
    assert told.read_text().split() == ["ready"] * 3 + ["demo", "agent", "aggregator"]
    assert not any(is_there(pid) for pid in pids)


def test_what_does_not_go_is_killed(supervisor: Supervisor) -> None:
    """A child that will not end is killed when the time is up, and that is said."""
    supervisor.start("agent", ["stubborn"])
    supervisor.start("demo", ["stay"])
    pids = [child.pid for child in supervisor.children]
    while "ready" not in supervisor.notices:
        assert is_there(pids[0])
    supervisor.stop()
    assert not any(is_there(pid) for pid in pids)
    assert supervisor.notices[-1] == "agent did not end by itself and was killed"


def test_one_child_can_be_stopped_by_name(supervisor: Supervisor, clock: SimpleNamespace) -> None:
    """Others stay, also one that waits for its restart; the stopped one does not come back."""
    for name in ("aggregator", "agent", "demo"):
        supervisor.start(name, ["stay"])
    kill(child_of(supervisor, "agent"))
    supervisor.check()
    supervisor.stop("demo")
    clock.now_s += 100
    supervisor.check()
    assert child_of(supervisor, "demo").process is None
    assert child_of(supervisor, "agent").process is not None
    assert child_of(supervisor, "aggregator").restarts == 0


def test_a_child_that_died_before_it_was_stopped_stays_away(
    supervisor: Supervisor, clock: SimpleNamespace
) -> None:
    """Its death is told, and no restart follows."""
    supervisor.start("demo", ["stay"])
    kill(child_of(supervisor, "demo"))
    supervisor.stop("demo")
    assert "demo died" in supervisor.notices[-1]
    clock.now_s += 100
    supervisor.check()
    assert child_of(supervisor, "demo").process is None


def test_what_children_say_is_bounded(supervisor: Supervisor) -> None:
    """The last lines are kept, and no more of them than there is room for."""
    supervisor.start("agent", ["chatter"])
    child = child_of(supervisor, "agent")
    wait_dead(child)
    supervisor.check()
    assert list(child.last_words) == [f"line {i}" for i in range(496, 501)]
    assert len(supervisor.notices) == 200
    assert supervisor.notices[-2] == "line 500"


def test_without_a_screen_all_is_passed_on(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of children and own notices go to stderr as they come."""
    monkeypatch.setattr(module.sys, "stderr", sys.stderr)
    loud = Supervisor(echo=True)
    loud.start("agent", ["exit", "1", "x"])
    wait_dead(loud.children[0])
    loud.check()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["one", "two: x"]
    assert lines[2].startswith("rnts: agent died")


ORPHAN = f"""
import os, subprocess, sys
from rnts.process import SUPERVISED
code = '''
import sys
from rnts.process import stop_event
stop = stop_event()
print("ready", flush=True)
stop.wait(60)
print("ended by", stop.signal, flush=True)
'''
child = subprocess.Popen(
    [sys.executable, "-c", code], env={{**os.environ, "{SUPERVISED}": str(os.getpid())}}
)
child.wait()
"""


def test_children_end_with_their_supervisor() -> None:
    """A supervisor that is killed takes its children along: the kernel tells them."""
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHAN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    assert process.stdout.read() == f"ended by {int(signal.SIGTERM)}\n"
    process.stdout.close()


def test_a_signal_ends_a_wait() -> None:
    """The event is set by whichever signal came, and says how to end."""
    stop = StopEvent()
    assert (stop.wait(0), stop.is_set(), stop.exit_code) == (False, False, 0)
    for _ in range(100_000):  # more than its pipe holds
        stop.on_signal(signal.SIGTERM, None)
    assert (stop.wait(60), stop.is_set(), stop.exit_code) == (True, True, 143)


def test_a_role_is_for_one_process(tmp_path: Path) -> None:
    """Another one is refused until the first has gone; other roles and folders are free."""
    first = claim_role("agent", tmp_path)
    with pytest.raises(UsageError, match=f"another agent of this user works in {tmp_path}"):
        claim_role("agent", tmp_path)
    for other in (claim_role("aggregator", tmp_path), claim_role("agent", tmp_path / "x")):
        other.close()
    first.close()
    claim_role("agent", tmp_path).close()
