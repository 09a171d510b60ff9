"""All segments that an agent drains: found, attached, drained in one call, reclaimed at death."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, LANE_DROPS, SOURCE_BASELINE, SOURCE_COLUMNS, SOURCE_FINAL
from rnts.attached import AttachedSegment, source_key
from rnts.errors import SegmentError
from rnts.frame import SOURCES_PER_FRAME_MAX
from rnts.kernels import lane as kernel
from rnts.model import FIELDS, KIND_MASK, Kind, Storage
from rnts.runtime import SEGMENT_SUFFIX

_COUNTERS = 2 + len(LANE_DROPS)  # attempts, sampled_out, each drop: as they stand in the lane
# A frame tells of each lane twice at most: when it is taken over, and what has moved in it.
LANES_MAX = SOURCES_PER_FRAME_MAX // 2 - 64
_YOUNG_S = 1.0  # a file that is no segment yet may become one within this
_RETRIED = ("locked", "unreadable")  # reasons that may pass, such as too many open files

log = logging.getLogger("rnts.collector")

_KIND_MASKS = np.array([0, *(KIND_MASK[kind] for kind in Kind)], np.int64)
_FLOATS = np.array(
    [
        (f.mask, f.word, f.shift, int(f.storage is Storage.F64))
        for f in FIELDS
        if f.storage.is_float
    ],
    np.int64,
)


class Collector:
    """Lanes of all attached segments in one table, so that a pass is one call of a kernel.

    Sources, in accounts, are the lanes; a segment whose threads found no lane is one more.
    """

    def __init__(self, folders: Callable[[], list[Path]]) -> None:
        self.segments: list[AttachedSegment] = []
        self.refused: Counter[str] = Counter()  # files not attached, names not taken, by reason
        self.lanes = np.zeros((0, kernel.LANE_COLUMNS), np.int64)
        self.keys = np.zeros(0, np.int64)
        self.baselines: list[NDArray[np.int64]] = []  # rows of new sources, for the agent to take
        self._folders = folders
        self._known: dict[Path, str] = {}
        self._owners: list[AttachedSegment] = []  # of each lane
        self._reported = np.zeros((0, _COUNTERS), np.int64)
        self._no_lane: dict[AttachedSegment, int] = {}

    def discover(self) -> list[AttachedSegment]:
        """Attach what is new and take new lanes in; the segments that were attached."""
        found = {path for folder in self._folders() for path in _segment_files(folder)}
        self._known = {path: why for path, why in self._known.items() if path in found}
        new = sorted(path for path in found if self._known.get(path, "locked") in _RETRIED)
        attached = [s for path in new if (s := self._attach(path)) is not None]
        for segment in self.segments:
            self._take_lanes(segment, segment.new_lanes())
        return attached

    def _attach(self, path: Path) -> AttachedSegment | None:
        """Attach one file; what is none is refused under a reason, counted once."""
        try:
            segment = AttachedSegment(path)
        except SegmentError as error:
            reason = str(error).partition(":")[0]
            if reason in ("truncated", "foreign") and _is_young(path):
                return None
            if path not in self._known:
                self.refused[reason] += 1
                log.warning("segment is left out: %s", error)
            self._known[path] = reason
            return None
        self._known[path] = "attached"
        self.segments.append(segment)
        segment.mark_seen()
        return segment

    def _take_lanes(self, segment: AttachedSegment, rows: NDArray[np.int64]) -> None:
        first = segment.lanes_used - len(rows)
        room = LANES_MAX - len(self.lanes)
        if len(rows) > room:
            self.refused["too_many_lanes"] += len(rows) - room
            log.warning("%s: an agent drains at most %d lanes", segment.path, LANES_MAX)
            rows = rows[:room]
        if not len(rows):
            return
        keys = [source_key(segment.path, first + i) for i in range(len(rows))]
        self.lanes = np.concatenate((self.lanes, rows))
        self.keys = np.concatenate((self.keys, np.array(keys, np.int64)))
        unseen = np.full((len(rows), _COUNTERS), -1, np.int64)
        self._reported = np.concatenate((self._reported, unseen))
        self._owners += [segment] * len(rows)
        self.baselines += _baselines(np.array(keys, np.int64), rows)

    @property
    def sick_lanes(self) -> int:
        """Lanes that are left alone, since what their headers say cannot be."""
        return int(self.lanes[:, kernel.SICK].sum())

    def wait(self, interval_ns: int, timeout_ns: int) -> bool:
        """Sleep until some lane holds a record, or for `timeout_ns`; whether one does."""
        return bool(kernel.wait_for_records(self.lanes, interval_ns, timeout_ns))

    def drain(self, out: NDArray[np.int64], start: int, per_lane: int) -> int:
        """Copy records of all lanes to `out[start:]`, int64[n, 16]; the new length."""
        filled: int = kernel.drain(self.lanes, out, start, per_lane, _KIND_MASKS, _FLOATS)
        return filled

    def source_rows(self) -> NDArray[np.int64]:
        """Rows of all lanes whose counters have moved since the last call."""
        if not len(self.lanes):
            return self._segment_rows(self.segments, 0)
        counters = np.empty((len(self.lanes), _COUNTERS), np.int64)
        kernel.read_counters(self.lanes, counters)
        taken = self.lanes[:, kernel.TAKEN].copy()
        moved = (taken != 0) | (counters != self._reported).any(axis=1)
        self._reported = counters
        self.lanes[:, kernel.TAKEN] = 0
        rows = _rows(self.keys, self.lanes, counters, taken)[moved]
        return np.concatenate((rows, self._segment_rows(self.segments, 0)))

    def _segment_rows(self, segments: list[AttachedSegment], flags: int) -> NDArray[np.int64]:
        """Rows of segments whose threads found no lane, where that number has moved or ends."""
        rows = []
        for segment in segments:
            count = segment.no_lane_count()
            if count and (flags or count != self._no_lane.get(segment, 0)):
                self._no_lane[segment] = count
                row = [0] * len(SOURCE_COLUMNS)
                row[COLUMN["key"]] = source_key(segment.path, -1)
                row[COLUMN["flags"]] = flags
                row[COLUMN["attempts"]] = row[COLUMN["no_lane"]] = count
                rows.append(row)
        return np.array(rows, np.int64).reshape(len(rows), len(SOURCE_COLUMNS))

    def reap(self) -> NDArray[np.int64]:
        """Reclaim drained segments of dead processes; the last row of each of their sources.

        Call it after a pass that left nothing behind: a process found dead now published all that
        it ever will before that, so what the next pass finds is the end.
        """
        rows = []
        for segment in [s for s in self.segments if s.is_owner_dead]:
            self._take_lanes(segment, segment.new_lanes())
            mine = np.array([owner is segment for owner in self._owners], bool)
            if not kernel.wait_for_records(np.ascontiguousarray(self.lanes[mine]), 0, 0):
                rows += [self._last_rows(mine), self._segment_rows([segment], SOURCE_FINAL)]
                self._forget(segment, mine)
        return np.concatenate(rows) if rows else np.zeros((0, len(SOURCE_COLUMNS)), np.int64)

    def _last_rows(self, mine: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Final rows: what was attempted and is neither delivered nor dropped was torn by death."""
        lanes = np.ascontiguousarray(self.lanes[mine])
        counters = np.empty((len(lanes), _COUNTERS), np.int64)
        kernel.read_counters(lanes, counters)
        rows = _rows(self.keys[mine], lanes, counters, lanes[:, kernel.TAKEN])
        settled = counters[:, 1:].sum(axis=1) + lanes[:, kernel.DELIVERED]
        rows[:, COLUMN["torn"]] = counters[:, 0] - settled - lanes[:, kernel.CORRUPT]
        rows[:, COLUMN["flags"]] = SOURCE_FINAL
        return rows

    def _forget(self, segment: AttachedSegment, mine: NDArray[np.bool_]) -> None:
        self.lanes = np.ascontiguousarray(self.lanes[~mine])
        self.keys, self._reported = self.keys[~mine], self._reported[~mine]
        self._owners = [owner for owner in self._owners if owner is not segment]
        self.segments.remove(segment)
        self._no_lane.pop(segment, None)
        try:
            segment.detach(unlink=True)
        except OSError as error:
            log.warning("segment of a process that is gone stays behind: %s", error)

    def mark_seen(self) -> None:
        """Tell all owners that an agent is there."""
        for segment in self.segments:
            segment.mark_seen()

    def close(self) -> None:
        """Let go of all segments; the files stay for the next agent."""
        for segment in self.segments:
            segment.detach(unlink=False)
        self.segments.clear()


