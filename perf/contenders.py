"""One group of contenders in a process: `python -m rnts.perf.contenders GROUP BATCHES`.

It answers each line that it reads with a line, after a turn of all its contenders; at the end of
its input with its figures, as JSON.
"""

import json
import logging
import signal
import sys
from importlib import import_module

from rnts.perf.batches import Course
from rnts.perf.peers import PEERS
from rnts.process import stop_event

OURS = "ours"
READY = "ready"


def main() -> None:
    """Take turns until the input ends."""
    stop_event()  # it ends with the benchmark, and at once
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    group, batches = sys.argv[1], int(sys.argv[2])
    logging.getLogger("rnts").setLevel(logging.WARNING)
    make = getattr(import_module(f"rnts.perf.{'peers' if group in PEERS else OURS}"), group)
    if group == OURS:
        import_module("rnts.warmup").load_kernels()
    course = Course(make(), batches)
    print(READY, flush=True)
    for _ in sys.stdin:
        course.turn()
        print(READY, flush=True)
    print(json.dumps(course.figures()), flush=True)


if __name__ == "__main__":
    main()
