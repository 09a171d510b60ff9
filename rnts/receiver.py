"""The aggregator's end of the delivery protocol: a state machine without sockets and clocks."""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from rnts.delivery import CREDIT_ENTRIES, Message, Type

ABSENT_MAX = 4_096  # agents that are gone and may come back, whose numbers are remembered


@dataclass(slots=True)
class Session:
    """What a receiver knows of one agent."""

    incarnation: int
    expected: int
    committed: int
    fold_from: int = 0  # entries before it only prime the decoder: they are counted already
    uncommitted: deque[tuple[int, int]] = field(default_factory=deque)  # (last, window)
    seen_ns: int = 0
    has_ended: bool = False
    asked: int = 0  # the entry that was last asked for again
    keyframe_asked: int = 0  # the entry for which a keyframe was last asked for
    is_skipping: bool = False  # the sender has let go of entries that were folded elsewhere only
    told: int = 0  # what the agent may be told to be committed: it is written down
    peer: Any = None  # the driver's address for answers
    # Lives of this agent before, by incarnation: what is folded of them is yet to be committed.
    former: "dict[int, Session]" = field(default_factory=dict)

    def commit(self, closed_before: int) -> None:
        """The windows below `closed_before` are closed."""
        while self.uncommitted and self.uncommitted[0][1] < closed_before:
            self.committed = self.uncommitted.popleft()[0] + 1


class Verdict(IntEnum):
    """What is to be done with an entry."""

    FOLD = 0  # new and in order
    DUPLICATE = 1  # folded before; acknowledged again
    GAP = 2  # entries before it are missing; asked for
    STRANGER = 3  # of no session, or of an agent's former life; refused
    PRIME = 4  # in order, and counted already: to be decoded, as what follows builds on it


