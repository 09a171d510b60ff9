"""How an agent ends in peace: what it says at last is true of all that it did."""

from pathlib import Path

import pytest

import rnts.agent
from rnts.agent import Agent, AgentOptions
from rnts.aggregator import Aggregator
from rnts.producer import Producer
from rnts.runtime import default_endpoint
from rnts.sender import Limits
from rnts.spool_parts import SpoolLimits
from rnts.spooling import SpoolOptions
from rnts.windows import Windows

MS, SECOND = 1_000_000, 1_000_000_000
TURNS_MAX = 10_000


class Turns:
    """Lets the aggregator work between the agent's passes, until it has so many records."""

    def __init__(self, aggregator: Aggregator, records: int) -> None:
        self._aggregator, self._records = aggregator, records
        self._left = TURNS_MAX

    def is_set(self) -> bool:
        """Whether they are there."""
        self._aggregator.step(0)
        self._left -= 1
        assert self._left > 0, "the records do not arrive"
        return bool(self._aggregator.accounting()["aggregated"] >= self._records)


def test_the_last_frame_has_the_last_status(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an agent says of itself at its end is what it did, however shortly it said so before."""
    limits = Limits(retained_bytes_max=1 << 24, timeout_ns=100 * MS, retry_count=100)
    options = AgentOptions([default_endpoint()], 100, MS, SECOND, "lz4", None, limits)
    aggregator = Aggregator(default_endpoint(), Windows(SECOND, (50, 99), 1000), 2 * SECOND)
    producer, report = Producer(lanes=1, lane_slots=64), {"passes": 0}
    agent = Agent(options, lambda: dict(report))
    monkeypatch.setattr(agent._link, "wait", aggregator.step)
    try:
        assert producer.neuron("worker").record(queue_depth=1)
        agent.run(Turns(aggregator, 1), before_end=lambda: report.update(passes=7))
        aggregator.step(100)
        [said] = aggregator.snapshot()["agents"]
    finally:
        aggregator.link.close()
        producer.close(unlink=True)

    assert said["host_source"] == {"passes": 7}
    assert said["state"] == "ended"


@pytest.mark.parametrize("has_spool", [False, True])
def test_who_leaves_records_to_the_next_is_still_waited_for(
    has_spool: bool, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else windows would close before the next one brings them; without a spool nothing comes."""
    monkeypatch.setattr(rnts.agent, "_DRAIN_AT_END_NS", 0)
    limits = Limits(retained_bytes_max=1 << 24, timeout_ns=100 * MS, retry_count=100)
    spool = SpoolOptions(runtime_folder / "spool", SpoolLimits(1 << 20, 1 << 16, "none"))
    options = AgentOptions(
        [default_endpoint()], 100, MS, SECOND, "lz4", None, limits, spool if has_spool else None
    )
    aggregator = Aggregator(default_endpoint(), Windows(SECOND, (50, 99), 1000), 2 * SECOND)
    producer = Producer(lanes=1, lane_slots=64)
    try:
        neuron = producer.neuron("worker")
        assert neuron.record(queue_depth=1)
        agent = Agent(options, dict)
        agent.run(Turns(aggregator, 1), before_end=lambda: neuron.record(queue_depth=2) and None)
        for _ in range(10):
            aggregator.step(10)
        [said] = aggregator.snapshot()["agents"]
    finally:
        aggregator.link.close()
        producer.close(unlink=True)

    assert (said["state"] == "ended") is not has_spool
    assert bool(list(runtime_folder.glob("spool/*/*.data"))) is has_spool
