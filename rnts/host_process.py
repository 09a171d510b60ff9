"""One process from look to look: reads as little of it as shows what it did.

Guarantee: a process whose CPU clock stands still has not run, so it cannot have done anything. It
is passed over at 0.6 µs instead of the 26 µs that all its files take, and reports itself only now
and then, since others can still take its memory away or keep it from running.
"""

from typing import TYPE_CHECKING

from rnts.host_clock import CpuClock, clock_number, no_clock, or_ticks
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
    parse_io,
    parse_stat,
    status_number,
)
from rnts.host_threads import PASSES_BETWEEN_MAX, THREADS_A_PASS, Threads
from rnts.model import Health

if TYPE_CHECKING:
    from rnts.neuron import Neuron

IDLE_BEATS = 4  # an idle process reports itself every fourth beat
IO_BEATS = 2  # the I/O counters of a busy one are read every second beat


class Process:
    """A process and all that must be remembered of it; who announces it sets the first two."""

    __slots__ = (
        "_cause",
        "_clock_number",
        "_cpu_clock",
        "_io_file",
        "_is_kept",
        "_last_scheduled",
        "_ran_ns",
        "_reader",
        "_stat_file",
        "_threads",
        "_threads_beat",
        "_was_busy",
        "announced_comm",
        "connections",
        "has_clock",
        "health",
        "is_elsewhere",
        "is_health_news",
        "is_withheld",
        "last",
        "neuron",
        "pid",
        "reason",
        "scanned_cpu_ns",
        "scans",
        "signs",
        "sockets",
        "start_ticks",
    )
    neuron: "Neuron"
    announced_comm: bytes

    def __init__(self, reader: ProcReader, pid: int, now_ns: int, cpu_clock: CpuClock) -> None:
        self.pid = pid
        self.health = Health.HEALTHY
        self.reason = ""
        self.is_health_news = False
        self.signs = Signs("")
        # Set by sweeps over all connections; None where they are not for our eyes.
        self.connections: int | None = None
        self.sockets: frozenset[int] | None = None
        self.scanned_cpu_ns = -1
        self.scans = 0
        self.is_elsewhere = False  # in another network namespace
        self.is_withheld = False  # its I/O counters are not for our eyes
        self.start_ticks = -1
        self._reader = reader
        self._cpu_clock = cpu_clock
        self.has_clock = cpu_clock is not no_clock
        self._clock_number = clock_number(pid)
        self._stat_file = ProcFile(reader, f"{pid}/stat")
        self._io_file = ProcFile(reader, f"{pid}/io")
        self._threads = Threads(reader, pid)
        self._threads_beat = 0
        self._cause = ""
        self._was_busy = self._is_kept = False
        cpu_ns = self._cpu_time_ns()
        stat = self._read_stat()
        self.start_ticks = stat.start_ticks
        scheduled = self._threads.read(stat.threads)
        self.last = Look(
            now_ns, or_ticks(cpu_ns, stat.cpu_ticks), stat, self._read_io(stat), scheduled
        )
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
        cpu_ns = self._cpu_time_ns()
        last = self.last
        if cpu_ns == last.cpu_ns:
            last.time_ns = now_ns  # for it holds at this moment, too
            return None if (beat + self.pid) % IDLE_BEATS else self._look_idle()
        return self._look_busy(now_ns, cpu_ns, beat)

    def close(self) -> None:
        """Keep no file open."""
        self._is_kept = False
        for file in (self._stat_file, self._io_file, self._threads.file):
            file.close()

    def _look_idle(self) -> Metrics:
        last = self.last
        metrics: Metrics = {"cpu_usage_percent": 0.0}
        if self._was_busy:
            self._was_busy = False
            self._catch_up(metrics)
            self.close()
        if last.stat.has_memory:  # which others can take away
            stat = self._read_stat()
            if stat.state != last.stat.state:
                self._ran_ns = last.time_ns
            last.stat = stat
        self._judge(0.0)
        metrics["queue_depth"] = int(last.stat.state == "R")  # ready, and yet it has not run
        return self._complete(metrics)

    def _catch_up(self, metrics: Metrics) -> None:
        """Read what the last busy look has left out; it has not changed since."""
        last = self.last
        if last.io is None:
            last.io = self._read_io(last.stat)
        if last.scheduled is None:
            last.scheduled = self._threads.read(last.stat.threads)
            metrics.update(scheduling(self._last_scheduled, last))
            self._last_scheduled = last

    def _look_busy(self, now_ns: int, cpu_ns: int, beat: int) -> Metrics:
        if self._was_busy and not self._is_kept:
            self._keep_files()
        self._was_busy = True
        before, stat = self.last, self._read_stat()
        if stat.comm != before.stat.comm:
            self.is_withheld = False  # another program may share more
        now = Look(now_ns, or_ticks(cpu_ns, stat.cpu_ticks), stat, None, None)
        if (beat + self.pid) % IO_BEATS == 0:
            now.io = self._read_io(stat)
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
        return self._complete(metrics)

    def _complete(self, metrics: Metrics) -> Metrics:
        metrics.update(levels(self.last))
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
            # A kernel without swapping has no such line.
            swapped_kb = status_number(self._reader.read(f"{self.pid}/status"), b"VmSwap")
            signs.swapped_bytes = None if swapped_kb is None else swapped_kb << 10
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

    def _cpu_time_ns(self) -> int:
        try:
            return self._cpu_clock(self._clock_number)
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
        self._is_kept = True
        self._stat_file.keep()
        if self._threads.has_schedstat:
            self._threads.file.keep()
        if not self.last.stat.is_kernel and not self.is_withheld:
            self._io_file.keep()
