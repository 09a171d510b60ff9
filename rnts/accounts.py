"""The aggregator's books: what every source attempted, and what became of each of its records.

A source's rows say how many records the agent has taken from it in all (`delivered`) and how many
of them are in this frame; frames come in order and once. So the books can *check* what they are
told: the position of a source must move by exactly what arrived or was declared lost. What does not
fit is not explained away but shown as unbalanced.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import (
    COLUMN,
    COUNT_MAX,
    DROPS,
    SOURCE_BASELINE,
    SOURCE_COLUMNS,
    SOURCE_FINAL,
    SOURCE_LOST,
    SOURCE_QUARANTINED,
)
from rnts.source_account import ATTEMPTS, COUNTED, DELIVERED, SAMPLED_OUT, Source

_KEY, _FLAGS, _IN_FRAME = COLUMN["key"], COLUMN["flags"], COLUMN["in_frame"]
_TORN = COLUMN["torn"]
_SUMS = ("emitted", "sampled_out", "committed", "received", "in_flight", "unexplained")
_RETIRED_MAX = 65_536  # keys of ended sources that are remembered, against replays


class Accounts:
    """All sources, the living one by one and the ended ones as sums."""

    def __init__(self) -> None:
        self.living: dict[int, Source] = {}
        self.retired: dict[int, None] = {}
        self.damaged: set[tuple[int, int]] = set()  # agents of which a frame was given up
        self.first_lives: dict[int, int] = {}  # incarnation in which each agent was met
        self.sums = dict.fromkeys(_SUMS, 0)  # of the ended sources, as `dropped`
        self.dropped = dict.fromkeys(DROPS, 0)
        self.changed: set[int] = set()  # sources that moved since somebody cleared this
        self.ended: list[int] = []  # the same of those that ended

    def begin_session(
        self, agent: tuple[int, int], rows: NDArray[np.int64], is_known: bool = False
    ) -> None:
        """Take in a HELLO's baselines, one row for each source that the agent holds.

        `is_known`: the books have all that was counted of this agent.
        """
        self.first_lives.setdefault(*agent)
        for row in self._possible(rows):
            if row[_FLAGS] & SOURCE_BASELINE:
                self.changed.add(int(row[_KEY]))
                self._take_over(agent, row, None if is_known else "aggregator_died")

    def enter(self, agent: tuple[int, int], rows: NDArray[np.int64]) -> None:
        """Enter the rows of one accepted frame."""
        for row in self._possible(rows):
            if int(row[_KEY]) in self.retired:
                continue
            self.changed.add(int(row[_KEY]))
            if row[_FLAGS] & SOURCE_BASELINE:
                self._take_over(agent, row, None)
            elif row[_FLAGS] & SOURCE_LOST:
                self._source(agent, row).lose("backlog_full", int(row[_IN_FRAME]))
            else:
                self._advance(agent, row)

    def _possible(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows without those that count what nobody can: they are shown, and enter no sum."""
        counts = rows[:, _IN_FRAME:]
        is_possible = ((counts >= 0) & (counts < COUNT_MAX)).all(axis=1)
        if is_possible.all():
            return rows
        self.sums["unexplained"] += int(np.count_nonzero(~is_possible))
        return rows[is_possible]

    def skip_frame(self, agent: tuple[int, int]) -> None:
        """A frame of this agent was given up as damaged; its records will be missing."""
        self.damaged.add(agent)
        self.expect_gap(agent, "bad_frame")

    def expect_gap(self, agent: tuple[int, int], reason: str) -> None:
        """Records of this agent will be missing, for this reason."""
        for key, source in self.living.items():
            if source.agent == agent:
                source.gap_reason = reason
                self.changed.add(key)

    def abandon(self, agents: set[tuple[int, int]]) -> None:
        """These lives of agents are over for good, and nobody has taken their sources over."""
        for key, source in list(self.living.items()):
            if source.agent in agents:
                source.lose("agent_died", max(0, source.in_flight))
                self._retire(key, source)

    def _take_over(
        self, agent: tuple[int, int], row: NDArray[np.int64], gap_reason: str | None
    ) -> None:
        """A source begins here, or passes from an agent that died to the next."""
        key = int(row[_KEY])
        source = self.living.get(key)
        if key in self.retired:
            return
        if source is None:
            # A former life of this agent would have told of it: what it took, it took with it.
            is_inherited = self.first_lives.setdefault(*agent) != agent[1]
            base = np.zeros_like(row) if is_inherited else row.copy()
            source = self.living[key] = Source(agent, base, row.copy(), int(base[DELIVERED]))
            if is_inherited and row[DELIVERED]:
                source.lose("agent_died", int(row[DELIVERED]))
            source.committed = int(row[_IN_FRAME])
            source.position += source.committed
            source.heed()
            source.gap_reason = gap_reason
        elif source.agent != agent:
            source.agent = agent
            gap = int(row[DELIVERED]) - source.position
            if gap > 0:
                source.lose("agent_died", gap)
            source.unexplained += max(-gap, 0)

    def _source(self, agent: tuple[int, int], row: NDArray[np.int64]) -> Source:
        """The source of a row; one that nobody introduced begins with nothing.

        The introduction may have been in a frame that came damaged, like records before this row.
        """
        source = self.living.get(int(row[_KEY]))
        if source is None:
            base = np.zeros(len(SOURCE_COLUMNS), np.int64)
            source = self.living[int(row[_KEY])] = Source(agent, base, base.copy(), 0)
        elif source.agent == agent:
            return source
        source.agent = agent
        source.gap_reason = "bad_frame" if agent in self.damaged else None
        return source

    def _advance(self, agent: tuple[int, int], row: NDArray[np.int64]) -> None:
        """Check a source's step against what arrived, and keep its newest counters."""
        source = self._source(agent, row)
        in_frame = int(row[_IN_FRAME])
        gap = int(row[DELIVERED]) - in_frame - source.position
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

    def _retire(self, key: int, source: Source) -> None:
        """A source has ended: nothing of it can be on its way any more."""
        source.unexplained += abs(source.in_flight)
        self._add(source, self.sums, self.dropped)
        del self.living[key]
        self.changed.discard(key)
        self.ended.append(key)
        self.remember_retired(key)

    def remember_retired(self, key: int) -> None:
        """A source has ended, and what is told of it again counts for nothing."""
        self.retired[key] = None
        if len(self.retired) > _RETIRED_MAX:
            del self.retired[next(iter(self.retired))]

    @staticmethod
    def _add(source: Source, sums: dict[str, int], dropped: dict[str, int]) -> None:
        """Add one source's account to `sums` and `dropped`."""
        moved = source.now - source.base
        counted = moved[COUNTED]
        for column, count in zip(COUNTED, counted, strict=True):
            is_aside = column == _TORN and source.now[_FLAGS] & SOURCE_QUARANTINED
            dropped["quarantined" if is_aside else SOURCE_COLUMNS[column]] += int(count)
        for reason, count in source.lost.items():
            dropped[reason] += count
        sums["emitted"] += int(moved[ATTEMPTS])
        sums["sampled_out"] += int(moved[SAMPLED_OUT])
        sums["committed"] += source.committed
        sums["received"] += source.received
        sums["in_flight"] += source.in_flight
        # What is impossible of one source is not made good by another.
        impossible = -min(0, source.in_flight, *counted.tolist())
        sums["unexplained"] += source.unexplained + impossible

    def document(
        self, folded: int, late: int, future: int, died: int = 0, pending: int = 0
    ) -> dict[str, Any]:
        """The account of all sources, as it stands in a snapshot.

        `folded`, `late` and `future` are counted by the windows, record by record. `pending` were
        in windows that were open when an aggregator died, and are to come again; those that do not
        are `died`. Together they must add up to what the rows say has arrived.
        """
        sums, dropped = dict(self.sums), dict(self.dropped)
        for source in self.living.values():
            self._add(source, sums, dropped)
        dropped["late"] += late
        dropped["future"] += future
        dropped["aggregator_died"] += died
        in_flight = sums["in_flight"] + pending
        aggregated = sums["committed"] + folded
        ends = aggregated + sums["sampled_out"] + sum(dropped.values()) + in_flight
        return {
            "emitted": sums["emitted"],
            "sampled_out": sums["sampled_out"],
            "dropped": {reason: count for reason, count in dropped.items() if count},
            "in_flight": in_flight,
            "aggregated": aggregated,
            "balanced": sums["unexplained"] == 0
            and sums["received"] == folded + late + future + died + pending
            and sums["emitted"] == ends,
        }

    def sources(self) -> list[dict[str, Any]]:
        """Each living source: its key, its counters as last heard of, and what is in its lane."""
        documents = []
        for key, source in self.living.items():
            counters = dict(zip(SOURCE_COLUMNS, source.now.tolist(), strict=True))
            documents.append({"key": key, "now": counters, "in_flight": source.in_flight})
        return documents
