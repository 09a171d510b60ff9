"""Lanes of programs that write what cannot be: put aside, counted, named; the others go on."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Taker, producing
from kill_tools import NOBODY

import rnts
from rnts import layout
from rnts.accounting import QUARANTINES, SICK
from rnts.accounts import Accounts
from rnts.audit import examine, read_lanes
from rnts.bus_guard import BUS_GUARD
from rnts.handover import table_of
from rnts.kernels import lane as kernel
from rnts.kernels import reports
from rnts.model import SLOT_BYTES
from rnts.segment import Segment

AGENT = (1, 1)


class Books:
    """An agent's collector with an aggregator's books behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taker, self.accounts, self.folded = Taker(folder), Accounts(), 0

    def turn(self) -> list[int]:
        """One pass and one frame; the queue depths of the records that came."""
        collector = self.taker.collector
        records = self.taker.take()
        self.folded += len(records)
        ends, moved = collector.reap(), collector.source_rows()
        for rows in (collector.baselines, ends, moved):
            self.accounts.enter(AGENT, table_of(rows))
        collector.baselines.clear()
        return [int(seen.values.get("queue_depth", -1)) for seen in records]

    def document(self) -> dict[str, Any]:
        """The books as they stand."""
        return self.accounts.document(self.folded, 0, 0)

    def audit(self) -> Any:
        """The audit of the lanes against the books."""
        books = {"accounting": self.document(), "sources": self.accounts.sources()}
        return examine(read_lanes([self.folder]), books)


def word(segment: Segment, offset: int, value: int) -> None:
    """Write a word of the first lane's header."""
    segment.words[(layout.lane_offset(0) + offset) // 8] = value


SCRIBBLES = {
    "a tail before the head": ("positions", layout.LANE_TAIL, 0),
    "a tail far ahead": ("positions", layout.LANE_TAIL, 1 << 40),
    "a negative tail": ("positions", layout.LANE_TAIL, 2**64 - 1),
    "fewer attempts than before": ("counters", layout.LANE_ATTEMPTS, 2),
    "negative attempts": ("counters", layout.LANE_ATTEMPTS, 2**63),
    "endless attempts": ("counters", layout.LANE_ATTEMPTS, 2**62),
    "more drops than attempts": ("counters", layout.LANE_DROP["too_big"], 77),
    "negative drops": ("counters", layout.LANE_DROP["lane_full"], 2**64 - 5),
    "more sampled out than attempted": ("counters", layout.LANE_SAMPLED_OUT, 2**61),
}


@pytest.mark.parametrize("what", SCRIBBLES)
@pytest.mark.parametrize("is_dead", [False, True])
def test_a_lane_whose_header_was_scribbled_over_is_put_aside(
    what: str, is_dead: bool, runtime_folder: Path
) -> None:
    """It is read no more and counted by reason, the books balance, and its neighbours go on."""
    reason, offset, value = SCRIBBLES[what]
    with producing(lanes=2, lane_slots=8) as (evil, segment), producing() as (good, _):
        neuron, other = evil.neuron("n"), good.neuron("n")
        books = Books(runtime_folder)
        for i in range(3):
            neuron.record(queue_depth=i)
        assert books.turn() == [0, 1, 2]
        neuron.record(queue_depth=3)
        word(segment, offset, value)
        if is_dead:
            segment.words[layout.HEADER_PID // 8] = NOBODY
        other.record(queue_depth=10)
        came = [*books.turn(), *books.turn()]

        assert came in ([10], [3, 10], [10, 3])
        neuron.record(queue_depth=4)
        other.record(queue_depth=11)
        assert books.turn() == [11]
        collector = books.taker.collector
        if not is_dead:
            assert collector.quarantine.lanes == {reason: 1}
            assert len(collector.lanes) == 1
            [said] = books.audit().quarantined
            assert said.startswith(f"{segment.path.name} lane 0")
        account = books.document()
        assert account["balanced"], account
        assert account["in_flight"] == 0
        assert account["dropped"].get("quarantined", 0) == 4 - sum(d < 10 for d in [0, 1, 2, *came])
        assert books.audit().is_balanced


def test_what_a_lane_held_when_it_was_put_aside_is_named(runtime_folder: Path) -> None:
    """Where the counters can still be believed, each record behind the tail is `quarantined`."""
    with producing(lanes=1, lane_slots=8) as (producer, segment):
        neuron, books = producer.neuron("n"), Books(runtime_folder)
        neuron.record(queue_depth=0)
        assert books.turn() == [0]
        for i in range(1, 6):
            neuron.record(queue_depth=i)
        word(segment, layout.LANE_TAIL, 1 << 50)
        assert books.turn() == []
        assert books.document()["dropped"] == {"quarantined": 5}
        assert books.document()["balanced"]


def test_the_next_agent_leaves_the_lane_alone(runtime_folder: Path) -> None:
    """A lane that was put aside stays so, also when its program has mended what it wrote."""
    with producing(lanes=1, lane_slots=8) as (producer, segment):
        neuron, first = producer.neuron("n"), Books(runtime_folder)
        neuron.record(queue_depth=0)
        word(segment, layout.LANE_TAIL, 77)
        first.turn()
        assert first.taker.collector.quarantine.lanes == {"positions": 1}
        first.taker.collector.close()
        word(segment, layout.LANE_TAIL, 1)
        second = Books(runtime_folder)
        assert second.turn() == second.turn() == []
        assert second.taker.collector.quarantine.lanes == {"before": 1}
        assert len(second.taker.collector.lanes) == 0
        assert second.document()["balanced"]


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (layout.LANE_HEAD, 1 << 40), (layout.LANE_HEAD, 2**64 - 3), (layout.LANE_HEAD, 1),
        (layout.LANE_NOTES[0] + 8, 2**63), (layout.LANE_NOTES[0] + 8, 50),
        (layout.LANE_NOTES[0] + 16, 2**64 - 1),
    ],
)  # fmt: skip
def test_notes_that_cannot_be_put_a_lane_aside(
    offset: int, value: int, runtime_folder: Path
) -> None:
    """An agent that takes over believes neither a head without a note nor more than the head."""
    with producing(lanes=1, lane_slots=8) as (producer, segment):
        neuron, first = producer.neuron("n"), Taker(runtime_folder)
        for i in range(3):
            neuron.record(queue_depth=i)
        assert len(first.take()) == 3
        first.collector.close()
        word(segment, offset, value)
        books = Books(runtime_folder)
        assert books.turn() == []
        assert books.taker.collector.quarantine.lanes == {"positions": 1}
        assert books.document()["balanced"]


