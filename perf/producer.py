"""A program that reports from compiled code at a given rate: the load of the pipeline benchmark.

It reads orders from stdin, a line `RATE SECONDS` each, and answers each with a line
`ATTEMPTED TAKEN`; it ends with its input. Started as `python -m rnts.perf.producer NEURONS SEED`.
"""

import signal
import sys

import numpy as np

from rnts import jit
from rnts.perf import emitters
from rnts.process import stop_event
from rnts.warmup import load_kernels

_ROWS = 1 << 16
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
        emitters.report_paced(pace, *rows, totals)
        print(totals[0], totals[1], flush=True)


if __name__ == "__main__":
    main()
