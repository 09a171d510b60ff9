"""A process's segment of shared memory, as its owner makes and fills it."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
import sys
import time
from itertools import islice

from rnts import layout
from rnts.fence import Fence
from rnts.model import SLOT_BYTES
from rnts.runtime import (
    SEGMENT_SUFFIX,
    agent_seen_ns,
    boot_id,
    lane_slots_wanted,
    process_start_time,
)

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from pathlib import Path

LANE_SLOTS_DEFAULT, LANE_SLOTS_MIN, LANE_SLOTS_MAX = 16_384, 64, 1 << 20
_NAME_HEADER = struct.Struct("<HQ")
RETRY_S = 1.0  # when to look again for what was wanting
_WANT = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_NAMES_AT_ONCE = 4096  # in one write
_AGENT_AWAY_NS = 10_000_000_000  # an agent that was seen within this will fetch what we leave
_kept: list[Segment] = []  # see `Segment.is_taken`


class Segment:
    """The file, its mapping and its words; made once a process, never shared between two.

    `words` is a memoryview of 64-bit words: an assignment is one aligned 8-byte store. Space for
    the header and for each lane is reserved before it is touched, so that a full /dev/shm is an
    OSError here and not a SIGBUS in the application.
    """

    def __init__(self, folder: str | Path, lanes: int, lane_slots: int) -> None:
        self._fence = Fence()
        pid = os.getpid()
        start_time = process_start_time(pid) or 0
        self.lanes, self.lane_slots = lanes, lane_slots
        self.place, self.descriptor = _create_file(folder, f"{pid}-{start_time}")
        self._identity = _identity(self.descriptor)
        try:
            self.size = layout.segment_bytes(lanes, lane_slots)
            os.fchmod(self.descriptor, 0o600)  # whatever the umask: the agent has to open it
            os.ftruncate(self.descriptor, self.size)
            os.posix_fallocate(self.descriptor, 0, layout.data_offset(lanes))
            self.buffer = mmap.mmap(self.descriptor, self.size)
        except BaseException:
            os.close(self.descriptor)
            self.unlink()
            raise
        self.words = memoryview(self.buffer).cast("Q")
        for offset, value in (
            (layout.HEADER_ABI, layout.ABI),
            (layout.HEADER_SLOT_BYTES, SLOT_BYTES),
            (layout.HEADER_PID, pid),
            (layout.HEADER_START_TIME, start_time),
            (layout.HEADER_BOOT_ID, boot_id()),
            (layout.HEADER_LANES, lanes),
            (layout.HEADER_LANE_SLOTS, lane_slots),
        ):
            self.words[offset // 8] = value
        self._fence.order_stores()
        self.words[layout.HEADER_MAGIC // 8] = layout.MAGIC  # a file without it is not ready

    @property
    def path(self) -> Path:
        """Where the file is, for who has use for a Path; `place` is the same as a string."""
        from pathlib import Path

        return Path(self.place)

    def is_taken(self) -> bool:
        """Whether the program has closed our descriptor, as daemons close all that they inherit.

        Its number may be that of a file of the program's by now, and so may the one that the
        mapping has for itself: that closes it at its end, and so is kept for good.
        """
        if _identity(self.descriptor) == self._identity:
            return False
        if self not in _kept:
            _kept.append(self)
        return True

    def file(self) -> int:
        """A descriptor of the file, opened again where ours was closed; raises OSError."""
        if self.is_taken():
            self.descriptor = os.open(self.place, os.O_RDWR | os.O_CLOEXEC)
            if self.is_taken():
                raise FileNotFoundError(errno.ENOENT, f"{self.place} was replaced")
        return self.descriptor

    def claim_lane(self, thread: int) -> int | None:
        """Make the next lane ready for its first owner; None when all are in use."""
        lane = self.words[layout.HEADER_LANES_USED // 8]
        if lane >= self.lanes:
            return None
        self._open_lane(lane, thread)
        self._fence.order_stores()
        self.words[layout.HEADER_LANES_USED // 8] = lane + 1
        return lane

    def _open_lane(self, lane: int, thread: int) -> None:
        control = layout.lane_offset(lane)
        slots = layout.slots_offset(lane, self.lanes, self.lane_slots)
        os.posix_fallocate(self.file(), slots, self.lane_slots * SLOT_BYTES)
        self.words[(control + layout.LANE_DATA_DELTA) // 8] = slots - control
        self.words[(control + layout.LANE_SLOT_MASK) // 8] = self.lane_slots - 1
        table = layout.table_offset(self.lanes, self.lane_slots)
        self.words[(control + layout.LANE_TABLE_DELTA) // 8] = table - control
        seed = int.from_bytes(os.urandom(8), "little")  # that lanes do not all keep the same
        self.words[(control + layout.LANE_RANDOM) // 8] = seed
        self.words[(control + layout.LANE_THREAD) // 8] = thread
        self.words[(control + layout.LANE_STATE) // 8] = layout.STATE_ACTIVE

    def append_names(self, names: dict[int, bytes]) -> None:
        """Append to the log of names; what the log or the memory has no room for is counted."""
        length = self.words[layout.HEADER_NAMES_BYTES // 8]
        items = iter(names.items())
        while piece := list(islice(items, _NAMES_AT_ONCE)):
            raw = b"".join(_NAME_HEADER.pack(len(text), key) + text for key, text in piece)
            if not self._append(raw, length):
                self.words[layout.HEADER_NAMES_REFUSED // 8] += len(piece)
                continue
            length += len(raw)
            self.words[layout.HEADER_NAMES_BYTES // 8] = length

    def _append(self, raw: bytes, length: int) -> bool:
        """Write behind what is published; whether all of it found room."""
        if length + len(raw) > layout.NAMES_BYTES_MAX:
            return False
        try:
            return os.pwrite(self.file(), raw, self.size + length) == len(raw)
        except OSError:
            return False

    def agent_seen_ns(self) -> int:
        """When an agent was last here, or in this folder: a life may be over before it comes."""
        here_ns = self.words[layout.HEADER_AGENT_SEEN_NS // 8]
        return max(here_ns, agent_seen_ns(os.path.dirname(self.place)))

    def leave(self, unlink: bool) -> None:
        """The program is done with it: the file is left to an agent, or removed without one."""
        self.is_taken()
        if unlink or time.time_ns() - self.agent_seen_ns() > _AGENT_AWAY_NS:
            self.unlink()

    def unlink(self) -> None:
        """Remove the file; mappings go on until their owners let go."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.place)


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Which file an open descriptor is of; None where it is of none."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def lane_slots_in(folder: str) -> int:
    """Slots of a lane: as many as the agent of a folder asks for, within reason."""
    wanted = lane_slots_wanted(folder) or LANE_SLOTS_DEFAULT
    return layout.power_of_two(min(max(wanted, LANE_SLOTS_MIN), LANE_SLOTS_MAX))


def is_want(error: Exception) -> bool:
    """Whether a segment could not be made for want of memory or descriptors, which may pass."""
    return isinstance(error, OSError) and error.errno in _WANT


def _create_file(folder: str | Path, stem: str) -> tuple[str, int]:
    """Create a new file; a process that has called exec() may have left one under its name."""
    for attempt in range(1000):
        path = os.path.join(folder, f"{stem}-{attempt}{SEGMENT_SUFFIX}")
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return path, os.open(path, flags, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder} already holds 1000 segments of this process")


def parse_names(raw: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The whole entries of a piece of a log of names, and how many bytes they took."""
    names, position = [], 0
    while position + _NAME_HEADER.size <= len(raw):
        length, neuron_id = _NAME_HEADER.unpack_from(raw, position)
        end = position + _NAME_HEADER.size + length
        if end > len(raw):
            break
        names.append((neuron_id, raw[position + _NAME_HEADER.size : end]))
        position = end
    return names, position


IS_SUPPORTED = sys.platform == "linux" and sys.byteorder == "little"