class Receiver:
    """The aggregator's end, for all its agents."""

    def __init__(self, receiver_id: int) -> None:
        self.receiver_id = receiver_id
        self.sessions: dict[int, Session] = {}
        self._absent: dict[int, Session] = {}

    def on_hello(
        self, message: Message, peer: Any, now_ns: int, fold_from: int = 0
    ) -> tuple[bool, Message]:
        """Begin or resume a session: whether it is new, so that nothing is decoded yet; the answer.

        `fold_from`: entries before it were counted, by a ledger that the sender may not know of.
        """
        session, is_new = self.sessions.get(message.speaker), False
        if session is None:
            session, is_new = self._absent.get(message.speaker), True
        if session is not None and message.incarnation < session.incarnation:
            return False, self._over(session, message)
        if session is None or message.incarnation > session.incarnation:
            former = {} if session is None else self._former_of(session)
            session, is_new = Session(message.incarnation, message.first, 1, former=former), True
        elif is_new:  # its decoder is gone: what was folded comes again, and is decoded only
            session.fold_from = max(session.fold_from, session.expected)
            session.expected = message.first
        self._absent.pop(message.speaker, None)
        self.sessions[message.speaker] = session
        return is_new, self._resume(session, message, peer, now_ns, fold_from)

    def _resume(
        self, session: Session, message: Message, peer: Any, now_ns: int, fold_from: int
    ) -> Message:
        session.peer, session.seen_ns = peer, now_ns
        session.asked = session.keyframe_asked = 0
        session.has_ended = False
        # What the sender has forgotten was committed or at least folded, here or by another.
        session.is_skipping = message.first > session.expected
        session.expected = max(session.expected, message.first)
        session.committed = max(session.committed, message.committed)
        session.fold_from = max(session.fold_from, message.committed, fold_from)
        session.told = max(1, message.committed)
        return self._answer(Type.WELCOME, session, session.expected, message.last)

    @staticmethod
    def _former_of(session: Session) -> "dict[int, Session]":
        """The lives whose entries are folded, but not all committed, when the next life begins."""
        lives = session.former
        if session.uncommitted or session.told < session.committed:
            lives[session.incarnation] = session
        session.former = {}
        return lives

    def _over(self, session: Session, message: Message) -> Message:
        """The answer to a life that is over: how much of it was folded; all, if that is over, too.

        What came after was counted as lost with that life when the next one was heard.
        """
        life = session.former.get(message.incarnation)
        expected, committed = (life.expected, life.told) if life else (0, 0)
        kind, key = Type.OVER, message.incarnation
        return Message(kind, self.receiver_id, key, expected, message.last, committed)

    def on_entry(self, message: Message, peer: Any, now_ns: int) -> tuple[Verdict, Message | None]:
        """Judge an entry by its numbers, before its frame is opened."""
        session = self.sessions.get(message.speaker)
        if session is None or message.incarnation > session.incarnation:
            return Verdict.STRANGER, self._who(message)
        if message.incarnation < session.incarnation:
            return Verdict.STRANGER, None
        session.peer, session.seen_ns = peer, now_ns
        if message.first < session.expected:
            return Verdict.DUPLICATE, None
        if message.first > session.expected or message.last < message.first:
            # Asked once: all that was under way behind the gap arrives here, too.
            is_asked = session.asked == session.expected
            return Verdict.GAP, None if is_asked else self.resend(message.speaker)
        return Verdict.FOLD if message.last >= session.fold_from else Verdict.PRIME, None

    def _who(self, message: Message) -> Message:
        return Message(Type.WHO, self.receiver_id, message.incarnation)

    def folded(self, message: Message, window: int) -> None:
        """The entry is folded, the latest of its records into `window` (-1: it had none)."""
        session = self.sessions[message.speaker]
        session.expected = message.last + 1
        session.uncommitted.append((message.last, window))

    def primed(self, message: Message) -> None:
        """The entry is decoded; it was counted before."""
        self.sessions[message.speaker].expected = message.last + 1

    def on_bye(self, message: Message) -> bool:
        """The agent has ended in peace; it is waited for no longer. Whether it was met before."""
        session = self.sessions.get(message.speaker)
        if session is not None and message.incarnation == session.incarnation:
            session.has_ended = True
        return session is not None

    def acknowledge(self, agent_id: int) -> Message:
        """RECEIVED for all that is folded, with fresh credit."""
        session = self.sessions[agent_id]
        expected = session.expected
        return self._answer(Type.RECEIVED, session, expected, expected + CREDIT_ENTRIES)

    def resend(self, agent_id: int) -> Message:
        """RESEND from the entry that is expected next."""
        session = self.sessions[agent_id]
        session.asked = session.expected
        return self._answer(Type.RESEND, session, session.expected)

    def ask_keyframe(self, message: Message) -> Message | None:
        """KEYFRAME, for an entry that was given up or whose base is unknown; None if asked lately.

        All that was under way behind it is of no more use and must not ask again.
        """
        session = self.sessions[message.speaker]
        if session.keyframe_asked > 0 and message.first < session.keyframe_asked + CREDIT_ENTRIES:
            return None
        session.keyframe_asked = message.first
        return self._answer(Type.KEYFRAME, session, message.first)

    def wish_keyframe(self, agent_id: int, with_names: bool) -> Message:
        """KEYFRAME for the entry that is expected: who taps this agent has to begin somewhere.

        with_names: all names are to be told again after it.
        """
        session = self.sessions[agent_id]
        return self._answer(Type.KEYFRAME, session, session.expected, int(with_names))

    def commit(self, agent_id: int, closed_before: int) -> Message | None:
        """COMMITTED for all entries whose windows are below `closed_before`, if there are any.

        It may be sent once that is written down, which `written` says.
        """
        session = self.sessions[agent_id]
        for life in (*session.former.values(), session):
            life.commit(closed_before)
        if session.committed <= session.told:
            return None
        return self._answer(Type.COMMITTED, session, session.committed)

    def written(self, agent_id: int) -> None:
        """What `commit` said last is written down. Of former lives the agent asks with a HELLO."""
        session = self.sessions[agent_id]
        for life in (*session.former.values(), session):
            life.told = life.committed
        session.former = {key: life for key, life in session.former.items() if life.uncommitted}

    def forget(self, agent_id: int) -> None:
        """Drop a session whose agent has been away for good; its numbers are remembered."""
        self._absent[agent_id] = self.sessions.pop(agent_id)
        if len(self._absent) > ABSENT_MAX:
            del self._absent[next(iter(self._absent))]

    def _answer(self, kind: Type, session: Session, first: int, last: int = 0) -> Message:
        return Message(kind, self.receiver_id, session.incarnation, first, last)