def _baselines(keys: NDArray[np.int64], lanes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of what was settled before this agent took the lanes over.

    A lane from which no agent ever took a record has no history: what it dropped meanwhile counts.
    """
    counters = np.empty((len(lanes), _COUNTERS), np.int64)
    kernel.read_counters(np.ascontiguousarray(lanes), counters)
    counters[lanes[:, kernel.DELIVERED] == 0] = 0
    counters[:, 0] = (
        counters[:, 1:].sum(axis=1) + lanes[:, kernel.DELIVERED] + lanes[:, kernel.CORRUPT]
    )
    rows = _rows(keys, lanes, counters, np.zeros(len(lanes), np.int64))
    rows[:, COLUMN["flags"]] = SOURCE_BASELINE
    return list(rows)


def _rows(
    keys: NDArray[np.int64],
    lanes: NDArray[np.int64],
    counters: NDArray[np.int64],
    in_frame: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The table of sources, int64[n, len(SOURCE_COLUMNS)]."""
    rows = np.zeros((len(keys), len(SOURCE_COLUMNS)), np.int64)
    rows[:, COLUMN["key"]] = keys
    rows[:, COLUMN["in_frame"]] = in_frame
    rows[:, COLUMN["attempts"]] = counters[:, 0]
    rows[:, COLUMN["sampled_out"]] = counters[:, 1]
    rows[:, COLUMN["delivered"]] = lanes[:, kernel.DELIVERED]
    first = COLUMN[next(iter(LANE_DROPS))]
    rows[:, first : first + len(LANE_DROPS)] = counters[:, 2:]
    rows[:, COLUMN["corrupt"]] = lanes[:, kernel.CORRUPT]
    return rows


def _segment_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if e.name.endswith(SEGMENT_SUFFIX)]
    except OSError:
        return []


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _YOUNG_S
    except OSError:
        return True
