"""The agent's side of a segment of one's own: what a pass costs, and what empties a lane.

It is a real segment with lanes of the default size, which is emptied between two batches, so that
nothing is dropped; `lost` says whether that held.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rnts import jit
from rnts.audit import read_lanes
from rnts.collector import Collector
from rnts.model import SLOT_WORDS
from rnts.perf import emitters
from rnts.perf.sandbox import sandbox
from rnts.perf.timing import call_times_ns
from rnts.producer import PROCESS
from rnts.runtime import runtime_folder
from rnts.segment import LANE_SLOTS_DEFAULT

_BATCH = LANE_SLOTS_DEFAULT // 2  # records of one batch: they must fit into the lane
_NEURONS = 256
_SEED = 1


class Drain:
    """The agent's side of all segments in this process's runtime folder."""

    def __init__(self) -> None:
        self._folder = Path(runtime_folder())
        self._slots = np.zeros((4 * LANE_SLOTS_DEFAULT, SLOT_WORDS), np.int64)
        self._collector = Collector(lambda: [self._folder])

    def take(self) -> int:
        """Take over what the known lanes hold; how many slots."""
        return self._collector.drain(self._slots, 0, LANE_SLOTS_DEFAULT)

    def empty(self) -> None:
        """Find the lanes that are in use by now, and take over what they hold."""
        self._collector.discover()
        self.take()

    def lost(self) -> int:
        """Records that were attempted and dropped."""
        return sum(sum(lane.dropped.values()) for lane in read_lanes([self._folder]))

    def close(self) -> None:
        """Let go of the segments."""
        self._collector.close()


def drain(smoke: bool) -> dict[str, Any]:
    """Take full snapshots out of four lanes in one pass, as the agent does."""
    count, repeats = (_BATCH // 8, 3) if smoke else (_BATCH, 50)
    rows = emitters.rows(count, _NEURONS, _SEED)
    with sandbox():
        lanes = [jit.lane() for _ in range(4)]
        drain = Drain()

        def fill() -> None:
            for lane in lanes:
                emitters.report_snapshots_at(lane, 1, *rows)

        drain.empty()
        fill()
        figures: dict[str, Any] = call_times_ns({"drain_ns": drain.take}, repeats, fill)
        drain.empty()
        lost = drain.lost()
        drain.close()
        PROCESS.close(unlink=True)
    source, target = np.ones((4 * count, SLOT_WORDS), np.int64), np.zeros((4 * count, SLOT_WORDS))

    def copy() -> int:
        np.copyto(target, source.view(np.float64))
        return len(source)

    figures |= call_times_ns({"memory_copy_ns": copy}, repeats)
    return {"records_per_second": 1e9 / figures["drain_ns"], **figures, "lost": lost}
