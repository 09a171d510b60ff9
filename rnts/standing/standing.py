"""The aggregator's end of standing queries: a machine without sockets and clocks.

It registers what clients ask for, has the engine evaluate it after each batch, and tells each
client what is new. A client that does not read is never waited for, and takes bounded memory.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from rnts.delivery import Message, Type
from rnts.standing.engine import Engine
from rnts.standing.push import pack_push
from rnts.standing.query import CLIENTS_MAX, unpack_queries
from rnts.standing.session import Session

HEARTBEAT_NS = 250_000_000
SILENCE_NS = 5_000_000_000  # a client that was not heard for longer is dropped
# At once, so that agents are never kept waiting: expressions that are read, by characters (the
# longest takes 15 ms), and messages that are sent.
EXPRESSIONS_AT_ONCE, CHARACTERS_AT_ONCE, PUSHES_AT_ONCE = 8, 1_024, 16
# Documents beyond so many bytes are read no more often: a client that asks for hundreds of things
# again and again would keep the aggregator from agents.
_SMALL_BYTES, EPISODE_NS_MIN = 4_096, 50_000_000

Send = Callable[[Any, list[bytes]], None]


class Standing:
    """All clients of an aggregator whose life has the number `life`."""

    def __init__(
        self, life: int, engine: Engine, send: Send, heartbeat_ns: int = HEARTBEAT_NS
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.engine = engine
        self._life, self._send, self._heartbeat_ns = life, send, heartbeat_ns
        self._sessions: dict[int, Session] = {}
        self._turns: deque[int] = deque()  # clients in the order in which they are told next
        self._unread: deque[Session] = deque()  # whose expressions are read, by turns

    @property
    def is_busy(self) -> bool:
        """Whether a step now would have something to do, although nothing has arrived."""
        return any(
            session.is_registering or (session.outbox.is_waiting and session.outbox.has_room)
            for session in self._sessions.values()
        )

    def on_message(self, peer: Any, message: Message, payload: bytes, steady_ns: int) -> None:
        """Take in WATCH or HEARD of a client."""
        session = self._sessions.get(message.speaker)
        if session is not None and message.incarnation < session.episode:
            self.counts["stale"] += 1
        elif session is not None and message.incarnation == session.episode:
            session.peer, session.seen_ns = peer, steady_ns
            if message.type is Type.HEARD and message.last == self._life:
                session.outbox.confirm(message.first)
            elif message.type is Type.HEARD:
                self._answer_unknown(peer, message)
        elif message.type is Type.HEARD:
            self._answer_unknown(peer, message)
        else:
            self._on_watch(peer, message, payload, steady_ns)

    def _answer_unknown(self, peer: Any, message: Message) -> None:
        """The client believes in a session that is not there."""
        self.counts["unknown"] += 1
        self._send(peer, [Message(Type.WHO, self._life, message.incarnation).pack()])

    def _on_watch(self, peer: Any, message: Message, payload: bytes, steady_ns: int) -> None:
        """Begin an episode of a client: all that it asks for, in place of what it asked before."""
        session = self._sessions.get(message.speaker)
        if session is None and len(self._sessions) >= CLIENTS_MAX:
            reason = f"the aggregator has {CLIENTS_MAX} clients of standing queries already"
            self._refuse(peer, message, "clients_refused", reason)
            return
        is_large = len(payload) > _SMALL_BYTES
        if session and is_large and steady_ns - session.began_ns < EPISODE_NS_MIN:
            self.counts["hurried"] += 1  # the client says it once more
            return
        try:
            queries, about = unpack_queries(payload)
        except ValueError as error:
            self._refuse(peer, message, "documents_refused", str(error))
            return
        if not queries:
            if session is not None:
                self._drop(session, "left")
            return
        if session is None:
            session = Session(message.speaker, self.engine, self.counts)
            self._sessions[message.speaker] = session
            self._turns.append(message.speaker)
            self.counts["clients"] += 1
        self.counts["episodes"] += 1
        session.peer, session.seen_ns, session.began_ns = peer, steady_ns, steady_ns
        session.begin(message.incarnation, queries, about)
        if session not in self._unread:
            self._unread.append(session)
        self._tell(session, [], steady_ns)

    def _refuse(self, peer: Any, message: Message, reason: str, words: str) -> None:
        self.counts[reason] += 1
        header = Message(Type.PUSH, self._life, message.incarnation).pack()
        self._send(peer, [header, pack_push((), {}, words)])

    def step(self, now_ns: int, steady_ns: int) -> None:
        """Evaluate, tell what is new, and say to those who need no news that we are there.

        After each batch that was folded, and now and then while nothing arrives.
        """
        self._drop_silent(steady_ns)
        self._register()
        self.engine.evaluate(now_ns, steady_ns)
        for session in self._sessions.values():
            session.take(now_ns, steady_ns)
        self._push(now_ns, steady_ns)
        for session in self._sessions.values():
            session.note_told(now_ns)
            if steady_ns - session.sent_ns >= self._heartbeat_ns:
                self._tell(session, [], steady_ns)

    def _drop_silent(self, steady_ns: int) -> None:
        for session in list(self._sessions.values()):
            if steady_ns - session.seen_ns > SILENCE_NS:
                self._drop(session, "silent")

    def _register(self) -> None:
        """Read an expression of one client after the other, a bounded number of characters."""
        left = CHARACTERS_AT_ONCE
        while left > 0 and self._unread:
            session = self._unread.popleft()
            if session.is_registering:
                left -= max(session.register_next(), CHARACTERS_AT_ONCE // EXPRESSIONS_AT_ONCE)
                self._unread.append(session)

    def _push(self, now_ns: int, steady_ns: int) -> None:
        """Tell what waits, a bounded number of messages, each client in its turn."""
        left, idle = PUSHES_AT_ONCE, 0
        while left and idle < len(self._turns):
            session = self._sessions[self._turns[0]]
            self._turns.rotate(-1)
            if session.outbox.is_waiting and session.outbox.has_room:
                number = session.outbox.next_sequence
                payload = session.next_payload(now_ns, steady_ns)
                self.counts["pushes"] += 1
                self._tell(session, [payload], steady_ns, number)
                left, idle = left - 1, 0
            else:
                idle += 1

    def _tell(
        self, session: Session, payload: list[bytes], steady_ns: int, number: int = 0
    ) -> None:
        """Send a message; without a payload it says which number comes next, and lives."""
        header = Message(
            Type.PUSH,
            self._life,
            session.episode,
            first=number or session.outbox.next_sequence,
            last=session.told_ns,
            committed=self._heartbeat_ns,
        )
        session.sent_ns = steady_ns
        self._send(session.peer, [header.pack(), *payload])

    def _drop(self, session: Session, reason: str) -> None:
        self.counts[reason] += 1
        session.end()
        del self._sessions[session.client]
        self._turns.remove(session.client)

    def document(self) -> dict[str, int]:
        """What the aggregator says of it in its snapshot."""
        now = {
            "watchers": len(self._sessions),
            "watched_expressions": sum(each.expressions for each in self._sessions.values()),
        }
        return now | dict(self.counts)
