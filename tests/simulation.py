"""A deterministic world of agents, aggregators and a network, in which all goes wrong by a seed."""

import errno
import heapq
import time
from collections import Counter
from functools import cache
from random import Random

import pytest
from simulation_agent import SimAgent
from simulation_aggregator import TICK_NS, WINDOW_NS, WINDOW_TICKS, SimAggregator
from simulation_ledger import MemoryLedger, Wrong, check_all

from rnts import lives, opening
from rnts.delivery import Type, parse_message

AGENTS, ENDPOINTS = 2, 2
START_NS = 1_790_000_000_000_000_000
SKEWS = (0, 0, -3, 2)  # of agents' clocks, in windows
HAS_STREAMS = False  # whether what was on its way to an aggregator goes with it
TICKS, HEAL_TICKS_MAX, NIGHT_TICKS = 80, 4_000, 620
FAULTS = {
    "drop": 0.03, "duplicate": 0.03, "reorder": 0.05, "damage": 0.004, "lost ack": 0.03,
    "partition": 0.01, "one-way partition": 0.01, "agent crash": 0.008, "torn spool": 0.5,
    "aggregator crash": 0.01, "aggregator pause": 0.008, "disk refuses": 0.01, "disk takes": 0.05,
    "heal": 0.06, "burst": 0.03, "agent restart": 0.005, "slow ledger": 0.4, "quick ledger": 0.3,
    "lost append": 0.04, "ledger disk full": 0.004, "ledger disk takes": 0.06, "night": 0.0002,
}  # fmt: skip


class Clock:
    """Time for all, both steady and of the day."""

    now_ns = START_NS

    def time_ns(self) -> int:
        """The time."""
        return self.now_ns


CLOCK = Clock()


def stop_time(patch: pytest.MonkeyPatch) -> None:
    """From now on time is what worlds make of it."""
    patch.setattr(time, "time_ns", CLOCK.time_ns)
    patch.setattr(time, "monotonic_ns", CLOCK.time_ns)
    patch.setattr(lives, "_ASK_TIMEOUTS", 3)  # no world has the patience of a real agent
    # Between frames a decoder knows nothing, and to make one takes longer than some worlds last.
    patch.setattr(opening, "FrameDecoder", cache(opening.FrameDecoder))


