"""The agent's end of the delivery protocol: a state machine without sockets and clocks."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rnts.delivery import CREDIT_ENTRIES, Message, Type


@dataclass(frozen=True)
class Limits:
    """What bounds a sender: memory for what is kept, and the patience with an endpoint."""

    retained_bytes_max: int
    timeout_ns: int
    retry_count: int


@dataclass
class Entry:
    """What is delivered under the numbers first … last: a frame, or a hole of frames given up.

    `counts` are the records of each source in it, by the source's key.
    """

    first: int
    last: int
    payload: bytes
    counts: dict[int, int]
    is_hole: bool = False
    went_out: bool = False  # so that some receiver may hold it


class Sender:
    """The agent's end.

    `make_hello() -> frame` and `make_hole(counts) -> frame` encode what only the agent can know.
    Times are nanoseconds of any steady clock.
    """

    def __init__(
        self,
        agent_id: int,
        incarnation: int,
        limits: Limits,
        make_hello: Callable[[], bytes],
        make_hole: Callable[[dict[int, int]], bytes],
    ) -> None:
        self.agent_id, self.incarnation = agent_id, incarnation
        self.next_number = 1
        self.retained_bytes = 0
        self.receiver: int | None = None  # the one this session is with
        self.is_ready = False  # whether it answers
        self.committed = 1  # all before it lie in closed windows
        self.committed_counts: deque[dict[int, int]] = deque()  # for the agent to take
        self._sent: deque[Entry] = deque()  # kept until they are committed
        self._waiting: deque[Entry] = deque()  # to go out, for the first time or again
        self._limits = limits
        self._make_hello, self._make_hole = make_hello, make_hole
        self._received = 1  # all before it are folded
        self._credit = 0  # none from it on may go out
        self._hello_due_ns = 0
        self._answer_due_ns = 0
        self._tries = 0
        self._episode = 0  # of being without a connection; WELCOME repeats it, so none is stale

    @property
    def is_drained(self) -> bool:
        """Whether all that was offered is folded."""
        return self._received >= self.next_number

    @property
    def is_suspect(self) -> bool:
        """Whether this endpoint has been silent for all its tries; the driver takes the next."""
        return not self.is_ready and self._tries > self._limits.retry_count

    @property
    def received(self) -> int:
        """The number before which all entries are folded by the receiver."""
        return self._received

    def backlog(self) -> tuple[int, int]:
        """Frames and records that were offered and are not known to be folded."""
        unfolded = [e for e in (*self._sent, *self._waiting) if e.last >= self._received]
        return len(unfolded), sum(sum(e.counts.values()) for e in unfolded if not e.is_hole)

    def offer(self, payload: bytes, counts: dict[int, int]) -> None:
        """Take over one frame. Beyond the limit of memory the oldest one is given up for it."""
        self._waiting.append(Entry(self.next_number, self.next_number, payload, counts))
        self.next_number += 1
        self.retained_bytes += len(payload)
        while self.retained_bytes > self._limits.retained_bytes_max:
            # A folded frame is needed again only if the receiver dies before its commit.
            if self._sent and self._sent[0].last < self._received:
                self.retained_bytes -= len(self._sent.popleft().payload)
            elif not self._give_up_oldest():
                break

    def _give_up_oldest(self) -> bool:
        """Make the oldest frame that never went out (a part of) a hole; False if there is none."""
        waiting = self._waiting
        index = 0
        while index < len(waiting) and waiting[index].went_out:
            index += 1  # at most as many as there is credit
        has_hole = index < len(waiting) and waiting[index].is_hole
        if index + has_hole >= len(waiting) - 1:
            return False
        if not has_hole:
            number = waiting[index].first
            waiting.insert(index, Entry(number, number, b"", {}, is_hole=True))
        hole, lost = waiting[index], waiting[index + 1]
        del waiting[index + 1]
        self.retained_bytes -= len(lost.payload)
        hole.last = lost.last
        for source, count in lost.counts.items():
            hole.counts[source] = hole.counts.get(source, 0) + count
        return True

    def step(self, now_ns: int) -> list[list[bytes]]:
        """What is due to be sent: HELLO while nobody answers, else entries as credit allows."""
        if self.is_ready and self._is_overdue(now_ns):
            self._tries += 1
            self._answer_due_ns = now_ns + self._limits.timeout_ns
            self._go_back(self._received)
            if self._tries > self._limits.retry_count:
                self.lose_connection()
        if not self.is_ready:
            return self._hello(now_ns)
        messages = []
        while self._waiting and self._waiting[0].first < self._credit:
            if not self._is_awaiting:
                self._answer_due_ns = now_ns + self._limits.timeout_ns
            entry = self._waiting.popleft()
            self._sent.append(entry)
            messages.append(self._message(entry))
        return messages

    @property
    def _is_awaiting(self) -> bool:
        return bool(self._sent) and self._sent[-1].last >= self._received

    def _is_overdue(self, now_ns: int) -> bool:
        return self._is_awaiting and now_ns >= self._answer_due_ns

    def _hello(self, now_ns: int) -> list[list[bytes]]:
        if now_ns < self._hello_due_ns:
            return []
        self._hello_due_ns = now_ns + self._limits.timeout_ns
        self._tries += 1
        oldest = self._sent or self._waiting
        first = oldest[0].first if oldest else self.next_number
        message = Message(Type.HELLO, self.agent_id, self.incarnation, first, self._episode)
        return [[message.pack(), self._make_hello()]]

    def _message(self, entry: Entry) -> list[bytes]:
        if entry.is_hole and not entry.payload:
            entry.payload = self._make_hole(entry.counts)
            self.retained_bytes += len(entry.payload)
        entry.went_out = True
        header = Message(Type.ENTRY, self.agent_id, self.incarnation, entry.first, entry.last)
        return [header.pack(), entry.payload]

    def _go_back(self, number: int) -> None:
        """Entries from `number` on are to go out again."""
        while self._sent and self._sent[-1].last >= number:
            self._waiting.appendleft(self._sent.pop())

    def _receive(self, number: int) -> None:
        """All before `number` are folded."""
        self._received = number
        while self._waiting and self._waiting[0].last < number:
            self._sent.append(self._waiting.popleft())

    def lose_connection(self) -> None:
        """Begin anew: say HELLO at once. Nothing that is kept is forgotten."""
        self.is_ready = False
        self._episode += 1
        self._hello_due_ns = 0
        self._tries = 0

    def bye(self) -> list[bytes]:
        """The message that ends the session in peace."""
        return [Message(Type.BYE, self.agent_id, self.incarnation).pack()]

    def unsend(self, number: int) -> None:
        """The driver could not send the entry `number` nor any after it."""
        self._go_back(number)

    def on_message(self, message: Message, now_ns: int) -> bool:
        """Take in an answer; True if a session began with a receiver that was not met before."""
        if message.type is Type.WHO:
            if self.is_ready:
                self.lose_connection()
            return False
        if message.type is Type.WELCOME:
            return self._on_welcome(message)
        is_possible = self._received <= message.first <= self.next_number
        if not self.is_ready or message.speaker != self.receiver:
            return False
        self._tries = 0
        self._answer_due_ns = now_ns + self._limits.timeout_ns
        if message.type is Type.RECEIVED and is_possible:
            self._receive(message.first)
            self._credit = message.last
        elif message.type is Type.RESEND and is_possible:
            self._go_back(message.first)
        elif message.type is Type.COMMITTED:
            self._commit(min(message.first, self._received))
        return False

    def _on_welcome(self, message: Message) -> bool:
        if self.is_ready or message.last != self._episode:
            return False
        is_new = message.speaker != self.receiver
        self.receiver = message.speaker
        self.is_ready = True
        self._tries = 0
        number = min(message.first, self.next_number)
        self._go_back(number)
        self._receive(number)
        self._credit = number + CREDIT_ENTRIES
        return is_new

    def _commit(self, before: int) -> None:
        self.committed = max(self.committed, before)
        while self._sent and self._sent[0].last < before:
            entry = self._sent.popleft()
            self.retained_bytes -= len(entry.payload)
            if not entry.is_hole:
                self.committed_counts.append(entry.counts)
