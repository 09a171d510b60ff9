"""The agent's end of the segments: what is none is refused, what is hostile harms nobody."""

import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Taker, producing, read_lane
from conftest import NIGHTLY
from hypothesis import given, settings
from hypothesis import strategies as st

import rnts
from rnts import attached, layout, runtime
from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_FINAL
from rnts.kernels import lane as kernel
from rnts.model import SLOT_BYTES
from rnts.producer import Producer
from rnts.segment import Segment

NOBODY = 1 << 22  # the highest pid that a kernel may give, and does not
HOSTILE = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 100), st.sampled_from([2**63, 2**64 - 1, 2**32, 4096])
)


def poke(path: Path, offset: int, value: int) -> None:
    """Write one word of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(8, "little"))


def age(path: Path) -> None:
    """Let a file look as if it had been there for long."""
    os.utime(path, (0, 0), follow_symlinks=False)


def make_file(folder: Path, change: Callable[[Path], Any]) -> Path:
    """A segment with one record, of this process, that was changed afterwards."""
    with producing(lanes=2, lane_slots=8) as (producer, segment):
        producer.neuron("n").record(queue_depth=1)
        path = folder / "changed.seg"
        shutil.copyfile(segment.path, path)
    change(path)
    age(path)
    return path


REFUSED: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "empty": ("truncated", lambda path: os.truncate(path, 0)),
    "half a header": ("truncated", lambda path: os.truncate(path, 2000)),
    "no lanes": ("truncated", lambda path: os.truncate(path, 4096)),
    "half a lane": ("truncated", lambda path: os.truncate(path, 8192 + 1000)),
    "text": ("foreign", lambda path: path.write_text("x" * 100_000)),
    "zeros": ("foreign", lambda path: path.write_bytes(bytes(100_000))),
    "another magic": ("foreign", lambda path: poke(path, layout.HEADER_MAGIC, 1)),
    "another boot": ("foreign", lambda path: poke(path, layout.HEADER_BOOT_ID, 1)),
    "no process": ("foreign", lambda path: poke(path, layout.HEADER_PID, 0)),
    "no such pid": ("foreign", lambda path: poke(path, layout.HEADER_PID, 2**40)),
    "negative pid": ("foreign", lambda path: poke(path, layout.HEADER_PID, 2**64 - 5)),
    "zero lanes": ("foreign", lambda path: poke(path, layout.HEADER_LANES, 0)),
    "endless lanes": ("foreign", lambda path: poke(path, layout.HEADER_LANES, 2**63)),
    "endless slots": ("foreign", lambda path: poke(path, layout.HEADER_LANE_SLOTS, 2**62)),
    "odd slots": ("foreign", lambda path: poke(path, layout.HEADER_LANE_SLOTS, 12)),
    "another ABI": ("version", lambda path: poke(path, layout.HEADER_ABI, layout.ABI + 1)),
    "wider slots": ("version", lambda path: poke(path, layout.HEADER_SLOT_BYTES, 256)),
    "a folder": ("unreadable", lambda path: (path.unlink(), path.mkdir())),
    "a link": ("unreadable", lambda path: (path.rename(path.with_suffix(".x")),
                                           path.symlink_to(path.with_suffix(".x")))),
    "a dead link": ("unreadable", lambda path: (path.unlink(), path.symlink_to("nowhere"))),
    "a pipe": ("truncated", lambda path: (path.unlink(), os.mkfifo(path))),
    "a socket": ("unreadable", lambda path: (
        path.unlink(), socket.socket(socket.AF_UNIX).bind(str(path)))),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_are_no_segments_are_refused(what: str, runtime_folder: Path) -> None:
    """Each is counted once under its reason, and the segment beside it is drained as always."""
    reason, change = REFUSED[what]
    with producing() as (producer, _):
        path = make_file(runtime_folder, change)
        taker = Taker(runtime_folder)
        for i in range(3):
            producer.neuron("n").record(queue_depth=i)
            assert [seen.values["queue_depth"] for seen in taker.take()] == [i]
        assert taker.collector.refused == {reason: 1}
        assert len(taker.collector.segments) == 1
        taker.collector.close()
    assert os.path.lexists(path)


def test_a_segment_has_one_agent(runtime_folder: Path) -> None:
    """A second agent is refused as `locked`, counted once, and takes over when the first goes."""
    with producing() as (producer, _):
        first, second = Taker(runtime_folder), Taker(runtime_folder)
        producer.neuron("n").record(queue_depth=1)
        assert len(first.take()) == 1
        for _ in range(3):
            assert second.take() == []
        assert second.collector.refused == {"locked": 1}
        first.collector.close()
        producer.neuron("n").record(queue_depth=2)
        assert [seen.values["queue_depth"] for seen in second.take()] == [2]


@pytest.mark.parametrize("fails", ["pidfd_open", "mmap"])
def test_want_of_descriptors_or_memory_passes(
    fails: str, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that cannot be watched is not taken for dead; the segment is tried again later."""

    def fail(*arguments: Any) -> int:
        raise OSError(24, "Too many open files")

    with producing() as (producer, segment):
        producer.neuron("n").record(queue_depth=1)
        taker = Taker(runtime_folder)
        with monkeypatch.context() as short:
            short.setattr(attached.os if fails == "pidfd_open" else attached.mmap, fails, fail)
            for _ in range(2):
                assert taker.take() == []
            assert len(taker.collector.reap()) == 0
        assert taker.collector.refused == {"unreadable": 1}
        assert segment.path.exists()
        assert len(taker.take()) == 1


