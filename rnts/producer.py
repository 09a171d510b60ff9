"""What an application holds: its segment, a lane a thread, its names; made on first use.

Nothing here raises into the application for telemetry's sake. Where there is no shared memory, no
supported system, or `RNTS_DISABLE=1`, every call is a cheap no-op and the reason is logged once.
After a fork the child starts with a segment of its own on its first record.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence

from rnts import layout
from rnts.bell import can_ring
from rnts.choice import is_compiled_wanted, make_compiled
from rnts.complaints import Complaints
from rnts.errors import RntsError
from rnts.identities import class_of, identities_of, identity_of
from rnts.lane_owner import LaneOwner
from rnts.neuron import Neuron, silent_kind
from rnts.runtime import make_runtime_folder
from rnts.segment import IS_SUPPORTED, RETRY_S, Segment, is_want, lane_slots_in
from rnts.solitude import Solitude
from rnts.text import split_strings
from rnts.writer import LaneWriter

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

    from rnts.compiled import CompiledEmitter

_NAMES_KEPT_MAX = 2_000_000  # beyond it a name is told again when it is asked for again


class Producer:
    """One application process's way to the agent."""

    def __init__(self, lanes: int = layout.LANES_MAX, lane_slots: int | None = None) -> None:
        self.local: Any = threading.local()
        self.idle_writers: list[LaneWriter] = []
        self._lanes, self._lane_slots = lanes, lane_slots
        self.complaints = Complaints()
        self._solitude = Solitude(self.complaints.say)
        self._segment: Segment | None = None
        self._names: dict[int, bytes] = {}  # kept for a child after a fork
        self._untold: dict[int, bytes] = {}  # not yet in the log
        self._records_without_lane = 0
        self._attach_after_s = 0.0
        self._emitter: CompiledEmitter | None = None
        self._replaced: threading.local | None = None  # keeps lanes with threads that may use them
        self._jit: bool | None = None  # which emitter was asked for
        self._enabled = IS_SUPPORTED and os.environ.get("RNTS_DISABLE", "") in ("", "0")
        self._open = True
        if not IS_SUPPORTED:
            self.complaints.once("system", "telemetry is off: segments need a little-endian Linux")

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
        importance: str = "normal",
    ) -> Neuron:
        """A neuron by its name; raises TypeError or ValueError, see `identity_of`."""
        chosen, strings = identity_of(name, group, role, host, neuron_id)
        if self._names.get(chosen) != strings:
            self._tell({chosen: strings})
        made = (Neuron if self.enabled else silent_kind())(self, chosen, name, group, role)
        made.importance = class_of(importance)
        if self._emitter is not None:
            self._emitter.adopt(made)
        return made

    def attach(self, jit: bool | None = None) -> str:
        """Be ready to record; which emitter serves: "compiled", "python", or "off".

        `jit` asks for the compiled one, whatever that takes, or (False) for the other; None takes
        the compiled one if this process has Numba already and its code is ready.
        """
        with self._solitude.alone() as is_alone:
            self._jit = self._jit if jit is None else jit
            segment = self._attach(jit is not None) if is_alone else self._segment
        if segment is None:
            return "off"
        return "python" if self._emitter is None else "compiled"

    def announce(
        self, ids: Iterable[int], names: Sequence[str], group: str | Sequence[str], role: str = ""
    ) -> None:
        """Name many neurons at once, for code that reports by id; `group` is one or one each."""
        self._tell(identities_of(ids, names, group, role))

    def host_of(self, neuron_id: int) -> str:
        """The host that a neuron was given; empty where its name is not kept."""
        return (split_strings(self._names.get(neuron_id, b"")) or [""])[-1]

    def forget(self, neuron: Neuron) -> None:
        """Let go of the name of a neuron that has left, so that it is not announced anew."""
        self._names.pop(neuron.id, None)

    def attach_thread(self, records: int = 1) -> LaneWriter | CompiledEmitter | None:
        """The calling thread's writer, made on its first record; a compiled emitter is that of all.

        Where there can be none it is None, and so many records are counted.
        """
        with self._solitude.alone() as is_alone:
            emitter = self._open_emitter() if is_alone else self._emitter
            if emitter is not None and emitter.is_open:
                return emitter
            writer = self._claim_writer() if is_alone and emitter is None else None
            if writer is None and self.enabled:
                # Not kept: a lane may be free by the time of the next record.
                self._records_without_lane += records
                if self._segment is not None:
                    self._segment.words[layout.HEADER_NO_LANE // 8] = self._records_without_lane
                return None
        if writer is not None:
            self.local.owner = LaneOwner(self, writer)
        self.local.lane = self.local.writer = writer
        return writer

    def claim_lane(self) -> LaneWriter | None:
        """A lane that belongs to the caller and to no thread, for compiled code."""
        with self._solitude.alone() as is_alone:
            return self._claim_writer() if is_alone else None

    def segment(self) -> Segment | None:
        """The segment, made if need be; None where telemetry is off."""
        with self._solitude.alone() as is_alone:
            return self._attach() if is_alone else self._segment

    def keep_lane_slots(self, lane_slots: int) -> None:
        """Make every later segment of this process, after a fork, of the size of this one."""
        self._lane_slots = lane_slots

    def close(self, unlink: bool = False) -> None:
        """End this producer; the segment is left to the agent, or removed if there is none."""
        self._open = False
        if self._emitter is not None:
            self._emitter.close(for_good=True)
        segment, self._segment = self._segment, None
        self.local = threading.local()
        if segment is not None:
            segment.leave(unlink)

    def after_fork_in_child(self) -> None:
        """Forget all that is the parent's; the names are announced anew by the child."""
        self.local = threading.local()
        self._replaced = None
        if self._emitter is not None:
            self._emitter.close(for_good=False)
            self.local = self._emitter.local
        self.idle_writers = []
        self._solitude = Solitude(self.complaints.say)
        self._records_without_lane = 0
        segment, self._segment = self._segment, None
        if segment is not None and not segment.is_taken():
            os.close(segment.descriptor)

    def _tell(self, names: dict[int, bytes]) -> None:
        """Bring names into the log; where the holder was interrupted it does that for us."""
        if not self.enabled:
            return
        with self._solitude.alone() as is_alone:
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
            self.complaints.note("lane", f"no memory for another lane: {error}")
            return None
        return None if lane is None else LaneWriter(segment, lane)

    def _open_emitter(self) -> CompiledEmitter | None:
        """The compiled emitter, if that is to serve, with a lane, if there is one."""
        segment = self._attach()
        emitter = self._emitter
        if segment is not None and emitter is not None and not emitter.is_open:
            writer = self._claim_writer()
            if writer is not None:
                emitter.open(segment, writer.lane)
        return emitter

    def _choose_emitter(self, segment: Segment) -> None:
        """Have the compiled emitter serve where it is asked for, or ready and for free."""
        is_wanted = is_compiled_wanted() if self._jit is None else self._jit
        if self._emitter is None and is_wanted:
            try:
                emitter = make_compiled(self.attach_thread)
            except Exception as error:  # noqa: BLE001 - whatever Numba raises on this machine
                self.complaints.note("emitter", f"records are written by Python: {error}")
            else:
                self._emitter, self._replaced = emitter, self.local
                self.local = emitter.local
        is_compiled = self._emitter is not None
        kind = layout.EMITTER_COMPILED if is_compiled else layout.EMITTER_PYTHON
        segment.words[layout.HEADER_EMITTER // 8] = kind
        segment.words[layout.HEADER_RINGS // 8] = can_ring()

    def _attach(self, chooses: bool = False) -> Segment | None:
        is_new = self._segment is None
        if is_new and self.enabled and time.monotonic() >= self._attach_after_s:
            try:
                folder = make_runtime_folder()
                slots = self._lane_slots or lane_slots_in(folder)
                self._segment = Segment(folder, self._lanes, slots)
            except (OSError, ValueError, RntsError) as error:
                self._attach_after_s = time.monotonic() + RETRY_S
                self._enabled = is_want(error)  # then records are counted meanwhile, as `no_lane`
                what = "records are lost while there is" if self._enabled else "telemetry is off:"
                self.complaints.note("segment", f"{what} no shared memory: {error}")
                return None
            self._segment.words[layout.HEADER_NO_LANE // 8] = self._records_without_lane
            self._untold = {**self._names, **self._untold}
        if self._segment is not None and (is_new or chooses):
            self._choose_emitter(self._segment)
        while self._segment is not None and self._untold:
            names, self._untold = self._untold, {}
            self._segment.append_names(names)
        return self._segment


PROCESS = Producer()  # the one of this process; it does nothing before its first use
os.register_at_fork(after_in_child=PROCESS.after_fork_in_child)
atexit.register(PROCESS.close)
