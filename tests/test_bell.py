"""The bell: a record that ends a silence wakes the agent, and nothing makes it sleep for good."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import kill_tools
import numpy as np
import pytest
from bell_model import Bell, Overslept, explore
from capture_tools import Taker, producing, run_python
from kill_tools import prepared
from living_tools import until
from numba import njit
from single_step import SteppedChild, reason_not_to_step

import rnts
from rnts import bell, jit, layout
from rnts.compiled import CompiledEmitter
from rnts.kernels import bell as kernel
from rnts.kernels import lane, waiting
from rnts.model import Kind
from rnts.producer import Producer
from rnts.segment import Segment
from rnts.writer import EVENT_FORMAT

MS, LONG_NS = 1_000_000, 60_000_000_000


@pytest.mark.parametrize("order", ["sc", "tso"])
@pytest.mark.parametrize("kills", [False, True])
def test_nobody_oversleeps(order: str, kills: bool) -> None:
    """Through every interleaving an agent that sleeps for long is woken by the record."""
    assert explore(Bell(order, kills=kills)) > 20


@pytest.mark.parametrize(
    ("weakened", "orders"),
    [
        ("nobody wakes", ("sc", "tso")),
        ("nobody is asked", ("sc", "tso")),
        ("one long sleep", ("tso",)),  # where a store is seen later than what is loaded behind it
        ("sleeps without a look", ()),  # the look after a step makes up for it
    ],
)
def test_each_part_of_the_protocol_is_needed(weakened: str, orders: tuple[str, ...]) -> None:
    """Without any one of them some machine has an agent that sleeps beside a record."""
    for order in ("sc", "tso"):
        if order in orders:
            with pytest.raises(Overslept):
                explore(Bell(order, weakened))
        else:
            assert explore(Bell(order, weakened)) > 20


@njit(nogil=True)
def _record(lane):
    """A record of compiled code."""
    return jit.record(lane, 7, 5, queue_depth=1)


def _compiled(producer: Producer, segment: Segment) -> CompiledEmitter:
    emitter = CompiledEmitter(lambda records: None)
    writer = producer.claim_lane()
    assert writer is not None
    emitter.open(segment, writer.lane)
    return emitter


def _address(segment: Segment) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(segment.buffer)) + layout.lane_offset(0)


def _plain(record: Callable[[rnts.Neuron], object]) -> Callable[[Producer, Segment], object]:
    def emit(producer: Producer, segment: Segment) -> object:
        return record(producer.neuron("a"))

    return emit


def _builtin(producer: Producer, segment: Segment) -> object:
    emitter = _compiled(producer, segment)
    neuron = rnts.builtins.CompiledNeuron.__new__(rnts.builtins.CompiledNeuron)
    neuron.id, neuron.importance = 7, 0
    emitter.adopt(neuron)
    return emitter.record(neuron, 1)


def _append(producer: Producer, segment: Segment) -> object:
    values = (int(Kind.EVENT), 0, 7, 5, 0.0, 0, 1)
    return _compiled(producer, segment).write(EVENT_FORMAT, values, ["text"])


def _jit(producer: Producer, segment: Segment) -> object:
    assert producer.claim_lane() is not None
    return _record(_address(segment))


def _batch(producer: Producer, segment: Segment) -> object:
    writer = producer.claim_lane()
    assert writer is not None
    return writer.write_slots(np.ones((3, 16), np.int64))


EMITTERS = {
    "record": _plain(lambda neuron: neuron.record(queue_depth=1)),
    "event": _plain(lambda neuron: neuron.event(rnts.ErrorOccurred("bad", "worse"))),
    "health": _plain(lambda neuron: neuron.health(rnts.Health.CRITICAL, "why")),
    "link": _plain(lambda neuron: neuron.link(5).sent(messages=1)),
    "finish": _plain(lambda neuron: neuron.finish(1)),
    "batch": _batch,
    "builtin": _builtin,
    "append": _append,
    "jit": _jit,
}


@pytest.mark.parametrize("name", EMITTERS)
def test_every_emitter_rings(name: str) -> None:
    """What is recorded while the agent sleeps makes the bell 0; else nobody touches it."""
    with producing(lane_slots=64) as (producer, segment):
        words = segment.words
        place = (layout.lane_offset(0) + layout.LANE_BELL) // 8
        assert words[layout.HEADER_RINGS // 8] == 1
        words[place] = kernel.ASLEEP
        assert EMITTERS[name](producer, segment)
        assert words[place] == 0
        assert words[(layout.lane_offset(0) + layout.LANE_TAIL) // 8] > 0


@pytest.mark.parametrize("name", sorted(set(kill_tools.EMITTERS) - {"njit, invalid"}))
def test_the_kernel_is_called_where_the_agent_sleeps_and_nowhere_else(
    name: str, tmp_path: Path
) -> None:
    """A record is no system call; the one that finds the bell at 1 is a single one."""
    if reason := reason_not_to_step():
        pytest.skip(reason)
    emitter = kill_tools.EMITTERS[name]
    with SteppedChild(lambda: None) as child:
        nothing = child.system_calls()
    with prepared(emitter, 8, 1, 0, tmp_path) as ready:
        with SteppedChild(lambda: ready.emit(ready.value)) as child:
            assert child.system_calls() == nothing
        ready.segment.words[(layout.lane_offset(0) + layout.LANE_BELL) // 8] = kernel.ASLEEP
        with SteppedChild(lambda: ready.emit(ready.value)) as child:
            assert child.system_calls() == nothing + (0 if emitter.is_refused else 2)


def _bell(segment: Segment) -> int:
    return int(segment.words[(layout.lane_offset(0) + layout.LANE_BELL) // 8])


class Sleeper:
    """An agent's collector, asleep in a thread of its own."""

    def __init__(self, taker: Taker, with_bells: bool = True) -> None:
        self.collector = taker.collector
        self.found: list[bool] = []
        self._thread = threading.Thread(target=self._run, args=(with_bells,))

    def _run(self, with_bells: bool) -> None:
        self.found.append(self.collector.wait(5 * MS, LONG_NS, with_bells))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(LONG_NS / 1e9)


