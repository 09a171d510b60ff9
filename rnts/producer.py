"""What an application holds: its segment, a lane a thread, its names; made on first use.

Nothing here raises into the application for telemetry's sake. Where there is no shared memory, no
supported system, or `RNTS_DISABLE=1`, every call is a cheap no-op and the reason is logged once.
After a fork the child starts with a segment of its own on its first record.
"""

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rnts import layout
from rnts.errors import RntsError
from rnts.model import METRIC_NAMES
from rnts.neuron import Neuron
from rnts.runtime import lane_slots_wanted, make_runtime_folder
from rnts.segment import IS_SUPPORTED, Segment
from rnts.text import check_string, join_strings, name_to_id
from rnts.writer import LaneWriter

LANE_SLOTS_DEFAULT = 16_384
LANE_SLOTS_MIN, LANE_SLOTS_MAX = 64, 1 << 20
_AGENT_AWAY_NS = 10_000_000_000  # an agent that was seen within this will fetch what we leave
_NAMES_KEPT_MAX = 2_000_000  # beyond it a name is told again when it is asked for again

log = logging.getLogger("rnts")


class _LaneOwner:
    """Gives a thread's lane back when the thread ends and its locals are cleared."""

    def __init__(self, producer: "Producer", writer: LaneWriter) -> None:
        self._producer, self._writer = producer, writer
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._process == os.getpid():
            self._producer.idle_writers.append(self._writer)


