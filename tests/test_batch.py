"""Batches of samples: the same slots as one by one, and every row counted."""

import contextlib
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_tools import Counters, Taker, producing, read_lane
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnts import layout
from rnts.batch import write_batch
from rnts.model import FIELD, METRIC_NAMES, SLOT_BYTES
from rnts.segment import Segment

NAMES = (*METRIC_NAMES, "health", "weight")
INTEGERS = ("u1", "i2", "u4", "i8", "u8")


def column(draw: st.DrawFn, name: str, rows: int) -> tuple[str, list[Any]]:
    """A type and values for one field: those that fit, and some that do not."""
    if FIELD[name].storage.is_float:
        kind = draw(st.sampled_from(["f4", "f8"]))
        values = st.floats(width=32 if kind == "f4" else 64)
    elif draw(st.integers(0, 4)) == 0:
        kind = "f8"
        whole = st.integers(-2, 2**53).map(float)
        values = st.one_of(whole, st.sampled_from([math.nan, math.inf, 2.0**32, 2.0**64]))
    else:
        kind = draw(st.sampled_from(INTEGERS))
        limits = np.iinfo(kind)
        values = st.integers(int(limits.min), int(limits.max))
    return kind, draw(st.lists(values, min_size=rows, max_size=rows))


@st.composite
def tables(draw: st.DrawFn) -> NDArray[Any]:
    """A structured array with some of the fields."""
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    columns = {name: column(draw, name, rows) for name in names}
    types = [("neuron_id", "u8"), ("timestamp_ns", "u8")]
    table = np.zeros(rows, types + [(name, kind) for name, (kind, _) in columns.items()])
    table["neuron_id"] = draw(st.lists(st.integers(1, 2**64 - 1), min_size=rows, max_size=rows))
    table["timestamp_ns"] = np.arange(1, rows + 1)
    for name, (_, values) in columns.items():
        table[name] = values
    return table


def slots_of(segment: Segment, count: int) -> bytes:
    """The bytes of the first slots of the first lane."""
    start = layout.slots_offset(0, segment.lanes, segment.lane_slots)
    return segment.buffer[start : start + count * SLOT_BYTES]


