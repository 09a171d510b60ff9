"""Recording from compiled code: the bytes of the other emitters, exact counts, safe forks."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_tools import Counters, Seen, Taker, producing, read_lane, run_python
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

import rnts
from rnts import jit, layout
from rnts.model import METRIC_NAMES, SLOT_BYTES, Kind
from rnts.producer import Producer
from rnts.segment import Segment

pytestmark = pytest.mark.filterwarnings("error")


@njit(nogil=True)
def record_all(lane, neuron, ints, floats):
    """Set every field of a sample."""
    return jit.record(
        lane, neuron, ints[9], activation_count=ints[0], processing_time_ns=ints[1],
        queue_depth=ints[2], memory_bytes=ints[3], messages_sent=ints[4],
        messages_received=ints[5], bytes_transmitted=ints[6], connection_count=ints[7],
        health=ints[8], cpu_usage_percent=floats[0], gpu_usage_percent=floats[1],
        cache_hit_rate=floats[2], signal_strength=floats[3], noise_ratio=floats[4],
        activation_potential=floats[5], weight=floats[6],
    )  # fmt: skip


@njit(nogil=True)
def record_some(lane, neuron, ints, floats):
    """Set fields that share a word with others, or with none."""
    return jit.record(
        lane, neuron, ints[9], queue_depth=ints[2], memory_bytes=ints[3],
        weight=floats[6], noise_ratio=floats[4],
    )  # fmt: skip


@njit(nogil=True)
def send_and_tell(lane, neuron, ints, values):
    """A link and an event with all that they can hold without text."""
    jit.link(lane, neuron, ints[9], ints[0], ints[1], ints[3], ints[4])
    jit.event(lane, neuron, ints[9], type=2, peer_id=ints[0])
    return jit.event(lane, neuron, ints[9], type=4, value=values[0])


@njit(nogil=True)
def set_depth(lane, value):
    """Set a field of 32 bits."""
    return jit.record(lane, 7, 8, queue_depth=value)


@njit(nogil=True)
def set_health(lane, value):
    """Set a field of 8 bits."""
    return jit.record(lane, 7, 8, health=value)


@njit(nogil=True)
def set_time(lane, value):
    """Set a field of 64 bits."""
    return jit.record(lane, 7, 8, processing_time_ns=value)


@njit(nogil=True)
def count_up(lane, neuron, count):
    """Record 0, 1, …; how many were taken."""
    taken = 0
    for i in range(count):
        taken += jit.record(lane, neuron, i + 1, activation_count=i)
    return taken


INTS = ("activation_count", "processing_time_ns", "queue_depth", "memory_bytes")
INTS += ("messages_sent", "messages_received", "bytes_transmitted", "connection_count", "health")
FLOATS = (*METRIC_NAMES[8:], "weight")
UNSIGNED = st.one_of(st.integers(0, 1000), st.integers(0, 2**64 - 1))
INT_VALUES = st.tuples(
    UNSIGNED, UNSIGNED, st.integers(0, 2**32 - 1), UNSIGNED, UNSIGNED, UNSIGNED, UNSIGNED,
    st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(1, 2**63 - 1),
)  # fmt: skip
SINGLES = st.one_of(st.floats(width=32, allow_nan=False), st.floats(-1e38, 1e38))
DOUBLES = st.floats(allow_nan=False)
FLOAT_VALUES = st.tuples(SINGLES, SINGLES, SINGLES, DOUBLES, DOUBLES, DOUBLES, SINGLES)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Producer, Segment]]:
    """Compiled code's lanes in a segment of the test's own."""
    with producing(lanes=4, lane_slots=64) as (producer, segment):
        monkeypatch.setattr(jit, "PROCESS", producer)
        monkeypatch.setattr(jit, "_mapping", {})
        monkeypatch.setattr(jit, "_lanes", [])
        yield producer, segment


def slots_of(segment: Segment, count: int) -> bytes:
    """The bytes of the first slots of the first lane."""
    start = layout.slots_offset(0, segment.lanes, segment.lane_slots)
    return segment.buffer[start : start + count * SLOT_BYTES]


@given(
    ints=INT_VALUES, floats=FLOAT_VALUES, neuron=st.integers(1, 2**64 - 1), everything=st.booleans()
)
def test_compiled_and_plain_samples_are_the_same_bytes(
    ints: tuple[int, ...], floats: tuple[float, ...], neuron: int, everything: bool
) -> None:
    """All emitters lay out the same values alike, whether all fields are set or some."""
    given_values: dict[str, Any] = {**dict(zip(INTS, ints, strict=False))}
    given_values |= dict(zip(FLOATS, floats, strict=True))
    chosen = (
        given_values
        if everything
        else {
            name: given_values[name]
            for name in ("queue_depth", "memory_bytes", "weight", "noise_ratio")
        }
    )
    emit = record_all if everything else record_some
    with (
        pytest.MonkeyPatch.context() as patch,
        producing() as (plain, one),
        producing() as (
            compiled,
            other,
        ),
    ):
        patch.setattr(jit, "PROCESS", compiled)
        patch.setattr(jit, "_mapping", {})
        patch.setattr(jit, "_lanes", [])
        plain.neuron("n", neuron_id=neuron).record(**chosen, timestamp_ns=ints[9])
        lane = jit.lane()
        assert emit(lane, np.uint64(neuron), np.array(ints, np.uint64), np.array(floats)) is True
        assert read_lane(other) == read_lane(one) == Counters(1, 1, 0, {})
        assert slots_of(other, 1) == slots_of(one, 1)


def test_compiled_links_and_events_are_the_same_bytes(own: tuple[Producer, Segment]) -> None:
    """Links and events without text are those of the plain writer, too."""
    _, segment = own
    ints = np.array([11, 12, 13, 14, 15, 16, 17, 18, 19, 20], np.uint64)
    assert send_and_tell(jit.lane(), np.uint64(7), ints, np.array([2.5])) is True
    with producing() as (plain, other):
        neuron = plain.neuron("n", neuron_id=7)
        neuron.link(11).sent(12, 14, 15, timestamp_ns=20)
        neuron.event(rnts.ConnectionEstablished(peer_id=11), timestamp_ns=20)
        neuron.event(rnts.ThresholdExceeded("", 2.5), timestamp_ns=20)
        taken = Taker(other.path.parent).take()
        same = 2 * SLOT_BYTES
        assert slots_of(segment, 2) == slots_of(other, 2)[:same]
    by_time = sorted(taken, key=lambda seen: (seen.kind, seen.values.get("event_type", 0)))
    compiled, plain_ones = by_time[0::2], by_time[1::2]
    assert [(s.kind, s.values) for s in compiled] == [(s.kind, s.values) for s in plain_ones]
    assert [s.kind for s in compiled] == [Kind.EVENT, Kind.EVENT, Kind.LINK]


RANGES = [
    (set_depth, 0, True), (set_depth, 2**32 - 1, True), (set_depth, -1, False),
    (set_depth, 2**32, False), (set_depth, float("nan"), False), (set_depth, -0.5, False),
    (set_health, 255, True), (set_health, 256, False), (set_health, -1, False),
    (set_time, 2**63 - 1, True), (set_time, -1, False), (set_time, float("nan"), False),
]  # fmt: skip


def test_values_out_of_range_are_counted(own: tuple[Producer, Segment]) -> None:
    """What does not fit its field drops the record as `invalid`, like the plain writer."""
    _, segment = own
    lane = jit.lane()
    for function, value, fits in RANGES:
        assert function(lane, value) is fits, (function, value)
    good = sum(fits for _, _, fits in RANGES)
    expected = Counters(len(RANGES), good, 0, {"invalid": len(RANGES) - good})
    assert read_lane(segment) == expected


def test_lane_zero_is_a_no_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where telemetry is off there is no lane, and each call does nothing."""
    monkeypatch.setenv("RNTS_DISABLE", "1")
    monkeypatch.setattr(jit, "PROCESS", Producer())
    assert jit.lane() == 0
    assert set_depth(0, 5) is False
    assert send_and_tell(0, np.uint64(7), np.arange(10, dtype=np.uint64), np.zeros(1)) is False


