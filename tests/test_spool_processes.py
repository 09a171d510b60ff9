"""Agents and aggregators that are killed while a backlog is in the spool; the audit decides."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from capture_tools import read_lane
from process_tools import (
    Process,
    accounting,
    balanced,
    has_agent,
    program,
    running,
    settled,
    snapshot,
    stalled,
    until,
)

from rnts.producer import Producer
from rnts.spool_folder import default_folder, find_lives

LITTLE_MEMORY = {"RNTS_AGENT__RETAINED_BYTES_MAX": "65536"}
BATCH = 4000


def start_agent(stack: ExitStack) -> Process:
    """An agent whose memory holds next to nothing."""
    return stack.enter_context(running("-q", "agent", "--no-host", **LITTLE_MEMORY))


def start_aggregator(stack: ExitStack, grace_ms: str = "60000") -> Process:
    """An aggregator that waits for whoever comes late."""
    return stack.enter_context(running("-q", "aggregate", RNTS_AGGREGATOR__GRACE_MS=grace_ms))


def kill(process: Process) -> None:
    """End a process as the kernel does when memory is short."""
    process.kill()
    process.wait()


def is_drained(producer: Producer) -> bool:
    """Whether the agent has taken all that the program recorded."""
    segment = producer.segment()
    assert segment is not None
    lane = read_lane(segment)
    return lane.tail == lane.head


def spooled_records() -> int:
    """Records that the spools of all lives hold on disk."""
    found = find_lives(default_folder(None), Counter())
    return sum(e.records for f in found for e in f.life.entries if e.place is not None)


def record(producer: Producer, batches: int) -> int:
    """Report, no faster than the agent drains; how many records that were."""
    neuron = producer.neuron("worker")
    for _ in range(batches):
        assert all(neuron.record(processing_time_ns=i * i) for i in range(BATCH))
        until(lambda: is_drained(producer))
    return batches * BATCH


def test_a_killed_agent_with_a_backlog_delivers_what_it_had_spooled(
    size: Callable[[int, int], int],
) -> None:
    """The loss is what was in memory and nothing else, through several deaths in one outage."""
    with program() as producer, ExitStack() as stack:
        aggregator, agent = start_aggregator(stack), start_agent(stack)
        until(lambda: has_agent(snapshot()))
        attempts, taken, kept = 0, 0, 0
        attempts += record(producer, 1)
        until(lambda: settled(accounting()) == attempts)
        taken = attempts
        with stalled(aggregator.pid):
            for _ in range(size(2, 20)):
                attempts += record(producer, 8)
                kill(agent)
                kept = spooled_records()
                agent = start_agent(stack)
            attempts += record(producer, 1)
        books = balanced(attempts)
        lost = books["dropped"].pop("agent_died")
        until(lambda: snapshot()["agents"][0]["spool"]["former_lives"] == 0)
    assert books["dropped"] == {}
    assert kept > BATCH
    assert lost <= attempts - taken - kept
    assert books["aggregated"] >= taken + kept
    assert not list(default_folder(None).glob("*/*.data"))


def test_an_agent_that_ends_in_an_outage_leaves_all_to_the_next() -> None:
    """SIGTERM while nobody answers loses nothing: memory goes to the spool, too."""
    with program() as producer, ExitStack() as stack:
        aggregator, agent = start_aggregator(stack), start_agent(stack)
        until(lambda: has_agent(snapshot()))
        attempts = record(producer, 1)
        until(lambda: settled(accounting()) == attempts)
        with stalled(aggregator.pid):
            attempts += record(producer, 3)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(30) == 0 or agent.returncode == 143
            start_agent(stack)
            until(lambda: os.path.exists(default_folder(None)))
        books = balanced(attempts)
    assert books["dropped"] == {}
    assert books["aggregated"] == attempts


def end(process: Process) -> None:
    """End a process as a service manager does."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, 143)


def test_agent_and_aggregator_that_end_and_begin_again_lose_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lay in windows that were open at the end comes again, though it had been folded."""
    # Long windows: one of a second may close before a busy machine has ended the agent.
    monkeypatch.setenv("RNTS_AGGREGATION__WINDOW_MS", "60000")
    with program() as producer, ExitStack() as stack:
        aggregator, agent = start_aggregator(stack), start_agent(stack)
        until(lambda: has_agent(snapshot()))
        for attempts in (BATCH, 2 * BATCH):
            record(producer, 1)
            until(lambda attempts=attempts: settled(accounting()) == attempts)  # type: ignore[misc]
            end(agent)
            end(aggregator)
            assert spooled_records() > 0
            aggregator, agent = start_aggregator(stack), start_agent(stack)
        books = balanced(attempts)
    assert books["dropped"] == {}
    assert books["aggregated"] == attempts


def test_a_killed_aggregator_is_sent_what_is_spooled() -> None:
    """What went to disk meanwhile comes back in order; nothing is lost."""
    with program() as producer, ExitStack() as stack:
        aggregator = start_aggregator(stack, grace_ms="2000")
        start_agent(stack)
        until(lambda: has_agent(snapshot()))
        kill(aggregator)
        attempts = record(producer, 5)
        assert spooled_records() > 0
        start_aggregator(stack, grace_ms="2000")
        books = balanced(attempts)
    assert books["dropped"] == {}
    assert books["aggregated"] == attempts
