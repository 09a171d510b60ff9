"""What an agent tells an aggregator that was not there: where each source stands."""

from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS, SOURCE_LOST
from rnts.collector import Collector
from rnts.frame import SOURCES_PER_FRAME_MAX
from rnts.segment_files import remove_file
from rnts.sender import Sender

_KEY, _FLAGS, _IN_FRAME = COLUMN["key"], COLUMN["flags"], COLUMN["in_frame"]
# Segments of the dead that are kept while no aggregator is there: 37 KB each. With more the oldest
# goes, and if the agent is killed, too, before there is one, what it held of that goes untold.
FINISHED_MAX = 1024
assert (_KEY, _FLAGS, _IN_FRAME) == (0, 1, 2)


class Handover:
    """The baseline row of each source, with its committed records in the column `in_frame`.

    A source is forgotten when the frame that holds its last row is committed.
    """

    def __init__(self) -> None:
        self._rows: dict[int, NDArray[np.int64]] = {}
        self._ended: dict[int, int] = {}  # number of the entry that holds a source's last row
        self._number = 0  # of the entry that is made
        self._finished: deque[tuple[int, Path]] = deque()  # files, by the entry of their last rows

    def keep_file(self, path: Path) -> None:
        """Keep the file of a segment that is finished until its last rows are known to be folded.

        If this agent dies first, the next one finds in it what was lost with this one.
        """
        self._finished.append((self._number, path))

    def rows_to_report(self, collector: Collector, number: int) -> NDArray[np.int64]:
        """The table of sources of entry `number`, int64[n, len(SOURCE_COLUMNS)].

        Baselines of new sources come first, then last rows of ended ones, then what has moved.
        """
        self._number = number
        last_rows = collector.reap()
        moved = collector.source_rows()
        if not collector.baselines and not len(last_rows):
            return moved
        for row in collector.baselines:
            self._rows[int(row[_KEY])] = row.copy()
        for row in last_rows:
            self._ended[int(row[_KEY])] = number
        rows = table_of([*collector.baselines, *last_rows, *moved])
        collector.baselines.clear()
        return rows

    def take_commits(self, sender: Sender) -> None:
        """Credit what the aggregator has committed since the last call; remove finished files."""
        while self._finished and (
            self._finished[0][0] < sender.received or len(self._finished) > FINISHED_MAX
        ):
            remove_file(self._finished.popleft()[1])
        while sender.committed_counts:
            for key, count in sender.committed_counts.popleft().items():
                if key in self._rows:
                    self._rows[key][_IN_FRAME] += count
        for key in [key for key, number in self._ended.items() if number < sender.committed]:
            del self._ended[key]
            self._rows.pop(key, None)

    def baselines(self) -> NDArray[np.int64]:
        """The rows for a HELLO, the newest ones if a frame does not hold all."""
        return table_of(list(self._rows.values())[-SOURCES_PER_FRAME_MAX:])


def table_of(rows: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Rows as a table, int64[n, len(SOURCE_COLUMNS)], also where there are none."""
    return np.array(rows, np.int64).reshape(len(rows), len(SOURCE_COLUMNS))


def lost_rows(counts: dict[int, int]) -> NDArray[np.int64]:
    """Rows that declare records given up, by source."""
    table = np.zeros((len(counts), len(SOURCE_COLUMNS)), np.int64)
    table[:, _KEY] = list(counts)
    table[:, _IN_FRAME] = list(counts.values())
    table[:, _FLAGS] = SOURCE_LOST
    return table


def record_counts(table: NDArray[np.int64]) -> dict[int, int]:
    """The records of each source in the frame that has this table."""
    return {
        key: count
        for key, flags, count in table[:, : _IN_FRAME + 1].tolist()
        if count > 0 and not flags & SOURCE_BASELINE
    }