def test_without_a_lane_left_it_is_said(
    own: tuple[Producer, Segment], caplog: pytest.LogCaptureFixture
) -> None:
    """When all lanes are taken the next one is 0, and the log says what that means."""
    assert 0 not in [jit.lane() for _ in range(4)]
    assert jit.lane() == 0
    assert "no lane is left for compiled code" in caplog.text


def test_fields_left_out_keep_the_old_bytes_unread(own: tuple[Producer, Segment]) -> None:
    """In a slot that was used before, the mask alone says which fields are set."""
    _, segment = own
    lane, taker = jit.lane(), Taker(segment.path.parent)
    ints, floats = np.full(10, 200, np.uint64), np.full(7, 0.5)
    for _ in range(64):
        record_all(lane, np.uint64(7), ints, floats)
    assert len(taker.take()) == 64
    record_some(lane, np.uint64(7), ints, floats)
    values = {"queue_depth": 200, "memory_bytes": 200, "weight": 0.5, "noise_ratio": 0.5}
    assert taker.take() == [Seen(Kind.SAMPLE, 7, 200, values, [])]


def test_threads_without_the_gil_are_counted_exactly(
    own: tuple[Producer, Segment], size: Any
) -> None:
    """Each on a lane of its own, drained meanwhile: what was taken arrives, in order, once."""
    _, segment = own
    count = size(100_000, 10_000_000)
    lanes = [jit.lane() for _ in range(4)]
    taken: dict[int, int] = {}
    count_up(lanes[0], 99, 0)

    def work(index: int) -> None:
        taken[index] = count_up(lanes[index], index + 1, count)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    taker = Taker(segment.path.parent)
    seen: dict[int, list[int]] = {i: [] for i in range(4)}
    for thread in threads:
        thread.start()
    while True:
        are_done = not any(thread.is_alive() for thread in threads)
        taker.collector.discover()
        filled = taker.collector.drain(taker.room, 0, 1 << 20)
        for index in range(4):
            rows = taker.room[:filled]
            seen[index] += rows[rows[:, 1] == index + 1, 2].tolist()
        if are_done and not filled:
            break
    for index in range(4):
        counters = read_lane(segment, index)
        assert counters.attempts == count
        assert counters.drops.get("lane_full", 0) == count - taken[index]
        assert len(seen[index]) == taken[index]
        assert seen[index] == sorted(set(seen[index]))


