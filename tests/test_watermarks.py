"""Several agents after an outage: whoever comes first leaves the windows open for the others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_tools import sample, to_slots

from rnts import aggregator as module
from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS
from rnts.aggregator import Aggregator
from rnts.delivery import parse_message
from rnts.frame import FrameEncoder
from rnts.sender import Limits, Sender
from rnts.windows import Windows

MS, SECOND = 1_000_000, 1_000_000_000
START_NS = 1_790_000_000 * SECOND  # of the aggregator
GRACE_NS = 2 * SECOND
OUTAGE_S = 8
RECORDS = 3  # in a frame


class Clock:
    """Time for all, both steady and of the day; the latter can be set."""

    now_ns = START_NS
    ahead_ns = 0

    def monotonic_ns(self) -> int:
        """The steady time."""
        return self.now_ns

    def time_ns(self) -> int:
        """The time of the day."""
        return self.now_ns + self.ahead_ns


class Wire:
    """A link without sockets."""

    def __init__(self, endpoint: str = "") -> None:
        self.arrived: list[tuple[bytes, list[bytes]]] = []
        self.answers: dict[bytes, list[list[bytes]]] = {}

    def receive(self, timeout_ms: int) -> list[tuple[bytes, list[bytes]]]:
        """What was sent to the aggregator."""
        arrived, self.arrived = self.arrived, []
        return arrived

    def may_speak(self, peer: bytes, agent_id: int | None) -> bool:
        """Everybody may."""
        return True

    def send(self, peer: bytes, parts: list[bytes]) -> None:
        """Answer an agent."""
        self.answers.setdefault(peer, []).append(parts)


class Agent:
    """An agent with one lane, from which it makes a frame for each second."""

    def __init__(self, wire: Wire, number: int, incarnation: int) -> None:
        self.wire, self.number, self.taken = wire, number, 0
        self.encoder = FrameEncoder(number, incarnation)
        limits = Limits(retained_bytes_max=1 << 24, timeout_ns=500 * MS, retry_count=3)
        self.sender = Sender(number, incarnation, limits, self.hello, lambda counts: b"")

    def hello(self) -> bytes:
        """The frame of a HELLO."""
        return self.frame([], 0, SOURCE_BASELINE)

    def frame(self, records: list[Any], watermark_ns: int, flags: int = 0) -> bytes:
        """Any frame."""
        row = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
        row[0, COLUMN["key"]], row[0, COLUMN["flags"]] = self.number, flags
        if not flags:
            self.taken += len(records)
            row[0, COLUMN["in_frame"]] = len(records)
            row[0, COLUMN["attempts"]] = row[0, COLUMN["delivered"]] = self.taken
        slots = to_slots(records)
        return self.encoder.encode(slots, sequence=1, watermark_ns=watermark_ns, sources=row)

    def offer(self, time_ns: int) -> None:
        """Records of one moment, and the watermark at its end."""
        records = [sample(self.number, time_ns + i, queue_depth=1) for i in range(RECORDS)]
        self.sender.offer(self.frame(records, time_ns + 10), {self.number: RECORDS})

    def talk(self, now_ns: int) -> None:
        """Hear and say what is due."""
        peer = bytes([self.number])
        for parts in self.wire.answers.pop(peer, []):
            message = parse_message(parts[0])
            assert message is not None
            self.sender.on_message(message, now_ns)
        self.wire.arrived += [(peer, parts) for parts in self.sender.step(now_ns)]


class World:
    """An aggregator that has just started, and its agents."""

    def __init__(self, clock: Clock, aggregator: Aggregator, wire: Wire) -> None:
        self.clock, self.aggregator, self.wire = clock, aggregator, wire

    def agent(self, number: int, age_s: int = 3600) -> Agent:
        """An agent that has been there for so long."""
        return Agent(self.wire, number, self.clock.now_ns - age_s * SECOND)

    def go_on(self, duration_ns: int, *agents: Agent) -> None:
        """Let time pass, in steps in which everybody talks."""
        for _ in range(duration_ns // (10 * MS)):
            for agent in agents:
                agent.talk(self.clock.now_ns)
            self.aggregator.step(0)
            self.clock.now_ns += 10 * MS

    def fates(self) -> tuple[int, dict[str, int]]:
        """Records aggregated, and dropped by reason; the books balance."""
        account = self.aggregator.accounting()
        assert account["balanced"]
        return account["aggregated"], account["dropped"]


@pytest.fixture
def world(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An aggregator without sockets, at START_NS."""
    clock, wire = Clock(), Wire()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "aggregator_link", lambda endpoint, options: wire)
    yield World(clock, Aggregator("", Windows(SECOND, (50,), 100), GRACE_NS), wire)


