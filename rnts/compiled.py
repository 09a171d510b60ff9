"""The compiled emitter of a process: builtins that write one lane for all of its threads.

CPython calls `Neuron.record` as it calls `list.append`: as a method of the type that is a C
function. Under the GIL it runs undivided once its arguments are converted, so the threads need no
lane each; where there is no GIL, or no Numba, `rnts/writer.py` serves.
"""

import ctypes
import struct
import sys
from array import array
from collections.abc import Callable, Iterable
from typing import Any

from rnts import layout
from rnts.builtins import (
    BYTES_OFFSET,
    PROOFS,
    CompiledActivation,
    CompiledNeuron,
    expected,
    prepared,
)
from rnts.emitter import record_values
from rnts.kernels import builtin
from rnts.misuse import RECORD_ARGUMENTS, plain_time, plain_values
from rnts.model import SLOT_BYTES, SLOTS_MAX
from rnts.neuron import Neuron
from rnts.plain_sampling import NORMAL
from rnts.segment import Segment
from rnts.text import join_strings

# Of a neuron: its id, the addresses of its emitter and its count, and its class of importance.
_WORDS = struct.Struct("=QQQQ")
_NAMES = [sys.intern(name) for name in (*RECORD_ARGUMENTS, "timestamp_ns")]
_kept: list[Any] = []  # what compiled code points to, for the life of the process


class _AllThreads:
    """What stands in the place of a producer's thread-local data: the same for each thread.

    It has no attribute `lane`, so neurons that were made before come by and are adopted.
    """

    def __init__(self, writer: "CompiledEmitter") -> None:
        self.writer = writer


class CompiledEmitter:
    """One producer's lane for all threads; it does for other records what a LaneWriter does.

    `attach(records)` is called where there is no lane: it opens this emitter, or counts them.
    """

    is_compiled = True

    def __init__(self, attach: Callable[[int], object]) -> None:
        self.record, self.finish = prepared("record"), prepared("finish")
        self._refuse, self._append = prepared("refuse"), prepared("append")
        self.local = _AllThreads(self)
        self._attach = attach
        self._words = array("Q", bytes(8 * (builtin.KEYWORDS + len(_NAMES))))
        self._address = self._words.buffer_info()[0]
        self._words[builtin.FALLBACK] = id(_record_again)
        self._words[builtin.FINISH] = id(_finish_again)
        self._words[builtin.NONE] = id(None)
        self._words[builtin.ACTIVATION] = id(CompiledActivation)
        self._words[builtin.FLOAT], self._words[builtin.INT] = id(float), id(int)
        for i, name in enumerate(_NAMES):
            self._words[builtin.KEYWORDS + i] = id(name)
        self._segment: Segment | None = None
        self._counts: dict[int, array[int]] = {}  # by neuron, of one word each
        _kept.append((self._words, self._counts))  # neurons know addresses, and may outlive us
        self._prove()

    def _prove(self) -> None:
        """Have the builtin write records into memory of ours, and look at them.

        Raises RuntimeError where they are not what they should be: in a Python whose objects look
        different, a program gets the emitter in Python and not wrong numbers.
        """
        lane = array("Q", bytes(layout.LANE_BYTES + len(PROOFS) * SLOT_BYTES))
        lane[layout.LANE_DATA_DELTA // 8] = layout.LANE_BYTES
        lane[layout.LANE_SLOT_MASK // 8] = len(PROOFS) - 1
        neuron = CompiledNeuron.__new__(CompiledNeuron)
        neuron.id, neuron.importance = 1 << 63 | 5, NORMAL
        self.adopt(neuron)
        self._words[builtin.LANE] = lane.buffer_info()[0]
        for values in PROOFS:
            self.record(neuron, *values, timestamp_ns=7)
        self._words[builtin.LANE] = 0
        if lane.tobytes()[layout.LANE_BYTES :] != expected(neuron.id, 7):
            raise RuntimeError("the builtin does not write what it should in this Python")

    def open(self, segment: Segment, lane: int) -> None:
        """Write to a lane from now on."""
        base = ctypes.addressof(ctypes.c_char.from_buffer(segment.buffer))
        self._segment = segment  # its mapping must stay while the lane is known
        self._words[builtin.LANE] = base + layout.lane_offset(lane)

    def close(self, for_good: bool) -> None:
        """Write no more; `for_good`: neither ask for another lane."""
        self._words[builtin.LANE] = 0
        if for_good:
            self._words[builtin.FALLBACK] = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a lane."""
        return self._words[builtin.LANE] != 0

    def adopt(self, neuron: Neuron) -> None:
        """Make a neuron one of ours."""
        neuron._words = _WORDS.pack(
            neuron.id, self._address, self._count_of(neuron.id), neuron.importance
        )
        if type(neuron) is Neuron:
            neuron.__class__ = CompiledNeuron

    def _count_of(self, neuron_id: int) -> int:
        """Address of a neuron's count of activations, which all of its handles share."""
        return self._counts.setdefault(neuron_id, array("Q", (0,))).buffer_info()[0]

    def write(
        self, record: struct.Struct, values: tuple[Any, ...], strings: Iterable[Any] = ()
    ) -> bool:
        """Write one record of any kind, as LaneWriter.write does."""
        try:
            text = join_strings(*map(str, strings)) if strings else b""
            slots = 1 + -(-len(text) // SLOT_BYTES)
            if slots > SLOTS_MAX:
                return self.refuse("too_big")
            kind, *rest = values
            made = record.pack(kind, slots, len(text), *rest)
            padded = (
                made + bytes(SLOT_BYTES - len(made)) + text.ljust((slots - 1) * SLOT_BYTES, b"\0")
            )
            return self._take(slots, 1, id(padded) + BYTES_OFFSET) == 1
        except Exception:  # noqa: BLE001 - also what an argument's own __index__ raises
            return self.refuse("invalid")

    def write_slots(self, rows: Any) -> int:
        """Write single-slot records given as a contiguous int64 array [n, 16]; how many fitted."""
        return self._take(1, len(rows), rows.ctypes.data)

    def _take(self, slots: int, records: int, address: int) -> int:
        """Write records that lie at an address; how many fitted, none where there is no lane."""
        taken: int = self._append(self._address, slots, records, address)
        if taken < 0:
            self._attach(records)
            taken = self._append(self._address, slots, records, address)
        return max(0, taken)

    def refuse(self, reason: str, count: int = 1) -> bool:
        """Count records that are not even begun."""
        if not self.is_open:
            self._attach(count)
        self._refuse(self._address, layout.LANE_DROP[reason], count)
        return False


def _record_again(neuron: Any, *arguments: Any, **keywords: Any) -> bool:
    """Do what the builtin leaves to Python: get a lane, make arguments plain, explain misuse."""
    emitter = neuron._producer.attach_thread()
    if emitter is None or not emitter.is_compiled or not emitter.is_open:
        return False
    values, timestamp_ns = record_values(*arguments, **keywords)
    try:
        plain, time_ns = plain_values(values), plain_time(timestamp_ns)
    except Exception:
        emitter.refuse("invalid")
        raise
    return bool(emitter.record(neuron, *plain, timestamp_ns=time_ns))


def _finish_again(neuron: Any, start_ns: int) -> bool:
    """Get a lane, and finish the activation."""
    emitter = neuron._producer.attach_thread()
    if emitter is None or not emitter.is_compiled or not emitter.is_open:
        return False
    return bool(emitter.finish(neuron, start_ns))
