"""Runs one benchmark in this process and prints its figures as JSON: `python -m rnts.perf NAME`."""

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
    """Run the benchmark that is named, with `--smoke` in its small size."""
    name, smoke = sys.argv[1], "--smoke" in sys.argv[2:]
    stop_event()  # it ends with who started it; below: at once, with all that it has started
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    logging.getLogger("rnts").setLevel(logging.WARNING)
    if name in OF_PROCESSES:
        prefer_objects()  # to load Numba would only keep the cores busy
    module, _, function = BY_NAME[name].function.partition(":")
    measure = getattr(import_module(f"rnts.perf.{module}"), function)
    load_kernels()
    try:
        print(json.dumps(measure(smoke)))
    except RntsError as error:
        sys.exit(str(error))


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
