"""The plain writer: drops are counted, text wraps, and nothing that interrupts breaks the sums."""

import contextlib
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
from capture_tools import Counters, Seen, Taker, producing, read_lane
from hypothesis import given
from hypothesis import strategies as st

import rnts
from rnts import writer
from rnts.batch import write_batch
from rnts.model import METRIC_NAMES, Kind
from rnts.neuron import Neuron
from rnts.producer import Producer
from rnts.segment import Segment

LONG = "ä" * 127  # 254 bytes: two of them take five slots


@pytest.mark.parametrize("event", [None, "stop", object(), rnts.ErrorOccurred])
def test_what_is_no_event_is_counted(event: Any) -> None:
    """An event of a type that the model does not have is `invalid`."""
    with producing() as (producer, segment):
        assert producer.neuron("n").event(event) is False
        assert read_lane(segment) == Counters(1, 0, 0, {"invalid": 1})


def test_none_is_absent_and_zero_is_not(runtime_folder: Path) -> None:
    """None sets no field; 0, False and 0.0 are values like others."""
    with producing() as (producer, _):
        neuron = producer.neuron("n")
        neuron.record(None, 0, queue_depth=False, signal_strength=0.0, weight=None, timestamp_ns=5)
        [seen] = Taker(runtime_folder).take()
    values = {"processing_time_ns": 0, "queue_depth": 0, "signal_strength": 0.0}
    assert seen == Seen(Kind.SAMPLE, neuron.id, 5, values, [])


def test_nan_is_absent_and_infinity_a_value(runtime_folder: Path) -> None:
    """Float fields take both; on the way out NaN becomes absent."""
    with producing() as (producer, _):
        neuron = producer.neuron("n")
        assert neuron.record(cpu_usage_percent=math.nan, noise_ratio=math.nan, queue_depth=7)
        assert neuron.record(cpu_usage_percent=math.inf, noise_ratio=-math.inf)
        first, second = Taker(runtime_folder).take()
    assert first.values == {"queue_depth": 7}
    assert second.values == {"cpu_usage_percent": math.inf, "noise_ratio": -math.inf}


