"""What the tests of the capture plane share: lanes read from outside, records taken apart."""

import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts import layout
from rnts.accounting import LANE_DROPS
from rnts.collector import Collector
from rnts.model import FIELDS, SLOT_BYTES, Kind, Storage
from rnts.producer import Producer
from rnts.segment import Segment
from rnts.text import split_strings

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Seen:
    """One record, as a reader of its slots understands it."""

    kind: Kind
    neuron_id: int
    time_ns: int
    values: dict[str, int | float]
    strings: list[str]


def decode(slots: NDArray[np.int64]) -> list[Seen]:
    """Take whole records apart, slot by slot, by what the model says."""
    seen, row = [], 0
    while row < len(slots):
        words = [int(word) % 2**64 for word in slots[row]]
        count, text_bytes = words[0] >> 8 & 0xFF, words[0] >> 16 & 0xFFFF
        text = slots[row + 1 : row + count].tobytes()[:text_bytes]
        values = {f.name: stored(words, f) for f in FIELDS if words[0] >> 32 & f.mask}
        kind = Kind(words[0] & 0xFF)
        seen.append(Seen(kind, words[1], words[2], values, split_strings(text)))
        row += count
    return seen


def stored(words: list[int], field) -> int | float:
    """The value of one field in a slot's words."""
    bits = words[field.word] >> field.shift & (1 << field.storage.bits) - 1
    if field.storage is Storage.F64:
        return struct.unpack("<d", struct.pack("<Q", bits))[0]
    if field.storage is Storage.F32:
        return struct.unpack("<f", struct.pack("<I", bits))[0]
    return bits


@dataclass(frozen=True)
class Counters:
    """What stands in a lane's control block."""

    attempts: int
    tail: int
    head: int
    drops: dict[str, int]

    @property
    def dropped(self) -> int:
        """Drops of all reasons."""
        return sum(self.drops.values())


def read_lane(segment: Segment, lane: int = 0) -> Counters:
    """The counters of a lane of a segment of this process."""

    def word(offset: int) -> int:
        return int(segment.words[(layout.lane_offset(lane) + offset) // 8])

    drops = {reason: word(layout.LANE_DROP[reason]) for reason in LANE_DROPS}
    return Counters(
        attempts=word(layout.LANE_ATTEMPTS),
        tail=word(layout.LANE_TAIL),
        head=word(layout.LANE_HEAD),
        drops={reason: count for reason, count in drops.items() if count},
    )


@contextmanager
def producing(lanes: int = 4, lane_slots: int = 64) -> Iterator[tuple[Producer, Segment]]:
    """A producer of the test's own, with its segment."""
    producer = Producer(lanes, lane_slots)
    segment = producer.segment()
    assert segment is not None
    try:
        yield producer, segment
    finally:
        producer.close(unlink=True)
        os.close(segment.descriptor)


class Taker:
    """A collector with room for what it drains."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collector = Collector(lambda: [folder])
        self.room = np.zeros((1 << 15, SLOT_BYTES // 8), np.int64)

    def __del__(self) -> None:
        self.collector.close()

    def take(self) -> list[Seen]:
        """Attach what is new and take all that is there, while nobody adds to it."""
        records: list[Seen] = []
        while more := self.take_some(1 << 20):
            records += more
        return records

    def take_some(self, per_lane: int) -> list[Seen]:
        """Attach what is new and make one pass."""
        self.collector.discover()
        return decode(self.room[: self.collector.drain(self.room, 0, per_lane)])


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of a program in a process of its own, with this checkout's rnts."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
