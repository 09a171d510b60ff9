"""The compiled emitter: a builtin that writes what the other emitters write, for all threads."""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Counters, Taker, producing, read_lane, run_python
from hypothesis import given
from hypothesis import strategies as st

import rnts
from rnts import builtins, compiled, layout
from rnts.model import FIELD, METRIC_NAMES, SLOT_BYTES, Storage
from rnts.neuron import Neuron
from rnts.producer import Producer
from rnts.segment import Segment

NAMES = (*METRIC_NAMES, "health", "weight")


@pytest.fixture(autouse=True)
def compiled_emitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emitter of this file's tests."""
    monkeypatch.setenv("RNTS_JIT", "1")


@pytest.fixture
def made() -> Iterator[tuple[Producer, Segment]]:
    """A producer of the test's own, with its segment."""
    with producing() as (producer, segment):
        yield producer, segment


def value_of(name: str) -> st.SearchStrategy[Any]:
    """Values that fit a field, and None."""
    storage = FIELD[name].storage
    if storage.is_float:
        numbers = st.floats(width=32 if storage is Storage.F32 else 64)
        return st.none() | numbers | st.integers(-(2**20), 2**20)
    return st.none() | st.integers(0, 2**storage.bits - 1) | st.integers(0, 255)


CALLS = st.tuples(
    st.tuples(*map(value_of, NAMES)), st.integers(0, len(NAMES)), st.permutations(NAMES)
)


def first_slots(segment: Segment, count: int) -> bytes:
    """The bytes of the first slots of the first lane."""
    start = layout.slots_offset(0, segment.lanes, segment.lane_slots)
    return segment.buffer[start : start + count * SLOT_BYTES]


@given(calls=st.lists(CALLS, min_size=1, max_size=8))
def test_both_emitters_write_the_same_bytes(calls: list[Any]) -> None:
    """However arguments are divided among positions and names, in whatever order of the names."""
    with pytest.MonkeyPatch.context() as patch, producing() as (one, fast):
        quick = one.neuron("n")
        patch.setenv("RNTS_JIT", "0")
        with producing() as (other, slow):
            plain = other.neuron("n")
            for i, (values, split, order) in enumerate(calls):
                named = dict(zip(NAMES, values, strict=True))
                rest = {name: named[name] for name in order if name in NAMES[split:]}
                for neuron in (quick, plain):
                    assert neuron.record(*values[:split], **rest, timestamp_ns=i + 1) is True
            assert type(plain) is Neuron
            assert type(quick) is builtins.CompiledNeuron
            assert first_slots(fast, len(calls)) == first_slots(slow, len(calls))
            assert read_lane(fast) == read_lane(slow)


