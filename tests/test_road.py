"""The whole road with real processes: one command shows the truth, and deaths are accounted for."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnts.errors import ConnectError
from rnts.producer import Producer
from rnts.query import ask

PATIENCE_S = 30


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """A process of RNTS in the test's own runtime folder."""
    return subprocess.Popen([sys.executable, "-m", "rnts", "-q", *arguments])


def until(found: Callable[[], object]) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def aggregated() -> int:
    """Records that the aggregator has, -1 where nobody answers."""
    try:
        answer = ask(None, {"type": "accounting"}, 500)
    except ConnectError:
        return -1
    return int(answer["accounting"]["aggregated"])


def test_up_shows_this_machine_and_leaves_nothing(runtime_folder: Path) -> None:
    """One document, balanced, with this very process in it; no socket and no segment stays."""
    command = [sys.executable, "-m", "rnts", "up", "--for", "3s", "--json"]
    result = subprocess.run(command, capture_output=True, timeout=90, check=False)
    document = json.loads(result.stdout)

    assert result.returncode == 0, result.stderr.decode()
    assert document["accounting"]["balanced"] is True
    assert document["accounting"]["emitted"] > document["neurons"]["known"] > 0
    assert list(runtime_folder.iterdir()) == []


@pytest.mark.parametrize("victim", ["agent", "aggregate"])
def test_a_killed_process_comes_back_and_the_audit_balances(victim: str) -> None:
    """After kill -9 the next one goes on; the producer's own counters agree with the books."""
    processes = {"aggregate": start("aggregate"), "agent": start("agent", "--no-host")}
    producer = Producer()
    try:
        until(lambda: aggregated() == 0)
        neuron = producer.neuron("worker")
        for i in range(2000):
            assert neuron.record(processing_time_ns=i)
        until(lambda: aggregated() == 2000)
        os.kill(processes[victim].pid, signal.SIGKILL)
        processes[victim].wait()
        for i in range(2000):
            assert neuron.record(processing_time_ns=i)
        processes[victim] = start(victim, *(["--no-host"] if victim == "agent" else []))
        until(lambda: aggregated() >= 2000)
        audit = [sys.executable, "-m", "rnts", "audit", "--json"]

        def is_settled() -> bool:
            result = subprocess.run(audit, capture_output=True, timeout=60, check=False)
            books = json.loads(result.stdout or b"{}")
            ends = books.get("aggregated", 0) + sum(books.get("dropped", {}).values())
            return result.returncode == 0 and ends == 4000

        until(is_settled)
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()
        producer.close(unlink=True)
