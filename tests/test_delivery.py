"""The delivery protocol: exactly once and in order, whatever the network and the peers do."""

import random
from dataclasses import dataclass, field

import pytest

from rnts.delivery import CREDIT_ENTRIES, MESSAGE_BYTES, Message, Type, parse_message
from rnts.receiver import Receiver, Verdict
from rnts.sender import Limits, Sender

LIMITS = Limits(retained_bytes_max=1 << 20, timeout_ns=100, retry_count=3)
AGENT, SOURCE = 7, 42


def make_sender(limits: Limits = LIMITS, incarnation: int = 1) -> Sender:
    """A sender whose holes are readable: the payload says how many records were lost."""
    return Sender(
        AGENT,
        incarnation,
        limits,
        make_hello=lambda: b"hello",
        make_hole=lambda counts: b"lost %d" % counts.get(SOURCE, 0),
    )


def deliver(sender: Sender, receiver: Receiver, now: int = 0) -> list[bytes]:
    """Let both talk over a perfect network until they are done; payloads in order of folding."""
    folded = []
    while messages := sender.step(now):
        for header, payload in messages:
            message = parse_message(header)
            assert message is not None
            if message.type is Type.HELLO:
                _, answer = receiver.on_hello(message, None, now)
            else:
                verdict, answer = receiver.on_entry(message, None, now)
                if verdict is Verdict.FOLD:
                    folded.append(payload)
                    receiver.folded(message, window=-1)
                    answer = receiver.acknowledge(AGENT)
            if answer is not None:
                sender.on_message(answer, now)
    return folded


def test_entries_arrive_in_order_and_once() -> None:
    """What is offered is folded in the order of offering, far beyond one grant of credit."""
    sender, receiver = make_sender(), Receiver(1)
    sent = [b"%d" % i for i in range(5 * CREDIT_ENTRIES)]
    for payload in sent:
        sender.offer(payload, {SOURCE: 1})

    assert deliver(sender, receiver) == sent
    assert sender.is_drained
    assert sender.backlog() == (0, 0)


def test_without_credit_nothing_goes_out() -> None:
    """A receiver that acknowledges nothing gets at most what its credit allows."""
    sender, receiver = make_sender(), Receiver(1)
    for i in range(3 * CREDIT_ENTRIES):
        sender.offer(b"%d" % i, {})
    hello = parse_message(sender.step(0)[0][0])
    assert hello is not None
    _, welcome = receiver.on_hello(hello, None, 0)
    assert welcome is not None
    sender.on_message(welcome, 0)

    assert len(sender.step(0)) == CREDIT_ENTRIES
    assert sender.step(0) == []


def test_committed_entries_are_forgotten_and_others_kept() -> None:
    """Only a commit frees memory; a new receiver is told all that is not committed."""
    sender, receiver = make_sender(), Receiver(1)
    for i in range(10):
        sender.offer(b"%d" % i, {SOURCE: i})
    deliver(sender, receiver)
    sender.on_message(Message(Type.COMMITTED, 1, 0, 5), 0)

    assert list(sender.committed_counts) == [{SOURCE: i} for i in range(4)]
    sender.lose_connection()
    assert deliver(sender, Receiver(2)) == [b"%d" % i for i in range(4, 10)]


def test_memory_is_bounded_and_the_hole_is_declared() -> None:
    """Beyond the limit the oldest unsent frames become one hole that says what it held."""
    sender = make_sender(Limits(retained_bytes_max=1000, timeout_ns=100, retry_count=3))
    for i in range(100):
        sender.offer(b"%03d" % i * 10, {SOURCE: 2})

    assert sender.retained_bytes <= 1000
    folded = deliver(sender, Receiver(1))
    kept = len(folded) - 1
    assert folded[0] == b"lost %d" % (2 * (100 - kept))
    assert folded[1:] == [b"%03d" % i * 10 for i in range(100 - kept, 100)]


def test_what_went_out_is_never_called_lost() -> None:
    """A frame that the receiver may hold stays, however little memory there is."""
    sender, receiver = make_sender(Limits(200, 100, 3)), Receiver(1)
    deliver(sender, receiver)
    sender.offer(b"x" * 150, {SOURCE: 1})
    went_out = sender.step(0)
    for _ in range(10):
        sender.offer(b"y" * 150, {SOURCE: 1})

    assert went_out[0][1] == b"x" * 150
    sender.lose_connection()
    folded = deliver(sender, receiver)
    assert folded == [b"x" * 150, b"lost 9", b"y" * 150]


def test_a_silent_endpoint_becomes_suspect() -> None:
    """After the retries the driver is told to go elsewhere; nothing is forgotten."""
    sender = make_sender()
    sender.offer(b"1", {SOURCE: 1})
    hellos = sum(bool(sender.step(now)) for now in range(0, 1000, 50))

    assert sender.is_suspect
    assert hellos >= LIMITS.retry_count
    sender.lose_connection()
    assert deliver(sender, Receiver(1), now=1000) == [b"1"]


