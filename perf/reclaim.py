"""A killed program: how long its lanes' memory stays, and what its death costs the lanes of others.

A real agent fetches the records of a program that is killed with SIGKILL, and those of this
process, which records again as soon as its last record has left its lane. The memory of a dead
program's lanes is given back once they are drained; 37 KB stay, as a file, until the aggregator has
committed what it told last (`segment_file_ms`). A program never waits for
an agent; what could wait are its records, in the lane. `other_lanes_wait_ms` is by how much the
longest such wait after a death exceeds the longest in the same time before it.
"""

import statistics
import time
from pathlib import Path
from typing import NamedTuple

import rnts
from rnts import layout
from rnts.errors import RntsError
from rnts.perf.processes import start_road
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.producer import PROCESS
from rnts.query import Client
from rnts.runtime import SEGMENT_SUFFIX

_DEATHS, _SMOKE_DEATHS = 11, 2
_LOOK_S = 0.0002
_SPAN_NS = 250_000_000  # in which a wait is looked for, before a death and after it
_LIMIT_NS = 10_000_000_000


def reclaim(smoke: bool) -> dict[str, float]:
    """Medians over some deaths."""
    stays, files, waits = [], [], []
    with sandbox() as box, Client() as client:
        start_road(box, client, "--no-host")
        rnts.attach(jit=False)
        lane = _Lane()
        for number in range(_SMOKE_DEATHS if smoke else _DEATHS):
            stay_ns, file_ns, wait_ns = _death(box, lane, f"victim-{number}")
            stays.append(stay_ns / 1e6)
            files.append(file_ns / 1e6)
            waits.append(wait_ns / 1e6)
        PROCESS.close(unlink=True)
    return {
        "reclaim_ms": statistics.median(stays),
        "reclaim_ms_max": max(stays),
        "segment_file_ms": statistics.median(files),
        "other_lanes_wait_ms": max(0.0, statistics.median(waits)),
    }


class _Lane:
    """This process's own lane, seen from its producer's side."""

    def __init__(self) -> None:
        self._neuron = rnts.neuron("survivor")
        self._neuron.record(queue_depth=0)
        segment = PROCESS.segment()
        if segment is None:
            raise RntsError("there is no shared memory, or telemetry is off")
        self._words = segment.words
        self._since_ns = time.monotonic_ns()
        self.longest_ns = 0

    def look(self) -> None:
        """Note how long the last record has waited; record again if it has left."""
        now_ns = time.monotonic_ns()
        self.longest_ns = max(self.longest_ns, now_ns - self._since_ns)
        start = layout.lane_offset(0)
        tail, head = (
            self._words[(start + offset) // 8] for offset in (layout.LANE_TAIL, layout.LANE_HEAD)
        )
        if head == tail:
            self._neuron.record(queue_depth=1)
            self._since_ns = now_ns


def _death(box: Sandbox, lane: _Lane, name: str) -> tuple[int, int, int]:
    """Kill one; until its memory is free, its file gone, and how much longer records wait."""
    before = _segments(box)
    victim = box.start("rnts.perf.victim", name)
    box.hear(victim)
    (path,) = _segments(box) - before
    usual = _watch(lane, path, until_gone=False)
    start_ns = time.monotonic_ns()
    victim.kill()
    seen = _watch(lane, path, until_gone=True)
    box.kill(victim)
    if not seen.gone_ns:
        raise RntsError(f"the segment of a killed program stays for {_LIMIT_NS / 1e9:.0f} s")
    longer_ns = seen.longest_ns - usual.longest_ns
    return seen.free_ns - start_ns, seen.gone_ns - start_ns, longer_ns


def _segments(box: Sandbox) -> set[Path]:
    return set(box.folder.glob(f"*{SEGMENT_SUFFIX}"))


class _Seen(NamedTuple):
    """When a segment's memory was free and its file gone (0: never), and the longest wait."""

    free_ns: int
    gone_ns: int
    longest_ns: int


def _watch(lane: _Lane, path: Path, until_gone: bool) -> _Seen:
    """Look at the lane for a while, or longer, until a file is gone."""
    lane.longest_ns, free_ns, gone_ns = 0, 0, 0
    whole = _blocks(path)
    start_ns = now_ns = time.monotonic_ns()
    while now_ns - start_ns < (_LIMIT_NS if until_gone and not gone_ns else _SPAN_NS):
        lane.look()
        blocks = _blocks(path)
        if not free_ns and blocks < whole // 2:
            free_ns = time.monotonic_ns()
        if not gone_ns and blocks == 0:
            gone_ns = time.monotonic_ns()
        time.sleep(_LOOK_S)
        now_ns = time.monotonic_ns()
    return _Seen(free_ns, gone_ns, lane.longest_ns)


def _blocks(path: Path) -> int:
    """The blocks of memory that a file takes; 0 where there is none."""
    try:
        return path.stat().st_blocks
    except FileNotFoundError:
        return 0