def test_owners_are_told_apart_by_their_start(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reused pid is a dead owner; one whose start the kernel does not tell is alive."""
    reused = make_file(runtime_folder, lambda path: poke(path, layout.HEADER_START_TIME, 1))
    with producing() as (_, segment):
        monkeypatch.setattr(runtime, "process_start_time", lambda pid: None)
        taker = Taker(runtime_folder)
        taker.collector.discover()
        assert [s.is_owner_dead for s in taker.collector.segments] == [False, False]
        taker.collector.close()
        monkeypatch.undo()
        taker = Taker(Path(segment.path.parent))
        taker.take()
        assert {s.path: s.is_owner_dead for s in taker.collector.segments} == {
            reused: True, segment.path: False,
        }  # fmt: skip


def test_descriptors_beyond_a_thousand_work(runtime_folder: Path) -> None:
    """An agent of many programs has numbers of descriptors that select() does not know."""
    with producing():
        taker = Taker(runtime_folder)
        taker.collector.discover()
        [segment] = taker.collector.segments
        try:
            high = fcntl.fcntl(segment.death_descriptor, fcntl.F_DUPFD, 1500)
        except OSError:
            pytest.skip("this user may not open so many files")
        os.close(segment.death_descriptor)
        segment.death_descriptor = high
        assert segment.is_owner_dead is False


@contextmanager
def deserted(lanes: int = 2) -> Iterator[tuple[Producer, Segment]]:
    """A producer whose segment says that its owner is gone."""
    with producing(lanes, lane_slots=16) as (producer, segment):
        segment.words[layout.HEADER_PID // 8] = NOBODY
        yield producer, segment


def test_segments_of_the_dead_are_drained_and_freed(runtime_folder: Path) -> None:
    """Their last rows are final, what was attempted and never published is torn, the file goes."""
    with deserted() as (producer, segment):
        neuron = producer.neuron("n")
        for value in (1, 2, 3):
            neuron.record(queue_depth=value)
        neuron.event(None)  # type: ignore[arg-type]
        segment.words[(layout.lane_offset(0) + layout.LANE_ATTEMPTS) // 8] += 1
        segment.words[layout.HEADER_NO_LANE // 8] = 7
        taker = Taker(runtime_folder)
        taker.collector.discover()
        assert len(taker.collector.reap()) == 0, "there are records in the lane"
        assert len(taker.take()) == 3
        lane, without = (dict(zip(COLUMN, row, strict=True)) for row in taker.collector.reap())
        assert not segment.path.exists()
        assert (len(taker.collector.lanes), taker.collector.segments) == (0, [])
    assert lane["key"] == attached.source_key(segment.path, 0)
    assert without["key"] == attached.source_key(segment.path, -1)
    assert lane["flags"] == without["flags"] == SOURCE_FINAL
    counts = {k: v for k, v in lane.items() if v and k not in ("key", "flags")}
    assert counts == {"in_frame": 3, "attempts": 5, "delivered": 3, "invalid": 1, "torn": 1}
    assert {k: v for k, v in without.items() if v and k not in ("key", "flags")} == {
        "attempts": 7, "no_lane": 7,
    }  # fmt: skip


def test_an_agent_that_dies_while_it_frees_memory_leaves_the_counts(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is short for a moment; the next agent finds what was settled in it, and ends it."""

    class Killed(BaseException):
        pass

    def die(descriptor: int, size: int) -> None:
        if size > layout.data_offset(2):
            raise Killed
        truncate(descriptor, size)

    truncate = os.ftruncate
    with deserted() as (producer, segment):
        producer.neuron("n").record(queue_depth=1)
        first = Taker(runtime_folder)
        assert len(first.take()) == 1
        (dying,) = first.collector.segments
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(os, "ftruncate", die)
            first.collector.reap()
        assert segment.path.stat().st_size == layout.data_offset(2)
        dying.detach()
        second = Taker(runtime_folder)
        assert second.take() == []
        (row,) = (dict(zip(COLUMN, row, strict=True)) for row in second.collector.reap())
        assert (row["attempts"], row["delivered"], row["torn"]) == (1, 1, 0)
        assert not second.collector.refused and not segment.path.exists()


def test_a_file_that_cannot_be_removed_stays_and_is_said(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent goes on, and does not attach the file again."""

    def fail(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    with deserted():
        taker = Taker(runtime_folder)
        with monkeypatch.context() as guarded:
            guarded.setattr(Path, "unlink", fail)
            taker.take()
            taker.collector.reap()
        assert "stays behind" in caplog.text
        taker.take()
        assert taker.collector.segments == []


def test_rows_come_when_counters_move(runtime_folder: Path) -> None:
    """A source is told of once at the beginning and then when something has changed."""
    with producing(lanes=1) as (producer, segment):
        taker = Taker(runtime_folder)
        assert len(taker.collector.source_rows()) == 0
        segment.words[layout.HEADER_NO_LANE // 8] = 2
        taker.collector.discover()
        assert taker.collector.source_rows()[:, COLUMN["no_lane"]].tolist() == [2]
        neuron = producer.neuron("n")
        neuron.record(queue_depth=1)
        taker.take()
        [baseline] = taker.collector.baselines
        assert (baseline[COLUMN["flags"]], baseline[COLUMN["attempts"]]) == (SOURCE_BASELINE, 0)
        [row] = taker.collector.source_rows()
        names = ("in_frame", "attempts", "delivered")
        assert [row[COLUMN[name]] for name in names] == [1, 1, 1]
        assert len(taker.collector.source_rows()) == 0
        neuron.event(None)  # type: ignore[arg-type]
        [row] = taker.collector.source_rows()
        assert [row[COLUMN[name]] for name in names] == [0, 2, 1]


def control_words(segment: Segment) -> list[int]:
    """The control block of the first lane."""
    start = layout.lane_offset(0) // 8
    return list(segment.words[start : start + layout.LANE_BYTES // 8])


@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_an_agent_resumes_where_another_died(passes: int, done: int, runtime_folder: Path) -> None:
    """Killed after any number of the stores that end a pass, position and counts stay together."""
    with producing(lanes=1, lane_slots=8) as (producer, segment):
        neuron, first = producer.neuron("n"), Taker(runtime_folder)
        start, made, states = layout.lane_offset(0) // 8, 0, [(0, 0)]
        for _ in range(passes):
            before = control_words(segment)
            for _ in range(3):
                neuron.record(queue_depth=made)
                made += 1
            assert len(first.take()) == 3
            states.append((made, made))
        after = control_words(segment)
        first.collector.close()
        note = next(n for n in layout.LANE_NOTES if before[n // 8] != after[n // 8])
        stores = [note, note + 8, note + 16, layout.LANE_HEAD]
        for offset in stores:
            segment.words[start + offset // 8] = before[offset // 8]
        for offset in stores[:done]:
            segment.words[start + offset // 8] = after[offset // 8]

        second = Taker(runtime_folder)
        second.collector.discover()
        position, delivered = states[-1] if done == 4 else states[-2]
        row = second.collector.lanes[0]
        assert (row[kernel.POSITION], row[kernel.DELIVERED]) == (position, delivered)
        again = [seen.values["queue_depth"] for seen in second.take()]
        assert again == list(range(position, made))
        assert row[kernel.CORRUPT] == 0
        assert second.collector.lanes[0, kernel.DELIVERED] == made == read_lane(segment).attempts


def test_slots_that_hold_no_record_are_counted(runtime_folder: Path) -> None:
    """A slot that was scribbled over is skipped as `corrupt`; those around it arrive."""
    with producing(lanes=1, lane_slots=16) as (producer, segment):
        neuron = producer.neuron("n")
        for i in range(5):
            neuron.record(queue_depth=i)
        slot = layout.slots_offset(0, segment.lanes, segment.lane_slots) + 2 * SLOT_BYTES
        segment.words[slot // 8] = 2**64 - 1
        taker = Taker(runtime_folder)
        assert [seen.values["queue_depth"] for seen in taker.take()] == [0, 1, 3, 4]
        [row] = taker.collector.source_rows()
        assert [row[COLUMN[n]] for n in ("attempts", "delivered", "corrupt")] == [5, 4, 1]


SCRIBBLES = st.lists(
    st.tuples(
        st.sampled_from(["header", "lane", "slots", "names", "log"]),
        st.integers(0, 2**31),
        HOSTILE,
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def unheard() -> Iterator[None]:
    """Nobody keeps what is logged: a hundred thousand errors, each with all that it came from."""
    logger = logging.getLogger("rnts")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.mark.usefixtures("unheard")
@settings(max_examples=100_000 if NIGHTLY else 100)
@given(scribbles=SCRIBBLES, is_dead=st.booleans())
def test_no_bytes_of_a_segment_harm_the_agent(
    scribbles: list[tuple[str, int, int]], is_dead: bool
) -> None:
    """Whatever a program writes into its segment, others are drained and nothing hangs or fails."""
    with producing(lanes=2, lane_slots=8) as (evil, segment), producing() as (good, other):
        for i in range(6):
            evil.neuron(f"n{i}").event(rnts.ErrorOccurred("x" * (30 * i)))
            good.neuron("n").record(queue_depth=i)
        if is_dead:
            segment.words[layout.HEADER_PID // 8] = NOBODY
        taker = Taker(other.path.parent)
        room = {"header": (0, 13), "lane": (layout.lane_offset(0) // 8, 128), "names": (9, 3)}
        room["slots"] = (layout.data_offset(2) // 8, 2 * 8 * 16)
        records = []
        for where, index, value in scribbles:
            if where == "log":
                place = segment.size + index % 64
                os.pwrite(segment.descriptor, value.to_bytes(8, "little"), place)
            else:
                start, count = room[where]
                segment.words[start + index % count] = value
            records += taker.take()
            taker.collector.source_rows()
            taker.collector.wait(1000, 10_000, True)
            for attached_one in taker.collector.segments:
                assert len(attached_one.new_names()) <= 1 << 15
            taker.collector.reap()
            taker.collector.mark_seen()
        records += taker.take()
        assert [s.values["queue_depth"] for s in records if s.values.keys() == {"queue_depth"}] == [
            *range(6)
        ]
        taker.collector.close()
