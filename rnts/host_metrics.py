"""The fourteen metrics of a process, as far as it has them, from two looks at it.

`docs/host.md` has the table of sources. What the kernel does not count for a process is absent,
and so is every rate whose counters fell or whose interval is empty.
"""

import os
from dataclasses import dataclass

from rnts.host_proc import InputOutput, Stat
from rnts.host_threads import Scheduled

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Metrics = dict[str, float | None]


@dataclass(slots=True)
class Look:
    """What was seen of a process at one moment."""

    time_ns: int  # of a clock that never steps
    cpu_ns: int  # used by all of its threads since its start
    stat: Stat
    io: InputOutput | None  # None: not shown, or it has none
    scheduled: Scheduled | None  # None: not looked at this time


def levels(look: Look) -> Metrics:
    """The metrics that one look tells: sizes, and counters as they stand."""
    metrics: Metrics = {}
    if look.stat.has_memory:
        metrics["memory_bytes"] = look.stat.resident_pages * PAGE_BYTES
    if look.scheduled is not None:
        metrics["activation_count"] = look.scheduled.slices
    if look.io is not None:
        metrics["messages_sent"] = look.io.write_calls
        metrics["messages_received"] = look.io.read_calls
        metrics["bytes_transmitted"] = look.io.read_bytes + look.io.write_bytes
    return metrics


def rates(before: Look, now: Look) -> Metrics:
    """CPU share of one core, above 100 on several; share of page faults that read no disk."""
    metrics: Metrics = {}
    elapsed_ns = now.time_ns - before.time_ns
    used_ns = now.cpu_ns - before.cpu_ns
    if elapsed_ns > 0 and used_ns >= 0:
        metrics["cpu_usage_percent"] = 100.0 * used_ns / elapsed_ns
    minor = now.stat.minor_faults - before.stat.minor_faults
    major = now.stat.major_faults - before.stat.major_faults
    if minor >= 0 and major >= 0 and minor + major > 0:
        metrics["cache_hit_rate"] = minor / (minor + major)
    return metrics


def scheduling(before: Look, now: Look) -> Metrics:
    """Time of one activation, waiting threads and noise, of two looks at the scheduler.

    The mean number of waiting threads follows from Little's law: the time that they waited
    altogether through the time that passed. A wait counts when it ends, so one that began before
    the interval can exceed it; no more threads wait than there are.
    """
    metrics: Metrics = {}
    then, scheduled = before.scheduled, now.scheduled
    if then is None or scheduled is None:
        return metrics
    elapsed_ns = now.time_ns - before.time_ns
    slices = scheduled.slices - then.slices
    run_ns = now.cpu_ns - before.cpu_ns
    if scheduled.run_ns is not None and then.run_ns is not None:
        run_ns = scheduled.run_ns - then.run_ns
    if slices >= 0 and run_ns > 0:
        metrics["processing_time_ns"] = run_ns // max(1, slices)  # none ended: it is still the same
    if scheduled.wait_ns is None or then.wait_ns is None or elapsed_ns <= 0:
        return metrics
    wait_ns = scheduled.wait_ns - then.wait_ns
    if wait_ns >= 0:
        mean = (2 * wait_ns + elapsed_ns) // (2 * elapsed_ns)
        metrics["queue_depth"] = min(mean, now.stat.threads)
        if run_ns > 0:
            metrics["noise_ratio"] = wait_ns / (wait_ns + run_ns)
    return metrics


def major_faults_per_s(before: Look, now: Look) -> float:
    """Page faults a second that read a disk; 0 for an empty interval."""
    elapsed_ns = now.time_ns - before.time_ns
    faults = now.stat.major_faults - before.stat.major_faults
    return max(0, faults) * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0
