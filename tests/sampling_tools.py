"""A lane whose rates a test sets, and the ways to report a sample into it."""

from pathlib import Path
from typing import Any

import numpy as np
from capture_tools import Seen, Taker
from numba import njit
from numpy.typing import NDArray

from rnts import jit, layout
from rnts.batch import write_batch
from rnts.identities import class_of
from rnts.producer import Producer

KINDS = ("builtin", "njit", "packed", "python", "python rows")
NEURON = 1 << 63 | 7
SLOTS = 1 << 13


@njit(nogil=True)
def record_sample(lane, neuron_id, depth, importance):
    """A sample from compiled code."""
    return jit.record(lane, neuron_id, 1, queue_depth=depth, importance=importance)


@njit(nogil=True)
def _record_health(lane, neuron_id, depth, importance, health):
    return jit.record(lane, neuron_id, 1, queue_depth=depth, importance=importance, health=health)


@njit(nogil=True)
def _record_weight(lane, neuron_id, depth, importance, weight):
    return jit.record(lane, neuron_id, 1, queue_depth=depth, importance=importance, weight=weight)


def lane_block() -> tuple[int, NDArray[np.int64]]:
    """The address of a lane without slots, and its words: block, then table."""
    block = np.zeros((layout.LANE_BYTES + layout.TABLE_BYTES) // 8 + 8, np.int64)
    start = int(block.ctypes.data)
    lane = -(-start // 64) * 64
    words = block[(lane - start) // 8 :]
    words[layout.LANE_TABLE_DELTA // 8] = layout.LANE_BYTES
    return lane, words


class Bench:
    """A producer with one lane, and an emitter: of KINDS."""

    def __init__(self, folder: Path, kind: str, lane_slots: int = SLOTS) -> None:
        self.kind = kind
        self.producer = Producer(4, lane_slots)
        self.producer.attach(jit=kind in ("builtin", "packed"))
        self._neurons: dict[tuple[int, str], Any] = {}
        segment = self.producer.segment()
        assert segment is not None
        if kind == "njit":
            assert self.producer.claim_lane() is not None
        else:
            self.neuron(NEURON).record(queue_depth=0)
        self.words = np.frombuffer(segment.buffer, np.int64)
        self._control = layout.lane_offset(0) // 8
        self.taker = Taker(folder)
        self.taker.take()

    def close(self) -> None:
        """Let go of the segment."""
        self.taker.collector.close()
        self.producer.close(unlink=True)

    def neuron(self, neuron_id: int, importance: str = "normal") -> Any:
        """The handle of a neuron."""
        key = neuron_id, importance
        if key not in self._neurons:
            self._neurons[key] = self.producer.neuron(
                f"n{neuron_id}", neuron_id=neuron_id, importance=importance
            )
        return self._neurons[key]

    def set(self, *rates: float, generation: int = 1, epoch: int = 0) -> None:
        """Keep these shares of the three classes; 0 is as seldom as can be, 2^-32."""
        for i, rate in enumerate(rates):
            threshold = max(1, round(rate * 2**32))
            weight = np.float32(2**32 / threshold)
            word = 0 if rate == 1 else int(weight.view(np.uint32)) << 32 | threshold
            self.put(layout.LANE_RATES + 8 * i, word)
        self.put(layout.LANE_SWITCH, generation << 6 | epoch)

    def put(self, offset: int, value: int) -> None:
        """Write a word of the lane's block."""
        self.words[self._control + offset // 8] = np.uint64(value % 2**64).view(np.int64)

    def word(self, offset: int) -> int:
        """A word of the lane's block."""
        return int(self.words[self._control + offset // 8])

    def take(self) -> list[Seen]:
        """What has arrived since the last time."""
        return self.taker.take()

    def emit(self, depth: int = 0, neuron_id: int = NEURON, importance: str = "normal",
             **more: float) -> bool:  # fmt: skip
        """Report a sample, of a weight or a health if that is given; whether it was taken."""
        if self.kind in ("packed", "python rows"):
            types = {"neuron_id": "<u8", "queue_depth": "<u4", "health": "u1", "weight": "<f4"}
            given = {"neuron_id": neuron_id, "queue_depth": depth, **more}
            row = np.zeros(1, [(name, types[name]) for name in given])
            for name, value in given.items():
                row[name] = value
            return write_batch(self.producer, row) == 1
        if self.kind == "njit":
            lane = int(self.words.ctypes.data) + layout.lane_offset(0)
            words = lane, np.uint64(neuron_id).view(np.int64), depth, class_of(importance)
            if "health" in more:
                return bool(_record_health(*words, int(more["health"])))
            if "weight" in more:
                return bool(_record_weight(*words, more["weight"]))
            return bool(record_sample(*words))
        return bool(self.neuron(neuron_id, importance).record(queue_depth=depth, **more))
