"""The agent against an aggregator in the same process: what it takes, delivers, and survives."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import zmq

from rnts import cutting, layout
from rnts.accounting import LANE_DROPS
from rnts.agent import Agent, AgentOptions
from rnts.aggregator import Aggregator
from rnts.collector import LANES_MAX
from rnts.delivery import Message, Type, parse_message
from rnts.producer import Producer
from rnts.runtime import SEGMENT_SUFFIX, default_endpoint
from rnts.segment import Segment
from rnts.sender import Limits
from rnts.warmup import load_kernels
from rnts.windows import Windows
from rnts.writer import LaneWriter

MS, SECOND = 1_000_000, 1_000_000_000
PATIENCE_S = 30.0
LIMITS = Limits(retained_bytes_max=64 << 20, timeout_ns=50 * MS, retry_count=1)


class Killed(Exception):
    """What ends an agent without a farewell."""


class Turn:
    """Asked by the agent whether to stop; lets its peers work until a condition holds."""

    def __init__(
        self, until: Callable[[], bool], *peers: Aggregator, is_kill: bool = False
    ) -> None:
        self._until, self._peers, self._is_kill = until, peers, is_kill
        self._deadline_s = time.monotonic() + PATIENCE_S

    def is_set(self) -> bool:
        """Whether the condition holds."""
        for peer in self._peers:
            peer.step(0)
        if self._until():
            if self._is_kill:
                raise Killed
            return True
        assert time.monotonic() < self._deadline_s, "the agent does not get there"
        return False


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Kernels that are ready, as in a process that works."""
    load_kernels()


@pytest.fixture
def producer() -> Iterator[Producer]:
    """An instrumented program with small lanes."""
    made = Producer(lanes=4, lane_slots=1024)
    yield made
    made.close(unlink=True)


@pytest.fixture
def listen() -> Iterator[Callable[..., Aggregator]]:
    """Make aggregators."""
    made: list[Aggregator] = []

    def make(endpoint: str | None = None, windows: Windows | None = None) -> Aggregator:
        windows = windows or Windows(SECOND, (50, 99), 10_000)
        made.append(Aggregator(endpoint or default_endpoint(), windows, 2 * SECOND))
        return made[-1]

    yield make
    for aggregator in made:
        aggregator.link.close()


def make_agent(*endpoints: str, batch_size: int = 100, limits: Limits = LIMITS) -> Agent:
    """An agent of this test's runtime folder."""
    options = AgentOptions(
        endpoints=list(endpoints) or [default_endpoint()],
        batch_size=batch_size,
        batch_timeout_ns=MS,
        window_ns=SECOND,
        compression="lz4",
        segments_folder=None,
        limits=limits,
    )
    return Agent(options, dict)


def run(agent: Agent, *aggregators: Aggregator, until: Callable[[], bool]) -> None:
    """Let an agent work until then, and die."""
    with pytest.raises(Killed):
        agent.run(Turn(until, *aggregators, is_kill=True), lambda: None)


def aggregated(aggregator: Aggregator, count: int) -> Callable[[], bool]:
    """Whether so many records are in the books."""
    return lambda: aggregator.accounting()["aggregated"] >= count


def test_records_and_names_arrive(producer: Producer, listen: Callable[..., Aggregator]) -> None:
    """What a program reports is in the aggregator's books, and its neuron goes by its name."""
    aggregator = listen()
    neuron = producer.neuron("worker-7", group="ingest", role="parser")
    for i in range(500):
        assert neuron.record(processing_time_ns=i)
    run(make_agent(), aggregator, until=aggregated(aggregator, 500))

    account = aggregator.accounting()
    assert (account["emitted"], account["balanced"]) == (500, True)
    found = aggregator.answer(b'{"type": "neuron", "neuron": "worker-7"}')["neuron"]
    assert (found["group"], found["role"]) == ("ingest", "parser")
    assert found["neuron_id"] == str(neuron.id)
    assert found["last"]["processing_time_ns"] == 499


def test_drops_of_a_full_lane_are_named(
    producer: Producer, listen: Callable[..., Aggregator]
) -> None:
    """Records beyond the lane's slots are dropped at the program and accounted for by reason."""
    aggregator = listen()
    neuron = producer.neuron("worker")
    taken = sum(neuron.record(queue_depth=1) for _ in range(3000))
    run(make_agent(), aggregator, until=aggregated(aggregator, taken))

    account = aggregator.accounting()
    assert taken == 1024
    assert account["emitted"] == 3000
    assert account["dropped"] == {"lane_full": 3000 - taken}
    assert account["balanced"]


