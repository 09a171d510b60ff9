"""A model of a lane, its producer and its consumer, explored through every interleaving.

Both ends are step machines over words of shared memory. Either can be killed before any step, and a
killed consumer is followed by another one. Stores go through a buffer for each end: of order `sc`
(none), `tso` (first in, first out: x86-64) or `relaxed` (any order, except that a release store
waits for all stores and loads before it, and that one word keeps its order: aarch64). Under
`relaxed` a plain load may also happen before the load in front of it, or after the stores behind
it. A kill is precise: what was stored before it reaches memory, nothing after it does.

The ghost `published` says which record each position holds; what the consumer reads must be that.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

ATTEMPTS, DROPS, TAIL, HEAD, NOTES, SLOTS = 0, 1, 2, 3, 4, 8
Store = tuple[int, int, bool]  # word, value, whether it is a release


class Violation(AssertionError):
    """The lane broke one of its promises."""


class Model(Protocol):
    """What can be explored: where it starts, what can happen next, whether all is over."""

    def start(self) -> Any:
        """The first state, a NamedTuple with `memory`."""

    def steps(self, s: Any) -> Iterator[Any]:
        """All states that can come next."""

    def is_over(self, s: Any) -> bool:
        """Whether this is an end that is as it should be; raises Violation for one that is not."""


class State(NamedTuple):
    """Everything there is; `None` for a step means that this end is dead."""

    memory: tuple[int, ...]
    # producer: its next step, the record at hand, positions and drops as it knows them
    making: str | None = "attempt"
    record: int = 1
    tail: int = 0
    head_cache: int = 0
    drops: int = 0
    made: tuple[Store, ...] = ()
    published: tuple[int, ...] = ()
    # consumer: its next step, its table, the position in its pass, loads early and late
    taking: str | None = "tail"
    position: int = 0
    delivered: int = 0
    note: int = 0
    limit: int = 0
    at: int = 0
    seen: int = 0
    taken: tuple[Store, ...] = ()
    early: tuple[tuple[int, int], ...] = ()
    late: tuple[tuple[int, int], ...] = ()
    kills: int = 0


class Lane(NamedTuple):
    """What is explored: sizes, memory order, and how the code was weakened."""

    capacity: int
    records: int
    order: str = "sc"
    weakened: str = ""
    consumer_kills: int = 1

    def start(self) -> State:
        """A fresh lane."""
        return State((0,) * (SLOTS + 2 * self.capacity))

    def store(self, s: State, end: str, word: int, value: int, release: bool = False) -> State:
        """Put a store into an end's buffer, or into memory where there are no buffers."""
        if self.order == "sc":
            return write(s, word, value)
        return s._replace(**{end: (*getattr(s, end), (word, value, release))})

    def steps(self, s: State) -> Iterator[State]:
        """All that can happen next."""
        for end in ("made", "taken"):
            yield from flush(self.order, s, end)
        if s.making not in (None, "done"):
            after = self.produce(s)
            if (after.record, after.making) == (s.record, s.making):
                raise Violation("the producer waits for somebody", s)
            yield after
            yield s._replace(making=None)
        if s.taking is not None:
            yield from self.consume(s)
            if s.kills < self.consumer_kills:
                yield s._replace(taking=None, early=(), late=(), kills=s.kills + 1)
        elif not s.taken:
            yield self.restart(s)

    def produce(self, s: State) -> State:
        """One step of the producer; see `claim` and `publish` in kernels/lane.py."""
        slot = SLOTS + 2 * (s.tail % self.capacity)
        late_attempt = self.weakened == "attempt after publication"
        room = self.capacity + (self.weakened == "one record too many")
        is_full = s.tail + 1 - s.head_cache > room
        if s.making == "attempt":
            s = s._replace(making="reload" if is_full else "first")
            return s if late_attempt else self.store(s, "made", ATTEMPTS, s.record, True)
        if s.making == "reload":
            head = load(s, "made", HEAD)
            is_full = s.tail + 1 - head > room
            full = "reload" if self.weakened == "producer waits for room" else "drop"
            return s._replace(head_cache=head, making=full if is_full else "first")
        if s.making == "drop":
            if self.weakened != "drops not counted":
                s = self.store(s, "made", DROPS, s.drops + 1, True)
            return self.next_record(s._replace(drops=s.drops + 1))
        if s.making == "first":
            return self.store(s, "made", slot, s.record)._replace(making="second")
        if s.making == "second":
            return self.store(s, "made", slot + 1, s.record)._replace(making="publish")
        if s.making == "publish":
            s = s._replace(published=(*s.published, s.record), tail=s.tail + 1)
            s = self.store(s, "made", TAIL, s.tail, self.weakened != "plain tail store")
            if late_attempt:
                return s._replace(making="attempt at last")
        if late_attempt:
            s = self.store(s, "made", ATTEMPTS, s.record, True)
        return self.next_record(s)

    def next_record(self, s: State) -> State:
        """Go on to the next record, if there is one."""
        last = s.record == self.records
        return s._replace(record=s.record + 1, making="done" if last else "attempt")

    def consume(self, s: State) -> Iterator[State]:
        """One step of the consumer; see `_drain_lane` and `_store_head` in kernels/lane.py."""
        relaxed = self.order == "relaxed"
        for i, (position, word) in enumerate(s.late):
            rest = s.late[:i] + s.late[i + 1 :]
            yield check(s, position, load(s, "taken", word))._replace(late=rest)
        if s.taking == "tail":
            first = SLOTS + 2 * (s.position % self.capacity)
            if relaxed and first not in dict(s.early):  # a load that runs ahead of the tail's
                yield s._replace(early=(*s.early, (first, load(s, "taken", first))))
            limit = load(s, "taken", TAIL)
            kept = s.early if self.weakened == "plain tail load" else ()
            if limit != s.position:
                yield s._replace(taking="first", limit=limit, at=s.position, early=kept)
            elif s.early:
                yield s._replace(early=kept)
        elif s.taking in ("first", "second"):
            yield from self.copy(s, relaxed)
        elif s.taking == "drops":
            yield s._replace(taking="attempts", seen=load(s, "taken", self.counted_first()))
        elif s.taking == "attempts":
            seen = {self.counted_first(): s.seen}
            drops = seen.get(DROPS, load(s, "taken", DROPS))
            if seen.get(ATTEMPTS, load(s, "taken", ATTEMPTS)) < drops + s.delivered:
                raise Violation("more records came out than went in", s)
            yield s._replace(taking="tail", seen=0)
        else:
            yield from self.settle(s)

    def copy(self, s: State, relaxed: bool) -> Iterator[State]:
        """Load one word of the slot at hand: now, or with what came early, or late."""
        is_first = s.taking == "first"
        word = SLOTS + 2 * (s.at % self.capacity) + (not is_first)
        after = s._replace(taking="second")
        if not is_first:
            more = s.at + 1 < s.limit
            after = s._replace(at=s.at + 1, taking="first" if more else self.ending()[0])
        yield check(after, s.at, load(s, "taken", word))
        if word in dict(s.early):
            rest = tuple(entry for entry in s.early if entry[0] != word)
            yield check(after, s.at, dict(s.early)[word])._replace(early=rest)
        if relaxed and not s.late:
            yield after._replace(late=(*s.late, (s.at, word)))

    def counted_first(self) -> int:
        """The counter that is read first; see `read_counters` in kernels/lane.py."""
        return ATTEMPTS if self.weakened == "attempts read before drops" else DROPS

    def ending(self) -> list[str]:
        """The stores that end a pass."""
        if self.weakened == "head before note":
            return ["head", "note position", "note count", "drops"]
        return ["note position", "note count", "head", "drops"]

    def settle(self, s: State) -> Iterator[State]:
        """Store counts into the note that the head disowns, then the head."""
        assert s.taking is not None
        after = s._replace(taking=self.ending()[self.ending().index(s.taking) + 1])
        note = NOTES + 2 * (0 if self.weakened == "one note" else s.note)
        delivered = s.delivered + s.at - s.position
        release = self.weakened != "plain notes and head"
        if release and s.late:
            return  # it waits for the loads before it
        if s.taking == "head":
            after = self.store(after, "taken", HEAD, s.at, release)
        elif s.taking == "note position":
            after = self.store(after, "taken", note, s.at, release)
        else:
            after = self.store(after, "taken", note + 1, delivered, release)
        if after.taking == "drops":
            after = after._replace(
                position=s.at, delivered=delivered, note=1 - s.note, limit=0, at=0
            )
        yield after

    def restart(self, s: State) -> State:
        """Another consumer reads where the last one stopped; see `_lane_row` in attached.py."""
        head = s.memory[HEAD]
        delivered = active = 0
        for note in (0, 1):
            if s.memory[NOTES + 2 * note] == head:
                delivered, active = s.memory[NOTES + 2 * note + 1], note
        if delivered != head:  # each record takes one slot here
            raise Violation("position and count do not belong together", s)
        return s._replace(
            taking="tail", position=head, delivered=delivered, note=1 - active,
            limit=0, at=0, seen=0,
        )  # fmt: skip

    def is_over(self, s: State) -> bool:
        """Whether all is made or dead, and taken; the sums have to be right then."""
        if s.making not in (None, "done") or s.made or s.taken or s.late:
            return False
        if s.taking != "tail" or s.memory[TAIL] != s.position:
            return False
        in_flight = s.memory[ATTEMPTS] - s.memory[DROPS] - s.delivered
        if not 0 <= in_flight <= (s.making is None) or s.delivered != len(s.published):
            raise Violation(f"{in_flight} records are neither delivered nor dropped", s)
        return True


