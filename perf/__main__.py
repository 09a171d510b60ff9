"""Runs benchmarks in this process, a line of JSON for each: `python -m rnts.perf NAME…`."""

import json
import logging
import signal
import sys
from importlib import import_module
from typing import Any

from rnts.errors import RntsError
from rnts.perf.suite import BY_NAME, OF_PROCESSES
from rnts.process import stop_event
from rnts.warmup import load_kernels, prefer_objects


def main() -> None:
    """Run the benchmarks that are named, with `--smoke` in their small size."""
    smoke = sys.argv[-1] == "--smoke"
    names = sys.argv[1:-1] if smoke else sys.argv[1:]
    stop_event()  # it ends with who started it; below: at once, with all that it has started
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    logging.getLogger("rnts").setLevel(logging.WARNING)
    if set(names) <= set(OF_PROCESSES):
        prefer_objects()  # to load Numba would only keep the cores busy
    for name in names:
        module, _, function = BY_NAME[name].function.partition(":")
        measure = getattr(import_module(f"rnts.perf.{module}"), function)
        load_kernels()
        try:
            print(json.dumps(measure(smoke)), flush=True)
        except RntsError as error:
            sys.exit(f"{name}: {error}")


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
