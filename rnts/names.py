"""Names of neurons on their way from the segments' logs into frames."""

import struct
import time

import numpy as np
from numpy.typing import NDArray

from rnts.collector import Collector
from rnts.model import SLOT_BYTES, SLOT_WORDS, SLOTS_MAX, STRINGS_MAX, TEXT_BYTES_MAX, Kind

_FIRST_SLOT = struct.Struct("<BBHIQQ104x")
_NAME_BYTES_MAX = STRINGS_MAX * (1 + TEXT_BYTES_MAX)
_BATCH = 4096  # names in one frame: a few milliseconds of work
_NONE: NDArray[np.int64] = np.zeros((0, SLOT_WORDS), np.int64)


class NameFeed:
    """Reads the logs of all attached segments, and again for an aggregator that starts anew."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._pending: list[tuple[int, bytes]] = []

    @property
    def has_more(self) -> bool:
        """Whether names were read that no frame has carried."""
        return bool(self._pending)

    def start_over(self) -> None:
        """Read all logs again, for an aggregator that has heard nothing yet."""
        self._pending.clear()
        for segment in self._collector.segments:
            segment.names_position = 0
            self._collector.unread[segment] = None

    def next_slots(self, room: int) -> NDArray[np.int64]:
        """Some of the names as name records, int64[n, 16], in at most `room` slots."""
        self._collector.look()
        if len(self._pending) < _BATCH:
            for segment in list(self._collector.unread):
                names = segment.new_names()
                self._take(names)
                if not names:
                    del self._collector.unread[segment]
        count = min(_BATCH, room // SLOTS_MAX, len(self._pending))
        if not count:
            return _NONE
        taken, self._pending = self._pending[:count], self._pending[count:]
        now_ns = time.time_ns()
        raw = b"".join(_name_record(neuron_id, text, now_ns) for neuron_id, text in taken)
        return np.frombuffer(raw, np.int64).reshape(-1, SLOT_WORDS)

    def _take(self, names: list[tuple[int, bytes]]) -> None:
        """Put names to the pending ones; what no producer of ours writes is counted as `name`."""
        valid = [entry for entry in names if entry[0] and len(entry[1]) <= _NAME_BYTES_MAX]
        if len(valid) < len(names):
            self._collector.refused["name"] += len(names) - len(valid)
        self._pending += valid


def _name_record(neuron_id: int, strings: bytes, now_ns: int) -> bytes:
    """One name as slots."""
    more = -(-len(strings) // SLOT_BYTES)
    header = _FIRST_SLOT.pack(Kind.NAME, 1 + more, len(strings), 0, neuron_id, now_ns)
    return header + strings.ljust(more * SLOT_BYTES, b"\0")