def test_what_a_dead_agent_held_is_its_loss(
    producer: Producer, listen: Callable[..., Aggregator]
) -> None:
    """Records in the memory of an agent that died are `agent_died`, exactly; the rest arrives."""
    aggregator = listen()
    neuron = producer.neuron("worker")
    neuron.record(queue_depth=1)
    run(make_agent(), aggregator, until=aggregated(aggregator, 1))
    for _ in range(300):
        neuron.record(queue_depth=1)
    doomed = make_agent("ipc://" + default_endpoint().removeprefix("ipc://") + ".nobody")
    run(doomed, until=lambda: doomed._sender.backlog()[1] == 300)
    for _ in range(200):
        neuron.record(queue_depth=1)
    run(make_agent(), aggregator, until=aggregated(aggregator, 201))

    account = aggregator.accounting()
    assert account["emitted"] == 501
    assert account["dropped"] == {"agent_died": 300}
    assert account["balanced"]


def test_a_new_aggregator_gets_all_that_is_not_committed(
    producer: Producer, listen: Callable[..., Aggregator]
) -> None:
    """When the aggregator dies, its open windows are told again to the next; nothing is lost."""
    first = listen()
    neuron = producer.neuron("worker", group="ingest")
    agent = make_agent()

    def second_after_first() -> Iterator[bool]:
        for _ in range(300):
            neuron.record(queue_depth=1)
        while not aggregated(first, 300)():
            first.step(0)
            yield False
        first.link.close()
        second = listen()
        for _ in range(100):
            neuron.record(queue_depth=1)
        while not (aggregated(second, 400)() and second.windows.population.find("worker")):
            second.step(0)
            yield False
        account = second.accounting()
        assert (account["emitted"], account["aggregated"]) == (400, 400)
        assert account["balanced"] and not account["dropped"]
        yield True

    steps = second_after_first()
    run(agent, until=lambda: next(steps))


def test_beyond_its_memory_the_oldest_is_declared_lost(
    producer: Producer, listen: Callable[..., Aggregator]
) -> None:
    """While no aggregator is there memory stays bounded; the loss is `backlog_full`, exactly."""
    neuron = producer.neuron("worker")
    agent = make_agent(limits=replace(LIMITS, retained_bytes_max=1 << 16))
    offered = 0

    def overflow() -> Iterator[bool]:
        nonlocal offered
        seen_frames = 0
        while seen_frames < 400:
            for i in range(100):
                offered += neuron.record(
                    processing_time_ns=offered * 0x9E3779B97F4A7C15 % 2**60 + i
                )
            before = agent._sender.next_number
            while agent._sender.next_number == before:
                yield False
            seen_frames += 1
            assert agent.status()["retained_bytes"] <= (1 << 16) + 8192
        aggregator = listen()
        while aggregator.accounting()["emitted"] < offered:
            aggregator.step(0)
            yield False
        account = aggregator.accounting()
        assert account["dropped"]["backlog_full"] > 0
        assert account["dropped"].keys() == {"backlog_full"}
        assert account["aggregated"] + account["dropped"]["backlog_full"] == offered
        assert account["balanced"]
        yield True

    steps = overflow()
    run(agent, until=lambda: next(steps))


def test_the_next_endpoint_takes_over(
    producer: Producer, listen: Callable[..., Aggregator], runtime_folder: Path
) -> None:
    """An endpoint where nobody is, and one that never answers, are left for one that works."""
    silent = zmq.Context()
    socket = silent.socket(zmq.ROUTER)
    socket.bind(f"ipc://{runtime_folder}/silent")
    aggregator = listen()
    producer.neuron("worker").record(queue_depth=1)
    agent = make_agent(
        f"ipc://{runtime_folder}/nobody", f"ipc://{runtime_folder}/silent", default_endpoint()
    )
    run(agent, aggregator, until=aggregated(aggregator, 1))
    silent.destroy(linger=0)

    assert agent.status()["endpoint"] == default_endpoint()
    assert aggregator.accounting()["balanced"]


def test_answers_that_are_none_are_ignored(
    producer: Producer, runtime_folder: Path, listen: Callable[..., Aggregator]
) -> None:
    """Noise, answers of strangers and impossible positions change nothing in what is kept."""
    context = zmq.Context()
    liar = context.socket(zmq.ROUTER)
    liar.bind(f"ipc://{runtime_folder}/liar")
    aggregator = listen()
    neuron = producer.neuron("worker")
    for _ in range(50):
        neuron.record(queue_depth=1)
    agent = make_agent(f"ipc://{runtime_folder}/liar", default_endpoint())
    far = 1 << 60

    def lie() -> bool:
        while liar.poll(0):
            peer, *parts = liar.recv_multipart()
            header = parse_message(parts[0])
            assert header is not None
            life = header.incarnation
            for answer in (
                b"noise",
                Message(Type.RECEIVED, 5, life, far, far).pack(),
                Message(Type.COMMITTED, 5, life, far).pack(),
                Message(Type.WELCOME, 5, life, 1, header.last + 1).pack(),
                Message(Type.HELLO, 5, life, 1, 1).pack(),
                Message(Type.OVER, 5, life, 0, header.last).pack(),
                Message(Type.WHO, 5, life).pack(),
            ):
                liar.send_multipart([peer, answer])
            liar.send_multipart([peer, b"", b"more"])
        return aggregated(aggregator, 50)()

    run(agent, aggregator, until=lie)
    context.destroy(linger=0)

    account = aggregator.accounting()
    assert (account["emitted"], account["aggregated"], account["balanced"]) == (50, 50, True)


