"""Real processes of RNTS: started in the test's own folder, asked, waited for, ended by id."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
from command_tools import here

from rnts.errors import ConnectError
from rnts.producer import Producer
from rnts.query import ask

PATIENCE_S = 60
Process = subprocess.Popen[str]
Document = dict[str, Any]
Found = TypeVar("Found")


def until(found: Callable[[], Found]) -> Found:
    """Wait for something true, with a bound, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return result


def command(*arguments: str) -> list[str]:
    """`rnts ARGUMENTS` of this checkout, for subprocess."""
    return [sys.executable, "-m", "rnts", *arguments]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`rnts ARGUMENTS` from its start to its end."""
    env = {**os.environ, **environment}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=120, check=False, env=env
    )


@contextmanager
def running(
    *arguments: str, inside: str | None = None, under: Sequence[str] = (), **environment: str
) -> Iterator[Process]:
    """`rnts ARGUMENTS` while the block lasts; whatever happens, it is gone afterwards.

    `inside` is a network namespace that it runs in, `under` a command that becomes it.
    """
    before = ["ip", "netns", "exec", inside] if inside else under
    process = subprocess.Popen(
        [*before, *command(*arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        end(process)


def end(process: Process) -> None:
    """End a process in peace, or else by force."""
    process.terminate()
    process.send_signal(signal.SIGCONT)
    try:
        process.communicate(timeout=10)
    except (subprocess.TimeoutExpired, ValueError):  # ValueError: its pipes were closed before
        process.kill()
        process.communicate()


@contextmanager
def road(**environment: str) -> Iterator[dict[str, Process]]:
    """An aggregator and an agent that have met; the processes by the names of their commands."""
    with ExitStack() as stack:
        processes = {
            "aggregate": stack.enter_context(running("-q", "aggregate", **environment)),
            "agent": stack.enter_context(running("-q", "agent", "--no-host", **environment)),
        }
        endpoint = environment.get("RNTS_AGGREGATOR__BIND")
        until(lambda: all_alive(processes.values()) and has_agent(snapshot(endpoint)))
        yield processes


def all_alive(processes: Iterable[Process]) -> bool:
    """True; fails with the last words of a process that has ended."""
    for process in processes:
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended: {process.communicate()[1]}")
    return True


@contextmanager
def program() -> Iterator[Producer]:
    """A producer in this process, whose segment is gone afterwards."""
    producer = Producer()
    try:
        yield producer
    finally:
        producer.close(unlink=True)


def snapshot(endpoint: str | None = None) -> Document:
    """The aggregator's snapshot; empty where nobody answers."""
    return _ask(endpoint, "snapshot")


def accounting(endpoint: str | None = None) -> Document:
    """The aggregator's account; empty where nobody answers."""
    return _ask(endpoint, "accounting").get("accounting", {})


def neuron(name: str) -> Document:
    """What the aggregator says of one neuron; empty where nobody answers or knows it."""
    return _ask(None, "neuron", neuron=name).get("neuron") or {}


def _ask(endpoint: str | None, what: str, **more: str) -> Document:
    with contextlib.suppress(ConnectError):
        return ask(endpoint, {"type": what, **more}, 500)
    return {}


def has_agent(document: Document) -> bool:
    """Whether a snapshot tells of an agent that is there."""
    return any(agent["state"] == "connected" for agent in document.get("agents", []))


def settled(account: Document) -> int:
    """The records of an account that have come to an end: aggregated, or dropped under a name."""
    return account.get("aggregated", 0) + sum(account.get("dropped", {}).values())


def audit(*options: str) -> tuple[int, Document]:
    """The exit code of `rnts audit`, and what it says."""
    result = here("audit", "--json", *options)
    return result.returncode, json.loads(result.stdout or "{}")


def balanced(attempts: int) -> Document:
    """The audit once every record has come to its end."""
    until(lambda: settled(accounting()) >= attempts)
    code, books = until(
        lambda: (found := audit()) and not any(found[1]["in_flight"].values()) and found
    )
    assert (code, books["balanced"], books["problems"]) == (0, True, [])
    assert books["emitted"] == attempts
    return books


def children(process: Process) -> dict[str, int]:
    """The children of an `rnts up`: their pids, by the names of their commands."""
    found = {}
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.Error, ValueError, IndexError):
            words = child.cmdline()
            found[words[words.index("rnts") + 1]] = child.pid
    return found


@contextmanager
def stalled(pid: int) -> Iterator[None]:
    """Hold a process still while the block lasts: it is there, but does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def segments(folder: Path) -> list[Path]:
    """The segments in a runtime folder."""
    return sorted(folder.glob("*.seg"))
