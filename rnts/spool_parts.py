"""What a spool is made of: its limits, its segments, and the state of the life it belongs to."""

import struct
import zlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

STATE = "state"
_STATE = struct.Struct("<4sIQQQI")  # magic, version, agent, incarnation, committed, bytes of rows
_STATE_MAGIC, _STATE_VERSION = b"RSST", 1


@dataclass(frozen=True)
class SpoolLimits:
    """What bounds a spool. `sync`: "none", or wait for the disk after each "segment" or "entry"."""

    bytes_max: int
    segment_bytes: int
    sync: Literal["none", "segment", "entry"] = "none"


class Budget:
    """The bytes that the spools of all lives of an agent take together."""

    def __init__(self) -> None:
        self.used = 0


class Place(NamedTuple):
    """Where a payload lies."""

    segment: int
    offset: int
    size: int
    crc: int


@dataclass(slots=True)
class Segment:
    """What is known of a segment in memory."""

    number: int
    data_bytes: int = 0
    index_bytes: int = 0
    first: int = 0  # the lowest number in it, and the highest
    last: int = 0
    needed: int = 0  # payloads that are

    @property
    def data(self) -> str:
        """The name of the file with payloads."""
        return f"{self.number:08d}.data"

    @property
    def index(self) -> str:
        """The name of the file without."""
        return f"{self.number:08d}.index"

    @property
    def size_bytes(self) -> int:
        """What both take."""
        return self.data_bytes + self.index_bytes

    def note(self, first: int, last: int) -> None:
        """It holds these numbers, too."""
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)


class State(NamedTuple):
    """Whose life it is, what of it is committed, and the rows of its sources as of then."""

    agent_id: int
    incarnation: int
    committed: int
    rows: bytes

    def pack(self) -> bytes:
        """The bytes of the file."""
        magic, version, rows = _STATE_MAGIC, _STATE_VERSION, self.rows
        head = _STATE.pack(magic, version, *self[:3], len(rows))
        return b"".join((head, rows, struct.pack("<I", zlib.crc32(rows, zlib.crc32(head)))))


def read_state(raw: bytes) -> State | None:
    """The state in some bytes; None where they are damaged."""
    if len(raw) < _STATE.size + 4:
        return None
    magic, version, agent_id, incarnation, committed, size = _STATE.unpack_from(raw)
    (crc,) = struct.unpack_from("<I", raw, len(raw) - 4)
    is_whole = len(raw) == _STATE.size + size + 4 and zlib.crc32(raw[:-4]) == crc
    if not is_whole or (magic, version) != (_STATE_MAGIC, _STATE_VERSION):
        return None
    return State(agent_id, incarnation, committed, raw[_STATE.size : -4])