def segment_file(folder: Path, name: str, content: bytes) -> None:
    """A file that looks like a segment by its name, and has been there for a while."""
    path = folder / f"{name}{SEGMENT_SUFFIX}"
    path.write_bytes(content)
    os.utime(path, (1, 1))


def test_files_that_are_no_segments_are_left_out_and_counted(
    producer: Producer, listen: Callable[..., Aggregator], runtime_folder: Path
) -> None:
    """Foreign, truncated and future files are refused by name, stay, and hold up nothing."""
    own = Segment(runtime_folder, 1, 64)
    whole = own.path.read_bytes()
    own.unlink()
    abi = bytearray(whole)
    abi[layout.HEADER_ABI] = 99
    lanes = bytearray(whole)
    lanes[layout.HEADER_LANES : layout.HEADER_LANES + 8] = b"\xff" * 8
    segment_file(runtime_folder, "empty", b"")
    segment_file(runtime_folder, "half-a-header", whole[:100])
    segment_file(runtime_folder, "half", whole[: layout.HEADER_BYTES + 100])
    segment_file(runtime_folder, "text", b"no segment" * 1000)
    segment_file(runtime_folder, "zeros", bytes(len(whole)))
    segment_file(runtime_folder, "version", bytes(abi))
    segment_file(runtime_folder, "lanes", bytes(lanes))
    (runtime_folder / f"folder{SEGMENT_SUFFIX}").mkdir()
    (runtime_folder / f"link{SEGMENT_SUFFIX}").symlink_to("/etc/passwd")
    aggregator = listen()
    producer.neuron("worker").record(queue_depth=1)
    agent = make_agent()
    run(agent, aggregator, until=aggregated(aggregator, 1))

    assert agent.status()["segments_refused"] == {
        "truncated": 3,
        "foreign": 3,
        "version": 1,
        "unreadable": 2,
    }
    assert len(list(runtime_folder.glob(f"*{SEGMENT_SUFFIX}"))) == 10
    assert aggregator.accounting()["balanced"]


def test_garbage_in_slots_is_skipped_and_counted(
    producer: Producer, listen: Callable[..., Aggregator]
) -> None:
    """Slots that hold no record are `corrupt`, one by one; records around them arrive."""
    aggregator = listen()
    neuron = producer.neuron("worker")
    segment = producer.segment()
    assert segment is not None
    for i in range(90):
        neuron.record(queue_depth=i)
        if i % 3 == 0:
            first = layout.slots_offset(0, segment.lanes, segment.lane_slots) + 128 * i
            segment.buffer[first : first + 8] = b"\xff" * 8
    run(make_agent(), aggregator, until=aggregated(aggregator, 60))

    account = aggregator.accounting()
    assert account["dropped"] == {"corrupt": 30}
    assert (account["emitted"], account["balanced"]) == (90, True)


def test_many_lanes_fit_the_accounts(
    runtime_folder: Path, listen: Callable[..., Aggregator]
) -> None:
    """Over a thousand lanes at once are told of in frames that hold; a new aggregator hears all."""
    writers, count = [], 1200
    assert count <= LANES_MAX
    segments = [Segment(runtime_folder, layout.LANES_MAX, 64) for _ in range(-(-count // 64))]
    for segment in segments:
        while len(writers) < count and (lane := segment.claim_lane(0)) is not None:
            writers.append(LaneWriter(segment, lane))
    aggregator = listen()
    for writer in writers:
        writer.drop("invalid") if writer.begin(1) < 0 else writer.drop("too_big")
    run(
        make_agent(),
        aggregator,
        until=lambda: aggregator.accounting()["emitted"] == count,
    )
    account = aggregator.accounting()
    assert account["dropped"] == {"too_big": count}
    assert account["balanced"]
    for segment in segments:
        segment.unlink()


def test_status_is_json_and_names_its_limits(producer: Producer) -> None:
    """What an agent says about itself can be written down, and starts with nothing refused."""
    agent = make_agent()
    agent._connect(0)
    status = json.loads(agent._meta())
    agent._link.close()
    assert status["segments_refused"] == {}
    assert status["endpoint"] == default_endpoint()
    assert status["backlog_records"] == 0
    assert set(LANE_DROPS) >= {"lane_full", "invalid"}


def test_the_watermark_waits_for_programs_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins right after the agent has looked has records that must not count as late."""
    agent, looks_ns = make_agent(), [0]
    monkeypatch.setattr(agent._collector, "discover", lambda: looks_ns.append(time.time_ns()))
    stalled = SimpleNamespace(**{**vars(time), "time_ns": lambda: time.time_ns() + SECOND})
    agent.run(Turn(lambda: len(looks_ns) > 1), lambda: None)
    monkeypatch.setattr(cutting, "time", stalled)
    assert agent._cutting.drain() == 0
    assert agent._cutting.watermark_ns <= looks_ns[-1]
