"""Another process's segment, as the agent sees it: validated, locked, mapped, never trusted."""

import fcntl
import hashlib
import mmap
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts import layout
from rnts.accounting import SICK
from rnts.bus_guard import BUS_GUARD
from rnts.errors import SegmentError
from rnts.kernels import lane as kernel
from rnts.kernels.reports import COUNT_MAX
from rnts.model import SLOT_BYTES
from rnts.runtime import boot_id, has_ended, watch_process
from rnts.segment import parse_names

_LANES_LIMIT = 4096
_SLOTS_LIMIT = 1 << 20
_PROCESS_LIMIT = 1 << 22  # the kernel's
_NAMES_CHUNK_BYTES = 1 << 18


def source_key(path: Path, lane: int) -> int:
    """The key of a segment's lane in accounts (-1: of the segment as a whole), signed int64."""
    text = f"{boot_id()}/{path.name}/{lane}".encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class AttachedSegment:
    """One segment with its owner's death watch.

    Raises SegmentError with a reason that can be counted as its first word: `truncated`, `foreign`,
    `version`, `locked` (another agent has it), `unreadable`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lanes_used = 0
        self.names_position = 0
        self.address = 0
        self._has_table = False
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise SegmentError(f"unreadable: {path}: {error.strerror}") from error
        try:
            self._lock()
            self._map()
            self.death_descriptor = watch_process(self.process, self.start_time)
        except BaseException as error:
            self._release()
            if isinstance(error, OSError | ValueError):  # no memory, no descriptors left, …
                raise SegmentError(f"unreadable: {path}: {error}") from error
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SegmentError(f"locked: {self.path} is drained by another agent") from error

    def _release(self) -> None:
        """Give lock and file back; a mapping has its own descriptor and would keep the lock."""
        BUS_GUARD.release(self.address)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def _map(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size < layout.HEADER_BYTES:
            raise SegmentError(f"truncated: {self.path} has {size} bytes, no whole header")
        header = np.frombuffer(os.pread(self._descriptor, layout.HEADER_BYTES, 0), np.int64)
        if header[layout.HEADER_MAGIC // 8] != layout.MAGIC:
            raise SegmentError(f"foreign: {self.path} is no segment of RNTS")
        abi = int(header[layout.HEADER_ABI // 8])
        if abi != layout.ABI or header[layout.HEADER_SLOT_BYTES // 8] != SLOT_BYTES:
            raise SegmentError(f"version: {self.path} has ABI {abi}; this agent knows {layout.ABI}")
        self.lanes = int(header[layout.HEADER_LANES // 8])
        self.lane_slots = int(header[layout.HEADER_LANE_SLOTS // 8])
        self.process = int(header[layout.HEADER_PID // 8])
        self.start_time = int(header[layout.HEADER_START_TIME // 8])
        slots = self.lane_slots
        if not 0 < self.process <= _PROCESS_LIMIT:
            raise SegmentError(f"foreign: {self.path} names no process but {self.process}")
        if not 0 < self.lanes <= _LANES_LIMIT or not 0 < slots <= _SLOTS_LIMIT or slots & slots - 1:
            raise SegmentError(f"foreign: {self.path} says {self.lanes} lanes of {slots} slots")
        self.mapped_bytes = layout.segment_bytes(self.lanes, slots)
        if size == layout.data_offset(self.lanes):  # an agent died in `free_slots`
            os.ftruncate(self._descriptor, self.mapped_bytes)
        elif size < self.mapped_bytes:
            raise SegmentError(f"truncated: {self.path}: {size} of {self.mapped_bytes} bytes")
        if header[layout.HEADER_BOOT_ID // 8].view(np.uint64) != boot_id():
            raise SegmentError(f"foreign: {self.path} is of another boot or container")
        buffer = mmap.mmap(self._descriptor, self.mapped_bytes)
        self.words: NDArray[np.int64] = np.frombuffer(buffer, np.int64)
        self.address = int(self.words.ctypes.data)
        BUS_GUARD.protect(self.address, self.mapped_bytes)

    @property
    def is_owner_dead(self) -> bool:
        """Whether the process is gone, and with it all its threads."""
        return has_ended(self.death_descriptor)

    def new_lanes(self) -> NDArray[np.int64]:
        """Rows, int64[n, LANE_COLUMNS], of lanes that came into use since the last call."""
        used = min(int(self.words[layout.HEADER_LANES_USED // 8]), self.lanes)
        rows = [self._lane_row(lane) for lane in range(self.lanes_used, used)]
        self.lanes_used = max(used, self.lanes_used)
        return np.array(rows, np.int64).reshape(len(rows), kernel.LANE_COLUMNS)

    def _lane_row(self, lane: int) -> list[int]:
        """Where a lane lies, and where a former agent stopped in it; sick if that cannot be."""
        offset = layout.lane_offset(lane)
        head = int(self.words[(offset + layout.LANE_HEAD) // 8])
        delivered = corrupt = active = 0
        can_be = False  # one of the two notes is true at any moment
        for note, start in enumerate(layout.LANE_NOTES):
            at, records, bad = (int(v) for v in self.words[(offset + start) // 8 :][:3])
            if at == head:
                delivered, corrupt, active = records, bad, note
                can_be = records >= 0 and bad >= 0 and records + bad <= head < COUNT_MAX
        if not can_be:
            delivered = corrupt = 0
        state = self.words[(offset + layout.LANE_STATE) // 8]
        was_put_aside = state == layout.STATE_QUARANTINED
        row = [0] * kernel.LANE_COLUMNS
        row[kernel.CONTROL] = self.address + offset
        row[kernel.SLOTS] = self.address + layout.slots_offset(lane, self.lanes, self.lane_slots)
        row[kernel.MASK] = self.lane_slots - 1
        row[kernel.POSITION] = head
        row[kernel.DELIVERED] = delivered
        row[kernel.CORRUPT] = corrupt
        row[kernel.NOTE] = 1 - active
        row[kernel.RINGS] = self.address + layout.HEADER_RINGS
        if was_put_aside or not can_be:
            row[kernel.SICK] = SICK["before" if was_put_aside else "positions"]
        return row

    def quarantine(self, control: int) -> int:
        """Mark the lane whose control block is at `control`, for good; its number."""
        self.words[(control - self.address + layout.LANE_STATE) // 8] = layout.STATE_QUARANTINED
        return (control - self.address - layout.HEADER_BYTES) // layout.LANE_BYTES

    def no_lane_count(self) -> int:
        """Records that found no lane."""
        return int(self.words[layout.HEADER_NO_LANE // 8])

    def new_names(self) -> list[tuple[int, bytes]]:
        """The next names of the log, as (neuron id, strings); at most a chunk, empty at the end."""
        published = min(int(self.words[layout.HEADER_NAMES_BYTES // 8]), layout.NAMES_BYTES_MAX)
        length = min(published - self.names_position, _NAMES_CHUNK_BYTES)
        if length <= 0:
            return []
        raw = os.pread(self._descriptor, length, self.mapped_bytes + self.names_position)
        names, used = parse_names(raw)
        # An entry is never longer than a chunk: bytes that hold none are no log.
        self.names_position = self.names_position + used if used else published
        return names

    def mark_seen(self) -> None:
        """Tell the owner that an agent is there."""
        self.words[layout.HEADER_AGENT_SEEN_NS // 8] = time.time_ns()

    def reserve_table(self) -> bool:
        """Have memory for what the owner's threads know of neurons while samples are left out.

        Without it a store there would end the owner, where shared memory is full.
        """
        if not self._has_table:
            place = layout.table_offset(self.lanes, self.lane_slots)
            try:
                os.posix_fallocate(self._descriptor, place, layout.TABLE_BYTES)
            except OSError:
                return False
            self._has_table = True
        return True

    def free_slots(self) -> None:
        """Give back the memory of the lanes of a dead owner; their counters stay readable."""
        os.ftruncate(self._descriptor, layout.data_offset(self.lanes))
        os.ftruncate(self._descriptor, self.mapped_bytes)

    def detach(self) -> None:
        """Let go of the segment; its file stays."""
        if self.death_descriptor >= 0:
            os.close(self.death_descriptor)
        del self.words
        self._release()
