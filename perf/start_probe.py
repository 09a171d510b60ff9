"""Times the phases of an aggregator's start in a process of its own, up to the ledger.

`python -m rnts.perf.start_probe LEDGER STARTED_NS` prints seconds: until Python runs this, for the
imports of `rnts aggregate`, for its kernels, for reading the ledger. The ledger is read only, and
no address is bound, so it may be that of an aggregator at work.
"""

import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path


def main() -> None:
    """Start as an aggregator does, and say how long each phase took."""
    path, times = Path(sys.argv[1]), [int(sys.argv[2]), time.monotonic_ns()]
    for name in ("rnts.__main__", "rnts.commands.aggregate", "rnts.settings"):
        import_module(name)
    warmup = import_module("rnts.warmup")
    warmup.prefer_objects()
    import_module("rnts.aggregator_process")
    times.append(time.monotonic_ns())
    warmup.load_kernels()
    times.append(time.monotonic_ns())
    _read(path)
    times.append(time.monotonic_ns())
    print(*(round((b - a) / 1e9, 6) for a, b in pairwise(times)), flush=True)


def _read(path: Path) -> None:
    """Read what `Keeper` reads, into a state of its own."""
    from rnts.keeper import LOG
    from rnts.ledger import Ledger
    from rnts.ledger_resume import State, read_records, resume
    from rnts.windows import Windows

    with Ledger(path, is_reader=True) as ledger:
        records, _ = read_records(ledger, LOG)
    resume(State(Windows(records[-1].window_ns, [50])), records, time.time_ns())


if __name__ == "__main__":
    main()