def test_records_of_too_many_slots_are_counted() -> None:
    """What a record may not hold is `too_big`; the specification's strings always fit."""
    with producing() as (producer, segment):
        lane = producer.attach_thread()
        assert lane is not None
        values = (int(Kind.EVENT), 1, 7, 8, 0.0, 0, 5)
        assert lane.write(writer.EVENT_FORMAT, values, ["x" * 255] * 4) is True
        assert lane.write(writer.EVENT_FORMAT, values, ["x" * 255] * 5) is False
        assert read_lane(segment) == Counters(2, 9, 0, {"too_big": 1})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sample"), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("event"), st.text("aäß漢", max_size=80)),
        st.tuples(st.just("health"), st.just(LONG)),
        st.tuples(st.just("batch"), st.integers(0, 12)),
        st.tuples(st.just("take"), st.integers(1, 20)),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_a_lane_is_a_queue_that_drops_the_newest(steps: list[tuple[str, Any]]) -> None:
    """Over any history, around the wrap, what had room comes out whole and the rest is counted."""
    expected: list[tuple[str, Any]] = []
    seen: list[Seen] = []
    occupied = dropped = 0
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        neuron = producer.neuron("n")
        taker = Taker(segment.path.parent)
        for step in [*steps, ("take", 0)]:
            if step[0] == "take":
                seen += taker.take()
                occupied = 0
                continue
            slots, count = slots_needed(step)
            room = min(count, (16 - occupied) // slots)
            assert do_step(producer, neuron, step) == room
            occupied += room * slots
            dropped += count - room
            expected += (
                [("sample", i) for i in range(room)] if step[0] == "batch" else [step] * room
            )
        counters = read_lane(segment)
    assert [as_step(s) for s in seen] == expected
    assert counters.attempts == len(seen) + dropped
    assert counters.drops == ({"lane_full": dropped} if dropped else {})


def slots_needed(step: tuple[str, Any]) -> tuple[int, int]:
    """Slots of each record of a step, and how many records it makes."""
    what, value = step
    if what == "batch":
        return 1, value
    text = {"sample": 0, "event": 1 + len(str(value).encode()) + 2, "health": 255}[what]
    return 1 + -(-text // 128), 1


def do_step(producer: Producer, neuron: Neuron, step: tuple[str, Any]) -> int:
    """Make the records of a step; how many were taken."""
    what, value = step
    if what == "batch":
        rows = np.zeros(value, [("neuron_id", "u8"), ("queue_depth", "u4")])
        rows["neuron_id"], rows["queue_depth"] = neuron.id, range(value)
        return write_batch(producer, rows)
    if what == "sample":
        return neuron.record(queue_depth=value)
    if what == "event":
        return neuron.event(rnts.ErrorOccurred(error_type=value, details="x"))
    return neuron.health(rnts.DEGRADED, value)


def as_step(seen: Seen) -> tuple[str, Any]:
    """The step that makes this record."""
    if seen.kind is Kind.EVENT:
        return "event", seen.strings[0]
    if "health" in seen.values:
        return "health", seen.strings[0]
    return "sample", seen.values["queue_depth"]


OURS = {writer.LaneWriter.write, writer.LaneWriter.write_slots, writer.LaneWriter.refuse}
FILES = {function.__code__.co_filename for function in OURS}


def is_ours(code: CodeType) -> bool:
    """Whether a function belongs to the emitting path."""
    return code.co_filename in FILES or code.co_name == "record"


def at_each_opcode(act: Callable[[], Any], strike: Callable[[int], None]) -> int:
    """Run `act`, calling `strike(n)` before its n-th instruction; how many there were."""
    count = 0

    def trace(frame: FrameType, what: str, argument: Any) -> Any:
        nonlocal count
        if not is_ours(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        if what == "opcode":
            count += 1
            strike(count)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def batch_of(count: int) -> np.ndarray:
    """Slots of `count` samples."""
    rows = np.zeros((count, 16), np.int64)
    rows[:, :2] = int(Kind.SAMPLE) | 1 << 8, 7
    return rows


def refused(neuron: Neuron) -> None:
    """A record that cannot be."""
    with contextlib.suppress(TypeError):
        neuron.record(queue_depth="x")


ACTS: dict[str, Callable[[Neuron, writer.LaneWriter], Any]] = {
    "sample": lambda neuron, lane: neuron.record(**dict.fromkeys(METRIC_NAMES, 3)),
    "invalid": lambda neuron, lane: refused(neuron),
    "text": lambda neuron, lane: neuron.event(rnts.ErrorOccurred(LONG, LONG)),
    "invalid text": lambda neuron, lane: neuron.event(rnts.ConnectionLost("x", LONG)),  # type: ignore[arg-type]
    "no event": lambda neuron, lane: neuron.event(None),  # type: ignore[arg-type]
    "batch": lambda neuron, lane: lane.write_slots(batch_of(5)),
}


class Prepared:
    """A lane with `used` of 16 slots taken, and what its tail may be while one act runs."""

    def __init__(self, producer: Producer, segment: Segment, used: int, act: str) -> None:
        self.neuron, self.segment = producer.neuron("n"), segment
        lane = producer.attach_thread()
        assert lane is not None
        self.lane = lane
        self.run = lambda: ACTS[act](self.neuron, lane)
        for _ in range(used):
            self.neuron.record(queue_depth=1)
        slots, count = {"text": (5, 1), "batch": (5, 5)}.get(act, (1, 1))
        room = slots if slots <= 16 - used else 16 - used if act == "batch" else 0
        self.records = {used: used, used + room: used + (room if act == "batch" else count)}
        if not room:
            self.records = {used: used}
        self.most = count

    def unsettled(self) -> int:
        """Attempts less what is published and dropped."""
        counters = read_lane(self.segment)
        return counters.attempts - self.records[counters.tail] - counters.dropped


@pytest.mark.parametrize("used", [0, 14, 16])
@pytest.mark.parametrize("act", ACTS)
def test_at_most_one_act_is_unsettled_at_any_instruction(act: str, used: int) -> None:
    """Killed before any instruction, attempts exceed the rest by the act at hand or not at all."""
    gaps: list[int] = []
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        prepared = Prepared(producer, segment, used, act)
        at_each_opcode(prepared.run, lambda n: gaps.append(prepared.unsettled()))
        gaps.append(prepared.unsettled())
    assert set(gaps) <= set(range(prepared.most + 1))
    assert max(gaps) >= 1
    assert gaps[-1] == 0


@pytest.mark.parametrize("used", [0, 14, 16])
@pytest.mark.parametrize("act", ACTS)
def test_an_interrupt_at_any_instruction_is_settled(act: str, used: int) -> None:
    """KeyboardInterrupt before the n-th instruction, for every n, leaves the sums whole.

    Where it strikes the clean-up itself, the next record of the thread ends what is left.
    """
    # In a thread of its own: an exception that a tracer raises at the begin of a handler is for
    # CPython being handled as long as the thread lives, and would be the context of all others.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(interrupt_everywhere, act, used).result()


def interrupt_everywhere(act: str, used: int) -> None:
    """Do `act` again and again, interrupted one instruction later each time."""

    def strike(n: int) -> None:
        if n == at:
            where.append(sys._getframe(2).f_code.co_name)
            raise KeyboardInterrupt

    at, count, mended = 0, 1, 0
    while at < count:
        at += 1
        where: list[str] = []
        with producing(lanes=1, lane_slots=16) as (producer, segment):
            prepared = Prepared(producer, segment, used, act)
            try:
                count = at_each_opcode(prepared.run, strike)
            except KeyboardInterrupt:
                count = at + 1
            if prepared.lane.busy:
                assert where[0] in ("settle", "drop", "record", "write", "write_slots", "refuse")
                mended += 1
            else:
                assert prepared.unsettled() == 0
            taker = Taker(segment.path.parent)
            taken = len(taker.take())
            assert prepared.neuron.record(queue_depth=1)
            counters = read_lane(segment)
            assert len(taker.take()) == 1
            assert counters.attempts == taken + 1 + counters.dropped
            assert "reentrant" not in counters.drops
    assert at > 20
    assert mended < at


def test_a_record_inside_a_record_is_counted() -> None:
    """What a handler or a finaliser records anywhere in the middle is dropped as `reentrant`."""
    with producing(lanes=1, lane_slots=1024) as (producer, segment):
        neuron = producer.neuron("n")
        lane = producer.attach_thread()
        assert lane is not None
        taker, taken = Taker(segment.path.parent), 0
        nested: list[bool] = []
        is_inside = False

        def handler(frame: FrameType, what: str, argument: Any) -> None:
            """Run wherever the interpreter would run a signal handler, and more often."""
            nonlocal is_inside
            if is_inside or not is_ours(frame.f_code):
                return
            is_inside = True
            nested.append(neuron.record(queue_depth=2))
            nested.append(neuron.health(rnts.HEALTHY))
            nested.append(neuron.event(None))  # type: ignore[arg-type]
            is_inside = False

        for act in ACTS.values():
            sys.setprofile(handler)
            try:
                act(neuron, lane)
            finally:
                sys.setprofile(None)
            counters = read_lane(segment)
            taken += len(taker.take())
            assert counters.attempts == taken + counters.dropped
        assert counters.drops["reentrant"] > 50
        assert sum(nested) > 20


def test_values_that_record_are_counted(runtime_folder: Path) -> None:
    """The record of an argument's own __index__ is dropped, the argument's record is made."""
    with producing() as (producer, segment):
        neuron = producer.neuron("n")

        class Chatty:
            def __index__(self) -> int:
                assert neuron.record(queue_depth=9) is False
                return 4

            def __str__(self) -> str:
                assert neuron.record(queue_depth=9) is True  # before its own record is begun
                return "text"

        chatty: Any = Chatty()
        assert neuron.record(queue_depth=chatty) is True
        assert neuron.health(rnts.HEALTHY, reason=chatty) is True
        seen = Taker(runtime_folder).take()
        assert read_lane(segment).drops == {"reentrant": 1}
    assert [(s.values, s.strings) for s in seen] == [
        ({"queue_depth": 4}, []),
        ({"queue_depth": 9}, []),
        ({"health": 0}, ["text"]),
    ]
