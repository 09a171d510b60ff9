"""Segments of the dead are kept for as long as somebody may have to look into them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_tools import producing
from test_agent import Killed, aggregated, make_agent, run

from rnts import handover, layout
from rnts.aggregator import Aggregator
from rnts.neuron import Neuron
from rnts.runtime import SEGMENT_SUFFIX, default_endpoint
from rnts.segment import Segment
from rnts.warmup import load_kernels
from rnts.windows import Windows

SECOND = 1_000_000_000
NOBODY = 1 << 22  # the highest pid that a kernel may give, and does not


@pytest.fixture
def aggregator(runtime_folder: Path) -> Iterator[Aggregator]:
    """An aggregator of this test's runtime folder."""
    load_kernels()
    made = Aggregator(default_endpoint(), Windows(SECOND, (50, 99), 100), 2 * SECOND)
    yield made
    made.link.close()


def test_what_an_agent_took_from_the_dead_and_lost_is_told_by_the_next(
    aggregator: Aggregator,
) -> None:
    """A segment is removed only when its last rows are folded: until then it is the witness."""
    with producing() as (producer, segment):
        neuron = producer.neuron("worker")
        neuron.record(queue_depth=0)
        die_with_its_agent(aggregator, neuron, segment)
        assert segment.path.exists()
        run(make_agent(), aggregator, until=lambda: not segment.path.exists())
    account = aggregator.accounting()
    assert (account["dropped"], account["emitted"]) == ({"agent_died": 5}, 6)
    assert account["balanced"]


def die_with_its_agent(aggregator: Aggregator, neuron: Neuron, segment: Segment) -> None:
    """Let a program die after five more records, and its agent with the frame that has them."""
    agent = make_agent()

    def kill(frame: bytes, counts: dict[int, int], is_keyframe: bool) -> None:
        raise Killed

    def die_together() -> bool:
        if aggregated(aggregator, 1)() and segment.words[layout.HEADER_PID // 8] != NOBODY:
            for i in range(5):
                neuron.record(queue_depth=i)
            segment.words[layout.HEADER_PID // 8] = NOBODY
            attached = agent._collector.segments[0]
            os.close(attached.death_descriptor)
            attached.death_descriptor = -1
            agent._sender.offer = kill  # type: ignore[method-assign]
        return False

    run(agent, aggregator, until=die_together)


def test_files_of_the_dead_are_bounded_while_no_aggregator_is_there(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the oldest goes; what is kept is the header and the lanes' counters."""
    monkeypatch.setattr(handover, "FINISHED_MAX", 2)
    paths = []
    for start in range(4):
        segment = Segment(runtime_folder, 4, 1024)
        segment.claim_lane(1)
        segment.words[layout.HEADER_PID // 8] = NOBODY
        paths.append(segment.path.rename(runtime_folder / f"{NOBODY}-{start}-0{SEGMENT_SUFFIX}"))
        os.close(segment.descriptor)
    agent = make_agent()
    run(agent, until=lambda: len(agent._handover._finished) == 2)
    left = [path for path in paths if path.exists()]
    assert left == paths[2:]
    assert all(path.stat().st_blocks * 512 < 64 << 10 for path in left)
