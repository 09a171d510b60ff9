"""What a service manager is told: over real sockets, by a clock that the test moves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from notify_tools import PlayedManager, played_manager

from rnts.notify import Manager, status_line
from rnts.turns import NEVER_NS, Turns

SECOND = 1_000_000_000
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@pytest.fixture
def manager(runtime_folder: Path) -> Iterator[PlayedManager]:
    """One that wants a sign of life each 30 s."""
    with played_manager(runtime_folder, watchdog_s=30) as played:
        yield played


class Loop:
    """A main loop that turns when the test says so."""

    def __init__(self, variables: dict[str, str], status: str | None = "works") -> None:
        self.now_ns, self.status, self.stop = SECOND, status, Event()
        self.manager = Manager(dict(variables))
        self.turns = Turns(self.stop, self.manager, lambda: self.status, lambda: self.now_ns)

    def turn(self, after_s: float = 0.0) -> bool:
        """Ask, some time later, whether to end."""
        self.now_ns += int(after_s * SECOND)
        return self.turns.is_set()


def test_life_is_told_in_order(manager: PlayedManager) -> None:
    """Ready once, after the first turn; signs of life by turns that are due; the end once."""
    loop = Loop(manager.variables)
    loop.turn()
    assert manager.listen() == []
    loop.turn(1)
    assert manager.listen() == [{"READY": "1", "WATCHDOG": "1", "STATUS": "works"}]
    loop.turn(1)
    loop.turn(1)
    assert len(manager.listen()) == 1
    loop.status = "rests"
    loop.turn(4)
    assert manager.listen()[1:] == [{"WATCHDOG": "1", "STATUS": "rests"}]
    loop.stop.set()
    assert loop.turn(9) and loop.turn(9)
    assert manager.listen()[2:] == [{"STOPPING": "1", "STATUS": "is ending"}]


def test_loop_that_does_not_turn_gives_no_sign(manager: PlayedManager) -> None:
    """Time alone tells nothing: the question of the loop does."""
    loop = Loop(manager.variables)
    loop.turn()
    loop.turn(1)
    loop.now_ns += 3600 * SECOND
    assert manager.count("WATCHDOG") == 1
    loop.turn()
    assert manager.count("WATCHDOG") == 2


def test_not_ready_while_it_does_not_work(manager: PlayedManager) -> None:
    """Without a status nobody is told anything; ready once, work that stops is told as status."""
    loop = Loop(manager.variables, status=None)
    for _ in range(3):
        loop.turn(1)
    assert manager.listen() == []
    loop.status = "works"
    loop.turn(1)
    assert manager.names() == ["READY", "WATCHDOG"]
    loop.status = None
    loop.turn(10)
    assert manager.listen()[-1] == {"WATCHDOG": "1", "STATUS": "does not work at the moment"}


def test_reload_is_told_and_its_end(manager: PlayedManager) -> None:
    """RELOADING with the steady time, then READY at the next turn, also where the reload failed."""
    loop = Loop(manager.variables)
    loop.turn()
    loop.turn(1)
    with pytest.raises(ValueError, match="bad rules"), loop.turns.reloading():
        raise ValueError("bad rules")
    assert manager.listen()[-1] == {"RELOADING": "1", "MONOTONIC_USEC": "2000000"}
    assert loop.turns.due_ns <= loop.now_ns
    loop.turn()
    assert manager.names()[-3:] == ["MONOTONIC_USEC", "READY", "WATCHDOG"]
    assert loop.turns.due_ns == loop.now_ns + 5 * SECOND


@pytest.mark.parametrize(("watchdog_s", "every_s"), [(0.3, 0.1), (9, 3), (600, 5)])
def test_signs_of_life_come_in_a_third_of_the_time(
    runtime_folder: Path, watchdog_s: float, every_s: float
) -> None:
    """Two of them may be late before it is too late; a status is never older than 5 s."""
    with played_manager(runtime_folder, watchdog_s) as manager:
        loop = Loop(manager.variables)
        loop.turn()
        loop.turn(1)
        assert loop.turns.due_ns == loop.now_ns + int(every_s * SECOND)


def test_what_was_not_heard_is_said_again(runtime_folder: Path) -> None:
    """A manager that is not there yet is told READY when it is; each failure has its reason."""
    path = runtime_folder / "notify"
    loop = Loop({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000"})
    for _ in range(3):
        loop.turn(0.2)
    assert loop.manager.untold == {"ENOENT": 2}
    manager = PlayedManager(str(path))
    loop.turn(0.2)
    loop.turn(0.2)
    assert manager.count("READY") == 1
    manager.close()


def test_full_queue_holds_nobody_up(manager: PlayedManager) -> None:
    """Where the manager does not read, messages are counted and the process goes on."""
    told = Manager(dict(manager.variables))
    while told.tell("WATCHDOG=1"):
        pass
    assert told.untold == {"EAGAIN": 1}
    manager.listen()
    assert told.tell("WATCHDOG=1")


def test_abstract_address() -> None:
    """An address with an @ is the name of a socket without a file."""
    played = PlayedManager(f"@rnts-test-{os.getpid()}")
    assert Manager(dict(played.variables)).tell("READY=1")
    assert played.listen() == [{"READY": "1"}]
    played.close()


@pytest.mark.parametrize("address", ["", "@", "relative", "vsock:2:1234"])
def test_without_a_manager_nobody_is_told(address: str) -> None:
    """No address, or one of another kind: nothing is due ever, and nothing fails."""
    loop = Loop({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    loop.turn()
    loop.turn(100)
    with loop.turns.reloading():
        pass
    loop.turn(100)
    assert loop.turns.due_ns == NEVER_NS
    assert not loop.manager.is_there and not loop.manager.untold


def test_address_that_is_too_long_is_counted() -> None:
    """Such a path cannot be told anything, and raises nothing."""
    told = Manager({"NOTIFY_SOCKET": "/" + "x" * 200})
    assert not told.tell("READY=1")
    assert told.untold == {"address": 1}


@pytest.mark.parametrize(
    ("period_us", "pid", "watchdog_ns"),
    [
        ("30000000", "", 30 * SECOND),
        ("30000000", "own", 30 * SECOND),
        ("30000000", "1", 0),
        ("", "", 0),
        ("soon", "", 0),
        ("-5", "", 0),
        ("٣", "", 0),
    ],
)
def test_watchdog_is_for_whom_it_names(period_us: str, pid: str, watchdog_ns: int) -> None:
    """WATCHDOG_PID of another process, or a period that is none, asks for no signs of life."""
    whose = str(os.getpid()) if pid == "own" else pid
    given = dict(zip(VARIABLES, ("/run/notify", period_us, whose), strict=True))
    assert Manager(given).watchdog_ns == watchdog_ns


def test_children_do_not_inherit_the_variables(
    manager: PlayedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are read they are gone, so that no child speaks in its parent's name."""
    for name, value in {**manager.variables, "WATCHDOG_PID": str(os.getpid())}.items():
        monkeypatch.setenv(name, value)
    Manager(os.environ)
    script = f"import os; print([name for name in {VARIABLES} if name in os.environ])"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


def test_status_is_one_line() -> None:
    """A newline in it would begin another variable; what does not fit is left out."""
    assert status_line("a\nREADY=1\r\n b") == "STATUS=a READY=1 b"
    assert len(status_line("x" * 9999)) == len("STATUS=") + 400
