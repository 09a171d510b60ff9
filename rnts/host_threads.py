"""Adds up what the scheduler counted for all threads of one process, as counters that never fall.

`/proc/PID/schedstat` speaks of the first thread alone. A process with more threads is summed over
`/proc/PID/task/*`, the less often the more there are, so that a pass looks at about 16 threads of
one process at most; up to 2 s pass between two looks at the largest ones.
"""

from typing import NamedTuple

from rnts.host_proc import (
    ProcFile,
    ProcReader,
    Unreadable,
    parse_schedstat,
    status_number,
)

THREADS_A_PASS = 16
PASSES_BETWEEN_MAX = 8


class Scheduled(NamedTuple):
    """Totals of one process; `run_ns` and `wait_ns` are None where the kernel does not count."""

    slices: int  # times that one of its threads was put on a CPU
    run_ns: int | None
    wait_ns: int | None  # time that its threads were ready and waited for a CPU


class Threads:
    """The scheduler's totals of one process.

    A thread that ends takes its counters with it, so what it did after the last look is missing.
    """

    __slots__ = ("_last", "_pid", "_reader", "_totals", "file", "has_schedstat")

    def __init__(self, reader: ProcReader, pid: int) -> None:
        self._reader = reader
        self._pid = pid
        self._last: dict[str, tuple[int, int, int]] = {}
        self._totals = [0, 0, 0]
        self.file = ProcFile(reader, f"{pid}/schedstat")
        self.has_schedstat = True

    def read(self, count: int) -> Scheduled:
        """Look at all `count` threads and return the totals; raises Unreadable."""
        if count <= 1 and not self._last:  # it has never had more
            run_ns, wait_ns, slices = self._first()
            return self._scheduled(slices, run_ns, wait_ns)
        first = str(self._pid)
        now = {first: self._first()}
        for name in self._reader.names(f"{self._pid}/task") if count > 1 else ():
            try:
                if name != first:
                    now[name] = self._thread(f"{self._pid}/task/{name}")
            except Unreadable as error:
                if error.reason != "vanished":
                    raise
        return self._add(now)

    def _add(self, now: dict[str, tuple[int, int, int]]) -> Scheduled:
        totals, none = self._totals, (0, 0, 0)
        for name, counters in now.items():
            last = self._last.get(name, none)
            if counters[2] < last[2]:  # the number was given to another thread
                last = none
            for column in range(3):
                totals[column] += max(0, counters[column] - last[column])
        self._last = now
        run_ns, wait_ns, slices = totals
        return self._scheduled(slices, run_ns, wait_ns)

    def _scheduled(self, slices: int, run_ns: int, wait_ns: int) -> Scheduled:
        if self.has_schedstat:
            return Scheduled(slices, run_ns, wait_ns)
        return Scheduled(slices, None, None)

    def _first(self) -> tuple[int, int, int]:
        if self.has_schedstat and (counters := self._schedstat())[2]:
            return counters
        # It has never run, or the kernel lacks CONFIG_SCHED_INFO: no such file, or only zeros.
        switches = self._switches(str(self._pid))
        if self.has_schedstat and switches[2]:
            counters = self._schedstat()  # once more, for it may have run first in between
            self.has_schedstat = counters[2] > 0
            if self.has_schedstat:
                return counters
        return switches

    def _schedstat(self) -> tuple[int, int, int]:
        """Of the first thread; zeros where there is no such file."""
        try:
            return parse_schedstat(self.file.read())
        except Unreadable as error:
            if error.reason != "vanished":
                raise
            return 0, 0, 0

    def _thread(self, name: str) -> tuple[int, int, int]:
        if self.has_schedstat:
            return parse_schedstat(self._reader.read(f"{name}/schedstat"))
        return self._switches(name)

    def _switches(self, name: str) -> tuple[int, int, int]:
        """The fall-back: context switches, 13 µs a thread since all of `status` is made for it."""
        raw = self._reader.read(f"{name}/status")
        voluntary = status_number(raw, b"voluntary_ctxt_switches")
        forced = status_number(raw, b"nonvoluntary_ctxt_switches")
        if voluntary is None or forced is None:
            raise Unreadable("malformed", f"{name}/status")
        return 0, 0, voluntary + forced