class Producer:
    """One application process's way to the agent."""

    def __init__(self, lanes: int = layout.LANES_MAX, lane_slots: int | None = None) -> None:
        self.local = threading.local()
        self.idle_writers: list[LaneWriter] = []
        self._lanes = lanes
        self._lane_slots = lane_slots
        self._lock = threading.Lock()
        self._holder = 0  # the thread that has the lock
        self._segment: Segment | None = None
        self._names: dict[int, bytes] = {}  # kept for a child after a fork
        self._untold: dict[int, bytes] = {}  # not yet in the log
        self._records_without_lane = 0
        self._warned: set[str] = set()
        self._enabled = IS_SUPPORTED and os.environ.get("RNTS_DISABLE", "") in ("", "0")
        self._open = True
        if not IS_SUPPORTED:
            log.warning("telemetry is off: segments need Linux on a little-endian machine")

    @property
    def enabled(self) -> bool:
        """Whether records can go anywhere."""
        return self._enabled and self._open

    def neuron(
        self,
        name: str,
        *,
        group: str = "",
        role: str = "",
        host: str = "",
        neuron_id: int | None = None,
    ) -> Neuron:
        """A neuron by its name; its id is the hash of the name unless given.

        Raises TypeError or ValueError for misuse that no run can mend: an empty or over-long name,
        an id that is not in 1 … 2^64 - 1.
        """
        for what, string in (("name", name), ("group", group), ("role", role), ("host", host)):
            check_string(what, string)
        if not name:
            raise ValueError("the name of a neuron must not be empty")
        chosen = name_to_id(name) if neuron_id is None else neuron_id
        if not isinstance(chosen, int) or not 0 < chosen < 1 << 64:
            raise ValueError(f"neuron_id must be an int in 1 … 2^64 - 1, not {chosen!r}")
        strings = join_strings(name, group, role, host or _host_name())
        if self._names.get(chosen) != strings:
            self._tell({chosen: strings})
        return Neuron(self, chosen, name, group, role)

    def announce(
        self, ids: Iterable[int], names: Sequence[str], group: str | Sequence[str], role: str = ""
    ) -> None:
        """Name many neurons at once, for code that reports by id; `group` is one or one each."""
        groups = [group] * len(names) if isinstance(group, str) else group
        end = join_strings(role, _host_name())
        known = {own_group: join_strings(own_group) + end for own_group in set(groups)}
        self._tell(
            {
                int(neuron_id): join_strings(name) + known[own_group]
                for neuron_id, name, own_group in zip(ids, names, groups, strict=True)
            }
        )

    def forget(self, neuron: Neuron) -> None:
        """Let go of the name of a neuron that has left, so that it is not announced anew."""
        self._names.pop(neuron.id, None)

    def attach_thread(self) -> LaneWriter | None:
        """The calling thread's writer, made on its first record; None where there can be none."""
        with self._alone() as is_alone:
            writer = self._claim_writer() if is_alone else None
            if writer is None and self.enabled:
                # Not kept: a lane may be free by the time of the next record.
                self._records_without_lane += 1
                if self._segment is not None:
                    self._segment.words[layout.HEADER_NO_LANE // 8] = self._records_without_lane
                return None
        if writer is not None:
            self.local.owner = _LaneOwner(self, writer)
        self.local.writer = writer
        return writer

    def claim_lane(self) -> LaneWriter | None:
        """A lane that belongs to the caller and to no thread, for compiled code."""
        with self._alone() as is_alone:
            return self._claim_writer() if is_alone else None

    def segment(self) -> Segment | None:
        """The segment, made if need be; None where telemetry is off."""
        with self._alone() as is_alone:
            return self._attach() if is_alone else self._segment

    def keep_lane_slots(self, lane_slots: int) -> None:
        """Make every later segment of this process, after a fork, of the size of this one."""
        self._lane_slots = lane_slots

    def warn_unknown(self, unknown: dict[str, Any]) -> None:
        """Say once a name that a metric of that name does not exist."""
        from difflib import get_close_matches

        for name in unknown.keys() - self._warned:
            self._warned.add(name)
            near = get_close_matches(name, METRIC_NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            log.warning("unknown metric %r is left out%s", name, hint)

    def close(self, unlink: bool = False) -> None:
        """End this producer; the segment is left to the agent, or removed if there is none."""
        self._open = False
        segment, self._segment = self._segment, None
        self.local = threading.local()
        if segment is not None:
            seen_ns = segment.words[layout.HEADER_AGENT_SEEN_NS // 8]
            if unlink or time.time_ns() - seen_ns > _AGENT_AWAY_NS:
                segment.unlink()

    def after_fork_in_child(self) -> None:
        """Forget all that is the parent's; the names are announced anew by the child."""
        self.local = threading.local()
        self.idle_writers = []
        self._lock = threading.Lock()
        self._holder = 0
        self._records_without_lane = 0
        segment, self._segment = self._segment, None
        if segment is not None:
            os.close(segment.descriptor)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock; False, without it, where it would never come free.

        That is in a signal handler, finaliser or log handler that interrupts the holder itself.
        """
        me = threading.get_ident()
        if self._holder == me:
            yield False
            return
        with self._lock:
            self._holder = me
            try:
                yield True
            finally:
                self._holder = 0

    def _tell(self, names: dict[int, bytes]) -> None:
        """Bring names into the log; where the holder was interrupted it does that for us."""
        if not self.enabled:
            return
        with self._alone() as is_alone:
            if len(self._names) < _NAMES_KEPT_MAX:
                self._names.update(names)
            self._untold.update(names)
            if is_alone:
                self._attach()

    def _claim_writer(self) -> LaneWriter | None:
        segment = self._attach()
        if segment is None:
            return None
        with contextlib.suppress(IndexError):
            return self.idle_writers.pop()
        try:
            lane = segment.claim_lane(threading.get_native_id())
        except OSError as error:
            self._warn_once("lane", f"no memory for another lane: {error}")
            return None
        return None if lane is None else LaneWriter(segment, lane)

    def _attach(self) -> Segment | None:
        if self._segment is None and self.enabled:
            try:
                folder = make_runtime_folder()
                wanted = lane_slots_wanted(folder) or LANE_SLOTS_DEFAULT
                slots = self._lane_slots or layout.power_of_two(
                    min(max(wanted, LANE_SLOTS_MIN), LANE_SLOTS_MAX)
                )
                self._segment = Segment(folder, self._lanes, slots)
            except (OSError, ValueError, RntsError) as error:
                self._enabled = False
                self._warn_once("segment", f"telemetry is off: no shared memory: {error}")
                return None
            self._segment.words[layout.HEADER_NO_LANE // 8] = self._records_without_lane
            self._untold = {**self._names, **self._untold}
        while self._segment is not None and self._untold:
            names, self._untold = self._untold, {}
            self._segment.append_names(names)
        return self._segment

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(message)


def _host_name() -> str:
    return os.uname().nodename[:255]


PROCESS = Producer()  # the one of this process; it does nothing before its first use
os.register_at_fork(after_in_child=PROCESS.after_fork_in_child)
atexit.register(PROCESS.close)
