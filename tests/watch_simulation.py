"""A deterministic world of clients of standing queries, an aggregator, and what is between them."""

import heapq
import math
from collections import Counter
from random import Random

from engine_tools import PlainEngine, group

from rnts.delivery import Message, Type, parse_message
from rnts.reflex.change import Labels, Update
from rnts.standing.client import WatchClient
from rnts.standing.query import Query
from rnts.standing.standing import Standing
from rnts.standing.view import View

START_NS, TICK_NS = 1_790_000_000_000_000_000, 50_000_000
TICKS, QUIET_TICKS = 150, 120
QUEUE_MAX = 12  # messages under way to a client; what comes then is dropped, as by a driver
FAULTS = {
    "drop": 0.02, "duplicate": 0.03, "reorder": 0.05, "damage": 0.004, "aggregator restart": 0.015,
    "client restart": 0.006, "partition": 0.01, "heal": 0.06, "stall": 0.01, "wake": 0.04,
    "replace": 0.01, "long stall": 0.002,
}  # fmt: skip
QUERIES = {
    "slow": Query("p99_processing_time_ms by group", is_condition=False, limit=6),
    "failing": Query("error_rate > 0.5 by group", is_condition=True, lists_unknown=True),
    "sick": Query("health_status == 'critical'", is_condition=True),
    "now and then": Query("rate(messages_sent) by group", is_condition=False, every_ms=500),
    "wrong": Query("no_such_thing > 1", is_condition=True),
}
Listed = dict[Labels, tuple[str, ...]]


class Client:
    """A client and what it shows; `seen` has the newest of what it ever showed."""

    def __init__(self, number: int, now_ns: int, client_id: int) -> None:
        self.number = number
        self.real = WatchClient(QUERIES, now_ns, client_id)
        self.views: dict[str, View] = {}
        self.seen: dict[tuple[str, Labels], float] = {}
        self.at_ns: Counter[str] = Counter()
        self.stalled_until = 0

    def show(self, update: Update) -> None:
        """Take in an update; nothing in it may be older than what was shown before."""
        view = self.views.setdefault(update.key, View(QUERIES[update.key].is_condition))
        assert update.at_ns >= self.at_ns[update.key], "an older update"
        self.at_ns[update.key] = update.at_ns
        view.apply(update)
        for labels, change in view.entities.items():
            if not math.isnan(change.value):
                assert change.value >= self.seen.get((update.key, labels), 0), "an older value"
                self.seen[update.key, labels] = change.value

    def listed(self, key: str) -> Listed:
        """What it shows of an expression."""
        view = self.views.get(key, View(False))
        return {each.labels: _texts(each.truth, each.value) for each in view.entities.values()}


def _texts(*numbers: float) -> tuple[str, ...]:
    """So that what is not known equals itself."""
    return tuple(repr(number) for number in numbers)