@contextmanager
def drained() -> Iterator[tuple[Producer, Segment, Taker]]:
    """A producer with a lane from which an agent has taken all."""
    with producing(lane_slots=64) as (producer, segment):
        assert producer.neuron("a").record(queue_depth=1)
        taker = Taker(segment.path.parent)
        taker.take()
        yield producer, segment, taker


def test_a_record_wakes_who_sleeps_for_long() -> None:
    """The agent lies down for a minute, and is up with the record; then nobody rings any more."""
    with drained() as (producer, segment, taker):
        neuron = producer.neuron("a")
        with Sleeper(taker) as sleeper:
            until(lambda: _bell(segment) == kernel.ASLEEP)
            time.sleep(0.05)  # so that it has looked once more, and sleeps for long
            assert not sleeper.found
            assert neuron.record(queue_depth=2)
            until(lambda: sleeper.found)
        assert sleeper.found == [True]
        assert _bell(segment) == 0
        assert [seen.values for seen in taker.take()] == [{"queue_depth": 2}]


def test_a_ring_for_nothing_wakes_nobody_for_good() -> None:
    """Whoever rings without a record is looked at, not believed, and the next record is found."""
    with drained() as (producer, segment, taker):
        neuron = producer.neuron("a")
        with Sleeper(taker) as sleeper:
            until(lambda: _bell(segment) == kernel.ASLEEP)
            writer = producer.local.writer
            for _ in range(3):
                writer.ring()
                time.sleep(0.02)
            assert not sleeper.found
            assert neuron.record(queue_depth=2)
            until(lambda: sleeper.found)
        assert sleeper.found == [True]


@pytest.mark.parametrize("with_bells", [True, False])
def test_who_cannot_ring_is_looked_at(with_bells: bool) -> None:
    """Where a program does not ring, or is not asked to, its bell stays 0 and steps find it."""
    with drained() as (producer, segment, taker):
        neuron = producer.neuron("a")
        segment.words[layout.HEADER_RINGS // 8] = not with_bells
        with Sleeper(taker, with_bells) as sleeper:
            time.sleep(0.05)
            assert _bell(segment) == 0
            assert neuron.record(queue_depth=2)
            until(lambda: sleeper.found)
        assert sleeper.found == [True]


def test_more_lanes_than_can_be_waited_for_are_looked_at() -> None:
    """The kernel waits for 128 words; lanes beyond that are not asked, and found all the same."""
    count = kernel.WAITS_MAX + 2
    blocks, rings = np.zeros((count, layout.LANE_BYTES // 8), np.int64), np.ones(1, np.int64)
    lanes = np.zeros((count, lane.LANE_COLUMNS), np.int64)
    lanes[:, lane.CONTROL] = blocks.ctypes.data + np.arange(count) * layout.LANE_BYTES
    lanes[:, lane.RINGS] = rings.ctypes.data
    waits = np.zeros((kernel.WAITS_MAX, kernel.WAIT_WORDS), np.int64)
    found: list[int] = []

    def wait() -> None:
        found.append(waiting.wait_for_records(lanes, waits, 5 * MS, LONG_NS))

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: np.count_nonzero(blocks[:, layout.LANE_BELL // 8]) == kernel.WAITS_MAX)
    blocks[-1, layout.LANE_TAIL // 8] = 1  # and nobody rings
    thread.join(LONG_NS / 1e9)
    assert found == [1]
    assert not blocks[:, layout.LANE_BELL // 8].any()


def test_time_runs_out_where_nothing_comes() -> None:
    """Without a record the wait ends at its time, and leaves no bell behind."""
    with drained() as (_, segment, taker):
        assert not taker.collector.wait(2 * MS, 10 * MS, True)
        assert _bell(segment) == 0


def test_both_bells_are_one() -> None:
    """Plain Python and compiled code make the same system call."""
    assert bell.can_ring()
    assert bell._FUTEX == kernel.FUTEX > 0


def test_a_python_without_ctypes_does_not_ring() -> None:
    """It says so, records all the same, and nothing is raised where somebody asks it to."""
    code = """
    import sys
    sys.modules["ctypes"] = None
    import rnts
    from rnts import layout
    from rnts.producer import PROCESS
    neuron = rnts.neuron("a")
    print(neuron.record(queue_depth=1))
    words = PROCESS.segment().words
    bell = (layout.lane_offset(0) + layout.LANE_BELL) // 8
    words[bell] = 1
    print(neuron.record(queue_depth=2), words[layout.HEADER_RINGS // 8], words[bell])
    PROCESS.close(unlink=True)
    """
    assert run_python(code, RNTS_JIT="0").stdout == "True\nTrue 0 0\n"
