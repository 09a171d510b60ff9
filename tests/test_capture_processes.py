"""Processes that fork, exec and die: each record arrives once or is counted, whatever happens."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from capture_tools import ROOT, Seen, Taker
from numpy.typing import NDArray

from rnts.accounting import COLUMN, DROPS, LANE_DROPS, SOURCE_FINAL

MULTIPROCESSING = """
import multiprocessing, os, sys
import rnts
neuron = rnts.neuron("n", neuron_id=1)
def work(index):
    neuron.record(queue_depth=index)
    rnts.neuron(f"child-{index}", neuron_id=10 + index).record(queue_depth=index)
    os.write(1, b"ready\\n")
    sys.stdin = open(0)
    sys.stdin.readline()
if __name__ == "__main__":
    neuron.record(queue_depth=100)
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(i,)) for i in range(2)]
    for child in children:
        child.start()
    os.write(1, b"ready\\n")
    for child in children:
        child.join()
"""
PREFORK = """
import os, sys
import rnts
neuron = rnts.neuron("n", neuron_id=1)
neuron.record(queue_depth=0)
for depth in (1, 2, 3):
    parent = os.getpid()
    child = os.fork()
    if child:
        neuron.record(queue_depth=10 + depth)
        os.write(1, b"ready\\n")
        os.waitpid(child, 0)
        os._exit(0)
    neuron.record(queue_depth=depth)
descriptors = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
               if os.path.exists(f"/proc/self/fd/{fd}")]
assert sum(".seg" in name for name in descriptors) <= 2, descriptors
os.write(1, b"ready\\n")
sys.stdin.readline()
os._exit(0)
"""
EXEC = """
import os, sys
import rnts
rnts.neuron("n", neuron_id=1).record(queue_depth=int(sys.argv[1]))
if sys.argv[1] == "1":
    os.execv(sys.executable, [sys.executable, __file__, "2"])
os.write(1, b"ready\\n")
sys.stdin.readline()
"""
STORM = """
import os, sys
from contextlib import suppress
import rnts
neuron = rnts.neuron("n", neuron_id=1)
os.write(1, b"ready\\n")
text = "x" * 200
i, parent = 0, os.getppid()
while os.getppid() == parent:
    i += 1
    neuron.record(activation_count=i, memory_bytes=i)
    neuron.event(rnts.ErrorOccurred(error_type=str(i), details=text))
    with suppress(TypeError):
        neuron.record(queue_depth="bad")
"""


@contextmanager
def running(program: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program of a file of its own; killed at the end if it is still there."""
    path = Path(tempfile.mkdtemp()) / "program.py"
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(path), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RNTS_RUNTIME_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        shutil.rmtree(path.parent)


def wait_ready(process: subprocess.Popen[str], count: int) -> None:
    """Read `count` lines that say that a process is ready."""
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(count)] == ["ready\n"] * count


def end(process: subprocess.Popen[str]) -> None:
    """Let a program that waits for its input go, and wait for it."""
    process.communicate()
    assert process.returncode == 0


def settle(taker: Taker) -> tuple[list[Seen], NDArray[np.int64]]:
    """Take all that the dead have left; records and last rows, and no file is left."""
    records = taker.take()
    rows = taker.collector.reap()
    assert taker.collector.segments == []
    assert not list(taker.folder.glob("*.seg"))
    check(rows)
    return records, rows


def check(rows: NDArray[np.int64]) -> None:
    """Each last row accounts for all that its lane has attempted."""
    assert (rows[:, COLUMN["flags"]] == SOURCE_FINAL).all()
    drops = rows[:, [COLUMN[name] for name in DROPS if name in COLUMN]].sum(axis=1)
    settled = rows[:, COLUMN["delivered"]] + rows[:, COLUMN["sampled_out"]] + drops
    assert (rows[:, COLUMN["attempts"]] == settled).all()
    assert set(rows[:, COLUMN["torn"]].tolist()) <= {0, 1}


def depths(records: list[Seen]) -> list[int]:
    """The queue depths of some records, sorted."""
    return sorted(int(seen.values["queue_depth"]) for seen in records)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_have_segments_of_their_own(
    method: str, runtime_folder: Path
) -> None:
    """However a child is started, it records into its own segment, under the same neurons."""
    taker = Taker(runtime_folder)
    with running(MULTIPROCESSING, runtime_folder, method) as process:
        wait_ready(process, 3)
        records = taker.take()
        owners = {segment.process for segment in taker.collector.segments}
        assert len(owners) == 3
        assert {seen.neuron_id for seen in records} == {1, 10, 11}
        assert depths(records) == [0, 0, 1, 1, 100]
        end(process)
    assert settle(taker)[0] == []


