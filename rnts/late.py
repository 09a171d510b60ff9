"""What came too late to be folded: counted by window and agent, for people to see who lags."""

from collections import Counter
from typing import Any

import numpy as np

from rnts.records import Records

KEPT_MAX = 256  # pairs of window and agent; the oldest window goes first
SHOWN_MAX = 10


class Late:
    """Counts of late records; `records` are all of them."""

    def __init__(self, window_ns: int) -> None:
        self.records = 0
        self._window_ns = window_ns
        self._kept: Counter[tuple[int, int]] = Counter()

    def note(self, agent_id: int, records: Records, sealed_before: int) -> None:
        """Count the records of a frame that lie in sealed windows."""
        windows = records.times_ns[: records.count] // self._window_ns
        found, counts = np.unique(windows[windows < sealed_before], return_counts=True)
        for window, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._kept[window, agent_id] += count
            self.records += count
        for pair in sorted(self._kept)[: max(0, len(self._kept) - KEPT_MAX)]:
            del self._kept[pair]

    def document(self) -> list[dict[str, Any]]:
        """The newest windows with late records, by agent."""
        newest = sorted(self._kept, reverse=True)[:SHOWN_MAX]
        return [
            {
                "start_ns": window * self._window_ns,
                "agent_id": str(agent_id),
                "records": self._kept[window, agent_id],
            }
            for window, agent_id in newest
        ]
