"""The host source: every process of this machine is a neuron that RNTS watches from outside.

One pass every 250 ms looks at all processes, by `/proc` and by their CPU clocks, and reports those
that did something; `docs/host.md` says where each metric comes from and what it costs. psutil is
not used: it took 45 ms for the same 500 processes, where a pass takes 3.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rnts.events import Activated, Deactivated
from rnts.host_clock import CpuClock, is_live, no_clock
from rnts.host_connections import SWEEP_SHARE, Connections
from rnts.host_gpu import GpuUsage
from rnts.host_identity import Identity, Machine
from rnts.host_limits import Limits
from rnts.host_metrics import Metrics
from rnts.host_proc import ProcReader, Unreadable
from rnts.host_process import IDLE_BEATS, Process
from rnts.producer import Producer

INTERVAL_S = 0.25
LOAD_MAX = 0.10  # of a core: where passes cost more, beats are left out


@dataclass
class HostReport:
    """What passes did: of one pass, or of all so far."""

    passes: int = 0
    beats_skipped: int = 0  # passes that were left out, for want of time or to stay below the load
    recorded: int = 0
    started: int = 0
    exited: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # looks that failed, by REASONS
    sweeps: int = 0  # over all connections
    sweeps_failed: dict[str, int] = field(default_factory=dict)  # by REASONS
    # As of the last pass:
    processes: int = 0
    withheld: int = 0  # processes whose I/O counters are not for our eyes
    hidden: int = 0  # processes whose connections are not
    links: int = 0  # connected pairs of processes
    cost_ns: int = 0  # CPU time of the pass


class HostSource:
    """Looks at all processes, once a beat; to be used by one thread at a time."""

    def __init__(
        self,
        producer: Producer,
        *,
        interval_s: float = INTERVAL_S,
        proc: Path = Path("/proc"),
        groups: Path = Path("/sys/fs/cgroup"),
        clock: Callable[[], int] = time.monotonic_ns,
        cpu_clock: CpuClock = time.clock_gettime_ns,
        reader: ProcReader | None = None,
        gpu: GpuUsage | None = None,
    ) -> None:
        """`clock` must never step; `cpu_clock` is not used where `proc` is another system's.

        Raises ValueError for an interval that is not above 0.
        """
        if not interval_s > 0:
            raise ValueError(f"interval_s must be above 0, not {interval_s!r}")
        self._producer = producer
        self._interval_ns = round(interval_s * 1e9)
        self._clock = clock
        self._reader = reader or ProcReader(proc)
        live = is_live(self._reader)
        is_real = cpu_clock is time.clock_gettime_ns
        self._cpu_clock = no_clock if is_real and not live else cpu_clock
        self._machine = Machine(self._reader)
        self._host = os.uname().nodename
        self._connections = Connections(self._reader, Limits(self._reader, groups), live)
        self._gpu = gpu or GpuUsage()
        self._gpu_usage: dict[int, float] = {}
        self._processes: dict[int, Process] = {}
        self._beat = 0
        self._total = HostReport()

    @property
    def report(self) -> HostReport:
        """Counters since the start, and the levels of the last pass."""
        return self._total

    @property
    def gpu_reason(self) -> str:
        """Why no GPU is watched; empty where one is."""
        return self._gpu.reason

    def sample(self) -> HostReport:
        """Look at every process once; what that found, and what it cost."""
        start_ns = time.thread_time_ns()
        done = HostReport(passes=1)
        if self._beat % IDLE_BEATS == 0 and self._gpu.is_available:
            self._gpu_usage = self._gpu.read()
        try:
            pids = self._reader.pids()
        except Unreadable as error:
            done.skipped[error.reason] += 1
        else:
            for pid in self._processes.keys() - set(pids):
                self._end(self._processes[pid], done)
            for pid in pids:
                self._visit(pid, done)
            budget_ns = SWEEP_SHARE * self._interval_ns
            self._connections.advance(self._processes, self._clock(), budget_ns)
        self._beat += 1
        self._sum_up(done, time.thread_time_ns() - start_ns)
        return done

    def run(self, stop: threading.Event) -> None:
        """Sample at a fixed rate until `stop` is set, and then close.

        Beats keep to their grid. One whose time has passed is left out and counted, and so are as
        many as it takes to stay below `LOAD_MAX`.
        """
        next_ns = self._clock()
        try:
            while not stop.is_set():
                cost_ns = self.sample().cost_ns
                rested_ns = next_ns + round(cost_ns / LOAD_MAX)
                next_ns += self._interval_ns
                late_ns = max(self._clock(), rested_ns) - next_ns
                if late_ns > 0:
                    skipped = -(-late_ns // self._interval_ns)
                    self._total.beats_skipped += skipped
                    next_ns += skipped * self._interval_ns
                stop.wait(max(0, next_ns - self._clock()) / 1e9)
        finally:
            self.close()

    def close(self) -> None:
        """Keep no file open and let go of the GPUs; the processes stay known."""
        for process in self._processes.values():
            process.close()
        self._gpu.close()

    def _visit(self, pid: int, done: HostReport) -> None:
        process = self._processes.get(pid)
        try:
            if process is None:
                process, metrics = self._meet(pid, done)
            else:
                found = process.look(self._clock(), self._beat)
                if found is None:
                    return
                metrics = found
                if process.last.stat.comm != process.announced_comm:
                    identity = self._machine.identify(pid, process.last.stat)
                    self._announce(process, identity)  # it runs another program now
        except Unreadable as error:
            done.skipped[error.reason] += 1
            if process is not None and error.reason == "vanished":
                self._end(process, done)
            return
        if pid in self._gpu_usage:
            metrics["gpu_usage_percent"] = self._gpu_usage[pid]
        if process.is_health_news:
            process.is_health_news = False
            process.neuron.health(process.health, process.reason)
        process.neuron.record(health=process.health, **metrics)
        done.recorded += 1

    def _meet(self, pid: int, done: HostReport) -> tuple[Process, Metrics]:
        """Announce a process that is new; all of it is read before anything is said."""
        process = Process(self._reader, pid, self._clock(), self._cpu_clock)
        identity = self._machine.identify(pid, process.last.stat)
        self._announce(process, identity)
        self._processes[pid] = process
        if self._beat > 0:  # those of the first pass have not started now
            done.started += 1
            process.neuron.event(Activated(strength=1.0, trigger=identity.trigger))
        return process, process.first()

    def _announce(self, process: Process, identity: Identity) -> None:
        process.neuron = self._producer.neuron(
            identity.name,
            group=identity.group,
            role=identity.role,
            host=self._host,
            neuron_id=self._machine.neuron_id(process.pid, process.start_ticks),
        )
        process.announced_comm = process.last.stat.comm

    def _end(self, process: Process, done: HostReport) -> None:
        done.exited += 1
        del self._processes[process.pid]
        process.close()
        self._connections.leave(process)
        process.neuron.event(Deactivated(_end_reason(process)))
        self._producer.forget(process.neuron)

    def _sum_up(self, done: HostReport, cost_ns: int) -> None:
        connections, total = self._connections, self._total
        withheld = sum(process.is_withheld for process in self._processes.values())
        for report in (done, total):
            report.processes = len(self._processes)
            report.withheld = withheld
            report.hidden = connections.hidden
            report.links = connections.links
            report.sweeps = connections.sweeps
            report.sweeps_failed = connections.failures
            report.cost_ns = cost_ns
        total.passes += done.passes
        total.recorded += done.recorded
        total.started += done.started
        total.exited += done.exited
        total.skipped.update(done.skipped)


def _end_reason(process: Process) -> str:
    """How a process ended, as far as that was to be seen: only a zombie shows it."""
    status = process.last.stat.wait_status
    if number := status & 0x7F:
        names = {known.value: known.name for known in signal.Signals}
        return f"killed by {names.get(number, f'signal {number}')}"
    return f"ended with status {status >> 8 & 0xFF}" if status else "ended"