def test_names_come_again_from_each_child(runtime_folder: Path) -> None:
    """A forked child tells the names that it inherited, since its parent may be gone first."""
    taker = Taker(runtime_folder)
    with running(MULTIPROCESSING, runtime_folder, "fork") as process:
        wait_ready(process, 3)
        taker.take()
        told = {
            segment.process: sorted(key for key, _ in segment.new_names())
            for segment in taker.collector.segments
        }
        assert told.pop(process.pid) == [1]
        assert sorted(told.values()) == [[1, 10], [1, 11]]
        end(process)


def test_chains_of_forks_account_for_each_link(runtime_folder: Path) -> None:
    """Great-grandchildren of a program are programs of their own, and let go of what was theirs."""
    taker = Taker(runtime_folder)
    with running(PREFORK, runtime_folder) as process:
        wait_ready(process, 4)
        assert len(taker.collector.discover()) == 4
        end(process)
    records, rows = settle(taker)
    assert depths(records) == [0, 1, 2, 3, 11, 12, 13]
    assert rows[:, COLUMN["delivered"]].tolist().count(2) == 3


def test_exec_leaves_what_was_recorded_before(runtime_folder: Path) -> None:
    """A program that becomes another one has two segments; both are drained and freed."""
    taker = Taker(runtime_folder)
    with running(EXEC, runtime_folder, "1") as process:
        wait_ready(process, 1)
        assert depths(taker.take()) == [1, 2]
        names = sorted(segment.path.name for segment in taker.collector.segments)
        assert [name.rpartition("-")[2] for name in names] == ["0.seg", "1.seg"]
        assert {segment.process for segment in taker.collector.segments} == {process.pid}
        assert len(taker.collector.reap()) == 0
        end(process)
    settle(taker)


def test_a_killed_program_leaves_whole_records(
    runtime_folder: Path, size: Callable[[int, int], int]
) -> None:
    """Killed at any moment: what was published arrives whole, in order, and all is accounted."""
    chance = random.Random(1)
    torn = 0
    for _ in range(size(12, 500)):
        (runtime_folder / "lane_slots").write_text(chance.choice(["64", "4096"]))
        taker = Taker(runtime_folder)
        with running(STORM, runtime_folder) as process:
            wait_ready(process, 1)
            records: list[Seen] = []
            for _ in range(chance.randrange(30)):
                records += taker.take_some(chance.choice([3, 64, 1 << 20]))
            for _ in range(chance.randrange(3000)):
                pass
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            rest, rows = settle(taker)
        records += rest
        samples = [s.values["activation_count"] for s in records if "memory_bytes" in s.values]
        events = [int(s.strings[0]) for s in records if s.strings]
        assert all(
            s.values["activation_count"] == s.values["memory_bytes"]
            for s in records
            if "memory_bytes" in s.values
        )
        assert all(s.strings[1] == "x" * 200 for s in records if s.strings)
        assert samples == sorted(set(samples))
        assert events == sorted(set(events))
        lane_full = rows[:, COLUMN["lane_full"]].sum() if len(rows) else 0
        if not lane_full and samples:
            assert samples == list(range(1, len(samples) + 1))
            assert len(samples) - len(events) in (0, 1)
        assert len(records) == rows[:, COLUMN["delivered"]].sum()
        torn += int(rows[:, COLUMN["torn"]].sum())
    assert torn <= size(12, 500)


def test_stopped_programs_hold_nobody_up(runtime_folder: Path) -> None:
    """A program that is stopped in the middle of anything costs the agent nothing but its turn."""
    (runtime_folder / "lane_slots").write_text("64")
    taker = Taker(runtime_folder)
    with running(STORM, runtime_folder) as stopped, running(EXEC, runtime_folder, "2") as other:
        wait_ready(stopped, 1)
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_ready(other, 1)
        assert 2 in [s.values.get("queue_depth") for s in taker.take()]
        assert len(taker.collector.reap()) == 0
        assert len(taker.collector.segments) == 2
    settle(taker)


def test_reasons_of_lanes_are_those_of_rows() -> None:
    """What the sums above add up is all that a row has."""
    assert set(LANE_DROPS) | {"corrupt", "torn"} == {name for name in DROPS if name in COLUMN}
