"""The application's end: light to import, quiet where it cannot work, exact where it can."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Counters, Taker, producing, read_lane, run_python

import rnts.producer
from rnts import layout
from rnts.producer import Producer
from rnts.segment import Segment, parse_names
from rnts.text import split_strings


def names_in(segment: Segment) -> list[tuple[int, str]]:
    """Ids and names in the log of a segment."""
    length = segment.words[layout.HEADER_NAMES_BYTES // 8]
    entries, used = parse_names(os.pread(segment.descriptor, length, segment.size))
    assert used == length
    return [(neuron_id, split_strings(raw)[0]) for neuron_id, raw in entries]


def header(segment: Segment, offset: int) -> int:
    """A word of a segment's header."""
    return int(segment.words[offset // 8])


def test_importing_is_light() -> None:
    """`import rnts` loads no numpy, numba, typer or OpenSSL and starts no thread."""
    run = run_python("""
        import sys, threading
        import rnts
        rnts.neuron  # what an application touches first
        heavy = {"numpy", "numba", "typer", "rich", "yaml", "pydantic", "zmq", "psutil", "_ssl"}
        print(sorted(heavy & set(sys.modules)), threading.active_count())
    """)
    assert run.stdout == "[] 1\n", run.stderr


def test_recording_loads_nothing_heavy_either(runtime_folder: Path) -> None:
    """A program that records from plain Python never pays for numpy or numba."""
    run = run_python("""
        import sys
        import rnts
        with rnts.neuron("n").activation():
            rnts.neuron("n").event(rnts.Activated(strength=1.0))
        print(sorted({"numpy", "numba", "typer"} & set(sys.modules)))
    """)
    assert run.stdout == "[]\n", run.stderr


def test_disabled_telemetry_is_a_no_op(runtime_folder: Path) -> None:
    """Under RNTS_DISABLE=1 everything can be called, and nothing is made."""
    run = run_python(
        """
        import rnts, rnts.jit, numpy
        neuron = rnts.neuron("n")
        with neuron.activation():
            assert neuron.record(queue_depth=1) is False
        assert neuron.health(rnts.DEGRADED, "x") is False
        assert neuron.link(3).sent() is False
        assert rnts.record_batch(numpy.zeros(2, [("neuron_id", "u8")])) == 0
        assert rnts.jit.lane() == 0
        rnts.announce([1], ["a"])
        print("done")
        """,
        RNTS_DISABLE="1",
    )
    assert (run.stdout, run.stderr) == ("done\n", "")
    assert list(runtime_folder.iterdir()) == []


USE = """
import resource, sys
if len(sys.argv) > 1:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
import rnts
neuron = rnts.neuron("n")
for i in range(100):
    neuron.record(queue_depth=i)
    neuron.health(rnts.DEGRADED, "x")
    rnts.neuron(f"n{i}")
print("done")
"""


@pytest.mark.parametrize("how", ["missing", "file", "writable by others", "limit of file sizes"])
def test_where_no_segment_can_be_the_log_says_so_once(how: str, tmp_path: Path) -> None:
    """Without a usable folder or memory the program runs on, and one line tells why."""
    folder, arguments = tmp_path / "run", []
    if how == "missing":
        folder = Path("/proc/none")
    elif how == "file":
        folder.write_text("")
    elif how == "writable by others":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        arguments = ["8192"]
    run = run_python(USE, *arguments, RNTS_RUNTIME_DIR=str(folder))
    assert run.stdout == "done\n"
    assert run.returncode == 0
    lines = run.stderr.splitlines()
    assert len(lines) == 1
    assert "telemetry is off: no shared memory" in lines[0]
    assert how == "file" or not list(folder.glob("*"))


@pytest.fixture
def small_memory(tmp_path: Path) -> Iterator[Path]:
    """A memory file system that has room for a header and hardly more."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    if os.system(f"mount -t tmpfs -o size=64k,mode=700 tmpfs {folder} 2> /dev/null"):
        pytest.skip("file systems can be mounted by root only, and not everywhere")
    yield folder
    os.system(f"umount {folder}")


def test_full_memory_costs_records_but_no_crash(small_memory: Path) -> None:
    """Where no lane fits any more the records are counted as `no_lane`; nobody gets SIGBUS."""
    run = run_python(
        USE + "print(rnts.PROCESS.segment().words[11])", RNTS_RUNTIME_DIR=str(small_memory)
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n200\n"
    assert len(run.stderr.splitlines()) == 1
    assert "no memory for another lane" in run.stderr


FULL = """
import json, os, subprocess, sys
import rnts
folder = os.environ["RNTS_RUNTIME_DIR"]
filler = os.open(folder + "/filler", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(filler, bytes(4096))
except OSError:
    os.close(filler)
neuron = rnts.neuron("n")
for i in range(20):
    assert neuron.record(queue_depth=i) is False
doctor = [sys.executable, "-m", "rnts", "doctor", "--json"]
findings = json.loads(subprocess.run(doctor, capture_output=True).stdout)
os.unlink(folder + "/filler")
rnts.PROCESS._attach_after_s = 0
neuron.record(queue_depth=20)
print(json.dumps([rnts.PROCESS.segment().words[11], findings]))
"""


def test_memory_that_is_full_at_the_start_is_said_and_counted(small_memory: Path) -> None:
    """The program runs on, one line tells why, `doctor` says so, and the lost ones are counted."""
    run = run_python(FULL, RNTS_RUNTIME_DIR=str(small_memory))
    assert run.returncode == 0, run.stderr
    assert "records are lost while there is no shared memory" in run.stderr.splitlines()[0]
    without_lane, report = json.loads(run.stdout)
    assert without_lane >= 20
    assert [
        finding["verdict"] for finding in report["findings"] if finding["check"] == "shared memory"
    ] == ["fail"]


def test_a_segment_that_finds_no_memory_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records made meanwhile are `no_lane` in the segment that comes later; one line in the log."""
    producer = Producer(1, 64)
    neuron = producer.neuron
    with monkeypatch.context() as full:

        def fail(*arguments: Any) -> int:
            raise OSError(28, "No space left on device")

        full.setattr(os, "posix_fallocate", fail)
        made = neuron("n")
        assert [made.record(queue_depth=1) for _ in range(5)] == [False] * 5
        assert producer.enabled
    monkeypatch.setattr(producer, "_attach_after_s", 0.0)
    assert made.record(queue_depth=1) is True
    segment = producer.segment()
    assert segment is not None
    assert header(segment, layout.HEADER_NO_LANE) == 5
    assert [name for _, name in names_in(segment)] == ["n"]
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    producer.close(unlink=True)
    os.close(segment.descriptor)


def test_memory_that_fills_up_later_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A lane or a name that finds no memory is counted, and later ones are tried again."""
    with producing() as (producer, segment):
        with monkeypatch.context() as full:

            def fail(*arguments: Any) -> int:
                raise OSError(28, "No space left on device")

            full.setattr(os, "posix_fallocate", fail)
            full.setattr(os, "pwrite", fail)
            neuron = producer.neuron("n")
            assert [neuron.record(queue_depth=1) for _ in range(3)] == [False] * 3
        assert neuron.record(queue_depth=1) is True
        producer.neuron("later")
        assert header(segment, layout.HEADER_NO_LANE) == 3
        assert header(segment, layout.HEADER_NAMES_REFUSED) == 1
        assert [name for _, name in names_in(segment)] == ["later"]
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"name": "x" * 10_000}, ValueError, "at most 255 bytes, not 10000"),
        ({"name": "ä" * 128}, ValueError, "at most 255 bytes, not 256"),
        ({"name": ""}, ValueError, "must not be empty"),
        ({"name": None}, TypeError, "must be a str, not NoneType"),
        ({"name": b"n"}, TypeError, "must be a str, not bytes"),
        ({"name": "n", "group": 3}, TypeError, "the group of a neuron"),
        ({"name": "n", "role": "x" * 256}, ValueError, "the role of a neuron"),
        ({"name": "n", "neuron_id": 0}, ValueError, "1 … 2^64 - 1, not 0"),
        ({"name": "n", "neuron_id": 2**64}, ValueError, "1 … 2^64 - 1, not 18446744073709551616"),
        ({"name": "n", "neuron_id": "7"}, ValueError, "not '7'"),
    ],
)
def test_misuse_at_construction_is_told(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A name or an id that can never work raises, with the rule and the value."""
    with producing() as (producer, segment):
        with pytest.raises(error, match=said.replace("^", r"\^")):
            producer.neuron(**arguments)
        assert names_in(segment) == []


def test_names_of_files_are_names() -> None:
    """A name with bytes that are no UTF-8, as a file may have, is taken, and has its own id."""
    with producing() as (producer, segment):
        odd, other = producer.neuron("a\udce9"), producer.neuron("a\udcea")
        assert odd.id != other.id
        assert names_in(segment) == [(odd.id, "a?"), (other.id, "a?")]


def test_many_names_are_kept_and_found(size: Any) -> None:
    """12,000 different names (a million at night) all reach the log, in order, each once."""
    count = size(12_000, 1_000_000)
    with producing() as (producer, segment):
        for i in range(count):
            producer.neuron(f"name-{i}", group="g")
            producer.neuron("name-0", group="g")
        names = names_in(segment)
    assert [name for _, name in names] == [f"name-{i}" for i in range(count)]


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log and memory have limits; beyond them names are counted, and records go on."""
    monkeypatch.setattr(layout, "NAMES_BYTES_MAX", 10_000)
    monkeypatch.setattr(rnts.producer, "_NAMES_KEPT_MAX", 50)
    with producing() as (producer, segment):
        neurons = [producer.neuron(f"name-{i}", host="h") for i in range(1000)]
        written = len(names_in(segment))
        assert header(segment, layout.HEADER_NAMES_BYTES) <= 10_000
        assert 300 < written < 600
        assert header(segment, layout.HEADER_NAMES_REFUSED) == 1000 - written
        assert len(producer._names) == 50
        assert neurons[-1].record(queue_depth=1) is True


def test_many_neurons_are_named_at_once() -> None:
    """`announce` takes a group for all or one each; lists of different lengths are misuse."""
    with producing() as (producer, segment):
        producer.announce([1, 2], ["a", "b"], "g")
        producer.announce(iter([3]), ["c"], ["h"], role="r")
        with pytest.raises(ValueError, match="argument 2"):
            producer.announce([4], ["d", "e"], "g")
        assert names_in(segment) == [(1, "a"), (2, "b"), (3, "c")]


def in_threads(count: int, work: Any) -> None:
    """Run `work(i)` in that many threads at once, and wait for all."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_each_thread_has_a_lane_and_gives_it_back() -> None:
    """Threads at the same time have different lanes; later ones take over what is free."""
    with producing(lanes=4) as (producer, segment):
        neuron, barrier, lanes = producer.neuron("n"), threading.Barrier(3), []

        def work(i: int) -> None:
            neuron.record(queue_depth=i)
            lanes.append(producer.local.writer.lane)
            barrier.wait()

        for _ in range(5):
            in_threads(3, work)
        assert sorted(lanes) == [0] * 5 + [1] * 5 + [2] * 5
        assert header(segment, layout.HEADER_LANES_USED) == 3
        assert [read_lane(segment, lane).tail for lane in range(3)] == [5, 5, 5]


def test_more_threads_than_lanes_are_counted(runtime_folder: Path) -> None:
    """Records of a thread that finds no lane count as `no_lane` until one comes free."""
    with producing(lanes=2) as (producer, segment):
        neuron, barrier, results = producer.neuron("n"), threading.Barrier(5), []

        def work(i: int) -> None:
            results.append(neuron.record(queue_depth=i))
            barrier.wait()
            results.extend(neuron.record(queue_depth=i) for _ in range(9))
            barrier.wait()

        in_threads(5, work)
        assert sorted(results) == [False] * 30 + [True] * 20
        assert neuron.record(queue_depth=1) is True
        assert header(segment, layout.HEADER_NO_LANE) == 30
        taker = Taker(runtime_folder)
        assert len(taker.take()) == 21
        attempts, taken, no_lane = taker.collector.source_rows()[:, [3, 5, 10]].sum(axis=0)
        assert (attempts, taken, no_lane) == (51, 21, 30)


def nest(producer: Producer) -> None:
    """What a signal handler or a finaliser may do while the producer is at work itself."""
    producer.neuron("nested").record(queue_depth=1)
    producer.announce([5], ["five"], "g")
    assert producer.claim_lane() is None


def test_a_handler_in_the_middle_of_attaching_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gets no lane, which is counted; its names are written by whom it interrupted."""
    original = Segment.append_names

    def interrupted(self: Segment, names: dict[int, bytes]) -> None:
        if calls:
            calls.pop()
            nest(producer)
        original(self, names)

    calls = [1, 1, 1]
    producer = Producer(lanes=2, lane_slots=64)
    monkeypatch.setattr(Segment, "append_names", interrupted)
    worker = threading.Thread(
        target=lambda: producer.neuron("n").record(queue_depth=1), daemon=True
    )
    worker.start()
    worker.join(timeout=20)
    assert not worker.is_alive(), "the lock waits for its own holder"
    segment = producer.segment()
    assert segment is not None
    assert {name for _, name in names_in(segment)} == {"n", "nested", "five"}
    assert header(segment, layout.HEADER_NO_LANE) >= 1
    assert read_lane(segment) == Counters(1, 1, 0, {})
    producer.close(unlink=True)


@pytest.mark.parametrize(
    ("asked", "slots"),
    [("100", 128), ("64", 64), ("1", 64), ("9999999", 1 << 20), ("", 16_384), ("many", 16_384)],
)
def test_lanes_are_as_large_as_the_agent_asks(asked: str, slots: int, runtime_folder: Path) -> None:
    """The agent's wish is rounded up to a power of two within limits; nonsense is none."""
    (runtime_folder / "lane_slots").write_text(asked)
    producer = Producer(lanes=1)
    segment = producer.segment()
    assert segment is not None
    assert segment.lane_slots == slots
    producer.close(unlink=True)


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_segment_outlives_its_program_only_for_an_agent(
    is_watched: bool, runtime_folder: Path
) -> None:
    """At the end the file goes, unless an agent was there lately and will fetch what is in it."""
    with producing() as (producer, segment):
        taker = Taker(runtime_folder)
        if is_watched:
            taker.take()
        producer.close()
        assert segment.path.exists() is is_watched
        assert producer.neuron("n").record(queue_depth=1) is False
