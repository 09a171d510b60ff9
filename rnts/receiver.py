"""The aggregator's end of the delivery protocol: a state machine without sockets and clocks."""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from rnts.delivery import CREDIT_ENTRIES, Message, Type


@dataclass
class Session:
    """What a receiver knows of one agent."""

    incarnation: int
    expected: int
    committed: int
    uncommitted: deque[tuple[int, int]] = field(default_factory=deque)  # (last, window)
    seen_ns: int = 0
    has_ended: bool = False
    asked: int = 0  # the entry that was last asked for again
    peer: Any = None  # the driver's address for answers


class Verdict(IntEnum):
    """What is to be done with an entry."""

    FOLD = 0  # new and in order
    DUPLICATE = 1  # folded before; acknowledged again
    GAP = 2  # entries before it are missing; asked for
    STRANGER = 3  # of no session, or of an agent's former life; refused


class Receiver:
    """The aggregator's end, for all its agents."""

    def __init__(self, receiver_id: int) -> None:
        self.receiver_id = receiver_id
        self.sessions: dict[int, Session] = {}

    def on_hello(self, message: Message, peer: Any, now_ns: int) -> tuple[bool, Message | None]:
        """Begin or resume a session: whether it is new, and the answer."""
        session = self.sessions.get(message.speaker)
        if session is not None and message.incarnation < session.incarnation:
            return False, None
        is_new = session is None or message.incarnation > session.incarnation
        if is_new or session is None:
            session = Session(message.incarnation, message.first, message.first)
            self.sessions[message.speaker] = session
        session.peer, session.seen_ns = peer, now_ns
        session.asked = 0
        session.has_ended = False
        # What the sender has forgotten was committed, here or by another receiver.
        session.expected = max(session.expected, message.first)
        return is_new, self._answer(Type.WELCOME, session.expected, message.last)

    def on_entry(self, message: Message, peer: Any, now_ns: int) -> tuple[Verdict, Message | None]:
        """Judge an entry by its numbers, before its frame is opened."""
        session = self.sessions.get(message.speaker)
        if session is None or message.incarnation > session.incarnation:
            return Verdict.STRANGER, self._answer(Type.WHO, 0)
        if message.incarnation < session.incarnation:
            return Verdict.STRANGER, None
        session.peer, session.seen_ns = peer, now_ns
        if message.first < session.expected:
            return Verdict.DUPLICATE, None
        if message.first > session.expected or message.last < message.first:
            # Asked once: all that was under way behind the gap arrives here, too.
            is_asked = session.asked == session.expected
            return Verdict.GAP, None if is_asked else self.resend(message.speaker)
        return Verdict.FOLD, None

    def folded(self, message: Message, window: int) -> None:
        """The entry is folded, the latest of its records into `window` (-1: it had none)."""
        session = self.sessions[message.speaker]
        session.expected = message.last + 1
        session.uncommitted.append((message.last, window))

    def on_bye(self, message: Message) -> None:
        """The agent has ended in peace; it is waited for no longer."""
        session = self.sessions.get(message.speaker)
        if session is not None and message.incarnation == session.incarnation:
            session.has_ended = True

    def acknowledge(self, agent_id: int) -> Message:
        """RECEIVED for all that is folded, with fresh credit."""
        expected = self.sessions[agent_id].expected
        return self._answer(Type.RECEIVED, expected, expected + CREDIT_ENTRIES)

    def resend(self, agent_id: int) -> Message:
        """RESEND from the entry that is expected next."""
        session = self.sessions[agent_id]
        session.asked = session.expected
        return self._answer(Type.RESEND, session.expected)

    def commit(self, agent_id: int, closed_before: int) -> Message | None:
        """COMMITTED for all entries whose windows are below `closed_before`, if there are any."""
        session = self.sessions[agent_id]
        before = session.committed
        while session.uncommitted and session.uncommitted[0][1] < closed_before:
            session.committed = session.uncommitted.popleft()[0] + 1
        if session.committed == before:
            return None
        return self._answer(Type.COMMITTED, session.committed)

    def forget(self, agent_id: int) -> None:
        """Drop a session whose agent has been away for good."""
        del self.sessions[agent_id]

    def _answer(self, kind: Type, first: int, last: int = 0) -> Message:
        return Message(kind, self.receiver_id, 0, first, last)
