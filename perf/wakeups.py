"""How late a timer of 1 kHz wakes a process, and what a record costs it: a line of JSON.

`python -m rnts.perf.wakeups SECONDS`. It takes the place of an agent first.
"""

import json
import os
import sys
import time

import rnts
from rnts.process import settle, sleep_precisely
from rnts.producer import PROCESS
from rnts.tuned import take_place

PERIOD_NS = 1_000_000
_RECORDS = 2_000  # find room in the lane, which nobody drains


def lateness_ns(seconds: float) -> list[int]:
    """By how much each wake-up was late.

    What is due while it is late is not made up for: one long wait is one late wake-up.
    """
    found = []
    due_ns = time.monotonic_ns() + PERIOD_NS
    for _ in range(max(1, round(seconds * 1e9 / PERIOD_NS))):
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        now_ns = time.monotonic_ns()
        found.append(now_ns - due_ns)
        due_ns = max(due_ns, now_ns) + PERIOD_NS
    return found


def record_ns(neuron: rnts.Neuron) -> float:
    """CPU time of a record, the mean of many."""
    start_ns = time.thread_time_ns()
    for _ in range(_RECORDS):
        neuron.record(activation_count=1, processing_time_ns=1000, queue_depth=3)
    return (time.thread_time_ns() - start_ns) / _RECORDS


def main() -> None:
    """Measure once."""
    rnts.attach(jit=False)
    neuron = rnts.neuron("tuned")
    if os.getsid(0) != os.getpid():
        os.setsid()  # as `rnts up` starts an agent
    take_place("agent")
    settle()
    sleep_precisely()
    try:
        late_ns = lateness_ns(float(sys.argv[1]))
        record_ns(neuron)  # warm
        print(json.dumps({"late_ns": late_ns, "record_ns": record_ns(neuron)}), flush=True)
    finally:
        PROCESS.close(unlink=True)


if __name__ == "__main__":
    main()
