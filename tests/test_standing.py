"""Both ends of standing queries, connected directly: what is told, limits, and who is let go."""

import math
from collections import Counter
from typing import Any

import pytest
from engine_tools import PlainEngine, Values, group

from rnts.delivery import Message, Type, parse_message
from rnts.reflex.change import Change, Labels, Update
from rnts.standing import outbox
from rnts.standing.client import WatchClient
from rnts.standing.outbox import CHANGES_AT_ONCE, ENTITIES_MAX, UNCONFIRMED_MAX
from rnts.standing.push import unpack_push
from rnts.standing.query import (
    CLIENTS_MAX,
    EXPRESSIONS_MAX,
    QUERIES_MAX,
    AskAbout,
    Query,
)
from rnts.standing.standing import (
    EPISODE_NS_MIN,
    EXPRESSIONS_AT_ONCE,
    HEARTBEAT_NS,
    SILENCE_NS,
    Standing,
)
from rnts.standing.view import View

START_NS = 1_790_000_000_000_000_000
LATENCY = "p99_processing_time_ms by group"
SLOW = Query(LATENCY, is_condition=False)
FAILING = Query("error_rate > 0.5 by group", is_condition=True)


def number(value: float) -> tuple[float, float]:
    """A quantity as the engine has it."""
    return math.nan, value


class Ends:
    """An aggregator's end with clients at it; messages arrive at once, unless one is held."""

    def __init__(self, most: int = 10_000) -> None:
        self.now_ns = START_NS
        self.values: dict[str, dict[Labels, tuple[float, float]]] = {}
        self.engine = PlainEngine(self._read, most)
        self.sent: dict[Any, list[list[bytes]]] = {}
        self.standing = Standing(77, self.engine, self._send)
        self.held: set[Any] = set()
        self.updates: list[Update] = []

    def _read(self, text: str) -> Values:
        return self.values.get(text, {})

    def _send(self, peer: Any, parts: list[bytes]) -> None:
        self.sent.setdefault(peer, []).append(parts)

    def client(
        self, number: int = 1, about: AskAbout | None = None, **queries: Query
    ) -> WatchClient:
        """A client that has said what it wants to know."""
        made = WatchClient(queries, self.now_ns, number, about)
        self.hear(made)
        return made

    def hear(self, client: WatchClient) -> None:
        """Bring what a client says to the aggregator."""
        for parts in client.outgoing(self.now_ns):
            message = parse_message(parts[0])
            assert message is not None
            peer, payload = client.client_id, parts[1] if len(parts) > 1 else b""
            self.standing.on_message(peer, message, payload, self.now_ns)

    def step(self, *clients: WatchClient, pass_ns: int = 10_000_000) -> list[Update]:
        """Let time pass, evaluate, tell, and hear answers; the updates of the last client."""
        self.now_ns += pass_ns
        self.standing.step(self.now_ns, self.now_ns)
        self.updates = []
        for client in clients:
            sent = self.sent.pop(client.client_id, [])
            self.updates = [u for parts in sent for u in client.on_message(parts, self.now_ns)]
            self.hear(client)
        return self.updates


def test_only_what_has_changed_is_told() -> None:
    """First everything, then nothing while nothing happens, then what is new and who is gone."""
    ends = Ends()
    ends.values[LATENCY] = {group("a"): number(5), group("b"): number(7)}
    client = ends.client(slow=SLOW)
    (whole,) = ends.step(client)
    assert whole.is_full and {c.labels: c.value for c in whole.changes} == {
        group("a"): 5,
        group("b"): 7,
    }
    assert client.is_complete and client.alive_at_ns == ends.now_ns
    assert ends.step(client) == []
    ends.values[LATENCY] = {group("a"): number(6)}
    (update,) = ends.step(client)
    assert (update.key, update.is_full, update.at_ns) == ("slow", False, ends.now_ns)
    assert [(c.labels, c.value) for c in update.changes] == [(group("a"), 6)]
    assert update.gone == (group("b"),)


def test_a_wrong_expression_is_told_with_its_place_and_the_others_live() -> None:
    """The faults that the parser finds come back under the key, at characters of the text."""
    ends = Ends()
    wrong = Query("p99_procesing_time_ms by group", is_condition=False)
    client = ends.client(slow=SLOW, wrong=wrong)
    ends.step(client)
    ((key, (fault,)),) = client.wrong.items()
    assert (key, fault.position) == ("wrong", 0)
    assert "did you mean p99_processing_time_ms" in fault.message
    assert client.is_complete and [u.key for u in ends.updates] == ["slow"]
    client.replace({"slow": SLOW})
    assert client.wrong == {}


