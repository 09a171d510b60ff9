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
from collections.abc import Iterable, Sequence
from typing import Any

from rnts import layout
from rnts.errors import RntsError
from rnts.model import METRIC_NAMES
from rnts.neuron import Neuron
from rnts.runtime import LANE_SLOTS_NAME, make_runtime_folder
from rnts.segment import IS_SUPPORTED, Segment
from rnts.text import join_strings
from rnts.writer import LaneWriter

LANE_SLOTS_DEFAULT = 16_384
LANE_SLOTS_MAX = 1 << 20
_AGENT_AWAY_NS = 10_000_000_000  # an agent that was seen within this will fetch what we leave

log = logging.getLogger("rnts")


def name_to_id(name: str) -> int:
    """The 64-bit id of a name: BLAKE2b, so that all processes agree."""
    import hashlib  # loads OpenSSL: 10 ms that a program without names need not pay

    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


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
        self._segment: Segment | None = None
        self._names: dict[int, bytes] = {}
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
            _check_string(what, string)
        if not name:
            raise ValueError("the name of a neuron must not be empty")
        chosen = name_to_id(name) if neuron_id is None else neuron_id
        if not isinstance(chosen, int) or not 0 < chosen < 1 << 64:
            raise ValueError(f"neuron_id must be an int in 1 … 2^64 - 1, not {chosen!r}")
        self._announce(chosen, join_strings(name, group, role, host or _host_name()))
        return Neuron(self, chosen, name, group, role)

    def announce(
        self, ids: Iterable[int], names: Sequence[str], group: str | Sequence[str], role: str = ""
    ) -> None:
        """Name many neurons at once, for code that reports by id; `group` is one or one each."""
        groups = [group] * len(names) if isinstance(group, str) else group
        end = join_strings(role, _host_name())
        known = {own_group: join_strings(own_group) + end for own_group in set(groups)}
        new = {
            int(neuron_id): join_strings(name) + known[own_group]
            for neuron_id, name, own_group in zip(ids, names, groups, strict=True)
        }
        if self.enabled:
            with self._lock:
                self._names.update(new)
                if self._segment is None:
                    self._attach()  # which appends all names, these too
                else:
                    self._segment.append_names(new)

    def forget(self, neuron: Neuron) -> None:
        """Let go of the name of a neuron that has left, so that it is not announced anew."""
        self._names.pop(neuron.id, None)

    def attach_thread(self) -> LaneWriter | None:
        """The calling thread's writer, made on its first record; None where there can be none."""
        writer = None
        if self.enabled:
            with self._lock:
                writer = self._claim_writer()
        if writer is None and self._segment is not None:
            # Not kept: a lane may be free by the time of the next record.
            with self._lock:
                self._segment.words[layout.HEADER_NO_LANE // 8] += 1
            return None
        self.local.writer = writer
        if writer is not None:
            self.local.owner = _LaneOwner(self, writer)
        return writer

    def claim_lane(self) -> LaneWriter | None:
        """A lane that belongs to the caller and to no thread, for compiled code."""
        if not self.enabled:
            return None
        with self._lock:
            return self._claim_writer()

    def segment(self) -> Segment | None:
        """The segment, made if need be; None where telemetry is off."""
        with self._lock:
            return self._attach()

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
        self._segment = None

    def _announce(self, neuron_id: int, strings: bytes) -> None:
        if self._names.get(neuron_id) == strings or not self.enabled:
            return
        with self._lock:
            self._names[neuron_id] = strings
            if self._segment is None:
                self._attach()  # which appends all names, this one too
            else:
                self._segment.append_names({neuron_id: strings})

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
                slots = self._lane_slots or _wanted_lane_slots(folder)
                self._segment = Segment(folder, self._lanes, slots)
            except (OSError, ValueError, RntsError) as error:
                self._enabled = False
                self._warn_once("segment", f"telemetry is off: no shared memory: {error}")
                return None
            self._segment.append_names(self._names)
        return self._segment

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(message)


def _check_string(what: str, string: object) -> None:
    if not isinstance(string, str):
        raise TypeError(f"the {what} of a neuron must be a str, not {type(string).__name__}")
    length = len(string.encode("utf-8", "replace"))
    if length > 255:
        raise ValueError(f"the {what} of a neuron must have at most 255 bytes, not {length}")


def _host_name() -> str:
    return os.uname().nodename[:255]


def _wanted_lane_slots(folder: os.PathLike[str]) -> int:
    """Slots of a lane: what the agent of this user asks for, else the default."""
    try:
        with open(os.path.join(folder, LANE_SLOTS_NAME)) as file:
            wanted = int(file.read(16))
    except (OSError, ValueError):
        return LANE_SLOTS_DEFAULT
    return layout.power_of_two(min(max(wanted, 64), LANE_SLOTS_MAX))


PROCESS = Producer()  # the one of this process; it does nothing before its first use
os.register_at_fork(after_in_child=PROCESS.after_fork_in_child)
atexit.register(PROCESS.close)
