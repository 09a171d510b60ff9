"""One process from look to look: reads as little of it as shows what it did.

Guarantee: a process whose CPU clock stands still has not run, so it cannot have done anything. It
is passed over at 0.6 µs instead of the 26 µs that all its files take, and reports itself only now
and then, since others can still take its memory away or keep it from running.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from rnts.host_health import CALMED_FAULTS_PER_S, Signs, judge
from rnts.host_metrics import (
    PAGE_BYTES,
    Look,
    Metrics,
    levels,
    major_faults_per_s,
    rates,
    scheduling,
)
from rnts.host_proc import (
    InputOutput,
    ProcFile,
    ProcReader,
    Stat,
    Unreadable,
    first_number,
    parse_io,
    parse_pairs,
    parse_stat,
)
from rnts.host_threads import PASSES_BETWEEN_MAX, THREADS_A_PASS, Threads
from rnts.model import Health

if TYPE_CHECKING:
    from rnts.neuron import Neuron

IDLE_BEATS = 4  # an idle process reports itself every fourth beat
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

CpuClock = Callable[[int], int]  # CPU time of a process in ns; raises OSError where there is none


class Process:
    """A process and all that must be remembered of it; who announces it sets the first two."""

    neuron: "Neuron"
    announced_comm: bytes

    def __init__(
        self, reader: ProcReader, pid: int, now_ns: int, cpu_clock: CpuClock | None
    ) -> None:
        self.pid = pid
        self.health = Health.HEALTHY
        self.reason = ""
        self.is_health_news = False
        self.signs = Signs("")
        # Set by sweeps over all connections; None where they are not for our eyes.
        self.connections: int | None = None
        self.sockets: frozenset[int] | None = None
        self.scanned_cpu_ns = -1
        self.is_withheld = False  # its I/O counters are not for our eyes
        self._reader = reader
        self._cpu_clock = cpu_clock
        self._stat_file = ProcFile(reader, f"{pid}/stat")
        self._io_file = ProcFile(reader, f"{pid}/io")
        self._threads = Threads(reader, pid)
        self._threads_beat = 0
        self._cause = ""
        self._was_busy = False
        self.start_ticks = -1
        cpu_ns = self._clock_ns()
        stat = self._read_stat()
        scheduled = self._threads.read(stat.threads)
        self.start_ticks = stat.start_ticks
        self.last = Look(now_ns, _cpu_ns(cpu_ns, stat), stat, self._read_io(stat), scheduled)
        self._last_scheduled = self.last
        self._ran_ns = now_ns
        self._judge(0.0)

    def first(self) -> Metrics:
        """The metrics of a process that is new; rates need a second look."""
        return levels(self.last)

    def look(self, now_ns: int, beat: int) -> Metrics | None:
        """What it did since the last look; None if that is nothing and not yet worth a word.

        Raises Unreadable; `vanished` also where the number belongs to another process by now.
        """
        # The clock goes before the files: whatever happens in between shows at the next look.
        cpu_ns = self._clock_ns()
        if cpu_ns == self.last.cpu_ns:
            # The last look holds for this moment, too.
            self.last.time_ns = now_ns
            return None if (beat + self.pid) % IDLE_BEATS else self._look_idle()
        return self._look_busy(now_ns, cpu_ns, beat)

    def close(self) -> None:
        """Keep no file open."""
        for file in (self._stat_file, self._io_file, self._threads.file):
            file.close()

    def _look_idle(self) -> Metrics:
        last = self.last
        if self._was_busy:
            self._was_busy = False
            self.close()
        if last.stat.has_memory:
            stat = self._read_stat()
            if stat.state != last.stat.state:
                self._ran_ns = last.time_ns
            last.stat = stat
        self._judge(0.0)
        metrics = levels(last)
        metrics["cpu_usage_percent"] = 0.0
        metrics["queue_depth"] = int(last.stat.state == "R")  # ready, and yet it has not run
        return self._complete(metrics)

    def _look_busy(self, now_ns: int, cpu_ns: int | None, beat: int) -> Metrics:
        if self._was_busy:
            self._keep_files()
        self._was_busy = True
        before, stat = self.last, self._read_stat()
        if stat.comm != before.stat.comm:
            self.is_withheld = False  # another program may share more
        now = Look(now_ns, _cpu_ns(cpu_ns, stat), stat, self._read_io(stat), None)
        metrics = rates(before, now)
        if beat >= self._threads_beat:
            now.scheduled = self._threads.read(stat.threads)
            metrics.update(scheduling(self._last_scheduled, now))
            looks = 1 + stat.threads // THREADS_A_PASS
            self._threads_beat = beat + min(looks, PASSES_BETWEEN_MAX)
        if self._has_run(now):
            self._ran_ns = now_ns
        self.last = now
        if now.scheduled is not None:
            self._last_scheduled = now
        self._judge(major_faults_per_s(before, now))
        metrics.update(levels(now))
        return self._complete(metrics)

    def _complete(self, metrics: Metrics) -> Metrics:
        if self.connections is not None:
            metrics["connection_count"] = self.connections
        return metrics

    def _judge(self, faults_per_s: float) -> None:
        last, signs = self.last, self.signs
        # A first thread may end before the others; then it is a zombie, the process is none.
        signs.state = "S" if last.stat.state == "Z" and last.stat.threads > 1 else last.stat.state
        signs.state_s = (last.time_ns - self._ran_ns) / 1e9
        signs.resident_bytes = last.stat.resident_pages * PAGE_BYTES
        signs.major_faults_per_s = faults_per_s
        if faults_per_s >= CALMED_FAULTS_PER_S:
            status = parse_pairs(self._reader.read(f"{self.pid}/status"))
            # In kB; a kernel without swapping has no such line.
            signs.swapped_bytes = (
                first_number(status, b"VmSwap") << 10 if b"VmSwap" in status else None
            )
        health, cause, reason = judge(signs, self._cause)
        if cause != self._cause:
            self.reason = reason
            self.is_health_news = True
        self.health, self._cause = health, cause

    def _has_run(self, now: Look) -> bool:
        """Whether it ran since the last look, or its state changed."""
        before = self.last
        if now.cpu_ns != before.cpu_ns or now.stat.state != before.stat.state:
            return True
        return now.scheduled not in (None, self._last_scheduled.scheduled)

    def _clock_ns(self) -> int | None:
        if self._cpu_clock is None:
            return None
        try:
            return self._cpu_clock(self.pid)
        except OSError:
            raise Unreadable("vanished", str(self.pid)) from None

    def _read_stat(self) -> Stat:
        stat = parse_stat(self._stat_file.read())
        if stat.start_ticks != self.start_ticks >= 0:
            raise Unreadable("vanished", str(self.pid))
        return stat

    def _read_io(self, stat: Stat) -> InputOutput | None:
        if stat.is_kernel or self.is_withheld:
            return None
        try:
            return parse_io(self._io_file.read())
        except Unreadable as error:
            if error.reason != "forbidden":
                raise
            self.is_withheld = True
            return None

    def _keep_files(self) -> None:
        self._stat_file.keep()
        if self._threads.has_schedstat:
            self._threads.file.keep()
        if not self.last.stat.is_kernel and not self.is_withheld:
            self._io_file.keep()


def _cpu_ns(clock_ns: int | None, stat: Stat) -> int:
    """CPU time from the clock, else from the file, which counts in ticks of 10 ms."""
    return stat.cpu_ticks * TICK_NS if clock_ns is None else clock_ns