class World:
    """`seed` decides all; `fired` says what has happened."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.fired: Counter[str] = Counter()
        self.rates = {what: rate * self.random.choice((0, 1, 2)) for what, rate in FAULTS.items()}
        self.now, self.order, self.is_quiet = 0, 0, False
        self.values: dict[str, dict[Labels, tuple[float, float]]] = {
            query.expression: {} for query in QUERIES.values()
        }
        self.wire: list[tuple[int, int, bool, int, int, list[bytes]]] = []
        self.under_way: Counter[int] = Counter()
        self.cut_off: set[int] = set()
        self.history: dict[tuple[int, int, str], Listed] = {}
        self.ids = 0
        self.start_aggregator()
        self.clients = [self.make_client(number) for number in range(2)]

    @property
    def now_ns(self) -> int:
        """The time, of the day and steady."""
        return START_NS + self.now * TICK_NS

    def chance(self, what: str) -> bool:
        """Whether it happens now."""
        if self.is_quiet or self.random.random() >= self.rates[what]:
            return False
        self.fired[what] += 1
        return True

    def start_aggregator(self) -> None:
        """Another one, which knows nothing."""
        self.engine = PlainEngine(self.values.__getitem__)
        self.aggregator = Standing(self.now_ns, self.engine, self.to_client)

    def make_client(self, number: int) -> Client:
        """A program that begins; it shows nothing yet."""
        self.ids += 1
        return Client(number, self.now_ns, self.ids)

    def to_client(self, peer: object, parts: list[bytes]) -> None:
        """What the aggregator sends."""
        assert isinstance(peer, tuple)
        number, client_id = peer
        if self.under_way[number] >= QUEUE_MAX:
            self.fired["queue full"] += 1
            return
        self.post(False, number, client_id, parts)

    def post(self, is_up: bool, number: int, client_id: int, parts: list[bytes]) -> None:
        """Put a message on the wire, or lose it, or put it there twice, or late."""
        if number in self.cut_off or self.chance("drop"):
            return
        if len(parts) == 2 and self.chance("damage"):
            parts = [parts[0], parts[1][:-1]]
        for _ in range(1 + self.chance("duplicate")):
            delay = self.random.randrange(2, 12) if self.chance("reorder") else 1
            self.order += 1
            item = (self.now + delay, self.order, is_up, number, client_id, parts)
            heapq.heappush(self.wire, item)
            self.under_way[number] += not is_up

    def deliver(self) -> None:
        """Bring what has arrived to its ends; what is for who is stalled waits."""
        waiting = []
        while self.wire and self.wire[0][0] <= self.now:
            item = heapq.heappop(self.wire)
            _, _, is_up, number, client_id, parts = item
            client = self.clients[number]
            if is_up:
                message = parse_message(parts[0])
                assert message is not None
                peer, payload = (number, client_id), parts[1] if len(parts) > 1 else b""
                self.aggregator.on_message(peer, message, payload, self.now_ns)
            elif client.stalled_until > self.now:
                waiting.append(item)
            else:
                self.under_way[number] -= 1
                if client.real.client_id == client_id:
                    self.hear(client, parts)
        for item in waiting:
            heapq.heappush(self.wire, item)

    def hear(self, client: Client, parts: list[bytes]) -> None:
        """A client takes in a message; where it says that it knows all as of a time, it does."""
        known_ns = client.real.alive_at_ns if client.real.is_complete else 0
        for update in client.real.on_message(parts, self.now_ns):
            client.show(update)
        alive_at_ns = client.real.alive_at_ns
        if not client.real.is_complete or alive_at_ns <= known_ns:
            return
        if max(client.at_ns.values(), default=0) > alive_at_ns:
            return  # it knows more of some entities, which is no claim
        for key, query in client.real.queries.items():
            if key != "wrong" and not query.every_ms:
                then = self.history[alive_at_ns, client.real.client_id, key]
                assert client.listed(key) == then, f"{key} was otherwise"
                self.fired["compared"] += 1

    def strike(self) -> None:
        """Let things go wrong, and right again."""
        if self.chance("aggregator restart"):
            self.start_aggregator()
        for number, client in enumerate(self.clients):
            if self.chance("client restart"):
                self.clients[number] = self.make_client(number)
            if self.chance("partition"):
                self.cut_off.add(number)
            if number in self.cut_off and self.chance("heal"):
                self.cut_off.discard(number)
            if self.chance("stall"):
                client.stalled_until = self.now + self.random.randrange(10, 60)
            if self.chance("long stall"):
                client.stalled_until = self.now + 120
            if client.stalled_until and self.chance("wake"):
                client.stalled_until = 0
            if self.chance("replace"):
                keys = self.random.sample(sorted(QUERIES), self.random.randrange(1, len(QUERIES)))
                client.real.replace({key: QUERIES[key] for key in keys})
                client.views = {key: view for key, view in client.views.items() if key in keys}

    def change_values(self) -> None:
        """Values move, entities come and go; a value is the time of its last change."""
        for values in self.values.values():
            for _ in range(self.random.randrange(4)):
                labels = group(f"g{self.random.randrange(9)}")
                truth = self.random.choice((0.0, 1.0, 1.0, math.nan))
                value = math.nan if self.random.random() < 0.1 else float(self.now)
                if self.random.random() < 0.1:
                    values.pop(labels, None)
                else:
                    values[labels] = (truth, value)

    def step(self) -> None:
        """One tick."""
        self.now += 1
        if not self.is_quiet:
            self.strike()
            self.change_values()
        self.deliver()
        self.aggregator.step(self.now_ns, self.now_ns)
        for (client_id, key), expression in self.engine.expressions.items():
            told = {labels: _texts(*now) for labels, now in expression.told.items()}
            self.history[self.now_ns, client_id, key] = told
        for client in self.clients:
            if client.stalled_until <= self.now:
                for parts in client.real.outgoing(self.now_ns):
                    self.post(True, client.number, client.real.client_id, parts)

    def run(self) -> Counter[str]:
        """A bad time, then quiet, after which every client knows everything; what has happened."""
        for _ in range(TICKS):
            self.step()
        self.is_quiet = True
        self.cut_off.clear()
        for client in self.clients:
            client.stalled_until = 0
        for _ in range(QUIET_TICKS):
            self.step()
        for client in self.clients:
            assert client.real.is_live(self.now_ns) and client.real.is_complete
            for key in client.real.queries:
                self.check(client, key)
            self.fired += Counter(client.real.counts)
        self.fired += Counter(self.aggregator.counts)
        return self.fired

    def check(self, client: Client, key: str) -> None:
        """What a client shows is what a newcomer would be told."""
        if key == "wrong":
            assert "no_such_thing" in client.real.wrong[key][0].message
            return
        view = View(QUERIES[key].is_condition)
        view.apply(self.engine.full((client.real.client_id, key), self.now_ns))
        whole = {each.labels: _texts(each.truth, each.value) for each in view.entities.values()}
        assert client.listed(key) == whole, f"{key} is not up to date"


def is_heartbeat(parts: list[bytes]) -> bool:
    """Whether a message of an aggregator says only that it lives."""
    message: Message | None = parse_message(parts[0])
    return message is not None and message.type is Type.PUSH and len(parts) == 1
