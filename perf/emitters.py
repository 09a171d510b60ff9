"""Programs that report from compiled code: the loops behind `capture`, `drain`, `pipeline`."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts import accounting, jit, layout, model
from rnts.kernels._jit import inlined, kernel
from rnts.kernels.atomics import sleep_ns
from rnts.perf import workload

_WHOLE = (
    "activation_count", "processing_time_ns", "queue_depth", "memory_bytes", "messages_sent",
    "messages_received", "bytes_transmitted", "connection_count",
)  # fmt: skip
_REAL = (
    "cpu_usage_percent", "gpu_usage_percent", "cache_hit_rate", "signal_strength", "noise_ratio",
    "activation_potential",
)  # fmt: skip
_ROWS = "uint64[::1], int64[:,::1], float64[:,::1]"
# What `report_paced` takes: lane, records and nanoseconds to last, nanoseconds between two bursts.
LANE, RATE, DURATION_NS, BURST_NS, PACE_WORDS = 0, 1, 2, 3, 4


class Rows(NamedTuple):
    """Records of the common workload as a program has them at hand: ids, whole and real numbers."""

    ids: NDArray[np.uint64]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]

    def first(self, count: int) -> "Rows":
        """The first `count` records."""
        return Rows(self.ids[:count], self.whole[:count], self.real[:count])


def rows(count: int, neurons: int, seed: int = 1) -> Rows:
    """`count` records of all 14 metrics of the common workload."""
    table = workload.records(count, neurons, seed)
    whole = np.stack([table[name].astype(np.int64) for name in _WHOLE], axis=1)
    real = np.stack([table[name].astype(np.float64) for name in _REAL], axis=1)
    return Rows(table["neuron_id"].copy(), np.ascontiguousarray(whole), np.ascontiguousarray(real))


@inlined
def _snapshot(lane, now, i, ids, whole, real):
    """Report all metrics of row i; a neuron without a GPU says nothing of one."""
    # Both calls stand here: with one of them in a helper that this branch hands the arrays on to, a
    # record took 30 ns instead of 10.
    if np.isnan(real[i, 1]):
        return jit.record(
            lane, ids[i], now,
            activation_count=whole[i, 0], processing_time_ns=whole[i, 1], queue_depth=whole[i, 2],
            memory_bytes=whole[i, 3], messages_sent=whole[i, 4], messages_received=whole[i, 5],
            bytes_transmitted=whole[i, 6], connection_count=whole[i, 7],
            cpu_usage_percent=real[i, 0], cache_hit_rate=real[i, 2], signal_strength=real[i, 3],
            noise_ratio=real[i, 4], activation_potential=real[i, 5],
        )  # fmt: skip
    return jit.record(
        lane, ids[i], now,
        activation_count=whole[i, 0], processing_time_ns=whole[i, 1], queue_depth=whole[i, 2],
        memory_bytes=whole[i, 3], messages_sent=whole[i, 4], messages_received=whole[i, 5],
        bytes_transmitted=whole[i, 6], connection_count=whole[i, 7],
        cpu_usage_percent=real[i, 0], gpu_usage_percent=real[i, 1], cache_hit_rate=real[i, 2],
        signal_strength=real[i, 3], noise_ratio=real[i, 4], activation_potential=real[i, 5],
    )  # fmt: skip


@inlined
def _three(lane, now, i, ids, whole):
    """Report three metrics of row i."""
    return jit.record(
        lane, ids[i], now,
        processing_time_ns=whole[i, 1], queue_depth=whole[i, 2], memory_bytes=whole[i, 3],
    )  # fmt: skip


@inlined
def _own(lane, now, i):
    """Report all metrics as a program that has just computed them: nothing is read from memory."""
    share = i * 0.001
    return jit.record(
        lane, 7, now,
        activation_count=i, processing_time_ns=i + 50_000, queue_depth=i & 63, memory_bytes=i << 12,
        messages_sent=i + 1, messages_received=i + 2, bytes_transmitted=i << 6,
        connection_count=i & 15, cpu_usage_percent=share, gpu_usage_percent=share + 1.0,
        cache_hit_rate=share * 0.5, signal_strength=share - 50.0, noise_ratio=share * 0.25,
        activation_potential=share - 64.0,
    )  # fmt: skip


def _fingerprint() -> int:
    """A number for all sources that are compiled into the emitters."""
    digest = hashlib.sha256()
    for module in (accounting, jit, layout, model):
        digest.update(Path(str(module.__file__)).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _compile_reports(fingerprint: int) -> tuple[Any, ...]:
    """Bind the sources' fingerprint: Numba keys its cache by this file and by closure variables."""

    @kernel(f"int64(int64, {_ROWS})")
    def report_snapshots(lane, ids, whole, real):
        """Report every row once, at the time of the clock; returns how many were taken."""
        taken = fingerprint * 0
        for i in range(ids.size):
            taken += _snapshot(lane, jit.now_ns(), i, ids, whole, real)
        return taken

    @kernel(f"int64(int64, int64, {_ROWS})")
    def report_snapshots_at(lane, now, ids, whole, real):
        """Report every row once, all at one time that is given; returns how many were taken."""
        taken = fingerprint * 0
        for i in range(ids.size):
            taken += _snapshot(lane, now, i, ids, whole, real)
        return taken

    @kernel(f"int64(int64, {_ROWS})")
    def report_three(lane, ids, whole, real):
        """Report three metrics of every row, at the time of the clock; how many were taken."""
        taken = fingerprint * 0
        for i in range(ids.size):
            taken += _three(lane, jit.now_ns(), i, ids, whole)
        return taken

    @kernel(f"int64(int64, int64, {_ROWS})")
    def report_three_at(lane, now, ids, whole, real):
        """Report three metrics of every row, all at one time; returns how many were taken."""
        taken = fingerprint * 0
        for i in range(ids.size):
            taken += _three(lane, now, i, ids, whole)
        return taken

    @kernel(f"int64(int64[::1], {_ROWS})")
    def report_each(lanes, ids, whole, real):
        """Report three metrics of row i to lane i, so that each call has to look at its lane."""
        taken = fingerprint * 0
        for i in range(ids.size):
            taken += _three(lanes[i], 1, i, ids, whole)
        return taken

    return report_snapshots, report_snapshots_at, report_three, report_three_at, report_each