def test_an_agents_former_life_is_refused() -> None:
    """Entries of an earlier incarnation that arrive late are not folded."""
    receiver = Receiver(1)
    deliver(make_sender(incarnation=1), receiver)
    deliver(make_sender(incarnation=2), receiver)
    verdict, answer = receiver.on_entry(Message(Type.ENTRY, AGENT, 1, 1, 1), None, 0)

    assert (verdict, answer) == (Verdict.STRANGER, None)


@pytest.mark.parametrize("raw", [b"", b"\x00" * MESSAGE_BYTES, b"\xff" * MESSAGE_BYTES, b"x" * 99])
def test_garbage_is_no_message(raw: bytes) -> None:
    """Bytes of a wrong length or type are None, never an exception."""
    assert parse_message(raw) is None


@dataclass
class World:
    """One agent and one aggregator at a time over a network that loses, repeats and reorders."""

    seed: int
    memory: int = 4000
    is_perfect: bool = False
    fired: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.sender = make_sender(Limits(self.memory, timeout_ns=50, retry_count=3))
        self.receiver = Receiver(1)
        self.wire: list[tuple[bool, list[bytes]]] = []  # (to the aggregator, parts)
        self.folded: list[bytes] = []  # by the present aggregator
        self.committed: list[bytes] = []  # by all that there were
        self.now = 0

    def chance(self, what: str, probability: float) -> bool:
        """Whether a fault strikes now; remembered, so that a test can ask that each did."""
        if self.is_perfect or self.random.random() >= probability:
            return False
        self.fired.add(what)
        return True

    def post(self, up: bool, parts: list[bytes]) -> None:
        """Put a message on the wire, or lose it, or put it there twice."""
        if self.chance("drop", 0.1):
            return
        for _ in range(1 + self.chance("duplicate", 0.1)):
            at = len(self.wire)
            if self.wire and self.chance("reorder", 0.1):
                at = self.random.randrange(len(self.wire))
            self.wire.insert(at, (up, parts))

    def step(self) -> None:
        """Let one tick pass."""
        self.now += self.random.randrange(1, 20)
        for parts in self.sender.step(self.now):
            self.post(True, parts)
        for _ in range(self.random.randrange(8)):
            if self.wire:
                self.arrive(*self.wire.pop(0))
        if AGENT in self.receiver.sessions and self.random.random() < 0.2:
            self.commit()
        if self.chance("crash", 0.01):
            self.receiver = Receiver(self.receiver.receiver_id + 1)
            self.folded = []

    def arrive(self, up: bool, parts: list[bytes]) -> None:
        """Take a message from the wire to its end."""
        message = parse_message(parts[0])
        assert message is not None
        if not up:
            self.sender.on_message(message, self.now)
        elif message.type is Type.HELLO:
            _, answer = self.receiver.on_hello(message, None, self.now)
            if answer:
                self.post(False, [answer.pack()])
        else:
            verdict, answer = self.receiver.on_entry(message, None, self.now)
            if verdict is Verdict.FOLD:
                self.folded.append(parts[1])
                self.receiver.folded(message, window=len(self.folded))
            if verdict in (Verdict.FOLD, Verdict.DUPLICATE):
                answer = self.receiver.acknowledge(AGENT)
            if answer:
                self.post(False, [answer.pack()])

    def commit(self) -> None:
        """Close the windows of some of what is folded."""
        session = self.receiver.sessions[AGENT]
        before = len(session.uncommitted)
        answer = self.receiver.commit(AGENT, self.random.randrange(len(self.folded) + 2))
        done = before - len(session.uncommitted)
        start = len(self.folded) - before
        self.committed += self.folded[start : start + done]
        if answer:
            self.post(False, [answer.pack()])


def records_in(payload: bytes) -> tuple[int, int]:
    """(records, records declared lost) of a payload of the simulation."""
    return (0, int(payload[5:])) if payload.startswith(b"lost") else (1, 0)


def run_world(world: World, count: int) -> None:
    """Offer `count` frames of one record while faults strike, then let all settle."""
    offered = 0
    while offered < count:
        for _ in range(min(world.random.randrange(4), count - offered)):
            world.sender.offer(b"frame %06d" % offered + b"." * 90, {SOURCE: 1})
            offered += 1
        world.step()
    world.is_perfect = True
    for _ in range(3000):
        world.step()
        if world.sender.is_drained and not world.wire:
            break
    assert world.sender.is_drained, "a healed network must let everything through"


@pytest.mark.parametrize("block", range(10))
def test_simulation(block: int) -> None:
    """Under any faults the last aggregator has folded each entry after its first once."""
    fired: set[str] = set()
    for seed in range(block * 10, block * 10 + 10):
        world = World(seed)
        run_world(world, 300)
        fired |= world.fired
        frames = [p for p in world.folded if not p.startswith(b"lost")]
        assert frames == sorted(set(frames)), f"seed {seed}: repeated or out of order"
        kept, lost = map(sum, zip(*map(records_in, world.folded), strict=True))
        first = next((int(p[6:12]) for p in frames), 300)
        if world.receiver.receiver_id == 1:
            assert kept + lost == 300, f"seed {seed}: {kept} + {lost} of 300"
        else:  # what an earlier aggregator had committed is not said again
            assert kept + lost <= 300
            assert first + kept <= 300
    assert fired >= {"drop", "duplicate", "reorder", "crash"}
