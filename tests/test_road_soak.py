"""Agents and aggregators that are killed and stopped at random under load; the audit decides.

A program reports all the while. Each step kills one of the two, or stops it for a while, so that
the other has a backlog, and now and then kills the other meanwhile. After each few steps all that
was recorded has one fate: aggregated, or dropped under the name of who died.
"""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from process_tools import (
    Process,
    balanced,
    has_agent,
    program,
    run,
    running,
    snapshot,
    stalled,
    until,
)

from rnts.producer import Producer

SEED = 4
ROUND_STEPS = 4
RECORDS_A_TURN, PAUSE_S = 50, 0.01  # at most 5,000 records a second
LITTLE_MEMORY = {"RNTS_AGENT__RETAINED_BYTES_MAX": "65536"}  # so that a backlog is in the spool
# Late is what an agent brings that needs longer to begin again than windows are held for it, as it
# does on a machine that is busy with much else.
REASONS = {"agent_died", "aggregator_died", "lane_full", "late"}


class Road:
    """The two processes, of which either can be replaced."""

    def __init__(self, stack: ExitStack, chance: random.Random) -> None:
        self._stack, self._chance = stack, chance
        self.alive: dict[str, Process] = {}
        self.deaths: dict[str, int] = {"aggregate": 0, "agent": 0}
        self.stops = 0
        for role in ("aggregate", "agent"):
            self._start(role)

    def _start(self, role: str) -> None:
        options = ["--no-host"] if role == "agent" else []
        process = running("-q", role, *options, **LITTLE_MEMORY)
        self.alive[role] = self._stack.enter_context(process)

    def replace(self, role: str) -> None:
        """Kill one in the middle of what it does; another begins."""
        self.alive[role].kill()
        self.alive[role].wait()
        self.deaths[role] += 1
        self._start(role)

    def disturb(self) -> None:
        """One step: a death, or a stop, in which the other one may die, too."""
        role = self._chance.choice(list(self.alive))
        (other,) = set(self.alive) - {role}
        if self._chance.random() < 0.5:
            self.replace(role)
            return
        with stalled(self.alive[role].pid):
            self.stops += 1
            threading.Event().wait(self._chance.uniform(0.1, 1.0))  # for what piles up meanwhile
            if self._chance.random() < 0.5:
                self.replace(other)


@contextmanager
def load(producer: Producer) -> Iterator[Callable[[], int]]:
    """Report from a thread while the block lasts; the answer is how many records there were."""
    neuron, end, turns = producer.neuron("worker"), threading.Event(), [0]

    def work() -> None:
        while not end.wait(PAUSE_S):
            for i in range(RECORDS_A_TURN):
                neuron.record(processing_time_ns=i * i, queue_depth=i)
            turns[0] += 1

    def stop() -> int:
        end.set()
        thread.join()
        return turns[0] * RECORDS_A_TURN

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop()


def test_whoever_dies_on_the_road_each_record_has_one_fate(size: Callable[[int, int], int]) -> None:
    """The books balance after each round, and the ledger is sound at the end."""
    chance, attempts = random.Random(SEED), 0
    with program() as producer, ExitStack() as stack:
        road = Road(stack, chance)
        until(lambda: has_agent(snapshot()))
        for _ in range(size(2, 100)):
            with load(producer) as stop:
                for _ in range(ROUND_STEPS):
                    threading.Event().wait(chance.uniform(0.1, 0.8))
                    road.disturb()
                attempts += stop()
            books = balanced(attempts)
            assert set(books["dropped"]) <= REASONS
            # Most of it: an agent that is killed takes what it had not sent yet with it.
            assert books["aggregated"] > attempts // 2
        assert min(road.deaths.values()) >= 1 and road.stops >= 1
        for process in road.alive.values():
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    deep = run("audit", "--deep")
    assert deep.returncode == 0, deep.stdout