def _compile_own(fingerprint: int) -> tuple[Any, ...]:
    """As `_compile_reports`."""

    @kernel("int64(int64, int64)")
    def report_own(lane, count):
        """Report so many records of values at hand, by the clock; returns how many were taken."""
        taken = fingerprint * 0
        for i in range(count):
            taken += _own(lane, jit.now_ns(), i)
        return taken

    @kernel("int64(int64, int64, int64)")
    def report_own_at(lane, now, count):
        """Report so many records of values at hand, at one time; returns how many were taken."""
        taken = fingerprint * 0
        for i in range(count):
            taken += _own(lane, now, i)
        return taken

    return report_own, report_own_at


def _compile_pace(fingerprint: int) -> Any:
    """As `_compile_reports`."""

    @kernel(f"int64(int64[::1], {_ROWS}, int64[::1])")
    def report_paced(pace, ids, whole, real, totals):
        """Report rows in turn at an even rate, in bursts; what fell behind is made up for.

        pace:   LANE, RATE in records a second, DURATION_NS, BURST_NS
        totals: records attempted, records taken, the row to begin with; updated
        """
        start = jit.now_ns()
        due, attempted, taken, i = start, fingerprint * 0, 0, totals[2]
        while due - start <= pace[DURATION_NS]:
            wanted = int((due - start) * 1e-9 * pace[RATE])
            while attempted < wanted:
                taken += _snapshot(pace[LANE], jit.now_ns(), i, ids, whole, real)
                i = i + 1 if i + 1 < ids.size else 0
                attempted += 1
            due += pace[BURST_NS]
            now = jit.now_ns()
            if now < due:
                sleep_ns(due - now)
        totals[0], totals[1], totals[2] = totals[0] + attempted, totals[1] + taken, i
        return attempted

    return report_paced


@kernel("int64(int64)")
def read_clock(count):
    """Read the clock so often; returns the last time."""
    last = 0
    for _ in range(count):
        last = jit.now_ns()
    return last


report_snapshots, report_snapshots_at, report_three, report_three_at, report_each = (
    _compile_reports(_fingerprint())
)
report_own, report_own_at = _compile_own(_fingerprint())
report_paced = _compile_pace(_fingerprint())
