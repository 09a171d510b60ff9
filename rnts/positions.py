"""Where each life of each agent stands: what of its frames is counted, and how far it is durable.

A session ends when an agent is away for long, and all sessions end with the aggregator; positions
outlive both, in memory and in the ledger. So a frame that comes again is known for what it is:

    before `committed`   all its records lie in windows that are closed for good
    up to `replayed`     this aggregator has folded it
    up to `upto`         it is in the books; its records of windows before those that `counted`
                         says are counted, the others are `pending`: they lay in windows that were
                         open when an aggregator died, and are folded again
    after `upto`         new

Aggregators may die one after the other while an agent replays. Then the frames that have come again
are counted up to other windows than those that have not: `counted` has a step for each death.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rnts.ledger_record import Standing
from rnts.windows import Folded

Life = tuple[int, int]  # agent and incarnation
ALL = 1 << 62  # a window that is later than any
POSITIONS_MAX = 65_536  # lives that are remembered; the one that was heard least lately goes first
_AWAY_NS_MAX = 24 * 3600 * 1_000_000_000  # a life that was not heard for longer is forgotten
_OVER_NS = 60_000_000_000  # until a new life has told of all that it took over from the last one


class Replay(NamedTuple):
    """How a frame that was counted before is folded: see `Windows.fold`."""

    counted_before: int
    now_ns: int | None  # when it was folded, where that matters: it held records of the future


@dataclass
class Position:
    """One life's standing; see above. `open` has its records by the windows that are open.

    `counted` has pairs, by frame: up to this one all windows before that one are counted.
    """

    committed: int = 1
    upto: int = 0
    replayed: int = 0
    counted: list[tuple[int, int]] = field(default_factory=list)
    pending: int = 0
    records: int = 0
    seen_ns: int = 0
    is_expected: bool = False
    refused_at: dict[int, int] = field(default_factory=dict)
    open: Counter[int] = field(default_factory=Counter)
    written: int = 0  # `upto` as of the newest record

    def counted_before(self, last: int) -> int:
        """The window before which the records of a frame are counted."""
        if last < self.committed or last <= self.replayed:
            return ALL
        return next((window for upto, window in self.counted if last <= upto), ALL)

    def still_to_come(self) -> tuple[int | None, list[tuple[int, int]]]:
        """What `Standing` says of frames that have to come again: `replayed` and `counted`."""
        if max(self.replayed, self.committed - 1) >= self.upto:
            return None, []
        return self.replayed, [step for step in self.counted if step[0] > self.replayed]


class Positions:
    """All lives that are remembered."""

    def __init__(self) -> None:
        self.of: dict[Life, Position] = {}
        self.forgotten: list[Life] = []  # since the last record
        self._moved: set[Life] = set()  # since the last record
        self._newest: dict[int, int] = {}  # incarnation of each agent that was met

    @property
    def pending(self) -> int:
        """Records that have to come again."""
        return sum(position.pending for position in self.of.values())

    def committed(self, life: Life) -> int:
        """The frame before which all lie in windows that are closed for good."""
        return self.of[life].committed if life in self.of else 0

    def is_over(self, life: Life) -> bool:
        """Whether a later life of this agent is in the books, which say what became of this one."""
        return life[1] < self._newest.get(life[0], 0)

    def has_earlier(self, life: Life) -> bool:
        """Whether an earlier life of the same agent was heard until an aggregator died."""
        agent_id, incarnation = life
        return any(
            position.is_expected and other[0] == agent_id and other[1] < incarnation
            for other, position in self.of.items()
        )

    def begin(self, life: Life, first: int, committed: int, now_ns: int) -> tuple[bool, int]:
        """A session begins with frame `first`: whether the life is known, and records now lost.

        They were pending: of an earlier life, which never returns, or of frames no longer kept.
        Frames before `committed` the agent knows to lie in closed windows, here or elsewhere.
        """
        lost, before = 0, max(first, committed)
        for other, position in self.of.items():
            if other[0] == life[0] and other[1] < life[1]:
                position.is_expected = False
                self._moved.add(other)
                lost += self._give_up(other, position)
        self._newest[life[0]] = max(self._newest.get(life[0], 0), life[1])
        is_known = life in self.of or self.is_over(life)
        new = Position(before, before - 1, before - 1, written=before - 1)
        position = self.of.setdefault(life, new)
        position.committed = max(position.committed, committed)
        position.upto = max(position.upto, committed - 1)
        position.seen_ns, position.is_expected = now_ns, True
        self._moved.add(life)
        return is_known, lost + self.skip_to(life, first)

    def skip_to(self, life: Life, first: int) -> int:
        """Frames before `first` are kept no more: the records that are lost with them."""
        position = self.of.get(life)
        return self._give_up(life, position) if position and position.upto < first else 0

    def replay_of(self, life: Life, last: int) -> Replay | None:
        """How to fold the frame that ends with number `last`; None if it is new."""
        position = self.of[life]
        if last > position.upto:
            return None
        window = position.counted_before(last)
        return Replay(window, None if window == ALL else position.refused_at.get(last))

    def count(self, life: Life, last: int, folded: Folded, now_ns: int) -> None:
        """A new frame is folded."""
        position = self.of[life]
        position.upto, position.replayed, position.seen_ns = last, last, now_ns
        position.open.update(folded.windows)
        if folded.future:
            position.refused_at[last] = now_ns
        self._moved.add(life)

    def count_again(self, life: Life, last: int, folded: Folded, future: int) -> int:
        """A frame that was counted before is folded; returns the records that are lost for good.

        `future` are its records that were pending, and now are of the future.
        """
        position = self.of[life]
        position.replayed = max(position.replayed, last)
        position.open.update(folded.windows)
        position.pending -= folded.aggregated + folded.late + future
        self._moved.add(life)
        return self._give_up(life, position) if last >= position.upto else 0

    def is_back(self, life: Life, expected: int) -> bool:
        """Whether all that was counted of a life has come again; `expected` is its next frame."""
        position = self.of.get(life)
        return position is None or expected > position.upto

    def _give_up(self, life: Life, position: Position) -> int:
        """What is still pending does not come any more."""
        lost, position.pending = position.pending, 0
        if lost:
            self._moved.add(life)
        return lost

    def commit(self, life: Life, number: int) -> None:
        """All frames of a life before `number` lie in closed windows."""
        position = self.of[life]
        position.committed = max(position.committed, number)
        if position.refused_at:
            kept = {n: at for n, at in position.refused_at.items() if n >= number}
            position.refused_at = kept
        self._moved.add(life)

    def close(self, boundary: int) -> None:
        """All windows before `boundary` are closed: what lies there is pending no more."""
        for life, position in self.of.items():
            for window in [window for window in position.open if window < boundary]:
                position.records += position.open.pop(window)
                self._moved.add(life)

    def open_records(self) -> int:
        """Records that lie in open windows."""
        return sum(sum(position.open.values()) for position in self.of.values())

    def tidy(self, present: Callable[[Life], bool], now_ns: int) -> tuple[list[Life], int]:
        """Forget lives that do not return: who they are, and how many records are lost with them.

        That is an earlier life of an agent that lives, and whoever was not heard for a day.
        """
        order = sorted(self.of, key=lambda life: self.of[life].seen_ns)
        beyond = set(order[: max(0, len(order) - POSITIONS_MAX)])
        gone, lost = [], 0
        for life in order:
            position = self.of[life]
            away_ns = now_ns - position.seen_ns
            is_old = self.is_over(life) and away_ns > _OVER_NS
            is_away = away_ns > _AWAY_NS_MAX or life in beyond
            if position.open or present(life) or not (is_old or is_away):
                continue
            lost += position.pending
            gone.append(life)
            del self.of[life]
            self._moved.discard(life)
            if self._newest[life[0]] == life[1]:
                del self._newest[life[0]]
        self.forgotten += gone
        return gone, lost

    def standings(self, everything: bool) -> list[Standing]:
        """The lives that have moved since the last record, or all, and note them as written."""
        standings = []
        for life in sorted(self.of if everything else self._moved):
            position = self.of[life]
            pending = position.pending + sum(position.open.values())
            standings.append(
                Standing(
                    *life, position.written + 1, position.upto, position.committed, pending,
                    position.records, position.seen_ns, position.is_expected,
                    dict(position.refused_at), *position.still_to_come(),
                )
            )  # fmt: skip
            position.written = position.upto
        self._moved.clear()
        return standings

    def end(self, life: Life) -> None:
        """A life has ended in peace, or is away for good: nobody waits for it."""
        if life in self.of:
            self.of[life].is_expected = False
            self._moved.add(life)

    def expected(self) -> set[Life]:
        """Lives that were heard until the aggregator died, and so are waited for."""
        return {life for life, position in self.of.items() if position.is_expected}

    def restore(self, standings: Iterable[Standing], boundary: int) -> None:
        """Go on from a ledger whose newest record leaves all windows from `boundary` on open."""
        for s in standings:
            self._newest[s.agent_id] = max(self._newest.get(s.agent_id, 0), s.incarnation)
            self.of[s.agent_id, s.incarnation] = Position(
                s.committed, s.upto, 0, s.counted_at(boundary), s.pending, s.records, s.seen_ns,
                s.is_expected, dict(s.refused_at), written=s.upto,
            )  # fmt: skip
