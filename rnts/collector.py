"""All segments that an agent drains: found, attached, drained in one call, reclaimed at death."""

import logging
import select
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, SICK, SOURCE_COLUMNS, SOURCE_FINAL
from rnts.attached import AttachedSegment, source_key
from rnts.drain_model import EXPONENTS, FLOATS, KIND_MASKS
from rnts.errors import SegmentError
from rnts.frame import SOURCES_PER_FRAME_MAX
from rnts.kernels import bell, reports, waiting
from rnts.kernels import lane as kernel
from rnts.lane_rows import baseline_rows, believed, last_rows, never_reported
from rnts.quarantine import Quarantine
from rnts.segment_files import SegmentFiles, is_maker_dead, is_unready, remove_file

# A frame tells of each lane twice at most: when it is taken over, and what has moved in it.
LANES_MAX = SOURCES_PER_FRAME_MAX // 2 - 64
_RETRIED = ("locked", "unreadable")  # reasons that may pass, such as too many open files
_NO_ROWS: NDArray[np.int64] = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)

log = logging.getLogger("rnts.collector")


class Collector:
    """Lanes of all attached segments in one table, so that a pass is one call of a kernel.

    Sources, in accounts, are the lanes; a segment whose threads found no lane is one more.
    `finish` is given the file of each segment that is reclaimed, to remove it in good time; by
    default that is at once.
    """

    def __init__(
        self, folders: Callable[[], list[Path]], finish: Callable[[Path], None] | None = None
    ) -> None:
        self.segments: list[AttachedSegment] = []
        self.unread: dict[AttachedSegment, None] = {}  # whose logs have names nobody has read
        self.refused: Counter[str] = Counter()  # files not attached, names not taken, by reason
        self.lanes = np.zeros((0, kernel.LANE_COLUMNS), np.int64)
        self.quarantine = Quarantine()
        self.baselines: list[NDArray[np.int64]] = []  # rows of new sources, for the agent to take
        self._files = SegmentFiles(folders)
        self._finish = finish or remove_file
        self._known: dict[Path, str] = {}
        self.owners: list[AttachedSegment] = []  # of each lane
        self._reported = never_reported(self.lanes)
        self._rows = np.zeros((LANES_MAX, len(SOURCE_COLUMNS)), np.int64)
        self._watch = np.zeros((0, reports.WATCH_COLUMNS), np.int64)  # of each segment
        self._no_lane: dict[AttachedSegment, int] = {}  # as last reported
        self._has_no_lane = False  # whether a thread of any segment ever found none
        self._unwatched = 0  # segments whose owners were dead on arrival
        self._deaths = select.epoll()
        self._waits = np.zeros((bell.WAITS_MAX, bell.WAIT_WORDS), np.int64)

    def discover(self) -> list[AttachedSegment]:
        """Attach what is new and take new lanes in; the segments that were attached."""
        attached: list[AttachedSegment] = []
        found = self._files.changed()
        if found is not None:
            self._known = {path: why for path, why in self._known.items() if path in found}
            new = sorted(path for path in found if self._known.get(path, "locked") in _RETRIED)
            attached = [s for path in new if (s := self._attach(path)) is not None]
            if any(self._known.get(path, "locked") in _RETRIED for path in new):
                self._files.look_again()
        self.look()
        return attached

    def look(self) -> None:
        """Take in new lanes, and note whose names and whose records without a lane have changed."""
        if not reports.look_at_segments(self._watch):
            return
        self._has_no_lane = bool(self._watch[:, reports.NO_LANE].any())
        for index in np.flatnonzero(self._watch[:, reports.MOVED]):
            segment = self.segments[index]
            self._take_lanes(segment, segment.new_lanes())
            self.unread[segment] = None
        self._watch[:, reports.MOVED] = 0

    def _attach(self, path: Path) -> AttachedSegment | None:
        """Attach one file; what is none is refused under a reason, counted once."""
        try:
            segment = AttachedSegment(path)
        except SegmentError as error:
            reason = str(error).partition(":")[0]
            if is_unready(path):
                # Looked at again after the death: it may have become ready before.
                if not is_maker_dead(path) or not is_unready(path):
                    return None
                reason = "unfinished"
                remove_file(path)
            if path not in self._known:
                self.refused[reason] += 1
                log.warning("segment is left out: %s", error)
            self._known[path] = reason
            return None
        self._known[path] = "attached"
        self.segments.append(segment)
        watched = np.full((1, reports.WATCH_COLUMNS), -1, np.int64)
        watched[0, reports.HEADER] = segment.address
        watched[0, reports.MOVED] = 0
        self._watch = np.concatenate((self._watch, watched))
        if segment.death_descriptor >= 0:
            self._deaths.register(segment.death_descriptor, select.EPOLLIN)
        else:
            self._unwatched += 1
        segment.mark_seen()
        return segment

    def _take_lanes(self, segment: AttachedSegment, lanes: NDArray[np.int64]) -> None:
        first = segment.lanes_used - len(lanes)
        room = LANES_MAX - len(self.lanes)
        if len(lanes) > room:
            self.refused["too_many_lanes"] += len(lanes) - room
            log.warning("%s: an agent drains at most %d lanes", segment.path, LANES_MAX)
            lanes = lanes[:room]
        if not len(lanes):
            return
        lanes[:, kernel.KEY] = [source_key(segment.path, first + i) for i in range(len(lanes))]
        baselines = baseline_rows(lanes)
        self.lanes = np.concatenate((self.lanes, lanes))
        self._reported = np.concatenate((self._reported, believed(baselines)))
        self.owners += [segment] * len(lanes)
        self.baselines += baselines

    def wait(self, interval_ns: int, timeout_ns: int, with_bells: bool) -> bool:
        """Sleep until some lane holds a record, or for `timeout_ns`; whether one does.

        `with_bells`: programs that can wake us; else we look, every `interval_ns`.
        """
        waits = self._waits if with_bells else self._waits[:0]
        return bool(waiting.wait_for_records(self.lanes, waits, interval_ns, timeout_ns))

    def drain(
        self, out: NDArray[np.int64], start: int, per_lane: int, until_ns: int = kernel.ALL_TIMES
    ) -> int:
        """Copy records up to `until_ns` of all lanes to `out[start:]`, int64[n, 16]; its length."""
        tables = KIND_MASKS, FLOATS, EXPONENTS
        filled: int = kernel.drain(self.lanes, out, start, per_lane, until_ns, *tables)
        return filled

    def oldest_ns(self) -> int:
        """The time of the oldest record that is next in its lane; ALL_TIMES where none waits."""
        return int(kernel.oldest_time(self.lanes))

    def source_rows(self) -> NDArray[np.int64]:
        """Rows of all lanes whose counters have moved since the last call."""
        count = reports.report_lanes(self.lanes, self._reported, self._rows)
        rows = self._rows[:count].copy()
        if not self._has_no_lane:
            return rows
        return np.concatenate((rows, self._segment_rows(self.segments, 0)))

    def _segment_rows(self, segments: list[AttachedSegment], flags: int) -> NDArray[np.int64]:
        """Rows of segments whose threads found no lane, where that number has moved or ends."""
        rows = []
        for segment in segments:
            last = self._no_lane.get(segment, 0)
            count = segment.no_lane_count()
            if not last <= count < reports.COUNT_MAX:  # scribbled over: what was believed stands
                count = last
            if count and (flags or count != last):
                self._no_lane[segment] = count
                row = [0] * len(SOURCE_COLUMNS)
                row[COLUMN["key"]] = source_key(segment.path, -1)
                row[COLUMN["flags"]] = flags
                row[COLUMN["attempts"]] = row[COLUMN["no_lane"]] = count
                rows.append(row)
        return np.array(rows, np.int64).reshape(len(rows), len(SOURCE_COLUMNS))

    def reap(self) -> NDArray[np.int64]:
        """Put sick lanes aside, let go of drained segments of the dead; last rows of the sources.

        Call it after a pass that left nothing behind: a process found dead now published all that
        it ever will before that, so what the next pass finds is the end.
        """
        rows = self._put_aside_sick()
        # One question to the kernel for all who are watched; who was dead on arrival is not.
        if not self._unwatched and not self._deaths.poll(0):
            return rows[0] if rows else _NO_ROWS
        for segment in [s for s in self.segments if s.is_owner_dead]:
            self._take_lanes(segment, segment.new_lanes())
            mine = np.array([owner is segment for owner in self.owners], bool)
            if not waiting.holds_records(np.ascontiguousarray(self.lanes[mine])):
                rows.append(last_rows(self.lanes[mine], self._reported[mine]))
                rows += [self._segment_rows([segment], SOURCE_FINAL)]
                self._forget(segment, mine)
        return np.concatenate(rows) if rows else _NO_ROWS

    def _put_aside_sick(self) -> list[NDArray[np.int64]]:
        """Read sick lanes no more; their last rows."""
        truncated = self.quarantine.find_truncated(self.segments, self.owners)
        if truncated is not None:
            self.lanes[truncated, kernel.SICK] = SICK["truncated"]
        if not np.count_nonzero(self.lanes[:, kernel.SICK]):
            return []
        sick = self.lanes[:, kernel.SICK] != 0
        rows = last_rows(self.lanes[sick], self._reported[sick])
        self.quarantine.put_aside(self.lanes[sick], self._owners_of(sick), rows)
        self._forget_lanes(sick)
        return [rows]

    def _owners_of(self, which: NDArray[np.bool_]) -> list[AttachedSegment]:
        return [owner for owner, is_it in zip(self.owners, which, strict=True) if is_it]

    def _forget_lanes(self, which: NDArray[np.bool_]) -> None:
        self.lanes = np.ascontiguousarray(self.lanes[~which])
        self._reported = self._reported[~which]
        self.owners = self._owners_of(~which)

    def _forget(self, segment: AttachedSegment, mine: NDArray[np.bool_]) -> None:
        self._forget_lanes(mine)
        self._watch = np.delete(self._watch, self.segments.index(segment), axis=0)
        self.segments.remove(segment)
        self._unwatched -= segment.death_descriptor < 0
        self.unread.pop(segment, None)
        self._no_lane.pop(segment, None)
        try:
            segment.free_slots()
        except OSError as error:
            log.warning("%s: its memory is not given back yet: %s", segment.path, error)
        segment.detach()
        self._finish(segment.path)

    def mark_seen(self) -> None:
        """Tell all owners that an agent is there."""
        for segment in self.segments:
            segment.mark_seen()

    def close(self) -> None:
        """Let go of all segments; the files stay for the next agent."""
        for segment in self.segments:
            segment.detach()
        self.segments.clear()
        self._watch = self._watch[:0]
        self._deaths.close()