def test_an_engine_without_room_and_too_many_expressions_are_told() -> None:
    """What is beyond a limit is refused expression by expression, and counted."""
    ends = Ends(most=EXPRESSIONS_MAX - 1)
    client = ends.client(**{f"q{i}": SLOW for i in range(EXPRESSIONS_MAX + 1)})
    for _ in range(EXPRESSIONS_MAX // EXPRESSIONS_AT_ONCE + 1):
        ends.step(client)
    assert client.is_complete and not ends.standing.is_busy
    assert {key: faults[0].message for key, faults in client.wrong.items()} == {
        "q255": "the engine has 255 expressions already",
        "q256": "a client has at most 256 expressions",
    }
    assert ends.standing.document()["expressions_refused"] == 2


def test_one_client_too_many_is_refused_until_another_leaves() -> None:
    """It is told why; when there is a place, it gets it without being started again."""
    ends = Ends()
    clients = [ends.client(number, slow=SLOW) for number in range(CLIENTS_MAX)]
    late = ends.client(CLIENTS_MAX, slow=SLOW)
    ends.step(late)
    assert "has 64 clients" in late.refused
    assert not late.is_live(ends.now_ns)
    for parts in clients[0].goodbye():
        message = parse_message(parts[0])
        assert message is not None
        ends.standing.on_message(0, message, parts[1], ends.now_ns)
    ends.step(late, pass_ns=2 * 10**9)
    for _ in range(CLIENTS_MAX // EXPRESSIONS_AT_ONCE):
        ends.step(late)
    assert late.refused == "" and late.is_complete
    document = ends.standing.document()
    assert (document["clients_refused"], document["left"], document["watchers"]) == (1, 1, 64)


def test_a_slow_client_is_not_waited_for_and_told_the_newest() -> None:
    """So many messages are under way; what follows is merged, by entity, and that is told."""
    ends, room = Ends(), UNCONFIRMED_MAX - 1  # the first message is not confirmed yet
    client = ends.client(slow=SLOW)
    ends.step(client)
    for tick in range(1, 101):
        ends.values[LATENCY] = {group("a"): number(tick), group(f"b{tick}"): number(-tick)}
        ends.step()
    pushes = [parts for parts in ends.sent[client.client_id] if len(parts) == 2]
    assert len(pushes) == room
    told_ns = client.alive_at_ns
    ends.step(client)
    assert client.merged["slow"] == 0
    assert client.alive_at_ns == told_ns + room * 10_000_000
    (rest,) = ends.step(client)
    assert client.merged["slow"] == 100 - room - 1
    assert [(c.labels, c.value) for c in rest.changes] == [(group("a"), 100), (group("b100"), -100)]
    assert group("b99") in rest.gone
    assert client.alive_at_ns == ends.now_ns


def test_who_left_and_came_back_is_there() -> None:
    """An update may tell both of the same labels, as where another neuron has taken a name."""
    back, view = Change(group("a"), 1.0, 2.0), View(is_condition=True)
    view.apply(Update("k", START_NS, True, (Change(group("a"), 1.0, 1.0),), ()))
    update = Update("k", START_NS, False, (back,), (group("a"),))
    assert view.apply(update) == ((back,), ())
    assert view.entities == {group("a"): back}
    box = outbox.Outbox(Counter())
    box.add("k", Update("k", START_NS, False, (), (group("a"), group("b"))))
    box.add("k", update)
    (part,) = unpack_push(box.next_payload(lambda key: update)).parts
    assert (part.update.changes, part.update.gone, part.merged) == ((back,), (group("b"),), 1)


def test_what_is_too_much_to_keep_is_asked_for_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of more entities than may wait are forgotten; the whole state follows later."""
    assert ENTITIES_MAX >= 10_000  # one query at its limit fits
    monkeypatch.setattr(outbox, "ENTITIES_MAX", 50)
    ends = Ends()
    client = ends.client(slow=SLOW)
    ends.step(client)
    for tick in range(1, UNCONFIRMED_MAX + 60):
        ends.values[LATENCY] = {group(f"g{tick}"): number(tick)}
        ends.step()
    assert ends.standing.counts["overflowed"] == 1
    assert not any(update.is_full for update in ends.step(client))
    (whole,) = ends.step(client)
    assert whole.is_full and [c.value for c in whole.changes] == [UNCONFIRMED_MAX + 59]


def test_a_large_state_comes_in_pieces_and_is_taken_as_one() -> None:
    """No message has more than so many entities, and no client sees half a state."""
    ends = Ends()
    many = 3 * CHANGES_AT_ONCE + 7
    ends.values[LATENCY] = {group(f"g{i}"): number(i) for i in range(many)}
    client = ends.client(slow=SLOW._replace(limit=many - 1))
    ends.now_ns += 1
    ends.standing.step(ends.now_ns, ends.now_ns)
    messages = [parts for parts in ends.sent[client.client_id] if len(parts) == 2]
    assert len(messages) == 4
    assert ends.step(client)[0].omitted == 1
    assert [len(update.changes) for update in ends.updates] == [many - 1]


def test_the_aggregator_is_live_for_three_heartbeats() -> None:
    """Signs of life come while nothing changes; without them a client knows after 750 ms."""
    ends = Ends()
    client = ends.client(slow=SLOW)
    assert not client.is_live(ends.now_ns)
    for _ in range(5):
        ends.step(client, pass_ns=HEARTBEAT_NS)
        assert client.is_live(ends.now_ns) and client.alive_at_ns == ends.now_ns
    assert client.is_live(ends.now_ns + 3 * HEARTBEAT_NS)
    assert not client.is_live(ends.now_ns + 3 * HEARTBEAT_NS + 1)


def test_a_silent_client_is_dropped_and_welcomed_back() -> None:
    """Its expressions leave the engine; when it speaks again, it is told everything anew."""
    ends = Ends()
    client = ends.client(slow=SLOW, failing=FAILING)
    ends.step(client)
    assert len(ends.engine.expressions) == 2
    ends.step(pass_ns=SILENCE_NS + 1)
    assert (ends.engine.expressions, ends.standing.counts["silent"]) == ({}, 1)
    ends.sent.clear()
    ends.hear(client)
    for _ in range(3):
        ends.step(client, pass_ns=HEARTBEAT_NS)
    assert client.is_complete and client.counts["unknown"] == 1
    assert len(ends.engine.expressions) == 2


def test_a_client_goes_on_by_another_connection() -> None:
    """Its number is what counts: nothing that it knows is told again, if nothing was lost."""
    ends = Ends()
    ends.values[LATENCY] = {group("a"): number(5)}
    client = ends.client(slow=SLOW)
    ends.step(client)
    ends.now_ns += HEARTBEAT_NS
    ((header,),) = client.outgoing(ends.now_ns)
    message = parse_message(header)
    assert message is not None and message.type is Type.HEARD
    ends.standing.on_message("another way", message, b"", ends.now_ns)
    ends.values[LATENCY] = {group("a"): number(6)}
    ends.step()
    assert client.client_id not in ends.sent
    (parts,) = ends.sent["another way"]
    (update,) = client.on_message(parts, ends.now_ns)
    assert not update.is_full and [change.value for change in update.changes] == [6]
    assert ends.standing.counts["episodes"] == 1


def test_another_aggregator_begins_anew() -> None:
    """Whoever answers in place of the former is not believed to go on where that one stood."""
    ends, other = Ends(), Ends()
    other.standing = Standing(78, other.engine, other._send)
    client = ends.client(slow=SLOW)
    ends.step(client)
    registration = WatchClient({"slow": SLOW}, ends.now_ns, client.client_id).outgoing(ends.now_ns)
    message = parse_message(registration[0][0])
    assert message is not None
    other.standing.on_message(client.client_id, message, registration[0][1], ends.now_ns)
    assert other.step(client) == []
    assert client.counts["another_aggregator"] == 1 and not client.is_complete
    other.step(client, pass_ns=HEARTBEAT_NS)
    (whole,) = other.step(client)
    assert whole.is_full and client.is_complete


def test_what_stays_the_same_stays_in_the_engine() -> None:
    """A reload takes out what is not asked for any more, and registers what is new."""
    ends = Ends()
    client = ends.client(slow=SLOW, failing=FAILING)
    ends.step(client)
    before = dict(ends.engine.expressions)
    client.replace({"slow": SLOW, "sick": FAILING, "failing": FAILING._replace(limit=7)})
    ends.hear(client)
    ends.step(client)
    after = ends.engine.expressions
    assert after[1, "slow"] is before[1, "slow"]
    assert after[1, "failing"] is not before[1, "failing"]
    assert {key for _, key in after} == {"slow", "sick", "failing"}
    assert all(update.is_full for update in ends.updates) and len(ends.updates) == 3


def test_who_asks_for_less_is_told_less_often() -> None:
    """With `every_ms` all that changed in between comes as its newest, once."""
    ends = Ends()
    client = ends.client(slow=SLOW._replace(every_ms=100))
    ends.step(client)
    told = []
    for tick in range(1, 31):
        ends.values[LATENCY] = {group("a"): number(tick)}
        told += ends.step(client)
    assert [update.changes[0].value for update in told] == [10, 20, 30]
    assert client.merged["slow"] == 0


@pytest.mark.parametrize(
    "queries",
    [
        "[]",
        '{"a": {"expression": 1, "is_condition": true}}',
        '{"a": {"expression": "x"}}',
        '{"a": {"expression": "x", "is_condition": true, "shell": "y"}}',
        '{"a": {"expression": "x", "is_condition": true, "limit": 10001}}',
        '{"a": {"expression": "x", "is_condition": true, "limit": true}}',
        '{"": {"expression": "x", "is_condition": true}}',
        '{}, "version": 2',
    ],
)
def test_what_is_no_document_of_queries_is_refused(queries: str) -> None:
    """Its sender is told, it is counted, and no session begins."""
    ends = Ends()
    document = f'{{"version": 1, "queries": {queries}}}'.encode()
    ends.standing.on_message(5, Message(Type.WATCH, 5, 1), document, ends.now_ns)
    ((header, payload),) = ends.sent[5]
    message = parse_message(header)
    assert message is not None and (message.type, message.first) == (Type.PUSH, 0)
    assert unpack_push(payload).refused
    assert ends.standing.document() == {
        "watchers": 0, "watched_expressions": 0, "documents_refused": 1,
    }  # fmt: skip


def test_many_more_queries_than_there_may_be_are_refused_at_once() -> None:
    """A document of very many keeps the aggregator no longer than to count them."""
    ends = Ends()
    client = ends.client(**{f"q{i}": SLOW for i in range(QUERIES_MAX + 1)})
    ends.step(client)
    assert client.refused == "a client has at most 256 expressions, not 1025"


def test_a_client_that_asks_for_ever_more_keeps_no_other_from_its_turn() -> None:
    """Expressions are read of one client after the other, however many one of them has."""
    ends = Ends()
    text = "error_rate > 0.5" + " or error_rate > 0.5" * 200
    hog = ends.client(1, **{f"q{i}": FAILING for i in range(EXPRESSIONS_MAX)})
    other = ends.client(2, slow=SLOW)
    for turn in range(3):
        queries = {f"q{i}": Query(f"{text} or errors > {turn}", True) for i in range(100)}
        hog.replace(queries)
        ends.hear(hog)
        ends.step(hog, other)
    assert other.is_complete and not hog.is_complete


def test_a_client_that_begins_again_and_again_is_read_now_and_then() -> None:
    """Large documents wait, and the last one counts in the end; a small one is read at once."""
    ends = Ends()
    client = ends.client(**{f"q{i}": FAILING for i in range(100)})
    for turn in range(8):
        client.replace({f"q{turn}-{i}": FAILING for i in range(100)})
        ends.step(client, pass_ns=0 if turn else EPISODE_NS_MIN)
        ends.hear(client)
    counts = ends.standing.document()
    assert (counts["episodes"], counts["hurried"]) == (2, 7)

    ends.step(client, pass_ns=10**9)
    for _ in range(100 // EXPRESSIONS_AT_ONCE + 1):
        ends.step(client)
    assert client.is_complete and ends.standing.document()["episodes"] == 3

    for parts in client.goodbye():
        message = parse_message(parts[0])
        assert message is not None
        ends.standing.on_message(1, message, parts[1], ends.now_ns)
    assert ends.standing.document()["watchers"] == 0
