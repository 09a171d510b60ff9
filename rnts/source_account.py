"""The account of one source: a lane's counters, and how far its records are accounted for."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import AGENT_DROPS, COLUMN, COUNT_MAX, LANE_DROPS

ATTEMPTS, SAMPLED_OUT, DELIVERED = COLUMN["attempts"], COLUMN["sampled_out"], COLUMN["delivered"]
COUNTED = [COLUMN[name] for name in (*LANE_DROPS, *AGENT_DROPS)]
SETTLED = [SAMPLED_OUT, DELIVERED, *COUNTED]
_MOST = COUNT_MAX << 2  # however often an agent claims the most: sums of a row stay in range


@dataclass
class Source:
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
        return int(moved[ATTEMPTS] - moved[SETTLED].sum())

    def lose(self, reason: str, count: int) -> None:
        """Declare the next `count` records lost; they were attempted, whatever rows said so far."""
        self.lost[reason] = self.lost.get(reason, 0) + count
        self.position += count
        self.heed()

    def heed(self) -> None:
        """Let the counters as last heard of show at least what is known of the position."""
        self.now[DELIVERED] = min(max(int(self.now[DELIVERED]), self.position), _MOST)
        self.now[ATTEMPTS] = max(self.now[ATTEMPTS], self.now[SETTLED].sum())
