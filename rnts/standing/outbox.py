"""What one client is yet to be told, and what it was told and has not confirmed.

Memory is bounded whatever the client does: so many messages and bytes may be unconfirmed, and what
is new meanwhile is kept by entity, the newest only. Where even that is too much, it is forgotten
and the whole state is asked for once there is room. How many updates were merged is told.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from rnts.reflex.change import Change, Changes, Labels, Update
from rnts.standing.push import Faults, Part, pack_push

UNCONFIRMED_MAX = 32  # messages; a driver's queue of 128 holds them and five seconds of heartbeats
UNCONFIRMED_BYTES_MAX = 1 << 20  # a message more may pass it
ENTITIES_MAX = 10_000  # of which something new waits; beyond it, whole states are asked for
WRONG_AT_ONCE = 64  # expressions in a message that are told to be wrong: some words repeat them
# In one message: four names of 255 bytes each, all of them escaped, are what links carry.
CHANGES_AT_ONCE = 640
# So many where the names are short, as they are nearly always: these characters, all of them
# escaped, with the numbers of each entity weigh less than what links carry. A storm is 4 messages.
SHORT_AT_ONCE, SHORT_CHARACTERS_MAX = 4 * CHANGES_AT_ONCE, 1 << 18


class _Waiting:
    """What is new of one expression. `is_whole`: the whole state is to be asked for instead."""

    __slots__ = ("at_ns", "changes", "first", "gone", "is_full", "is_whole", "merged", "omitted")

    def __init__(self, is_whole: bool) -> None:
        self.is_whole = is_whole
        self.is_full = False
        self.first: Update | None = None  # which is kept as it is until another has to join it
        self.changes: dict[Labels, Change] = {}
        self.gone: dict[Labels, None] = {}
        self.at_ns = self.omitted = self.merged = 0

    @property
    def entities(self) -> int:
        """Of how many entities something is new."""
        alone = len(self.first.changes) + len(self.first.gone) if self.first else 0
        return alone + len(self.changes) + len(self.gone)

    def forget(self) -> None:
        """Keep nothing: all will be asked for."""
        self.is_whole, self.first = True, None
        self.changes, self.gone = {}, {}

    def add(self, update: Update) -> None:
        """Take in what is newer."""
        if self.first is None and not self.merged:
            self.first = update
            return
        if self.first is not None:
            before, self.first = self.first, None
            self._join(before)
        self._join(update)

    def _join(self, update: Update) -> None:
        if update.is_full:
            self.is_full, self.changes, self.gone = True, {}, {}
        self.at_ns, self.omitted = update.at_ns, update.omitted
        for labels in update.gone:  # first: who left may have come back since
            self.changes.pop(labels, None)
            self.gone[labels] = None
        for change in update.changes:
            self.gone.pop(change.labels, None)
            self.changes[change.labels] = change

    def update(self, key: str) -> Update:
        """All of it as one update."""
        if self.first is not None:
            return self.first._replace(key=key)
        changes, gone = tuple(self.changes.values()), tuple(self.gone)
        return Update(key, self.at_ns, self.is_full, changes, gone, self.omitted)


class _Sending:
    """An update that is on its way, piece by piece."""

    def __init__(self, update: Update, merged: int) -> None:
        self._update, self._merged = update, merged
        self._next = 0
        self.left = len(update.changes) + len(update.gone)

    def cut(self, room: int) -> Part:
        """The next piece, of at most `room` entities; of more where a message is for it alone."""
        start, count = self._next, len(self._update.changes)
        changes = self._update.changes[start : start + SHORT_AT_ONCE]
        if room == CHANGES_AT_ONCE and _are_short(changes):
            room = SHORT_AT_ONCE
        changes = changes[:room]
        first_gone = max(0, start - count)
        gone = self._update.gone[first_gone : first_gone + room - len(changes)]
        told = len(changes) + len(gone)
        self._next, self.left = start + told, self.left - told
        merged, self._merged = self._merged, 0
        return Part(self._update._replace(changes=changes, gone=gone), merged, self.left > 0)


def _are_short(changes: Sequence[Change]) -> bool:
    """Whether more of these than of others are told in one message."""
    if not isinstance(changes, Changes) or changes.worst:
        return False
    return sum(len("".join(column)) for column in changes.columns) <= SHORT_CHARACTERS_MAX


class Outbox:
    """Of one episode of one client; numbers of messages begin at 1."""

    def __init__(self, counts: "Counter[str]") -> None:
        self.next_sequence = 1
        self._counts = counts
        self._unconfirmed: deque[int] = deque()  # the bytes of each message
        self._unconfirmed_bytes = 0
        self._waiting: dict[str, _Waiting] = {}  # by keys, those that wait longest first
        self._entities = 0
        self._sending: _Sending | None = None
        self._wrong: dict[str, Faults] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to be told."""
        return bool(self._sending or self._waiting or self._wrong)

    @property
    def has_room(self) -> bool:
        """Whether the client may be told something now."""
        is_short = len(self._unconfirmed) < UNCONFIRMED_MAX
        return is_short and self._unconfirmed_bytes < UNCONFIRMED_BYTES_MAX

    def wants_whole(self, key: str) -> bool:
        """Whether the whole state will be asked for, so that what is new need not be added."""
        return key in self._waiting and self._waiting[key].is_whole

    def ask_whole(self, key: str) -> None:
        """Tell all of an expression."""
        self._waiting[key] = _Waiting(is_whole=True)

    def complain(self, key: str, faults: Faults) -> None:
        """Tell what is wrong with an expression."""
        self._wrong[key] = faults

    def add(self, key: str, update: Update) -> None:
        """Tell what is new of an expression; where something waits already, both become one."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(is_whole=False)
        else:
            waiting.merged += 1
            self._counts["merged"] += 1
        before = waiting.entities
        waiting.add(update)
        self._entities += waiting.entities - before
        if self._entities > ENTITIES_MAX:
            self._entities -= waiting.entities
            waiting.forget()
            self._counts["overflowed"] += 1

    def confirm(self, next_sequence: int) -> None:
        """The client has taken in all messages before that number."""
        while self._unconfirmed and self.next_sequence - len(self._unconfirmed) < next_sequence:
            self._unconfirmed_bytes -= self._unconfirmed.popleft()

    def next_payload(self, ask: Callable[[str], Update]) -> bytes:
        """The next message; `ask` has the whole state of an expression. Needs room, and news."""
        room, parts = CHANGES_AT_ONCE, []
        while room > 0 and (sending := self._sending or self._take_up(ask)):
            part = sending.cut(room)
            parts.append(part)
            room -= max(1, len(part.update.changes) + len(part.update.gone))
            self._sending = sending if part.more else None
        wrong = {key: self._wrong.pop(key) for key in list(self._wrong)[:WRONG_AT_ONCE]}
        payload = pack_push(parts, wrong)
        self.next_sequence += 1
        self._unconfirmed.append(len(payload))
        self._unconfirmed_bytes += len(payload)
        return payload

    def _take_up(self, ask: Callable[[str], Update]) -> _Sending | None:
        if not self._waiting:
            return None
        key = next(iter(self._waiting))
        waiting = self._waiting.pop(key)
        self._entities -= waiting.entities
        update = ask(key) if waiting.is_whole else waiting.update(key)
        return _Sending(update, waiting.merged)
