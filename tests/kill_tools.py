"""Lanes brought to a phase, emitters to step through, and what an agent makes of the remains."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from capture_tools import Seen, Taker
from numba import njit

import rnts
from rnts import jit, layout
from rnts.accounting import COLUMN, DROPS, SOURCE_FINAL
from rnts.model import FIELD, METRIC_NAMES, Kind
from rnts.producer import Producer
from rnts.segment import Segment
from rnts.writer import EVENT_FORMAT

NOBODY = 1 << 22  # the highest pid that a kernel may give, and does not
NEURON = 7
_TEXT = "text that needs slots of its own, as a long reason does. "
_FILES = iter(range(1 << 62))

Emit = Callable[[int], object]


@dataclass(frozen=True)
class Emitter:
    """One way to write a record: how to get hold of it, and what its record of a value is.

    `make(producer, segment)` is called once a segment, by the process that the child is a copy of.
    """

    make: Callable[[Producer, Segment], Emit]
    slots: int = 1
    values: Callable[[int], dict[str, Any]] = lambda value: dict.fromkeys(METRIC_NAMES, value)
    strings: Callable[[int], list[str]] = lambda value: []
    is_refused: bool = False  # the record is invalid: an attempt and a drop, whatever the lane has
    is_compiled: bool = False  # a hundred instructions, and not ten thousand

    def is_whole(self, seen: Seen, value: int) -> bool:
        """Whether this is the record of `value`, in all that it holds."""
        return (
            (seen.neuron_id, seen.values, seen.strings)
            == (NEURON, self.values(value), self.strings(value))
        ) and seen.time_ns == value


@njit(nogil=True)
def _record_compiled(lane, value):
    return jit.record(lane, 7, value, *_fourteen(value))


@njit(nogil=True)
def _fourteen(value):
    return (
        value, value, value, value, value, value, value, value, value, value, value, value, value,
        value,
    )  # fmt: skip


@njit(nogil=True)
def _record_invalid(lane, value):
    return jit.record(lane, 7, value, value, queue_depth=-1)


def _compiled(function: Any) -> Callable[[Producer, Segment], Emit]:
    def make(producer: Producer, segment: Segment) -> Emit:
        writer = producer.claim_lane()
        assert writer is not None
        words = np.frombuffer(segment.buffer, np.int64)
        lane = int(words.ctypes.data) + layout.lane_offset(writer.lane)
        function(0, 1)  # it is compiled, and loaded, before anybody counts instructions
        return lambda value: function(lane, value)

    return make


def _plain(producer: Producer, segment: Segment) -> Emit:
    producer.attach_thread()
    record = producer.neuron("n", neuron_id=NEURON).record
    return lambda value: record(*[value] * 14, timestamp_ns=value)


def _plain_invalid(producer: Producer, segment: Segment) -> Emit:
    producer.attach_thread()
    record = producer.neuron("n", neuron_id=NEURON).record

    def emit(value: int) -> None:
        with contextlib.suppress(OverflowError):
            record(value, queue_depth=-1, timestamp_ns=value)

    return emit


def _event(length: int) -> Callable[[Producer, Segment], Emit]:
    def make(producer: Producer, segment: Segment) -> Emit:
        producer.attach_thread()
        event = producer.neuron("n", neuron_id=NEURON).event
        return lambda value: event(
            rnts.ErrorOccurred(str(value), details=(_TEXT * 4)[:length]), timestamp_ns=value
        )

    return make


def _event_emitter(length: int) -> Emitter:
    return Emitter(
        make=_event(length),
        slots=1 + -(-(length + 1 + 2) // 128),
        values=lambda value: {"event_type": rnts.ErrorOccurred("").code},
        strings=lambda value: [str(value), (_TEXT * 4)[:length]],
    )


def _builtin(producer: Producer, segment: Segment) -> Emit:
    assert producer.attach(jit=True) == "compiled"
    producer.attach_thread()
    record = producer.neuron("n", neuron_id=NEURON).record
    return lambda value: record(*[value] * 14, timestamp_ns=value)


def _builtin_by_name(producer: Producer, segment: Segment) -> Emit:
    assert producer.attach(jit=True) == "compiled"
    producer.attach_thread()
    record = producer.neuron("n", neuron_id=NEURON).record
    return lambda value: record(queue_depth=value, cpu_usage_percent=value, timestamp_ns=value)


def _packed(producer: Producer, segment: Segment) -> Emit:
    assert producer.attach(jit=True) == "compiled"
    writer: Any = producer.attach_thread()
    mask, code = FIELD["event_type"].mask, rnts.ErrorOccurred("").code
    header = int(Kind.EVENT), mask, NEURON

    def emit(value: int) -> None:
        strings = str(value), (_TEXT * 4)[:200]
        writer.write(EVENT_FORMAT, (*header, value, 0.0, 0, code), strings)

    return emit


# One entry for each way to write a record.
EMITTERS = {
    "builtin": Emitter(_builtin, is_compiled=True),
    "builtin, by name": Emitter(
        _builtin_by_name,
        values=lambda value: {"queue_depth": value, "cpu_usage_percent": value},
        is_compiled=True,
    ),
    "packed, 3 slots": replace(_event_emitter(200), make=_packed),
    "njit": Emitter(_compiled(_record_compiled), is_compiled=True),
    "njit, invalid": Emitter(_compiled(_record_invalid), is_refused=True, is_compiled=True),
    "struct": Emitter(_plain),
    "struct, invalid": Emitter(_plain_invalid, is_refused=True),
    "struct, 2 slots": _event_emitter(100),
    "struct, 3 slots": _event_emitter(200),
}


@dataclass
class Prepared:
    """A lane in some phase, and the emitter that is to make the record `value` in it."""

    emitter: Emitter
    emit: Emit
    segment: Segment
    folder: Path
    waiting: list[int]  # values of the records in the lane
    value: int

    def image(self) -> bytes:
        """The segment's bytes at this moment."""
        return self.segment.buffer[: self.segment.size]

    def lanes(self) -> bytes:
        """What records and their accounts are written to; behind it lies the table of neurons."""
        return self.segment.buffer[: layout.table_offset(1, self.segment.lane_slots)]

    def attempts_address(self) -> int:
        """Where the word is that every emitter writes first."""
        words = np.frombuffer(self.segment.words, np.int64)
        return words.ctypes.data + layout.lane_offset(0) + layout.LANE_ATTEMPTS

    def restore(self, image: bytes) -> None:
        """Undo what a child did."""
        self.segment.buffer[: self.segment.size] = image