@given(table=tables())
def test_a_batch_is_its_rows_one_by_one(table: NDArray[Any]) -> None:
    """Rows leave the bytes and the counters that `record` leaves, value by value."""
    with producing() as (alone, one), producing() as (together, other):
        for row in table:
            values = {}
            for name in table.dtype.names[2:]:
                value = row[name].item()
                if isinstance(value, float) and not FIELD[name].storage.is_float:
                    value = int(value) if math.isfinite(value) else value
                if not (isinstance(value, float) and math.isnan(value)):
                    values[name] = value
            neuron = alone.neuron("n", neuron_id=int(row["neuron_id"]))
            with contextlib.suppress(TypeError, OverflowError):
                neuron.record(**values, timestamp_ns=int(row["timestamp_ns"]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            taken = write_batch(together, table)

        assert read_lane(other) == (read_lane(one) if len(table) else Counters(0, 0, 0, {}))
        assert taken == read_lane(other).tail
        assert slots_of(other, taken) == slots_of(one, taken)


def make(rows: int, **columns: Any) -> NDArray[Any]:
    """A table of that many rows."""
    table = np.zeros(
        rows, [("neuron_id", "u8"), *((n, np.asarray(v).dtype) for n, v in columns.items())]
    )
    table["neuron_id"] = 7
    for name, values in columns.items():
        table[name] = values
    return table


def test_what_has_no_room_is_dropped_and_counted() -> None:
    """A batch larger than the lane leaves its first rows, and counts the others."""
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        assert write_batch(producer, make(10, queue_depth=range(10))) == 10
        assert write_batch(producer, make(10, queue_depth=range(10))) == 6
        assert write_batch(producer, make(10, queue_depth=range(10))) == 0
        assert read_lane(segment) == Counters(30, 16, 0, {"lane_full": 14})


@pytest.mark.parametrize(
    ("array", "count"),
    [
        (None, 1),
        ([1, 2], 1),
        (np.zeros(3), 1),
        (np.array(3), 1),
        (np.zeros(3, [("queue_depth", "u4")]), 1),
        (make(6).reshape(2, 3), 1),
        (make(4, queue_depth=["a", "b", "c", "d"]), 4),
        (make(4, memory_bytes=[b"1", b"2", b"3", b"4"]), 4),
        (make(2, queue_depth=np.array([object(), object()])), 2),
        (make(2, signal_strength=np.array([object(), object()])), 2),
        (np.zeros(3, [("neuron_id", "u8"), ("queue_depth", "u4", (2,))]), 3),
        (np.zeros(3, [("neuron_id", "U5"), ("queue_depth", "u4")]), 3),
        (np.zeros(3, [("neuron_id", "f8"), ("queue_depth", "u4")]), 3),
        (np.zeros(3, [("neuron_id", "u8"), ("timestamp_ns", "f8")]), 3),
        (np.zeros(3, [("neuron_id", "u8"), ("queue_depth", "c16")]), 3),
        (np.zeros(3, [("neuron_id", "u8"), ("queue_depth", "M8[ns]")]), 3),
    ],
)
def test_arrays_of_no_samples_are_counted(array: Any, count: int) -> None:
    """What is no table of numbers is `invalid`, each of its rows if it has some; none raises."""
    with producing() as (producer, segment):
        assert write_batch(producer, array) == 0
        assert read_lane(segment) == Counters(count, 0, 0, {"invalid": count})


def test_rows_without_a_neuron_are_counted() -> None:
    """An id of 0 is nobody's."""
    table = make(3, queue_depth=[1, 2, 3])
    table["neuron_id"][1] = 0
    with producing() as (producer, segment):
        assert write_batch(producer, table) == 2
        assert read_lane(segment) == Counters(3, 2, 0, {"invalid": 1})


def test_rows_of_no_time_are_counted() -> None:
    """A time before 1970, or beyond what a time can be, is `invalid`, as it is to `record`."""
    with producing() as (producer, segment):
        assert write_batch(producer, make(3, timestamp_ns=np.array([-5, 7, -1], np.int64))) == 1
        assert write_batch(producer, make(2, timestamp_ns=np.array([1 << 63, 7], "u8"))) == 1
        assert read_lane(segment) == Counters(5, 2, 0, {"invalid": 3})


def test_a_large_batch_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's memory does not follow the size of a batch; every row is accounted for."""
    monkeypatch.setattr("rnts.batch._ROWS_AT_ONCE", 4)
    table = make(11, queue_depth=range(11))
    table["neuron_id"][6] = 0
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        assert write_batch(producer, table) == 10
        assert write_batch(producer, table) == 6
        assert read_lane(segment) == Counters(22, 16, 0, {"invalid": 2, "lane_full": 4})
        assert write_batch(producer, np.zeros(9, [("neuron_id", "f8")])) == 0
        assert read_lane(segment).drops["invalid"] == 11


def test_times_are_now_unless_given(runtime_folder: Path) -> None:
    """A timestamp of 0, or none at all, becomes the time of the call."""
    import time

    before_ns = time.time_ns()
    with producing() as (producer, _):
        write_batch(producer, make(1))
        write_batch(producer, make(2, timestamp_ns=np.array([0, 5], np.int64)))
        times = [seen.time_ns for seen in Taker(runtime_folder).take()]
    assert before_ns <= times[0] <= times[1] <= time.time_ns()
    assert times[2] == 5


def test_unknown_columns_are_left_out(
    runtime_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names a column that is no metric once; the others are taken."""
    with producing() as (producer, _):
        for _ in range(2):
            assert write_batch(producer, make(1, queue_depth=[3], queue_length=[4])) == 1
        assert [s.values for s in Taker(runtime_folder).take()] == [{"queue_depth": 3}] * 2
    assert len([r for r in caplog.records if "queue_length" in r.getMessage()]) == 1


def test_telemetry_that_is_off_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch for a producer that is disabled is a no-op."""
    from rnts.producer import Producer

    monkeypatch.setenv("RNTS_DISABLE", "1")
    assert write_batch(Producer(), make(3)) == 0


def test_batches_without_a_lane_are_counted_row_by_row(emitter: str) -> None:
    """Each row that found no lane is a drop, and none of them goes unseen."""
    with producing(lanes=1) as (producer, segment):
        assert producer.claim_lane() is not None
        assert write_batch(producer, make(5, queue_depth=[1] * 5)) == 0
        assert write_batch(producer, make(2, queue_depth=[1] * 2)) == 0
        assert segment.words[layout.HEADER_NO_LANE // 8] == 7