def test_a_record_of_several_slots_that_is_lost_is_one(runtime_folder: Path) -> None:
    """Its header was scribbled over, so each of its slots is skipped: the books say one record."""
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        neuron, books = producer.neuron("n"), Books(runtime_folder)
        neuron.record(queue_depth=0)
        neuron.event(rnts.ErrorOccurred("x" * 200, details="y" * 200))
        neuron.record(queue_depth=1)
        slot = layout.slots_offset(0, 1, 16) + SLOT_BYTES
        segment.words[slot // 8] = 2**64 - 1
        assert books.turn() == [0, 1]
        assert books.taker.collector.lanes[0, kernel.CORRUPT] > 1
        assert books.document()["dropped"] == {"corrupt": 1}
        assert books.document()["balanced"]
        assert books.audit().is_balanced


def test_records_without_a_lane_never_go_back(runtime_folder: Path) -> None:
    """A count in the header that was scribbled over is not believed."""
    with producing() as (_, segment):
        books = Books(runtime_folder)
        for value in (7, 3, 2**64 - 1, 2**63, 7):
            segment.words[layout.HEADER_NO_LANE // 8] = value
            books.turn()
        assert books.document()["dropped"] == {"no_lane": 7}
        assert books.document()["balanced"]


def test_reasons_have_the_numbers_that_kernels_write() -> None:
    """What stands in SICK is found among the reasons."""
    assert SICK["positions"] == 1
    assert SICK["counters"] == reports.SICK_COUNTERS
    assert list(SICK) == list(QUARANTINES)


@pytest.fixture
def victim(runtime_folder: Path) -> Iterator[Path]:
    """A segment of this process with three records, which nobody has mapped."""
    with producing(lanes=2, lane_slots=64) as (producer, segment):
        for i in range(3):
            producer.neuron("n").record(queue_depth=i)
        path = runtime_folder / "victim.seg"
        shutil.copyfile(segment.path, path)
        segment.path.unlink()
        yield path


@pytest.mark.parametrize("length", [0, 100, 4096, layout.data_offset(2)])
def test_a_segment_that_is_cut_short_is_put_aside(
    length: int, victim: Path, runtime_folder: Path
) -> None:
    """Reading it is no SIGBUS; its lanes are counted, the books balance, and others go on."""
    with producing() as (good, _):
        books = Books(runtime_folder)
        assert sorted(books.turn()) == [0, 1, 2]
        hits = BUS_GUARD.hits
        os.truncate(victim, length)
        good.neuron("n").record(queue_depth=10)
        [hurt] = [s for s in books.taker.collector.segments if s.path == victim]
        assert books.turn() == [10]
        hurt.mark_seen()
        assert hurt.words[-1] == 0
        books.turn()
        assert BUS_GUARD.hits == hits + 1
        assert BUS_GUARD.was_hit(hurt.address)
        assert books.taker.collector.quarantine.lanes == {"truncated": 1}
        assert books.document()["balanced"]
        good.neuron("n").record(queue_depth=11)
        assert books.turn() == [11]
        address = hurt.address
        books.taker.collector.close()
        assert not BUS_GUARD.was_hit(address)


GUARDED = """
import ctypes, mmap, os, signal, tempfile, threading
from rnts.bus_guard import BUS_GUARD
def mapped():
    file = tempfile.TemporaryFile()
    file.truncate(8192)
    buffer = mmap.mmap(file.fileno(), 8192)
    return file, buffer, ctypes.addressof(ctypes.c_char.from_buffer(buffer))
file, buffer, address = mapped()
BUS_GUARD.protect(address, 8192)
"""
STRANGER = "other, bad, _ = mapped(); other.truncate(0); bad[0]"
DEATHS = {
    "a mapping of somebody else": STRANGER,
    "after release": "BUS_GUARD.release(address); file.truncate(0); buffer[0]",
    "sent by a person": "os.kill(os.getpid(), signal.SIGBUS)",
}


def run_guarded(code: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """A process of its own with a guarded mapping."""
    command = [sys.executable, *options, "-c", GUARDED + code]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("what", DEATHS)
def test_other_faults_end_a_process_as_ever(what: str) -> None:
    """Only what is guarded is survived; nothing else that goes wrong is covered up."""
    assert run_guarded(DEATHS[what]).returncode == -signal.SIGBUS


def test_faulthandler_still_tells_of_other_faults() -> None:
    """A handler that was there before gets what is not ours, and not what is."""
    done = run_guarded("file.truncate(0); assert buffer[0] == 0", "-X", "faulthandler")
    assert (done.returncode, done.stderr) == (0, b"")
    done = run_guarded(STRANGER, "-X", "faulthandler")
    assert done.returncode == -signal.SIGBUS
    assert b"Fatal Python error: Bus error" in done.stderr


def test_many_mappings_in_many_threads_are_survived() -> None:
    """The table grows, rows are used again, and threads that are hit at once all go on."""
    done = run_guarded("""
many = [mapped() for _ in range(300)]
for _, _, place in many:
    BUS_GUARD.protect(place, 8192)
for _, _, place in many[::2]:
    BUS_GUARD.release(place)
for _, _, place in many[::2]:
    BUS_GUARD.protect(place, 8192)
for opened, _, _ in many:
    opened.truncate(0)
gate = threading.Barrier(4)
def read():
    gate.wait()
    for _, cut, _ in many:
        assert cut[0] == cut[8191] == 0
threads = [threading.Thread(target=read) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert all(BUS_GUARD.was_hit(place) for _, _, place in many)
assert BUS_GUARD.hits >= len(many) and not BUS_GUARD.was_hit(address)
""")
    assert done.returncode == 0, done.stderr.decode()
