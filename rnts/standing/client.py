"""The client's end of standing queries: a machine without sockets and clocks.

An *episode* begins with WATCH and has its messages numbered. Whenever one of them is missing, or
another aggregator answers, the next episode begins, in which everything is told anew: so what a
client has been told is never older than what it was told before.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping

from rnts.delivery import Message, Type, parse_message
from rnts.reflex.change import Update, join_changes
from rnts.standing.outbox import UNCONFIRMED_BYTES_MAX, UNCONFIRMED_MAX
from rnts.standing.push import Faults, Part, Push, unpack_push
from rnts.standing.query import AskAbout, Query, pack_queries

HEARTBEAT_NS = 250_000_000  # until the aggregator says how often it is to be heard
HEARTBEATS_MISSED = 3
_HEARTBEAT_NS_LEAST, _HEARTBEAT_NS_MOST = 10_000_000, 60_000_000_000
_AGAIN_NS = 500_000_000  # until WATCH is said once more
_REFUSED_NS = 2_000_000_000  # the same where there was no place
_NEXT_NS = 100_000_000  # between the beginnings of two episodes that nobody asked for


class WatchClient:
    """One connection to one aggregator. Times are steady, in nanoseconds, unless it is said.

    wrong:        what is wrong with expressions, by their keys
    is_complete:  everything has been told since the episode began
    merged:       updates that came as one with others, since this client was slow, by keys
    counts:       what went wrong on the way: episodes by reason, messages that were damaged
    refused:      why the aggregator has no place for this client; "" where it has
    alive_at_ns:  up to this time of the aggregator (since the epoch) all is known that changed,
                  but for what `every_ms` holds back; 0 if it never was
    """

    def __init__(
        self,
        queries: Mapping[str, Query],
        now_ns: int,
        client_id: int | None = None,
        about: AskAbout | None = None,
    ) -> None:
        """`about` has the entities that are to be told of in an episode though they are false."""
        self.client_id = secrets.randbits(64) if client_id is None else client_id
        self.wrong: dict[str, Faults] = {}
        self.merged: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.refused = ""
        self.alive_at_ns = 0
        self._about = about
        self._heard_ns: int | None = None
        self._heartbeat_ns = HEARTBEAT_NS
        self._episode = 0
        self._watch_due_ns = now_ns
        self._begin(queries, now_ns)

    def _begin(self, queries: Mapping[str, Query], due_ns: int) -> None:
        """Begin another episode; WATCH goes out when it is due."""
        pack_queries(queries)  # which says what is wrong with them
        self._registration = b""
        self.queries = dict(queries)
        self._whole: set[str] = set()  # keys of which all was told in this episode
        self._episode += 1
        self._life: int | None = None  # of the aggregator, once it has answered
        self._expected = 1
        self._partial: list[Part] = []
        self._unconfirmed = self._unconfirmed_bytes = self._said_ns = 0
        self.is_complete = False
        self._watch_due_ns = due_ns

    def _begin_again(self, reason: str, now_ns: int) -> None:
        """The same queries anew, since what follows cannot be relied upon."""
        self.counts[reason] += 1
        self._begin(self.queries, max(now_ns, self._watch_due_ns - _AGAIN_NS + _NEXT_NS))

    def replace(self, queries: Mapping[str, Query]) -> None:
        """Ask for these instead; those that are the same keep what the aggregator knows of them."""
        self.wrong = {key: faults for key, faults in self.wrong.items() if key in queries}
        self._begin(queries, 0)

    def outgoing(self, now_ns: int) -> list[list[bytes]]:
        """What is to be sent now: the queries, what was heard, a sign of life."""
        if self._life is None:
            if now_ns < self._watch_due_ns:
                return []
            self._watch_due_ns = now_ns + (_REFUSED_NS if self.refused else _AGAIN_NS)
            header = Message(Type.WATCH, self.client_id, self._episode)
            if not self._registration:
                about = self._about(self.queries) if self._about else {}
                self._registration = pack_queries(self.queries, about)
            return [[header.pack(), self._registration]]
        is_much = (
            self._unconfirmed >= UNCONFIRMED_MAX // 4
            or self._unconfirmed_bytes >= UNCONFIRMED_BYTES_MAX // 4
        )
        if not is_much and now_ns < self._said_ns + self._heartbeat_ns:
            return []
        self._said_ns = now_ns
        self._unconfirmed = self._unconfirmed_bytes = 0
        kind, expected, life = Type.HEARD, self._expected, self._life
        return [[Message(kind, self.client_id, self._episode, expected, life).pack()]]

    def goodbye(self) -> list[list[bytes]]:
        """What to send at the end, so that the aggregator need not wait for our silence."""
        header = Message(Type.WATCH, self.client_id, self._episode + 1)
        return [[header.pack(), pack_queries({})]]

    def on_message(self, parts: list[bytes], now_ns: int) -> list[Update]:
        """Take in a message; what is new by it, each update whole."""
        message = parse_message(parts[0]) if parts else None
        if message is None or message.incarnation != self._episode:
            self.counts["stale" if message else "damaged"] += 1
            return []
        if message.type is Type.WHO:
            if self._life is not None:
                self._begin_again("unknown", now_ns)
            return []
        if message.type is not Type.PUSH:
            return []
        if message.first == 0:
            return self._on_refusal(parts)
        if self._life is None:
            self._life, self._said_ns, self.refused = message.speaker, now_ns, ""
        if message.speaker != self._life:
            self._begin_again("another_aggregator", now_ns)
            return []
        if message.first != self._expected:
            if message.first > self._expected:
                self._begin_again("gap", now_ns)
            return []
        return self._on_next(message, parts[1:], now_ns)

    def _on_refusal(self, parts: list[bytes]) -> list[Update]:
        if self._life is None:
            try:
                self.refused = unpack_push(parts[-1]).refused
            except ValueError:
                self.counts["damaged"] += 1
        return []

    def _on_next(self, message: Message, payload: list[bytes], now_ns: int) -> list[Update]:
        """The message with the number that is expected, or a sign of life before it."""
        updates: list[Update] = []
        if payload:
            try:
                updates = self._apply(unpack_push(payload[0]))
            except ValueError:
                self._begin_again("damaged", now_ns)
                return []
            if self._has_missed(updates):
                self._begin_again("overflowed", now_ns)
                return []
            self._expected += 1
            self._unconfirmed += 1
            self._unconfirmed_bytes += len(payload[0])
        self._heard_ns = now_ns
        self._heartbeat_ns = min(max(message.committed, _HEARTBEAT_NS_LEAST), _HEARTBEAT_NS_MOST)
        if message.last:
            self.alive_at_ns, self.is_complete = message.last, True
        return updates

    def _has_missed(self, updates: Iterable[Update]) -> bool:
        """Whether all is told once more, since this client was slow, without what it asked about.

        What it missed may be that an entity became false, or that it has left.
        """
        whole = {update.key for update in updates if update.is_full}
        is_again = not whole.isdisjoint(self._whole)
        self._whole |= whole
        return is_again and self._about is not None

    def _apply(self, push: Push) -> list[Update]:
        """The updates that are whole now."""
        self.wrong.update({k: faults for k, faults in push.wrong.items() if k in self.queries})
        updates = []
        for part in push.parts:
            key = part.update.key
            if self._partial and self._partial[0].update.key != key:
                raise ValueError(f"a piece of {key!r} amid those of another")
            self._partial.append(part)
            self.merged[key] += part.merged
            if not part.more:
                self.wrong.pop(key, None)
                updates.append(_joined(self._partial))
                self._partial = []
        return [update for update in updates if update.key in self.queries]

    def is_live(self, now_ns: int) -> bool:
        """Whether the aggregator was heard within three heartbeats."""
        patience_ns = HEARTBEATS_MISSED * self._heartbeat_ns
        return self._heard_ns is not None and now_ns - self._heard_ns <= patience_ns


def _joined(parts: list[Part]) -> Update:
    """The update whose pieces these are, in their order."""
    changes = join_changes([part.update.changes for part in parts])
    gone = tuple(labels for part in parts for labels in part.update.gone)
    return parts[0].update._replace(changes=changes, gone=gone)
