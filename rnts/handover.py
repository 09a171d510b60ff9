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


class Baselines:
    """The baseline row of each source, with its committed records in the column `in_frame`."""

    def __init__(self) -> None:
        self._rows: dict[int, NDArray[np.int64]] = {}

    def add(self, row: NDArray[np.int64]) -> None:
        """A source is taken over as this row says."""
        self._rows[int(row[_KEY])] = row

    def credit(self, counts: dict[int, int]) -> None:
        """So many records of these sources are committed."""
        for key, count in counts.items():
            if key in self._rows:
                self._rows[key][_IN_FRAME] += count

    def forget(self, key: int) -> None:
        """A source has ended."""
        self._rows.pop(key, None)

    def table(self) -> NDArray[np.int64]:
        """All rows."""
        return table_of(list(self._rows.values()))

    def frame_table(self) -> NDArray[np.int64]:
        """The rows for a HELLO, the newest ones if a frame does not hold all."""
        return self.table()[-SOURCES_PER_FRAME_MAX:]


class Handover:
    """What the aggregator that comes has to be told of the sources of this agent.

    A source is forgotten when the frame that holds its last row is committed, and so is its file:
    an aggregator that dies before may not know of that row.
    """

    def __init__(self) -> None:
        self.baselines = Baselines()
        self.committed = 1  # all entries before it are credited
        self._ended: dict[int, int] = {}  # number of the entry that holds a source's last row
        self._number = 0  # of the entry that is made
        self._finished: deque[tuple[int, Path]] = deque()  # files, by the entry of their last rows

    def keep_file(self, path: Path) -> None:
        """Keep the file of a segment that is finished until its last rows are committed.

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
            self.baselines.add(row.copy())
        for row in last_rows:
            self._ended[int(row[_KEY])] = number
        rows = table_of([*collector.baselines, *last_rows, *moved])
        collector.baselines.clear()
        return rows

    def take_commits(self, sender: Sender) -> bool:
        """Credit what the aggregator has committed, remove finished files; whether more is now."""
        self._remove_files(sender.committed)
        credited = sender.retained.committed_counts
        while credited:
            self.baselines.credit(credited.popleft())
        before, self.committed = self.committed, sender.committed
        for key in [key for key, number in self._ended.items() if number < sender.committed]:
            del self._ended[key]
            self.baselines.forget(key)
        return before != self.committed

    def end(self, sender: Sender) -> None:
        """The agent ends in peace: what is folded counts, for it does not wait for commits."""
        self._remove_files(sender.received)

    def _remove_files(self, before: int) -> None:
        """Remove finished files whose last rows are in entries before this one."""
        while self._finished and (
            self._finished[0][0] < before or len(self._finished) > FINISHED_MAX
        ):
            remove_file(self._finished.popleft()[1])


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
