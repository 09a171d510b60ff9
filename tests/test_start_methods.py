"""Servers that fork workers before they serve, tasks, and threads: whose records are whose."""

import asyncio
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from capture_tools import Taker, producing
from test_capture_processes import depths, end, running, settle, wait_ready

from rnts import layout
from rnts.accounting import COLUMN
from rnts.producer import Producer

# A master as of gunicorn: it records, forks workers, forks another one for each that dies, renews
# all of them at SIGHUP and ends with them at SIGTERM.
MASTER = """
import os, signal, sys
import rnts
neuron = rnts.neuron("master", neuron_id=1)
neuron.record(queue_depth=1000)
signals = {signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
workers, born = set(), 0
def work(index):
    own = rnts.neuron(f"worker-{index}", neuron_id=10 + index)
    for _ in range(50):
        own.record(queue_depth=index)
    os.write(1, b"ready\\n")
    signal.sigwait({signal.SIGTERM})
    own.record(queue_depth=500 + index)
    sys.exit(0)
def bear():
    global born
    born += 1
    child = os.fork()
    if child == 0:
        work(born)
    workers.add(child)
def bury():
    while workers:
        child, _ = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        workers.discard(child)
        if not is_ending:
            bear()
is_ending = False
for _ in range(3):
    bear()
while workers:
    number = signal.sigwait(signals)
    if number == signal.SIGCHLD:
        bury()
        continue
    neuron.record(queue_depth=1001 if number == signal.SIGHUP else 1002)
    is_ending = number == signal.SIGTERM
    for child in workers:
        os.kill(child, signal.SIGTERM)
"""


def test_workers_of_a_pre_forking_server_account_for_themselves(runtime_folder: Path) -> None:
    """Killed, renewed or ended in good order: each worker's records are its own, and all arrive."""
    (runtime_folder / "lane_slots").write_text("64")  # as an agent at work does
    taker = Taker(runtime_folder)
    with running(MASTER, runtime_folder) as master:
        wait_ready(master, 3)
        records = taker.take()
        owners = {segment.process for segment in taker.collector.segments}
        assert len(owners) == 4
        assert {seen.neuron_id for seen in records} == {1, 11, 12, 13}
        victim = min(owners - {master.pid})
        os.kill(victim, signal.SIGKILL)
        wait_ready(master, 1)
        os.kill(master.pid, signal.SIGHUP)
        wait_ready(master, 3)
        os.kill(master.pid, signal.SIGTERM)
        end(master)
        rest, rows = settle(taker)
    counts = Counter(depths(records + rest))
    assert {depth: counts[depth] for depth in (1000, 1001, 1002)} == {1000: 1, 1001: 1, 1002: 1}
    assert [counts[index] for index in range(1, 8)] == [50] * 7
    ended = [index for index in range(1, 8) if counts[500 + index] == 1]
    assert len(ended) == 6
    assert counts.total() == 3 + 7 * 50 + 6
    assert sorted(rows[:, COLUMN["delivered"]].tolist()) == [3, 50, *[51] * 6]


@pytest.mark.parametrize("agent", ["none", "at work", "gone"])
def test_a_program_that_ends_before_an_agent_has_come_leaves_its_records(
    agent: str, runtime_folder: Path
) -> None:
    """Where an agent works in the folder it will come; where none does, nothing stays behind."""
    sign = runtime_folder / "lane_slots"
    if agent != "none":
        sign.write_text("64")
    if agent == "gone":
        os.utime(sign, (0, 0))
    producer = Producer(1, 64)
    segment = producer.segment()
    assert segment is not None
    producer.neuron("n").record(queue_depth=7)
    producer.close()
    assert segment.path.exists() == (agent == "at work")
    assert depths(Taker(runtime_folder).take()) == ([7] if agent == "at work" else [])
    os.close(segment.descriptor)


def test_tasks_share_the_lane_of_their_loop() -> None:
    """Tasks that take turns, are cancelled or send work to threads lose and mix up nothing."""
    with producing(lanes=4, lane_slots=1024) as (producer, segment):
        neuron = producer.neuron("n")
        made: list[tuple[int, int]] = []

        def record(task: int, step: int) -> None:
            assert neuron.record(activation_count=task, queue_depth=step)
            made.append((task, step))

        async def work(task: int) -> None:
            async with neuron.activation():
                for step in range(20):
                    record(task, step)
                    await asyncio.sleep(0)
                    if step == task:
                        raise asyncio.CancelledError

        async def everything() -> None:
            tasks = [asyncio.create_task(work(task)) for task in range(100, 108)]
            tasks += [asyncio.create_task(work(task)) for task in range(4)]
            tasks.append(asyncio.create_task(asyncio.to_thread(record, 200, 0)))
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(everything())
        taker = Taker(Path(segment.path.parent))
        records = taker.take()
        seen = [
            (int(one.values["activation_count"]), int(one.values["queue_depth"]))
            for one in records
            if "queue_depth" in one.values
        ]
        assert sorted(seen) == sorted(made)
        in_loop = [pair for pair in seen if pair[0] != 200]
        assert in_loop == [pair for pair in made if pair[0] != 200]
        assert sum("processing_time_ns" in one.values for one in records) == 12
        assert segment.words[layout.HEADER_LANES_USED // 8] == 2


@pytest.mark.parametrize("lanes", [2, 8])
def test_threads_have_lanes_one_after_another(lanes: int) -> None:
    """Threads that come and go use lanes again; who finds none is counted, record by record."""
    with producing(lanes=lanes, lane_slots=4096) as (producer, segment):
        neuron = producer.neuron("n")
        gate = threading.Barrier(6)
        taken: list[tuple[int, int]] = []

        def work(thread: int) -> None:
            gate.wait()
            count = sum(bool(neuron.record(activation_count=thread)) for _ in range(50))
            gate.wait()
            taken.append((thread, count))

        for wave in range(3):
            threads = [threading.Thread(target=work, args=(10 * wave + i,)) for i in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        records = Taker(Path(segment.path.parent)).take()
        counts = Counter(int(seen.values["activation_count"]) for seen in records)
        assert counts == {thread: count for thread, count in taken if count}
        without = int(segment.words[layout.HEADER_NO_LANE // 8])
        assert counts.total() + without == 3 * 6 * 50
        assert segment.words[layout.HEADER_LANES_USED // 8] == min(lanes, 6)
        assert (without == 0) == (lanes >= 6)