def outage(agent: Agent) -> None:
    """Fill an agent's backlog: a frame for each second of the outage, and one more for now."""
    for second in range(OUTAGE_S, -1, -1):
        agent.offer(START_NS - second * SECOND)


@pytest.mark.parametrize("delay_ms", [0, 100, 1000, 1900])
def test_backlogs_that_come_one_after_another_are_not_late(world: World, delay_ms: int) -> None:
    """Agents that come back within the grace after a restart find their windows open."""
    agents = [world.agent(number) for number in (1, 2, 3)]
    for agent in agents:
        outage(agent)
    world.go_on(delay_ms * MS, agents[0])
    world.go_on(3 * GRACE_NS, *agents)
    assert all(agent.sender.is_drained for agent in agents)
    assert world.fates() == (3 * RECORDS * (OUTAGE_S + 1), {})


def test_who_comes_after_the_grace_is_late_by_name(world: World) -> None:
    """What lies in closed windows then is counted, and the rest is folded."""
    first, second = world.agent(1), world.agent(2)
    for agent in (first, second):
        outage(agent)
    world.go_on(2 * GRACE_NS, first)
    world.go_on(2 * GRACE_NS, first, second)
    aggregated, dropped = world.fates()
    assert second.sender.is_drained
    assert dropped["late"] >= RECORDS * (OUTAGE_S - 3)
    assert aggregated + dropped["late"] == 2 * RECORDS * (OUTAGE_S + 1)


@pytest.mark.parametrize(
    ("unsealed", "away_s", "late_s"), [(2, 2, 0), (2, 4, 2), (5, 5, 0), (5, 7, 2)]
)
def test_who_was_away_beside_others_revises_until_the_seal(
    world: World, unsealed: int, away_s: int, late_s: int
) -> None:
    """Windows do not wait for it for long; what it brings is late only where they are sealed."""
    windows = Windows(SECOND, (50,), 100, unsealed=unsealed)
    world.aggregator = Aggregator("", windows, GRACE_NS)
    there, away = world.agent(1, age_s=0), world.agent(2, age_s=0)

    def pass_by(tenths: int, *agents: Agent) -> None:
        for _ in range(tenths):
            for agent in agents:
                agent.offer(world.clock.now_ns)
            world.go_on(100 * MS, *agents)

    pass_by(35, there, away)
    left_ns = world.clock.now_ns
    pass_by(10 * away_s, there)
    for time_ns in range(left_ns, world.clock.now_ns, 100 * MS):
        away.offer(time_ns)
    pass_by(5, there, away)
    dropped = world.fates()[1]
    assert away.sender.is_drained
    assert dropped.get("late", 0) <= RECORDS * 10 * late_s
    assert bool(dropped) is bool(late_s)


