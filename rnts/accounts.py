"""The aggregator's books: what every source attempted, and what became of each of its records.

A source's rows say how many records the agent has taken from it in all (`delivered`) and how many
of them are in this frame; frames come in order and once. So the books can *check* what they are
told: the position of a source must move by exactly what arrived or was declared lost. What does not
fit is not explained away but shown as unbalanced.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import (
    AGENT_DROPS,
    COLUMN,
    DROPS,
    LANE_DROPS,
    SOURCE_BASELINE,
    SOURCE_COLUMNS,
    SOURCE_FINAL,
    SOURCE_LOST,
    SOURCE_QUARANTINED,
)

_KEY, _FLAGS, _IN_FRAME = COLUMN["key"], COLUMN["flags"], COLUMN["in_frame"]
_ATTEMPTS, _SAMPLED_OUT, _DELIVERED = (
    COLUMN["attempts"],
    COLUMN["sampled_out"],
    COLUMN["delivered"],
)
_TORN = COLUMN["torn"]
_COUNTED = [COLUMN[name] for name in (*LANE_DROPS, *AGENT_DROPS)]
_SETTLED = [_SAMPLED_OUT, _DELIVERED, *_COUNTED]
_SUMS = ("emitted", "sampled_out", "committed", "received", "in_flight", "unexplained")
_RETIRED_MAX = 65_536  # keys of ended sources that are remembered, against replays


@dataclass
class _Source:
    """One lane: its counters before our time and now, and how far its records are accounted for."""

    agent: tuple[int, int]  # who reports it: agent and incarnation
    base: NDArray[np.int64]
    now: NDArray[np.int64]
    position: int
    # Until the first row after a change of agent or aggregator, a gap is that one's death.
    gap_reason: str | None = None
    committed: int = 0  # to the windows of an aggregator before this one
    received: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    unexplained: int = 0

    @property
    def in_flight(self) -> int:
        """Records that were attempted, and neither taken by the agent nor dropped before."""
        moved = self.now - self.base
        return int(moved[_ATTEMPTS] - moved[_SETTLED].sum())

    def lose(self, reason: str, count: int) -> None:
        """Declare the next `count` records lost; they were attempted, whatever rows said so far."""
        self.lost[reason] = self.lost.get(reason, 0) + count
        self.position += count
        self.heed()

    def heed(self) -> None:
        """Let the counters as last heard of show at least what is known of the position."""
        self.now[_DELIVERED] = max(self.now[_DELIVERED], self.position)
        self.now[_ATTEMPTS] = max(self.now[_ATTEMPTS], self.now[_SETTLED].sum())


class Accounts:
    """All sources, the living one by one and the ended ones as sums."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._retired: dict[int, None] = {}
        self._damaged: set[tuple[int, int]] = set()  # agents of which a frame was given up
        self._first_lives: dict[int, int] = {}  # incarnation in which each agent was met
        self._sums = dict.fromkeys(_SUMS, 0)
        self._dropped = dict.fromkeys(DROPS, 0)

    def begin_session(self, agent: tuple[int, int], rows: NDArray[np.int64]) -> None:
        """Take in a HELLO's baselines, one row for each source that the agent holds."""
        self._first_lives.setdefault(*agent)
        for row in rows:
            if row[_FLAGS] & SOURCE_BASELINE:
                self._take_over(agent, row, "aggregator_died")

    def enter(self, agent: tuple[int, int], rows: NDArray[np.int64]) -> None:
        """Enter the rows of one accepted frame."""
        for row in rows:
            if int(row[_KEY]) in self._retired:
                continue
            if row[_FLAGS] & SOURCE_BASELINE:
                self._take_over(agent, row, None)
            elif row[_FLAGS] & SOURCE_LOST:
                self._source(agent, row).lose("backlog_full", int(row[_IN_FRAME]))
            else:
                self._advance(agent, row)

    def skip_frame(self, agent: tuple[int, int], reason: str = "bad_frame") -> None:
        """Frames of this agent were given up; their records will be missing for this reason."""
        if reason == "bad_frame":
            self._damaged.add(agent)
        for source in self._sources.values():
            if source.agent == agent:
                source.gap_reason = reason

    def _take_over(
        self, agent: tuple[int, int], row: NDArray[np.int64], gap_reason: str | None
    ) -> None:
        """A source begins here, or passes from an agent that died to the next."""
        key = int(row[_KEY])
        source = self._sources.get(key)
        if key in self._retired:
            return
        if source is None:
            # A former life of this agent would have told of it: what it took, it took with it.
            is_inherited = self._first_lives.setdefault(*agent) != agent[1]
            base = np.zeros_like(row) if is_inherited else row.copy()
            source = self._sources[key] = _Source(agent, base, row.copy(), int(base[_DELIVERED]))
            if is_inherited and row[_DELIVERED]:
                source.lose("agent_died", int(row[_DELIVERED]))
            source.committed = int(row[_IN_FRAME])
            source.position += source.committed
            source.heed()
            source.gap_reason = gap_reason
        elif source.agent != agent:
            source.agent = agent
            gap = int(row[_DELIVERED]) - source.position
            if gap > 0:
                source.lose("agent_died", gap)
            source.unexplained += max(-gap, 0)

    def _source(self, agent: tuple[int, int], row: NDArray[np.int64]) -> _Source:
        """The source of a row; one that nobody introduced begins with nothing.

        The introduction may have been in a frame that came damaged, like records before this row.
        """
        source = self._sources.get(int(row[_KEY]))
        if source is None:
            base = np.zeros(len(SOURCE_COLUMNS), np.int64)
            source = self._sources[int(row[_KEY])] = _Source(agent, base, base.copy(), 0)
        elif source.agent == agent:
            return source
        source.agent = agent
        source.gap_reason = "bad_frame" if agent in self._damaged else None
        return source

    def _advance(self, agent: tuple[int, int], row: NDArray[np.int64]) -> None:
        """Check a source's step against what arrived, and keep its newest counters."""
        source = self._source(agent, row)
        in_frame = int(row[_IN_FRAME])
        gap = int(row[_DELIVERED]) - in_frame - source.position
        if gap > 0 and source.gap_reason:
            source.lose(source.gap_reason, gap)
        elif gap != 0:
            source.unexplained += abs(gap)  # a later step back does not explain it
            source.position += gap
        source.gap_reason = None
        source.position += in_frame
        source.received += in_frame
        source.now = row.copy()
        if row[_FLAGS] & SOURCE_FINAL:
            self._retire(int(row[_KEY]), source)

    def _retire(self, key: int, source: _Source) -> None:
        """A source has ended: nothing of it can be on its way any more."""
        source.unexplained += abs(source.in_flight)
        self._add(source, self._sums, self._dropped)
        del self._sources[key]
        self._retired[key] = None
        if len(self._retired) > _RETIRED_MAX:
            del self._retired[next(iter(self._retired))]

    @staticmethod
    def _add(source: _Source, sums: dict[str, int], dropped: dict[str, int]) -> None:
        """Add one source's account to `sums` and `dropped`."""
        moved = source.now - source.base
        counted = moved[_COUNTED]
        for column, count in zip(_COUNTED, counted, strict=True):
            is_aside = column == _TORN and source.now[_FLAGS] & SOURCE_QUARANTINED
            dropped["quarantined" if is_aside else SOURCE_COLUMNS[column]] += int(count)
        for reason, count in source.lost.items():
            dropped[reason] += count
        sums["emitted"] += int(moved[_ATTEMPTS])
        sums["sampled_out"] += int(moved[_SAMPLED_OUT])
        sums["committed"] += source.committed
        sums["received"] += source.received
        sums["in_flight"] += source.in_flight
        # What is impossible of one source is not made good by another.
        impossible = -min(0, source.in_flight, *counted.tolist())
        sums["unexplained"] += source.unexplained + impossible

    def document(self, folded: int, late: int, future: int) -> dict[str, Any]:
        """The account of all sources, as it stands in a snapshot.

        `folded`, `late` and `future` are counted by the windows, record by record, and must add up
        to what the rows say has arrived.
        """
        sums, dropped = dict(self._sums), dict(self._dropped)
        for source in self._sources.values():
            self._add(source, sums, dropped)
        dropped["late"] += late
        dropped["future"] += future
        aggregated = sums["committed"] + folded
        ends = aggregated + sums["sampled_out"] + sum(dropped.values()) + sums["in_flight"]
        return {
            "emitted": sums["emitted"],
            "sampled_out": sums["sampled_out"],
            "dropped": {reason: count for reason, count in dropped.items() if count},
            "in_flight": sums["in_flight"],
            "aggregated": aggregated,
            "balanced": sums["unexplained"] == 0
            and sums["received"] == folded + late + future
            and sums["emitted"] == ends,
        }

    def sources(self) -> list[dict[str, Any]]:
        """Each living source: its key, its counters as last heard of, and what is in its lane."""
        documents = []
        for key, source in self._sources.items():
            counters = dict(zip(SOURCE_COLUMNS, source.now.tolist(), strict=True))
            documents.append({"key": key, "now": counters, "in_flight": source.in_flight})
        return documents
