"""The process of one stream processor: `python -m rnts.processors.child DESCRIPTOR PARENT SPEC`.

It imports nothing of kernels before it is said that ready code is preferred to Numba.
"""

import os
import signal
import sys

SHORT_NAMES = {"anomaly": "rnts.processors.anomaly:AnomalyDetector"}


def main() -> None:
    """Serve the other end of a socket until that goes; what it speaks is in `serving.py`."""
    from rnts.process import end_with
    from rnts.warmup import prefer_objects

    descriptor, parent, spec = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    end_with(parent, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to hear
    sys.path.insert(0, os.getcwd())
    prefer_objects()
    from rnts.processors.serving import serve_descriptor

    serve_descriptor(descriptor, spec)


if __name__ == "__main__":
    main()