def test_a_fresh_system_does_not_wait(world: World) -> None:
    """Where agents are as young as the aggregator the first window closes at its end."""
    agent = world.agent(1, age_s=0)
    agent.offer(START_NS)
    agent.offer(START_NS + SECOND)
    world.go_on(SECOND // 2, agent)
    assert world.aggregator.windows.closed is None
    world.go_on(SECOND, agent)
    assert world.aggregator.windows.closed is not None
    assert world.clock.now_ns < START_NS + GRACE_NS


def test_a_restarted_aggregator_waits_for_the_grace_only(world: World) -> None:
    """It folds meanwhile, and closes what is over when the time is up."""
    agent = world.agent(1)
    outage(agent)
    world.go_on(GRACE_NS - 100 * MS, agent)
    assert world.aggregator.windows.closed is None
    assert world.fates()[0] >= RECORDS
    world.go_on(200 * MS, agent)
    assert world.aggregator.windows.closed is not None
    assert agent.sender.is_drained


def test_agents_do_not_wait_for_each_other(world: World) -> None:
    """Where the clock leaps ahead for all at once, the one that leapt least goes first."""
    agents = [world.agent(number, age_s=0) for number in (1, 2)]
    for agent in agents:
        agent.offer(START_NS)
    world.go_on(SECOND, *agents)
    world.clock.ahead_ns = 100 * SECOND
    for agent in agents:
        agent.offer(world.clock.time_ns() + agent.number * MS)
    world.go_on(GRACE_NS // 4, *agents)
    assert all(agent.sender.is_drained for agent in agents)
    assert world.fates() == (4 * RECORDS, {})


def test_who_has_said_hello_is_waited_for(world: World) -> None:
    """Its first frame is under way: windows stay open for it before its place is known."""
    first, second = world.agent(1, age_s=0), world.agent(2, age_s=0)
    first.offer(START_NS)
    world.clock.ahead_ns = OUTAGE_S * SECOND
    world.go_on(100 * MS, first, second)
    for second_of in range(1, OUTAGE_S):
        first.offer(START_NS + second_of * SECOND)
    world.go_on(SECOND // 2, first, second)
    for second_of in range(OUTAGE_S):
        second.offer(START_NS + second_of * SECOND)
    world.go_on(GRACE_NS, first, second)
    assert world.fates() == (2 * RECORDS * OUTAGE_S, {})


def test_nobody_waits_longer_than_the_grace(world: World) -> None:
    """An agent that is there and does not move holds up others for that long."""
    still, eager = world.agent(1, age_s=0), world.agent(2, age_s=0)
    still.offer(START_NS)
    world.clock.ahead_ns = OUTAGE_S * SECOND
    for second in range(OUTAGE_S):
        eager.offer(START_NS + second * SECOND)
    world.go_on(GRACE_NS - SECOND, still, eager)
    assert not eager.sender.is_drained
    for _ in range(4):
        still.sender.lose_connection()  # it says HELLO again, so that it is not silent
        world.go_on(SECOND, still, eager)
    assert eager.sender.is_drained
    assert world.fates() == (RECORDS * (OUTAGE_S + 1), {})


def test_a_clock_that_is_set_back_makes_records_late(world: World) -> None:
    """Until it has caught up with the windows that are closed; each is counted by that name."""
    agent = world.agent(1, age_s=0)
    for _ in range(6):
        agent.offer(world.clock.time_ns())
        world.go_on(SECOND, agent)
    world.clock.ahead_ns = -4 * SECOND
    for _ in range(6):
        agent.offer(world.clock.time_ns())
        world.go_on(SECOND, agent)
    aggregated, dropped = world.fates()
    assert agent.sender.is_drained
    assert RECORDS < dropped.pop("late") == 12 * RECORDS - aggregated < 6 * RECORDS
    assert dropped == {}


def test_an_agent_whose_clock_is_set_ahead_makes_records_of_the_future(world: World) -> None:
    """They are refused by that name, and close nothing that others fill."""
    agent, other = world.agent(1, age_s=0), world.agent(2, age_s=0)
    for second in range(4):
        agent.offer(world.clock.time_ns() + 60 * SECOND * (second > 1))
        other.offer(world.clock.time_ns())
        world.go_on(SECOND, agent, other)
    assert world.fates() == (6 * RECORDS, {"future": 2 * RECORDS})
