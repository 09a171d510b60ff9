"""A killed program: how long its segment stays, and what its death costs the lanes of others.

A real agent fetches the records of a program that is killed with SIGKILL, and those of this
process, which records again as soon as its last record has left its lane. A program never waits for
an agent; what could wait are its records, in the lane. `other_lanes_wait_ms` is by how much the
longest such wait after a death exceeds the longest in the same time before it.
"""

import statistics
import time
from pathlib import Path

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
    stays, waits = [], []
    with sandbox() as box, Client() as client:
        start_road(box, client, "--no-host")
        rnts.attach(jit=False)
        lane = _Lane()
        for number in range(_SMOKE_DEATHS if smoke else _DEATHS):
            stay_ns, wait_ns = _death(box, lane, f"victim-{number}")
            stays.append(stay_ns / 1e6)
            waits.append(wait_ns / 1e6)
        PROCESS.close(unlink=True)
    return {
        "reclaim_ms": statistics.median(stays),
        "reclaim_ms_max": max(stays),
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


def _death(box: Sandbox, lane: _Lane, name: str) -> tuple[int, int]:
    """Kill one program; how long its segment stays, and how much longer our records waited."""
    before = _segments(box)
    victim = box.start("rnts.perf.victim", name)
    box.hear(victim)
    (path,) = _segments(box) - before
    usual_ns = _watch(lane, path, until_gone=False)[1]
    start_ns = time.monotonic_ns()
    victim.kill()
    gone_ns, longest_ns = _watch(lane, path, until_gone=True)
    box.kill(victim)
    if not gone_ns:
        raise RntsError(f"the segment of a killed program stays for {_LIMIT_NS / 1e9:.0f} s")
    return gone_ns - start_ns, longest_ns - usual_ns


def _segments(box: Sandbox) -> set[Path]:
    return set(box.folder.glob(f"*{SEGMENT_SUFFIX}"))


def _watch(lane: _Lane, path: Path, until_gone: bool) -> tuple[int, int]:
    """Look at the lane for a while, or longer, until a file is gone; when that was (0: never), and
    the longest wait of a record."""
    lane.longest_ns, gone_ns = 0, 0
    start_ns = now_ns = time.monotonic_ns()
    while now_ns - start_ns < (_LIMIT_NS if until_gone and not gone_ns else _SPAN_NS):
        lane.look()
        if not gone_ns and not path.exists():
            gone_ns = time.monotonic_ns()
        time.sleep(_LOOK_S)
        now_ns = time.monotonic_ns()
    return gone_ns, lane.longest_ns