@pytest.mark.parametrize("value", [0, 1, 2**30 - 1, 2**30, 2**60 - 1, 2**60, 2**63, 2**64 - 1])
def test_whole_numbers_of_every_size(
    value: int, made: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """CPython keeps ints in digits of 30 bits; all of them arrive."""
    assert made[0].neuron("n").record(memory_bytes=value, messages_sent=value)
    [seen] = Taker(runtime_folder).take()
    assert seen.values == {"memory_bytes": value, "messages_sent": value}


def test_names_that_are_not_interned(made: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """A keyword is what it says, wherever its string comes from."""
    name = b"queue_depth".decode()
    assert name is not sys.intern("queue_depth")
    assert made[0].neuron("n").record(**{name: 3}) is True
    assert [seen.values for seen in Taker(runtime_folder).take()] == [{"queue_depth": 3}]


def test_a_full_lane_drops_the_newest(made: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """As many records as there are slots; the rest is False and counted."""
    producer, segment = made
    neuron = producer.neuron("n")
    taken = [neuron.record(queue_depth=i) for i in range(segment.lane_slots + 3)]
    assert taken == [True] * segment.lane_slots + [False] * 3
    count = segment.lane_slots
    assert read_lane(segment) == Counters(count + 3, count, 0, {"lane_full": 3})
    assert len(Taker(runtime_folder).take()) == count
    assert neuron.record(queue_depth=1) is True


def test_other_records_go_the_same_way(
    made: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """Events, health, links and samples share one lane, in the order in which they were made."""
    neuron = made[0].neuron("n")
    neuron.record(queue_depth=1)
    neuron.event(rnts.ErrorOccurred("Timeout", "ä" * 127))
    neuron.record(queue_depth=2)
    neuron.health(rnts.CRITICAL, "x" * 200)
    neuron.link(5).sent(3, bytes=4)
    neuron.record(queue_depth=3)
    records = Taker(runtime_folder).take()
    kinds = [seen.kind.name for seen in records]
    assert kinds == ["SAMPLE", "EVENT", "SAMPLE", "SAMPLE", "LINK", "SAMPLE"]
    assert records[1].strings == ["Timeout", "ä" * 127]
    assert records[3].strings == ["x" * 200]
    times = [seen.time_ns for seen in records]
    assert times == sorted(times)


def test_text_wraps_around_the_end(made: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """Records of several slots lie whole on both sides of the end of the lane."""
    taker = Taker(runtime_folder)
    neuron = made[0].neuron("n")
    for i in range(200):
        text = chr(97 + i % 26) * (i % 255)
        assert neuron.event(rnts.ErrorOccurred(str(i), text)) is True
        [seen] = taker.take()
        assert seen.strings == [str(i), text]


def test_threads_share_one_lane(made: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """Whatever the threads do at once, each record is there once, in the order of its thread."""
    producer, segment = made
    count, taker, seen = 2000, Taker(runtime_folder), []
    accepted = [0] * 4

    def work(number: int) -> None:
        neuron = producer.neuron(f"n{number}", neuron_id=number + 1)
        for i in range(count):
            accepted[number] += neuron.record(activation_count=i, queue_depth=number)
            if i % 100 == 0:
                neuron.event(rnts.Activated(1.0, "timer"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seen += taker.take()
    finally:
        sys.setswitchinterval(interval)
    seen += taker.take()
    counters = read_lane(segment)
    assert segment.words[layout.HEADER_LANES_USED // 8] == 1
    assert counters.attempts == 4 * (count + count // 100) == len(seen) + counters.dropped
    for number in range(4):
        mine = [s.values["activation_count"] for s in seen if s.values.get("queue_depth") == number]
        assert len(mine) == accepted[number]
        assert mine == sorted(set(mine))


def test_neurons_from_before_are_adopted(runtime_folder: Path, monkeypatch: Any) -> None:
    """`attach(jit=True)` later on turns to the compiled emitter, for neurons of before as well."""
    monkeypatch.setenv("RNTS_JIT", "0")
    with producing() as (producer, segment):
        before = producer.neuron("before")
        assert before.record(queue_depth=1)
        assert producer.attach() == "python"
        assert segment.words[layout.HEADER_EMITTER // 8] == layout.EMITTER_PYTHON
        assert producer.attach(jit=True) == "compiled"
        assert segment.words[layout.HEADER_EMITTER // 8] == layout.EMITTER_COMPILED
        assert type(before) is Neuron
        assert before.record(queue_depth=2, timestamp_ns=5)
        assert type(before) is builtins.CompiledNeuron
        assert before.record(queue_depth=3)
        depths = [seen.values["queue_depth"] for seen in Taker(runtime_folder).take()]
    assert depths == [1, 2, 3]


def test_neurons_of_another_class_are_served(
    made: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """A subclass keeps its class, and its records arrive."""

    class Special(Neuron):
        pass

    special = Special(made[0], 9, "special", "", "")
    assert special.record(1, queue_depth=2) is True
    assert special.record(3) is True
    assert type(special) is Special
    values = [seen.values for seen in Taker(runtime_folder).take()]
    assert values == [{"activation_count": 1, "queue_depth": 2}, {"activation_count": 3}]


def test_arguments_may_run_any_code(made: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """What an argument does while it is converted harms nothing: records inside a record, too."""
    producer, _ = made
    neuron = producer.neuron("n")

    class Chatty:
        def __float__(self) -> float:
            neuron.record(queue_depth=8)
            gc.collect()
            return 0.5

    class Final:
        def __float__(self) -> float:
            producer.close()
            return 0.5

    assert neuron.record(queue_depth=9, signal_strength=Chatty()) is True  # type: ignore[arg-type]
    depths = [seen.values["queue_depth"] for seen in Taker(runtime_folder).take()]
    assert depths[-1] == 9
    assert set(depths[:-1]) == {8}
    assert neuron.record(signal_strength=Final()) is False  # type: ignore[arg-type]
    assert neuron.record(queue_depth=1) is False


def test_memory_of_arguments_is_given_back(made: tuple[Producer, Segment]) -> None:
    """A call keeps no reference to what it was given, whether it succeeds or not."""
    neuron = made[0].neuron("n")
    big, small, name = 2**70, 0.125, "queue_depth"
    objects = (big, small, None, name, neuron, True, False)
    before = [sys.getrefcount(thing) for thing in objects]
    for _ in range(300):
        neuron.record(None, None, cpu_usage_percent=small)
        with pytest.raises(OverflowError):
            neuron.record(memory_bytes=big)
        with pytest.raises(TypeError):
            neuron.record(big, activation_count=1)
    after = [sys.getrefcount(thing) for thing in objects]
    assert all(abs(a - b) < 100 for a, b in zip(after, before, strict=True))


def test_a_neuron_without_words_is_misuse() -> None:
    """An object that no producer made is a TypeError, and not a crash."""
    with producing() as (producer, _):
        producer.attach()
        orphan = builtins.CompiledNeuron.__new__(builtins.CompiledNeuron)
        with pytest.raises(TypeError):
            orphan.record(1)
        with pytest.raises(TypeError):
            builtins.CompiledNeuron.record(object(), 1)  # type: ignore[arg-type]


FORK = """
    import os, sys, rnts
    neuron = rnts.neuron("n", neuron_id=7)
    assert rnts.attach(jit=True) == "compiled"
    assert neuron.record(queue_depth=1)
    child = os.fork()
    assert neuron.record(queue_depth=2 if child else 3)
    assert neuron.record(queue_depth=4)
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print(len([n for n in os.listdir(sys.argv[1]) if n.endswith(".seg")]))
        sys.stdout.flush()
    os._exit(0)  # so that the segments stay
"""


def test_a_child_writes_its_own_segment(runtime_folder: Path) -> None:
    """After a fork parent and child each write a lane that nobody else writes."""
    result = run_python(FORK, str(runtime_folder))
    assert result.stdout.split() == ["2"], result.stderr
    taker = Taker(runtime_folder)
    depths = sorted(seen.values["queue_depth"] for seen in taker.take())
    assert depths == [1, 2, 3, 4, 4]
    assert len(taker.collector.segments) == 2


def test_without_lanes_records_are_counted(runtime_folder: Path) -> None:
    """Where all lanes are in use the record is `no_lane`; one that comes free is taken."""
    with producing(lanes=1) as (producer, segment):
        held = producer.claim_lane()
        neuron = producer.neuron("n")
        assert neuron.record(queue_depth=1) is False
        assert segment.words[layout.HEADER_NO_LANE // 8] == 1
        assert held is not None
        producer.idle_writers.append(held)
        assert neuron.record(queue_depth=2) is True


def test_a_builtin_that_writes_wrong_numbers_does_not_serve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried before it serves; where a Python keeps its objects otherwise, Python writes."""
    good = builtins.expected(7, 8)
    for position in range(0, len(good), 8):
        assert good[position : position + 8] != b"\xaa" * 8
    monkeypatch.setattr(compiled, "expected", lambda *about: good[:-128] + b"\xaa" * 128)
    with producing() as (producer, _):
        assert producer.attach() == "python"
        assert producer.neuron("n").record(queue_depth=1) is True
    assert "does not write what it should" in caplog.text


def test_the_proof_tries_all_forms() -> None:
    """Every argument is given, left out, and given an int of no, one, two and three digits."""
    for values in zip(*builtins.PROOFS, strict=True):
        assert None in values
        assert len({value for value in values if value is not None}) > 2
    wide = [v for v in builtins.PROOFS[0] + builtins.PROOFS[4] if isinstance(v, int)]
    assert any(v >= 1 << 60 for v in wide)


def test_activations_count_and_take_the_time(
    made: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """`finish` is a builtin, too: number, duration and time of one activation after another."""
    producer, _ = made
    first, second = producer.neuron("n"), producer.neuron("n")
    before_ns = time.time_ns()
    for neuron in (first, second, first):
        with neuron.activation():
            pass
    assert first.finish(time.perf_counter_ns() - 10**9) is True
    assert first.finish(time.perf_counter_ns() + 10**12) is True
    records = Taker(runtime_folder).take()
    assert [seen.values["activation_count"] for seen in records] == [1, 2, 3, 4, 5]
    durations = [seen.values["processing_time_ns"] for seen in records]
    assert all(0 <= duration < 10**9 for duration in durations[:3])
    assert durations[3] >= 10**9
    assert durations[4] == 0, "a start in the future is none"
    times = [seen.time_ns for seen in records]
    assert before_ns <= times[0] <= times[-1] <= time.time_ns()
    assert times == sorted(times)
    with pytest.raises(TypeError):
        first.finish("now")  # type: ignore[arg-type]


def test_activations_get_a_lane_and_do_without_one(runtime_folder: Path) -> None:
    """The first activation attaches; after the end of the producer they are silent."""
    with producing() as (producer, _):
        neuron = producer.neuron("n")
        assert neuron.finish(0) is True
        assert Neuron.finish(neuron, 0) is True, "the method in Python serves a compiled neuron"
        producer.close()
        assert neuron.finish(0) is False
