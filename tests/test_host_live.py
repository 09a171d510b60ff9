"""The host source on the real machine: our own children as neurons."""

import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from host_tools import NoGpu, Notes

from rnts import layout
from rnts.events import Activated, ConnectionEstablished, ConnectionLost, Deactivated
from rnts.host import HostReport, HostSource
from rnts.host_clock import clock_number, is_live
from rnts.host_proc import ProcReader
from rnts.model import METRIC_NAMES, Health
from rnts.producer import Producer

BENCHMARK = Path(__file__).resolve().parent.parent / "perf/host_source.py"
PASSES_MAX = 4000
CHILD = """
import socket, sys
kind, descriptor = sys.argv[1], int(sys.argv[2])
line = sys.stdin.readline()
end = socket.socket(fileno=descriptor)
if kind == "tcp":
    end.sendall(b"x" * 1000)
    end.recv(1000, socket.MSG_WAITALL)
print("there", flush=True)
sys.stdin.read()
"""


class Live:
    """This machine, seen by a source whose time passes a quarter of a second a pass."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.now_ns = 0
        self.source = HostSource(
            self.notes,  # type: ignore[arg-type]
            clock=lambda: self.now_ns,
            gpu=NoGpu(),
        )

    def beat(self) -> HostReport:
        """One pass."""
        self.now_ns += 250_000_000
        return self.source.sample()

    def until(self, found: Callable[[], object]) -> None:
        """Sample until something is found."""
        for _ in range(PASSES_MAX):
            if found():
                return
            self.beat()
        raise AssertionError(f"not seen in {PASSES_MAX} passes: {self.source.report}")

    def ended(self, name: str) -> list[str]:
        """With what reasons a process was deactivated."""
        return [
            event.reason
            for neuron, event in self.notes.events
            if neuron == name and isinstance(event, Deactivated)
        ]


@pytest.fixture
def live() -> Iterator[Live]:
    """This machine; not where `/proc` is another system's."""
    if not is_live(ProcReader()):
        pytest.skip("this /proc does not show our own processes")
    live = Live()
    yield live
    live.source.close()