def write(s: Any, word: int, value: int) -> Any:
    """The state with one word of memory changed."""
    return s._replace(memory=(*s.memory[:word], value, *s.memory[word + 1 :]))


def flush(order: str, s: Any, end: str) -> Iterator[Any]:
    """Let a store of a buffer reach memory."""
    buffer: tuple[Store, ...] = getattr(s, end)
    for i, (word, value, release) in enumerate(buffer[: 1 if order == "tso" else None]):
        if i and (release or word in [entry[0] for entry in buffer[:i]]):
            continue
        yield write(s, word, value)._replace(**{end: buffer[:i] + buffer[i + 1 :]})


def load(s: Any, end: str, word: int) -> int:
    """A word as an end sees it: its own stores first."""
    own = [value for at, value, _ in getattr(s, end) if at == word]
    return own[-1] if own else s.memory[word]


def check(s: State, position: int, value: int) -> State:
    """What was read at a position must be a word of the record that was published there."""
    if s.published[position : position + 1] != (value,):
        raise Violation(f"position {position} gave {value}", s)
    return s


def explore(model: Model) -> int:
    """Go through all states; how many there are. Raises Violation, also where a state is stuck."""
    before: dict[Any, list[Any]] = {model.start(): []}
    over = []
    to_do = [model.start()]
    while to_do:
        state = to_do.pop()
        if model.is_over(state):
            over.append(state)
        for after in model.steps(state):
            if after not in before:
                before[after] = []
                to_do.append(after)
            before[after].append(state)
    live = set(over)
    while over:
        for state in before[over.pop()]:
            if state not in live:
                live.add(state)
                over.append(state)
    if stuck := before.keys() - live:
        raise Violation(f"{len(stuck)} states never come to an end", next(iter(stuck)))
    return len(before)
