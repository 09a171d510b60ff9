"""The CPU time of a pass over a machine's processes, with 500 of them asleep or busy."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rnts.host import HostSource
from rnts.producer import Producer

_LANE_SLOTS = 1 << 17  # nobody drains here: room for all records of one measurement
# Forks children that share the memory of one small interpreter. All wait for the end of standard
# input, so that none outlives us however we end; the busy ones wake on the way.
_CROWD = """
import os, select, sys, time
count, wake_s = int(sys.argv[1]), float(sys.argv[2]) or None
for _ in range(count - 1):
    if os.fork() == 0:
        break
else:
    print("there", flush=True)
while not select.select([0], [], [], wake_s)[0]:
    os.getppid()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


@contextmanager
def crowd(processes: int, wake_s: float) -> Iterator[None]:
    """So many processes, each waking every `wake_s` (0: asleep); gone when the block ends."""
    command = [sys.executable, "-S", "-E", "-c", _CROWD, str(processes), str(wake_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        try:
            parent.stdout.readline()
            yield
        finally:
            parent.stdin.close()


def measure(
    processes: int = 500, passes: int = 20, interval_s: float = 0.25, wake_s: float = 0.0
) -> dict[str, float]:
    """CPU time of passes over a crowd, through the real SDK, at the pace of the agent.

    `core_percent` relates the mean pass to the interval; the first pass, which meets everybody,
    stands alone.
    """
    producer = Producer(lanes=1, lane_slots=_LANE_SLOTS)
    source = HostSource(producer, interval_s=interval_s)
    try:
        with crowd(processes, wake_s):
            first = source.sample()
            costs, recorded, start_ns = [], 0, time.monotonic_ns()
            for beat in range(1, passes + 1):
                due_ns = start_ns + round(beat * interval_s * 1e9)
                time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
                report = source.sample()
                costs.append(report.cost_ns)
                recorded += report.recorded
    finally:
        source.close()
        producer.close()
    mean_ns = statistics.fmean(costs)
    return {
        "processes": report.processes,
        "first_pass_ns": first.cost_ns,
        "pass_ns_p50": statistics.median(costs),
        "pass_ns_max": max(costs),
        "pass_ns_mean": mean_ns,
        "process_ns_mean": mean_ns / report.processes,
        "recorded_per_pass": recorded / passes,
        "core_percent": mean_ns / interval_s / 1e7,
    }


def main() -> None:
    """Print the figures of a sleeping and of a busy crowd as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--interval-s", type=float, default=0.25)
    given = parser.parse_args()
    for name, wake_s in (("asleep", 0.0), ("busy", given.interval_s * 0.8)):
        figures = measure(given.processes, given.passes, given.interval_s, wake_s)
        print(json.dumps({name: {key: round(value, 1) for key, value in figures.items()}}))


if __name__ == "__main__":
    os.environ.pop("RNTS_DISABLE", None)
    main()