class World:
    """`seed` decides all; `fired` says which faults have struck. Frames may be real ones."""

    def __init__(self, seed: int, has_real_frames: bool = False) -> None:
        self.random = Random(seed)
        self.now = 0
        CLOCK.now_ns = START_NS
        self.fired: Counter[str] = Counter()
        self.is_healed = False
        # Each seed has its own weather: what is likely in one does not happen in another.
        self.rates = {
            what: rate * self.random.choice((0, 0, 1, 2)) for what, rate in FAULTS.items()
        }
        self.ledger = MemoryLedger(self.chance, self.fired)
        self.wire: list[tuple[int, int, bool, int, int, list[bytes], SimAggregator | None]] = []
        self.order = self.aggregators_made = 0
        self.cut_off: dict[int, str] = {}  # agents and which way they are cut off
        self.is_full = False  # the disk of the ledger
        self.unsealed = self.random.choice((0, 2))
        skews = [self.random.choice(SKEWS) * WINDOW_TICKS for _ in range(AGENTS)]
        self.agents = {
            i + 1: SimAgent(i + 1, self.random, skews[i], ENDPOINTS, START_NS, has_real_frames)
            for i in range(AGENTS)
        }
        times = {agent.agent_id: agent.times for agent in self.agents.values()}
        self.times = None if has_real_frames else times
        self.aggregators: list[SimAggregator | None] = [None] * ENDPOINTS
        self.refused: Counter[str] = Counter()
        self.start_aggregator(0)

    def chance(self, what: str) -> bool:
        """Whether a fault strikes now."""
        rate = self.rates[what]
        if self.is_healed or not rate or self.random.random() >= rate:
            return False
        self.fired[what] += 1
        return True

    def start_aggregator(self, endpoint: int) -> None:
        """One takes over; who was before is fenced, if it still lives."""
        self.aggregators_made += 1

        def send(agent: int, parts: list[bytes]) -> None:
            self.post(False, agent, endpoint, parts)

        CLOCK.now_ns = self.now_ns + self.aggregators_made  # no two begin at the same moment
        made = SimAggregator(self.ledger, self.aggregators_made, self.unsealed, send, self.times)
        CLOCK.now_ns = self.now_ns
        self.aggregators[endpoint] = made

    @property
    def owner(self) -> SimAggregator | None:
        """Who has taken over last, of those that live; a zombie may not know of it yet."""
        there = [aggregator for aggregator in self.aggregators if aggregator is not None]
        return max(there, key=lambda aggregator: aggregator.keeper.epoch, default=None)

    @property
    def now_ns(self) -> int:
        """The time."""
        return START_NS + self.now * TICK_NS

    def post(self, is_up: bool, agent: int, endpoint: int, parts: list[bytes]) -> None:
        """Put a message on the wire, or lose it, or put it there twice, or late."""
        way = self.cut_off.get(agent)
        if way and way in ("both", "up" if is_up else "down"):
            return
        if self.chance("drop" if is_up else "lost ack"):
            return
        is_frame = is_up and parts[0][0] in (Type.HELLO, Type.ENTRY)
        if is_frame and parts[1] and self.chance("damage"):
            parts = [parts[0], b"!"]
        for _ in range(1 + self.chance("duplicate")):
            delay = self.random.randrange(1, 30) if self.chance("reorder") else 1
            self.order += 1
            to = self.aggregators[endpoint]
            item = (self.now + delay, self.order, is_up, agent, endpoint, parts, to)
            heapq.heappush(self.wire, item)

    def deliver(self) -> None:
        """Bring what has arrived by now to its ends."""
        while self.wire and self.wire[0][0] <= self.now:
            _, _, is_up, agent, endpoint, parts, to = heapq.heappop(self.wire)
            if is_up:
                aggregator = self.aggregators[endpoint]
                if aggregator is not None and (aggregator is to or not HAS_STREAMS):
                    aggregator.link.arrived.append((agent, parts))
                    is_back = agent in aggregator.real.receiver._absent
                    self.fired["returned"] += is_back and parts[0][0] == Type.HELLO
            elif self.agents[agent].endpoint == endpoint:
                message = parse_message(parts[0])
                assert message is not None
                self.agents[agent].lives.on_message(message, self.now_ns)

    def strike(self) -> None:
        """Let things go wrong, and right again."""
        for agent in self.agents.values():
            if self.chance("agent crash"):
                agent.crash(torn=bool(agent.spool.segments) and self.chance("torn spool"))
            if self.chance("agent restart"):
                agent.restart()
            if self.chance("partition"):
                self.cut_off[agent.agent_id] = "both"
            if self.chance("one-way partition"):
                self.cut_off[agent.agent_id] = self.random.choice(("up", "down"))
            if self.chance("disk refuses"):
                agent.set_refusal(self.random.choice((errno.ENOSPC, errno.EACCES)))
            if agent.refusal and self.chance("disk takes"):
                agent.set_refusal(0)
            if self.cut_off and self.chance("heal"):
                self.cut_off.pop(agent.agent_id, None)
        if self.chance("ledger disk takes" if self.is_full else "ledger disk full"):
            self.is_full = not self.is_full
            self.ledger.set_full(self.is_full)
        for endpoint, aggregator in enumerate(self.aggregators):
            if aggregator is None:
                continue
            if self.chance("aggregator crash"):
                self.fired.update(aggregator.moment())
                self.end_aggregator(endpoint)
            elif self.chance("aggregator pause"):
                aggregator.is_paused = not aggregator.is_paused
        if not any(a and not a.is_paused for a in self.aggregators) and self.random.random() < 0.1:
            self.start_aggregator(self.random.randrange(ENDPOINTS))
        if self.chance("night"):
            self.sleep()

    def sleep(self) -> None:
        """The agents' machines sleep until they are given up, and wake again."""
        for _ in range(NIGHT_TICKS):
            self.pass_by()
            self.step_aggregators()

    def end_aggregator(self, endpoint: int) -> None:
        """An aggregator is gone with its open windows."""
        ended = self.aggregators[endpoint]
        assert ended is not None
        self.refused += ended.real.refused
        self.aggregators[endpoint] = None

    def pass_by(self) -> None:
        """Let a moment pass; where there is nothing to see, a longer one."""
        self.now += 2 if self.is_healed else 1
        CLOCK.now_ns = self.now_ns

    def tick(self) -> None:
        """Let all do what they do in a moment."""
        self.pass_by()
        if not self.is_healed:
            self.strike()
        for agent in self.agents.values():
            agent.now_ns = self.now_ns
            if not self.is_healed:
                agent.record(self.random.randrange(4) + 12 * self.chance("burst"))
            if self.is_healed or self.now % 3 == 0 or self.random.random() < 0.2:
                agent.cut()
            for parts in agent.step():
                self.post(True, agent.agent_id, agent.endpoint, parts)
        self.deliver()
        self.step_aggregators()

    def step_aggregators(self) -> None:
        """Let those work that are not stopped."""
        for endpoint, aggregator in enumerate(self.aggregators):
            if aggregator is None or aggregator.is_paused:
                continue
            aggregator.step()
            if not self.chance("slow ledger"):
                aggregator.write()
            if aggregator.end:
                self.fired[aggregator.end] += 1
                self.end_aggregator(endpoint)
                if aggregator.end != "fenced":  # so it starts anew
                    self.start_aggregator(endpoint)

    def heal(self) -> None:
        """Nothing goes wrong any more; one aggregator is there."""
        self.is_healed = True
        self.cut_off.clear()
        self.ledger.set_full(False)
        for agent in self.agents.values():
            agent.set_refusal(0)
        for aggregator in self.aggregators:
            if aggregator is not None:
                aggregator.is_paused = False

    def run(self) -> dict[str, int]:
        """All that the seed has in store, then rest; what became of the records."""
        while self.now < TICKS:
            self.tick()
        self.heal()
        self.rest()
        for agent in self.agents.values():
            agent.record(1)  # so that each source has a last word
        self.rest()
        assert self.owner is not None
        self.owner.finish()
        totals = {a.agent_id: len(a.times) for a in self.agents.values()}
        try:
            return check_all(self.ledger, totals, WINDOW_NS)
        finally:
            self.ledger.end()

    def rest(self) -> None:
        """Wait until all is delivered, sealed and written."""
        end = self.now
        while not self.is_at_rest():
            self.tick()
            if not any(self.aggregators):
                self.start_aggregator(0)
            if self.now - end > HEAL_TICKS_MAX:
                raise Wrong("a healed world does not come to rest")

    def is_at_rest(self) -> bool:
        """Whether all is delivered, and the windows of all records are closed."""
        if not all(a.is_done for a in self.agents.values()):
            return False
        return self.owner is not None and self.owner.is_at_rest
