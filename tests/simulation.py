"""A deterministic world of agents, aggregators and a network, in which all goes wrong by a seed."""

import errno
import heapq
from collections import Counter
from random import Random

from simulation_agent import SimAgent
from simulation_aggregator import SimAggregator
from simulation_parts import WINDOW, Ledger, Wrong, check_all

from rnts.delivery import Message, Type, parse_message

AGENTS, ENDPOINTS = 2, 2
START, TICKS, HEAL_TICKS_MAX = 1_000, 120, 4_000
FAULTS = {
    "drop": 0.03, "duplicate": 0.03, "reorder": 0.05, "damage": 0.004, "lost ack": 0.03,
    "partition": 0.01, "one-way partition": 0.01, "agent crash": 0.008, "torn spool": 0.5,
    "aggregator crash": 0.01, "aggregator pause": 0.008, "disk refuses": 0.01, "disk takes": 0.05,
    "heal": 0.06, "burst": 0.03,
}  # fmt: skip


class World:
    """`seed` decides all; `fired` says which faults have struck."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = START
        self.fired: Counter[str] = Counter()
        self.is_healed = False
        self.ledger = Ledger()
        # Each seed has its own weather: what is likely in one does not happen in another.
        self.rates = {
            what: rate * self.random.choice((0, 0, 1, 2)) for what, rate in FAULTS.items()
        }
        self.wire: list[tuple[int, int, bool, int, int, list[bytes]]] = []
        self.order = self.aggregators_made = self.sequence_at_rest = 0
        self.cut_off: dict[int, str] = {}  # agents and which way they are cut off
        skews = [self.random.choice((0, 0, -3 * WINDOW, 2 * WINDOW)) for _ in range(AGENTS)]
        self.agents = [SimAgent(i, self.random, skews[i], ENDPOINTS) for i in range(AGENTS)]
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

        def send(agent: int, message: Message) -> None:
            self.post(False, agent, endpoint, [message.pack()])

        made = SimAggregator(self.aggregators_made, self.ledger, send, AGENTS, self.now)
        made.times = {agent.agent_id: agent.times for agent in self.agents}
        self.aggregators[endpoint] = made

    def post(self, is_up: bool, agent: int, endpoint: int, parts: list[bytes]) -> None:
        """Put a message on the wire, or lose it, or put it there twice, or late."""
        way = self.cut_off.get(agent)
        if way and way in ("both", "up" if is_up else "down"):
            return
        if self.chance("drop" if is_up else "lost ack"):
            return
        if is_up and len(parts[1:]) and parts[1] and self.chance("damage"):
            parts = [parts[0], parts[1][:-9] if len(parts[1]) > 60 else parts[1]]
            parts[1] = parts[1] if len(parts[1]) < 20 or parts[0][0] == Type.HELLO else b"!"
        for _ in range(1 + self.chance("duplicate")):
            delay = self.random.randrange(1, 30) if self.chance("reorder") else 1
            self.order += 1
            item = (self.now + delay, self.order, is_up, agent, endpoint, parts)
            heapq.heappush(self.wire, item)

    def deliver(self) -> None:
        """Bring what has arrived by now to its ends."""
        while self.wire and self.wire[0][0] <= self.now:
            _, _, is_up, agent, endpoint, parts = heapq.heappop(self.wire)
            message = parse_message(parts[0])
            assert message is not None
            if not is_up:
                if self.agents[agent].endpoint == endpoint:
                    self.agents[agent].lives.on_message(message, self.now)
                continue
            aggregator = self.aggregators[endpoint]
            if aggregator is not None and not aggregator.is_paused:
                aggregator.on_message(message, parts[1] if len(parts) > 1 else b"", self.now)

    def strike(self) -> None:
        """Let things go wrong, and right again."""
        for agent in self.agents:
            if self.chance("agent crash"):
                agent.crash(torn=bool(agent.spool.segments) and self.chance("torn spool"))
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
        for endpoint, aggregator in enumerate(self.aggregators):
            if aggregator is None:
                continue
            if self.chance("aggregator crash"):
                self.end_aggregator(endpoint)
            elif self.chance("aggregator pause"):
                aggregator.is_paused = not aggregator.is_paused
        if not any(a and not a.is_paused for a in self.aggregators) and self.random.random() < 0.1:
            self.start_aggregator(self.random.randrange(ENDPOINTS))

    def end_aggregator(self, endpoint: int) -> None:
        """An aggregator is gone with its open windows."""
        ended = self.aggregators[endpoint]
        assert ended is not None
        self.refused += ended.refused
        self.aggregators[endpoint] = None

    def tick(self) -> None:
        """Let a moment pass."""
        self.now += 1
        if not self.is_healed:
            self.strike()
        for agent in self.agents:
            if not self.is_healed:
                agent.record(self.now, self.random.randrange(4) + 12 * self.chance("burst"))
            if self.now % 2 or self.random.random() < 0.2:
                agent.cut(self.now)
            for parts in agent.step(self.now):
                self.post(True, agent.agent_id, agent.endpoint, parts)
        self.deliver()
        for endpoint, aggregator in enumerate(self.aggregators):
            if aggregator is not None and not aggregator.is_paused:
                aggregator.close_windows(self.now)
                if aggregator.is_fenced:
                    self.fired["fenced"] += 1
                    self.end_aggregator(endpoint)

    def heal(self) -> None:
        """Nothing goes wrong any more; one aggregator is there."""
        self.is_healed = True
        self.cut_off.clear()
        for agent in self.agents:
            agent.set_refusal(0)
        for aggregator in self.aggregators:
            if aggregator is not None:
                aggregator.is_paused = False
        if not any(self.aggregators):
            self.start_aggregator(0)

    def run(self) -> dict[str, int]:
        """All that the seed has in store, then rest; what became of the records."""
        while self.now < START + TICKS:
            self.tick()
        self.heal()
        self.rest()
        for agent in self.agents:
            agent.record(self.now, 1)  # so that each source has a last word
        self.rest()
        return check_all(self.ledger, {a.agent_id: len(a.times) for a in self.agents})

    def rest(self) -> None:
        """Wait until all is delivered and sealed."""
        end = self.now
        while not self.is_at_rest():
            self.tick()
            if not any(self.aggregators):
                self.start_aggregator(0)
            if self.now - end > HEAL_TICKS_MAX:
                raise Wrong("a healed world does not come to rest")

    def is_at_rest(self) -> bool:
        """Whether all is delivered, and the windows of all records are sealed."""
        newest = max(agent.times[-1] if agent.times else 0 for agent in self.agents) // WINDOW
        if self.ledger.last.boundary <= newest or not all(a.is_done for a in self.agents):
            self.sequence_at_rest = 0
            return False
        # What is in no window, such as a loss, is in the record after that.
        self.sequence_at_rest = self.sequence_at_rest or self.ledger.sequence + 1
        return self.ledger.sequence > self.sequence_at_rest
