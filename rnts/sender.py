"""The agent's end of the delivery protocol: a state machine without sockets and clocks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rnts.delivery import CREDIT_ENTRIES, Message, Type
from rnts.entries import Entry, Store
from rnts.retained import Retained

# Between two HELLOs, however long nobody has answered: eight times the patience, and so long.
_DOUBLINGS_MAX, BACK_OFF_NS_MAX = 3, 2_000_000_000


@dataclass(frozen=True)
class Limits:
    """What bounds a sender: memory for what is kept, and the patience with an endpoint.

    retry_count times timeout_ns of silence make an endpoint suspect; nothing is discarded for it.
    """

    retained_bytes_max: int
    timeout_ns: int
    retry_count: int


class Sender:
    """The agent's end, for one of its lives.

    `make_hello() -> frame` and `make_hole(counts) -> frame` encode what only the agent can know.
    Times are nanoseconds of any steady clock; `jitter` gives numbers from 0 to 1. `entries` are
    what a former life has left in its spool.
    """

    def __init__(
        self,
        agent_id: int,
        incarnation: int,
        limits: Limits,
        make_hello: Callable[[], bytes],
        make_hole: Callable[[dict[int, int]], bytes],
        *,
        jitter: Callable[[], float] = lambda: 1.0,
        spool: Store | None = None,
        entries: Iterable[Entry] = (),
    ) -> None:
        self.agent_id, self.incarnation = agent_id, incarnation
        self.retained = Retained(limits.retained_bytes_max, spool, entries)
        self.receiver: int | None = None  # the one this session is with
        self.is_ready = False  # whether it answers
        self.is_met = False  # whether the receiver of this connection has answered, be it OVER
        self.wants_names = False  # somebody listens who has heard no name; for the agent to take
        self.limits, self._jitter = limits, jitter
        self._make_hello, self._make_hole = make_hello, make_hole
        self.received = self.retained.first  # all before it are folded
        self._credit = 0  # none from it on may go out
        self._hello_due_ns = self._unsent_due_ns = 0
        self._answer_due_ns = 0
        self._tries = 0
        self._failures = 0  # endpoints in a row that did not answer
        self._episode = 0  # of being without a connection; WELCOME repeats it, so none is stale

    @property
    def next_number(self) -> int:
        """The number of the next entry that is offered."""
        return self.retained.next_number

    @property
    def committed(self) -> int:
        """The number before which all entries lie in closed windows."""
        return self.retained.committed

    @property
    def retained_bytes(self) -> int:
        """Memory that is taken by what is kept."""
        return self.retained.bytes

    @property
    def is_drained(self) -> bool:
        """Whether all that was offered is folded."""
        return self.received >= self.next_number

    @property
    def has_uncommitted(self) -> bool:
        """Whether records were offered that are not known to lie in closed windows."""
        kept = (*self.retained.sent, *self.retained.waiting)
        return any(entry.counts for entry in kept if entry.last >= self.committed)

    @property
    def is_suspect(self) -> bool:
        """Whether this endpoint has been silent for all its tries; the driver takes the next."""
        return not self.is_ready and self._tries > self.limits.retry_count

    @property
    def is_repeating(self) -> bool:
        """Whether HELLO was said more than once without an answer."""
        return not self.is_ready and self._tries > 1

    def backlog(self) -> tuple[int, int]:
        """Frames and records that were offered and are not known to be folded."""
        unfolded = list(self.retained.waiting)
        for entry in reversed(self.retained.sent):
            if entry.last < self.received:
                break
            unfolded.append(entry)
        return len(unfolded), sum(entry.records for entry in unfolded if not entry.is_hole)

    def offer(self, payload: bytes, counts: dict[int, int], is_keyframe: bool = True) -> None:
        """Take over one frame. Beyond all limits the oldest ones are given up for it."""
        self.retained.offer(payload, counts, self.received, is_keyframe)

    def step(self, now_ns: int) -> list[list[bytes]]:
        """What is due to be sent: HELLO while nobody answers, else entries as credit allows."""
        if self.is_ready and self._is_awaiting and now_ns >= self._answer_due_ns:
            self._tries += 1
            self._answer_due_ns = now_ns + self.limits.timeout_ns
            self.retained.go_back(self.received)
            if self._tries > self.limits.retry_count:
                self._failures += 1
                self.lose_connection()
        if not self.is_ready:
            return self._hello(now_ns)
        messages, waiting = [], self.retained.waiting
        while waiting and waiting[0].first < self._credit:
            if not self._is_awaiting:
                self._answer_due_ns = now_ns + self.limits.timeout_ns
            entry = waiting.popleft()
            self.retained.sent.append(entry)
            messages.append(self._message(entry))
        return messages

    @property
    def _is_awaiting(self) -> bool:
        sent = self.retained.sent
        return bool(sent) and sent[-1].last >= self.received

    def _hello(self, now_ns: int) -> list[list[bytes]]:
        if now_ns < self._hello_due_ns:
            return []
        self._hello_due_ns = now_ns + self._patience_ns()
        self._unsent_due_ns = now_ns + self.limits.timeout_ns
        self._tries += 1
        if self._tries > self.limits.retry_count:
            self._failures += 1
        return [self.hello()]

    def _patience_ns(self) -> int:
        """How long an answer to HELLO is waited for: longer, and unevenly, after each failure."""
        timeout_ns = self.limits.timeout_ns
        if not self._failures:
            return timeout_ns
        longest_ns = max(timeout_ns, BACK_OFF_NS_MAX)
        wait_ns = min(timeout_ns << min(self._failures, _DOUBLINGS_MAX), longest_ns)
        return round(wait_ns * (0.5 + self._jitter() / 2))

    def hello(self) -> list[bytes]:
        """HELLO, which also asks how much of this life is folded and committed."""
        first, committed = self.retained.first, self.retained.committed
        kind, episode = Type.HELLO, self._episode
        message = Message(kind, self.agent_id, self.incarnation, first, episode, committed)
        return [message.pack(), self._make_hello()]

    def _message(self, entry: Entry) -> list[bytes]:
        payload = self.retained.payload_of(entry)
        if payload is None:
            payload = self._make_hole(entry.counts if entry.last >= self.committed else {})
        entry.went_out = True
        header = Message(Type.ENTRY, self.agent_id, self.incarnation, entry.first, entry.last)
        return [header.pack(), payload]

    def lose_connection(self) -> None:
        """Begin anew: say HELLO at once. Nothing that is kept is forgotten."""
        self.is_ready = self.is_met = False
        self._episode += 1
        self._hello_due_ns = 0
        self._tries = 0

    def bye(self) -> list[bytes]:
        """The message that ends the session in peace."""
        return [Message(Type.BYE, self.agent_id, self.incarnation).pack()]

    def unsend(self, number: int) -> None:
        """The driver could not send the entry `number` nor any after it."""
        self.retained.go_back(number)
        if not self.is_ready:  # nobody is connected: that is no silence, and is soon tried again
            self._hello_due_ns = min(self._hello_due_ns, self._unsent_due_ns)

    def on_message(self, message: Message, now_ns: int) -> bool:
        """Take in an answer; True if a session began with a receiver that was not met before."""
        if message.incarnation != self.incarnation:
            return False
        if message.type is Type.WHO:
            if self.is_ready:
                self.lose_connection()
        elif message.type is Type.WELCOME:
            return self._on_welcome(message)
        elif message.type is Type.OVER:
            self._on_over(message)
        elif self.is_ready and message.speaker == self.receiver:
            self._on_answer(message, now_ns)
        return False

    def _on_answer(self, message: Message, now_ns: int) -> None:
        is_possible = self.received <= message.first <= self.next_number
        self._tries = self._failures = 0
        self._answer_due_ns = now_ns + self.limits.timeout_ns
        if message.type is Type.RECEIVED and is_possible:
            self.received = message.first
            self.retained.receive(message.first)
            self._credit = message.last
        elif message.type is Type.RESEND and is_possible:
            self.retained.go_back(message.first)
        elif message.type is Type.COMMITTED:
            self.retained.commit(min(message.first, self.received))
        elif message.type is Type.KEYFRAME:
            self.wants_names |= message.last == 1
            self.retained.wants_keyframe |= message.first >= self.retained.base

    def _on_welcome(self, message: Message) -> bool:
        if self.is_ready or message.last != self._episode:
            return False
        if message.first < self.retained.first:  # let go since HELLO said that it is kept
            self.lose_connection()
            return False
        is_new = message.speaker != self.receiver
        self.receiver = message.speaker
        self.is_ready = self.is_met = True
        self._tries = self._failures = 0
        self.received = min(message.first, self.next_number)
        self.retained.go_back(self.received)
        self.retained.receive(self.received)
        self._credit = self.received + CREDIT_ENTRIES
        return is_new

    def _on_over(self, message: Message) -> None:
        """A later life has been heard: what is not folded of this one was counted as lost with it.

        What is folded is waited for until it is committed; all of it is if the receiver says 0.
        """
        if message.last != self._episode:
            return
        self.receiver = message.speaker
        self.is_met = True
        self.received = self.next_number
        self.retained.receive(self.received)
        is_all = message.first == 0 or message.committed >= message.first
        self.retained.commit(self.next_number if is_all else message.committed)