@contextmanager
def holding(kind: str, end: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """A child that alone holds `end` of a connection, until the block ends."""
    command = [sys.executable, "-S", "-c", CHILD, kind, str(end.fileno())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, pass_fds=[end.fileno()], **pipes) as child:  # type: ignore[call-overload]
        end.close()
        try:
            yield child
        finally:
            child.stdin.close()


def go(child: subprocess.Popen[bytes]) -> None:
    """Let a child begin."""
    assert child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.flush()


def test_a_child_starts_stops_and_ends(live: Live) -> None:
    """Start, signals and end of a real process arrive as events and health."""
    live.beat()
    assert live.notes.events == []
    with subprocess.Popen(["sleep", "60"]) as child:
        name = f"sleep[{child.pid}]"
        live.until(lambda: live.notes.take(name))
        assert (name, Activated(1.0, "sleep 60")) in live.notes.events
        child.send_signal(signal.SIGSTOP)
        live.until(lambda: (name, Health.DEGRADED, "stopped by a signal") in live.notes.healths)
        child.send_signal(signal.SIGCONT)
        live.until(lambda: (name, Health.HEALTHY, "") in live.notes.healths)
        child.kill()
        zombie = "has ended, but its parent does not collect it"
        live.until(lambda: (name, Health.DEGRADED, zombie) in live.notes.healths)
    live.until(lambda: live.ended(name))
    # The number of the signal is shown only to those who may trace the process.
    assert live.ended(name)[0] in ("killed by SIGKILL", "ended")


def test_we_are_a_neuron_ourselves(live: Live) -> None:
    """This process is busy sampling, and all of it is as we know it ourselves."""
    live.beat()
    live.beat()
    mine = next(m for m in live.notes.names if m["name"].endswith(f"[{os.getpid()}]"))
    metrics = live.notes.take(mine["name"])
    assert metrics is not None
    assert metrics["memory_bytes"] > 1 << 20
    assert metrics["activation_count"] > 0
    assert metrics["cpu_usage_percent"] > 0
    assert metrics["health"] is Health.HEALTHY
    for _, recorded in live.notes.records:
        assert recorded.keys() - {"health"} <= set(METRIC_NAMES)
        assert 0 <= recorded.get("cache_hit_rate", 0) <= 1
        assert 0 <= recorded.get("noise_ratio", 0) <= 1


def test_the_clock_of_a_sleeper_stands_still() -> None:
    """What the whole source rests on: a clock moves when its process runs, and only then."""
    if not is_live(ProcReader()):
        pytest.skip("this /proc does not show our own processes")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        number = clock_number(child.pid)
        for wanted in (b"x", b"y"):
            before_ns = time.clock_gettime_ns(number)
            child.stdin.write(wanted)
            child.stdin.flush()
            assert child.stdout.read(1) == wanted
            assert any(time.clock_gettime_ns(number) > before_ns for _ in range(PASSES_MAX))
            assert any(stands_still(number) for _ in range(PASSES_MAX))  # back in its read
        child.stdin.close()
    with pytest.raises(OSError):
        time.clock_gettime_ns(number)


def stands_still(number: int) -> bool:
    """Whether a clock does not move while we work."""
    before_ns = time.clock_gettime_ns(number)
    sum(range(10_000))
    return time.clock_gettime_ns(number) == before_ns


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_two_children_become_a_link(live: Live, kind: str) -> None:
    """A connection between two real processes: events of both ends, and traffic where counted."""
    if kind == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            far = server.accept()[0]
    else:
        near, far = socket.socketpair()
    live.until(lambda: live.source.report.sweeps)
    with holding(kind, near) as one, holding(kind, far) as two:
        for child in (one, two):
            go(child)
        for child in (one, two):
            assert child.stdout is not None
            assert child.stdout.readline() == b"there\n"
        endings = [f"[{one.pid}]", f"[{two.pid}]"]

        def pairs(kind: type) -> set[str]:
            return {n[n.index("[") :] for n, event in live.notes.events if isinstance(event, kind)}

        live.until(lambda: set(endings) <= pairs(ConnectionEstablished))
        if kind == "tcp":
            live.until(lambda: dict.fromkeys(endings, 1000).items() <= sent_bytes(live).items())
            assert live.source.report.links >= 1
    live.until(lambda: set(endings) & pairs(ConnectionLost) or all_ended(live, endings))


def test_the_sdk_takes_all_that_is_reported(live: Live) -> None:
    """Through the real SDK no sample, event, link or health of this machine is refused."""
    producer = Producer(lanes=1)
    source = HostSource(producer, gpu=NoGpu())
    try:
        source.sample()
        with subprocess.Popen(["sleep", "60"]) as child:
            for _ in range(8):
                recorded = source.sample().recorded
            child.kill()
        source.sample()
        segment = producer.segment()
        assert segment is not None and recorded > 0
        lane = layout.lane_offset(0)
        attempts = segment.words[(lane + layout.LANE_ATTEMPTS) // 8]
        refused = layout.LANE_DROP.keys() - {"lane_full"}  # nobody drains: on a large machine
        dropped = {name: segment.words[(lane + layout.LANE_DROP[name]) // 8] for name in refused}
        report = source.report
        assert attempts >= report.recorded + report.started + report.exited > 0
        assert dropped == dict.fromkeys(refused, 0)
    finally:
        source.close()
        producer.close()


@pytest.mark.parametrize("wake_s", [0.0, 0.001])
def test_the_benchmark_runs(live: Live, wake_s: float) -> None:
    """At its smallest size the benchmark measures a crowd."""
    measure = runpy.run_path(str(BENCHMARK))["measure"]
    figures = measure(processes=5, passes=2, interval_s=0.01, wake_s=wake_s)
    assert figures["processes"] >= 5
    assert all(value > 0 for value in figures.values())


def sent_bytes(live: Live) -> dict[str, int]:
    """What each process has sent over links, by the number in its name."""
    total: dict[str, int] = {}
    for name, _, what in live.notes.links:
        if what["bytes"]:  # other programs of this machine have links without numbers
            number = name[name.index("[") :]
            total[number] = total.get(number, 0) + what["bytes"]
    return total


def all_ended(live: Live, endings: list[str]) -> bool:
    """Whether all of these processes were seen to end."""
    names = {name for name, event in live.notes.events if isinstance(event, Deactivated)}
    return all(any(name.endswith(ending) for name in names) for ending in endings)