@functools.cache
def _warm_up(emitter: Emitter) -> None:
    """Let the interpreter get used to an emitter, so that each call takes the same instructions."""
    producer = Producer(1, 8)
    segment = producer.segment()
    assert segment is not None
    emit = emitter.make(producer, segment)
    for value in range(1, 100):
        emit(value)
    producer.close(unlink=True)
    os.close(segment.descriptor)


@contextmanager
def prepared(
    emitter: Emitter, lane_slots: int, taken: int, waiting: int, folder: Path
) -> Iterator[Prepared]:
    """A lane from which `taken` records were drained and in which `waiting` more are."""
    _warm_up(emitter)
    producer = Producer(1, lane_slots)
    segment = producer.segment()
    assert segment is not None
    segment.words[layout.HEADER_PID // 8] = NOBODY
    try:
        emit = emitter.make(producer, segment)
        taker = Taker(segment.path.parent)
        for value in range(1, taken + 1):
            emit(value)
            taker.take()
        values = list(range(taken + 1, taken + waiting + 1))
        for value in values:
            emit(value)
        taker.collector.close()
        held = [] if emitter.is_refused else values
        yield Prepared(emitter, emit, segment, folder, held, taken + waiting + 1)
    finally:
        producer.close(unlink=True)
        os.close(segment.descriptor)


@dataclass(frozen=True)
class Remains:
    """What an agent finds in a segment whose owner and whose agent are gone."""

    records: list[Seen]
    row: dict[str, int]  # the lane's last one


def drain_remains(image: bytes, folder: Path) -> Remains:
    """Give a file of these bytes to a new agent, which drains it and frees it."""
    path = folder / f"remains-{next(_FILES)}.seg"
    path.write_bytes(image)
    taker = Taker(folder)
    records = taker.take()
    [row] = taker.collector.reap()
    assert not taker.collector.segments and not path.exists()
    taker.collector.close()
    found = dict(zip(COLUMN, row.tolist(), strict=True))
    drops = sum(found[reason] for reason in DROPS if reason in found)
    assert found["flags"] == SOURCE_FINAL
    assert found["attempts"] == found["delivered"] + drops
    assert found["torn"] in (0, 1)
    return Remains(records, found)


def is_under_way(image: bytes, before: bytes) -> bool:
    """Whether the attempt stands in the lane, and neither its publication nor its drop."""

    def counters(raw: bytes) -> tuple[int, int, int]:
        words = np.frombuffer(raw, np.int64, layout.LANE_BYTES // 8, layout.lane_offset(0))
        drops = sum(int(words[offset // 8]) for offset in layout.LANE_DROP.values())
        return int(words[layout.LANE_ATTEMPTS // 8]), int(words[layout.LANE_TAIL // 8]), drops

    attempts, tail, drops = counters(before)
    return counters(image) == (attempts + 1, tail, drops)
