"""Programs that ruin their own segments, with a real agent and a real aggregator beside them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from capture_tools import ROOT
from living_tools import agent_says, audit, books, start, until

from rnts.producer import Producer

COUNT = 100
# Says that it is ready, ruins its segment when told to, and then lives on without touching it.
START = """
import os, sys
import rnts
from rnts import layout
from rnts.producer import PROCESS
neuron = rnts.neuron("evil", neuron_id=1)
for i in range(100):
    neuron.record(queue_depth=i)
segment = PROCESS.segment()
os.write(1, b"ready\\n")
sys.stdin.readline()
"""
END = """
os.write(1, b"ready\\n")
sys.stdin.readline()
os._exit(0)
"""
LANE = "segment.words[(layout.lane_offset(0) + layout.LANE_{}) // 8] = {}"
RUINS = {
    "cut to nothing": ("truncated", "os.ftruncate(segment.descriptor, 0)"),
    "cut behind the header": ("truncated", "os.ftruncate(segment.descriptor, 4096)"),
    "a tail that cannot be": ("positions", LANE.format("TAIL", "2**63")),
    "attempts that cannot be": ("counters", LANE.format("ATTEMPTS", 3)),
}


@pytest.fixture
def road() -> Iterator[subprocess.Popen[bytes]]:
    """An aggregator and an agent; the agent's process."""
    processes = [start("aggregate"), start("agent", "--no-host")]
    try:
        yield processes[1]
    finally:
        for process in processes:
            process.terminate()
            process.wait()


@pytest.fixture
def evil() -> Iterator[Any]:
    """Starts a program that does something to its segment when a line comes."""
    made: list[subprocess.Popen[str]] = []

    def run(ruin: str) -> subprocess.Popen[str]:
        made.append(
            subprocess.Popen(
                [sys.executable, "-c", START + ruin + END],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.communicate()


def say(process: subprocess.Popen[str]) -> None:
    """Send a line."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> None:
    """Wait until the program is ready."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("what", RUINS)
def test_an_agent_lives_on_beside_a_program_that_ruins_its_segment(
    what: str, road: subprocess.Popen[bytes], evil: Any
) -> None:
    """The lane is put aside and counted, others are delivered, and the audit balances."""
    reason, ruin = RUINS[what]
    until(lambda: books()["aggregated"] == 0)
    producer = Producer()
    try:
        program = evil(ruin)
        hear(program)
        until(lambda: books()["aggregated"] == COUNT)
        say(program)
        hear(program)
        neuron = producer.neuron("good")
        for i in range(COUNT):
            assert neuron.record(queue_depth=i)
        until(lambda: books()["aggregated"] == 2 * COUNT)
        until(lambda: agent_says(road).get("lanes_quarantined") == {reason: 1})
        assert road.poll() is None
        until(lambda: audit().is_balanced)
        found = audit()
        assert found.aggregated == 2 * COUNT
        assert len(found.quarantined) == (reason != "truncated")
    finally:
        producer.close(unlink=True)
