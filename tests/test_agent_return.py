"""An agent goes and another comes: what programs reported in between is late for nobody."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from process_tools import settled
from test_agent_end import Turns

from rnts.agent import Agent, AgentOptions
from rnts.aggregator import Aggregator
from rnts.catching_up import CatchingUp
from rnts.kernels.lane import ALL_TIMES
from rnts.neuron import Neuron
from rnts.producer import Producer
from rnts.runtime import default_endpoint
from rnts.sender import Limits
from rnts.watermarks import Watermarks
from rnts.windows import Windows

MS = 1_000_000
WINDOW_NS, AWAY_NS = 100 * MS, 4_000 * MS
RECORDS = AWAY_NS // WINDOW_NS


def run_agent(aggregator: Aggregator, records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent works until so many records are folded or late, and ends in peace."""
    limits = Limits(retained_bytes_max=1 << 24, timeout_ns=100 * MS, retry_count=100)
    options = AgentOptions([default_endpoint()], 100, MS, WINDOW_NS, "none", None, limits)
    agent = Agent(options, dict)
    monkeypatch.setattr(agent._link, "wait", aggregator.step)

    class Until(Turns):
        """Counts what is late, too."""

        def is_set(self) -> bool:
            """Whether all have come to an end."""
            return super().is_set() or settled(aggregator.accounting()) >= records

    agent.run(Until(aggregator, records), before_end=lambda: None)


@contextmanager
def programs(count: int) -> Iterator[list[Neuron]]:
    """Programs with a neuron each."""
    with ExitStack() as stack:
        made = [Producer(lanes=1, lane_slots=1024) for _ in range(count)]
        for producer in made:
            stack.callback(producer.close, unlink=True)
        yield [producer.neuron(f"n{i}") for i, producer in enumerate(made)]


@pytest.fixture
def aggregator(runtime_folder: Path) -> Iterator[Aggregator]:
    """An aggregator that waits for nobody long."""
    windows = Windows(WINDOW_NS, (50, 99), 1000)
    made = Aggregator(default_endpoint(), windows, 100 * MS)
    yield made
    made.link.close()


def be_hasty(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Do without one of the two things that it takes."""
    if how == "lane by lane":
        monkeypatch.setattr(CatchingUp, "until_ns", lambda *_: ALL_TIMES)
    elif how == "windows close by the clock":
        monkeypatch.setattr(Watermarks, "_vacant_ns", lambda self, now_ns: now_ns - self.grace_ns)


@pytest.mark.parametrize("haste", ["", "lane by lane", "windows close by the clock"])
def test_what_waited_in_lanes_is_folded(
    haste: str, aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows are left open for it, and lanes are emptied by time; without either it is late."""
    be_hasty(monkeypatch, haste)
    began_ns = time.time_ns() - AWAY_NS - 1_000 * MS
    with programs(2) as neurons:
        assert neurons[0].record(queue_depth=1, timestamp_ns=began_ns)
        with monkeypatch.context() as then:
            # What it says of times is of when it ended: nothing after that was looked at.
            then.setattr("rnts.cutting.time", SimpleNamespace(time_ns=lambda: began_ns + WINDOW_NS))
            run_agent(aggregator, 1, monkeypatch)
        shown_ns = began_ns + AWAY_NS
        for _ in range(1_000):
            aggregator.step(10)
            closed = aggregator.windows.closed
            if closed is not None and closed.end_ns > shown_ns:
                break
        assert closed is not None
        assert (closed.end_ns > shown_ns, closed.records, closed.complete) == (True, 0, False)

        for neuron in neurons:
            for index in range(RECORDS):
                at_ns = began_ns + WINDOW_NS * (index + 1)
                assert neuron.record(queue_depth=1, timestamp_ns=at_ns)
        run_agent(aggregator, 1 + 2 * RECORDS, monkeypatch)
    account = aggregator.accounting()
    late = account["dropped"].get("late", 0)
    assert account["aggregated"] + late == 1 + 2 * RECORDS
    assert bool(late) is bool(haste)
