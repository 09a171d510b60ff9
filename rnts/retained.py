"""What a sender keeps until it is committed: entries in groups, in memory and then in a spool.

A group is a keyframe and the frames that build on it, so it is the unit of what may be let go: a
frame without those before it in its group says nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from rnts.entries import ENTRY_BYTES, Entry, Store


class Retained:
    """The entries of one life: those that went out, and those that are to go out, in order."""

    def __init__(
        self, bytes_max: int, spool: Store | None = None, entries: Iterable[Entry] = ()
    ) -> None:
        self.sent: deque[Entry] = deque()
        self.waiting: deque[Entry] = deque(entries)
        self.next_number = self.waiting[-1].last + 1 if self.waiting else 1
        self.bytes = ENTRY_BYTES * sum(e.place is not None for e in self.waiting)  # in memory
        self.base = 0  # of the group that grows
        self.wants_keyframe = True  # the next frame has to begin a group
        self.committed = 1  # all before it lie in closed windows
        self.committed_counts: deque[dict[int, int]] = deque()  # for the agent to take
        self.spool = spool
        # Lets former lives give up what they have in the spool; whether one did.
        self.give_up_older: Callable[[], bool] = lambda: False
        self._bytes_max = bytes_max
        self._in_memory: deque[Entry] = deque()  # oldest first; some are given up meanwhile
        self._forgotten: deque[tuple[int, dict[int, int]]] = deque()  # folded and let go, by last

    @property
    def first(self) -> int:
        """The oldest number that is kept: it begins a group."""
        oldest = self.sent or self.waiting
        return oldest[0].first if oldest else self.next_number

    def offer(
        self, payload: bytes, counts: dict[int, int], received: int, is_keyframe: bool
    ) -> None:
        """Take one frame over, and make room for it: to the spool, else by giving up the oldest."""
        number = self.next_number
        self.next_number += 1
        if is_keyframe:
            self.base, self.wants_keyframe = number, False
        entry = Entry(number, number, self.base, payload, counts)
        self.waiting.append(entry)
        self._in_memory.append(entry)
        self.bytes += len(payload)
        while self.bytes > self._bytes_max:
            if not (self._spill(received) or self._let_go(received)):
                self.wants_keyframe = True  # so that this group can be let go
                break

    def _spill(self, received: int) -> bool:
        """Move the oldest payload from memory to the spool; False where none can be moved."""
        self._prune()
        if self.spool is None or not self._in_memory:
            return False
        entry = self._in_memory[0]
        assert entry.payload is not None
        while not self.spool.has_room(len(entry.payload)):
            if not (self.give_up_older() or self._let_go(received)):
                return False
            if entry.payload is None:
                return True
        entry.place = self.spool.append(entry)
        if entry.place is None:
            return False
        self.bytes += ENTRY_BYTES - len(entry.payload)
        entry.payload = None
        self._in_memory.popleft()
        return True

    def spill_all(self, received: int) -> None:
        """Move to the spool what is in memory, as the process ends and its successor goes on."""
        while self._spill(received):
            pass

    def _let_go(self, received: int) -> bool:
        """Forget the oldest group that is folded, else lose the oldest that never went out."""
        # A folded frame is needed again only if the receiver dies before its commit.
        return self._forget_folded(received) or self._give_up()

    def _forget_folded(self, received: int) -> bool:
        sent = self.sent
        if not sent:
            return False
        base = sent[0].base
        for entry in sent:
            if entry.base != base:
                break
            if entry.last >= received:
                return False
        else:
            if self.waiting and self.waiting[0].base == base:
                return False
            if not self.waiting and base == self.base:
                self.wants_keyframe = True  # what follows cannot build on it
        while sent and sent[0].base == base:
            entry = sent.popleft()
            self._free(entry)
            if entry.last >= self.committed and not entry.is_hole:
                self._forgotten.append((entry.last, entry.counts))
        return True

    def _give_up(self) -> bool:
        """Make the oldest frames of a group that never went out (a part of) a hole, to its end."""
        waiting, index = self.waiting, 0
        while index < len(waiting) and waiting[index].went_out:
            index += 1  # at most as many as there is credit
        has_hole = index < len(waiting) and waiting[index].is_hole
        at = index + has_hole
        if at >= len(waiting):
            return False
        base = waiting[at].base
        is_open = waiting[-1].base == base == self.base
        if is_open and at == len(waiting) - 1:
            return False  # the newest one alone: it is what makes room for itself
        if not has_hole:
            number = waiting[index].first
            waiting.insert(index, Entry(number, number, base, None, is_hole=True))
        hole, at = waiting[index], index + 1
        while at < len(waiting) and waiting[at].base == base:
            lost = waiting[at]
            del waiting[at]
            if lost.payload is not None and self.spool is not None:
                self.spool.append_lost(lost)
            self._free(lost)
            hole.last = lost.last
            for source, count in lost.counts.items():
                hole.counts[source] = hole.counts.get(source, 0) + count
        if self.spool is not None:
            self.spool.compact(hole.first, hole.last)
        self.wants_keyframe |= is_open
        return True

    def give_up_oldest(self, received: int) -> bool:
        """Of a life that is over, let go of the oldest group; False if nothing is left to let go.

        All of it may have gone out, so its frames become holes one by one.
        """
        if self._forget_folded(received):
            return True
        base: int | None = None
        for entry in (*self.sent, *self.waiting):
            if entry.last < received or entry.place is None:
                continue
            if base is not None and entry.base != base:
                break
            base = entry.base
            self._make_hole(entry)
        return base is not None

    def _free(self, entry: Entry) -> None:
        """Let go of an entry's payload."""
        if entry.payload is not None:
            self.bytes -= len(entry.payload)
            entry.payload = None
        elif entry.place is not None:
            self.bytes -= ENTRY_BYTES
            assert self.spool is not None
            self.spool.drop(entry.place)
            entry.place = None

    def _prune(self) -> None:
        while self._in_memory and self._in_memory[0].payload is None:
            self._in_memory.popleft()

    def payload_of(self, entry: Entry) -> bytes | None:
        """The frame of an entry; None in a hole, which what cannot be read any more becomes.

        So does the rest of its group, one by one: some receiver may hold some of them.
        """
        if entry.payload is None and not entry.is_hole:
            assert self.spool is not None
            payload = self.spool.read(entry.place)
            if payload is not None:
                return payload
            self._make_hole(entry)
        if entry.is_hole or not entry.payload:  # what nobody knows is sent as nothing
            self._break_groups(entry.last)
        return entry.payload

    def _make_hole(self, entry: Entry) -> None:
        entry.is_hole = True
        self._free(entry)

    def _break_groups(self, last: int) -> None:
        """What builds on an entry up to `last` is of no use without it."""
        for entry in self.waiting:
            if entry.base > last:
                return
            # What is unknown stays so: the receiver finds out what was in it.
            if entry.first > last and not entry.is_hole and entry.payload != b"":
                self._make_hole(entry)
        if self.base <= last:
            self.wants_keyframe = True

    def go_back(self, number: int) -> None:
        """Entries from `number` on are to go out again."""
        while self.sent and self.sent[-1].last >= number:
            self.waiting.appendleft(self.sent.pop())

    def receive(self, before: int) -> None:
        """What is before this number needs not go out (again)."""
        while self.waiting and self.waiting[0].last < before:
            self.sent.append(self.waiting.popleft())
        if self.waiting and self.waiting[0].first < before:  # unknown: folded in its first part
            rest = self.waiting[0]
            self.sent.append(replace(rest, last=before - 1))
            rest.first = before

    def commit(self, before: int) -> None:
        """All before `before` are in closed windows: credit them, and forget whole groups."""
        known, self.committed = self.committed, max(self.committed, before)
        if before <= known:
            return
        while self._forgotten and self._forgotten[0][0] < before:
            self.committed_counts.append(self._forgotten.popleft()[1])
        following = self.waiting[0] if self.waiting else None
        for entry in self.sent:
            if entry.last >= before:
                following = entry
                break
            if entry.last >= known and not entry.is_hole:
                self.committed_counts.append(entry.counts)
        keep = self.next_number if self.wants_keyframe else self.base
        if following is not None:
            keep = following.base
        while self.sent and self.sent[0].base < keep:
            self._free(self.sent.popleft())
        self._prune()
        if self.spool is not None:
            self.spool.release(self.first)
