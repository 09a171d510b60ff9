"""A program that reports from compiled code at a given rate: the load of benchmarks.

It reads orders from stdin, a line `RATE SECONDS` each, and answers each with a line
`ATTEMPTED TAKEN NANOSECONDS`; it ends with its input. A rate of 0 is as fast as it can. Started as
`python -m rnts.perf.producer NEURONS SEED`.
"""

import signal
import sys
import time

import numpy as np
from numpy.typing import NDArray

from rnts import jit
from rnts.perf import emitters
from rnts.process import stop_event
from rnts.warmup import load_kernels

_ROWS = 1 << 16
_FLAT_OUT_ROWS = 1 << 12  # as many as stay in a cache
_BURST_NS = 500_000


def main() -> None:
    """Obey until the input ends."""
    stop_event()  # it ends with the benchmark, and at once
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    neurons, seed = int(sys.argv[1]), int(sys.argv[2])
    load_kernels()
    rows = emitters.rows(_ROWS, neurons, seed)
    pace = np.zeros(emitters.PACE_WORDS, np.int64)
    pace[emitters.LANE], pace[emitters.BURST_NS] = jit.lane(), _BURST_NS
    totals = np.zeros(3, np.int64)
    print("ready", flush=True)
    for line in sys.stdin:
        rate, seconds = map(float, line.split())
        pace[emitters.RATE], pace[emitters.DURATION_NS] = round(rate), round(seconds * 1e9)
        totals[:2] = 0
        start_ns = time.monotonic_ns()
        if rate:
            emitters.report_paced(pace, *rows, totals)
        else:
            _report_flat_out(pace, rows, totals)
        print(totals[0], totals[1], time.monotonic_ns() - start_ns, flush=True)


def _report_flat_out(pace: NDArray[np.int64], rows: emitters.Rows, totals: NDArray) -> None:
    """Report without a pause, also into a lane that is full."""
    lane, some = int(pace[emitters.LANE]), rows.first(_FLAT_OUT_ROWS)
    end_ns = time.monotonic_ns() + int(pace[emitters.DURATION_NS])
    while time.monotonic_ns() < end_ns:
        totals[1] += emitters.report_snapshots(lane, *some)
        totals[0] += _FLAT_OUT_ROWS


if __name__ == "__main__":
    main()