MODULE = """
from numba import njit
import rnts, rnts.jit

@njit(cache=True, nogil=True)
def work(lane, count):
    taken = 0
    for i in range(count):
        taken += rnts.jit.record(lane, 7, i + 1, activation_count=1000 + i)
    return taken
"""
CACHED = """
import sys
sys.path.insert(0, sys.argv[1])
import rnts.jit, worker
lane = rnts.jit.lane()
print(worker.work(lane, 3), sum(worker.work.stats.cache_hits.values()))
"""
FORKING = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import rnts.jit, worker
from capture_tools import Taker
from rnts.runtime import segment_folders
lanes = [rnts.jit.lane() for _ in range(2)]
worker.work(lanes[0], 1)
neuron = rnts.neuron("n", neuron_id=9)
neuron.record(queue_depth=1)
if sys.argv[2] == "without":
    os.environ["RNTS_RUNTIME_DIR"] = "/proc/none"
child = os.fork()
if child == 0:
    taken = worker.work(lanes[0], 5) + worker.work(lanes[1], 2)
    neuron.record(queue_depth=2)
    os._exit(taken)
taken = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.environ["RNTS_RUNTIME_DIR"] = sys.argv[3]
worker.work(lanes[1], 3)
neuron.record(queue_depth=3)
taker = Taker(segment_folders()[0])
values = sorted(list(seen.values.values())[0] for seen in taker.take())
segments = len(taker.collector.segments)
print(json.dumps({"taken": taken, "segments": segments, "values": values}))
"""


@pytest.fixture(scope="module")
def users_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program with compiled code of its own, and of what Numba keeps of it."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "worker.py").write_text(MODULE)
    return folder


def run_users(
    users_code: Path, program: str, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program beside the user's code, which the first one compiles for all."""
    kept = str(users_code / "cache")
    return run_python(program, str(users_code), *arguments, NUMBA_CACHE_DIR=kept)


def test_user_code_that_records_is_cached(users_code: Path) -> None:
    """A user's cached function is loaded by the second process, and works there."""
    runs = [run_users(users_code, CACHED) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["3", "0"], ["3", "1"]], runs


@pytest.mark.parametrize("segment", ["with", "without"])
def test_addresses_stay_good_after_a_fork(
    segment: str, users_code: Path, runtime_folder: Path
) -> None:
    """The child's compiled code writes into the child's segment, or nowhere if it has none."""
    run = run_users(users_code, FORKING, segment, str(runtime_folder))
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    of_child = [1000, 1001, 1002, 1003, 1004, 1000, 1001, 2] if segment == "with" else []
    assert found["taken"] == (7 if segment == "with" else 0)
    assert found["segments"] == (2 if segment == "with" else 1)
    assert found["values"] == sorted([1000, 1, 1000, 1001, 1002, 3, *of_child])
