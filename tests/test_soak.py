"""A population that is killed, stopped, forked and replaced at random, with a real agent beside it.

After each round the audit balances: whatever died, each record is aggregated, or dropped under a
reason, or on its way. At the end nothing is left behind: no segment, no lane, no descriptor.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from capture_tools import ROOT
from living_tools import agent_says, audit, books, descriptors, resident_bytes, start, until

ALIVE = 4
SEED = 20
GROWTH_BYTES_MAX = 24 << 20

# Forks a child for each line; a child records from threads that come and go, forks in its turn, and
# now and then becomes another program by exec. Children go when the nursery is gone.
NURSERY = """
import contextlib, os, random, signal, sys, threading, time
import rnts
neuron = rnts.neuron("soak", neuron_id=1)
text = "x" * 150
def work(count):
    for i in range(count):
        neuron.record(activation_count=i, queue_depth=i)
        if i % 10 == 0:
            neuron.event(rnts.ErrorOccurred(str(i), details=text))
            with contextlib.suppress(OverflowError):
                neuron.record(queue_depth=-1)
def live(seed):
    chance, parent = random.Random(seed), os.getppid()
    while os.getppid() == parent:
        threads = [threading.Thread(target=work, args=(chance.randrange(100),))
                   for _ in range(chance.randrange(4))]
        for thread in threads:
            thread.start()
        work(chance.randrange(100))
        for thread in threads:
            thread.join()
        if chance.random() < 0.1 and os.fork() == 0:
            work(chance.randrange(100))
            os._exit(0)
        if chance.random() < 0.05:
            os.execv(sys.executable, [sys.executable, __file__, str(chance.randrange(1 << 30))])
        time.sleep(0.002)
    os._exit(0)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if len(sys.argv) > 1:
    live(int(sys.argv[1]))
work(10)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(int(line))
    print(child, flush=True)
"""


class Population:
    """Children of a nursery, each a program of its own."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.deaths = 0
        self._chance = chance
        self._alive: list[int] = []
        path = folder / "nursery.py"
        path.write_text(NURSERY)
        self._nursery = subprocess.Popen(
            [sys.executable, str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def grow(self) -> None:
        """Let children be born until there are enough."""
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        while len(self._alive) < ALIVE:
            self._nursery.stdin.write(f"{self._chance.randrange(1 << 30)}\n")
            self._nursery.stdin.flush()
            self._alive.append(int(self._nursery.stdout.readline()))

    def disturb(self) -> None:
        """Stop some, let some go on, kill some, whatever they are doing."""
        for child in list(self._alive):
            what = self._chance.choice([signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL, None])
            if what is not None:
                self._send(child, what)

    def end(self) -> None:
        """Kill all, and let the nursery end as a program does."""
        for child in list(self._alive):
            self._send(child, signal.SIGKILL)
        self._nursery.communicate()

    def _send(self, child: int, number: signal.Signals) -> None:
        os.kill(child, number)
        if number == signal.SIGKILL:
            self._alive.remove(child)
            self.deaths += 1


@pytest.fixture
def chance() -> random.Random:
    """The same choices each day; what the machine makes of them differs."""
    return random.Random(SEED)


@pytest.fixture
def population(tmp_path: Path, chance: random.Random) -> Iterator[Population]:
    """A population, of which nobody is left."""
    made = Population(tmp_path, chance)
    yield made
    made.end()


def begin_agent() -> subprocess.Popen[bytes]:
    """A new agent, once the aggregator has heard of it."""
    agent = start("agent", "--no-host")
    until(lambda: agent_says(agent), "the agent is not heard of")
    return agent


def test_a_population_that_dies_at_random_is_accounted_for(
    runtime_folder: Path,
    population: Population,
    chance: random.Random,
    size: Callable[[int, int], int],
) -> None:
    """The books balance after each round, through deaths of the agent too; nothing stays behind."""
    (runtime_folder / "lane_slots").write_text("64")
    aggregator = start("aggregate")
    until(lambda: books()["aggregated"] >= 0, "no aggregator")
    agent = begin_agent()
    idle = descriptors(agent)
    rounds, resident = size(16, 3000), 0
    agent_deaths = range(2, rounds // 2, size(rounds, rounds // 40))
    try:
        for turn in range(rounds):
            population.grow()
            population.disturb()
            if turn in agent_deaths:
                agent.kill()
                agent.wait()
                agent = begin_agent()
            until(lambda: audit().is_balanced, f"the books do not balance in round {turn}")
            if turn == rounds // 2 + rounds // 4:
                resident = resident_bytes(agent)
        population.end()
        until(lambda: not list(runtime_folder.glob("*.seg")), "segments stay behind")
        until(lambda: audit().in_flight == 0, "records are in flight for good")
        until(lambda: agent_says(agent)["segments"] == 0, "the agent keeps segments")
        assert agent_says(agent)["lanes"] == 0
        assert descriptors(agent) <= idle
        assert resident_bytes(agent) < resident + GROWTH_BYTES_MAX
        account = books()
        assert account["balanced"]
        assert account["emitted"] == account["aggregated"] + sum(account["dropped"].values())
        assert account["emitted"] > population.deaths > rounds // 2
        assert account["dropped"]["invalid"] > 0
        assert not agent_says(agent)["lanes_quarantined"]
    finally:
        for process in (agent, aggregator):
            process.terminate()
            process.wait()
