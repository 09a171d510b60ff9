"""A program that reports each millisecond until it is killed: `python -m rnts.perf.victim NAME`."""

import sys
import time

import rnts


def main() -> None:
    """Report, say so once, and go on."""
    neuron = rnts.neuron(sys.argv[1])
    neuron.record(queue_depth=0)
    print("ready", flush=True)
    while True:
        neuron.record(queue_depth=1)
        time.sleep(0.001)


if __name__ == "__main__":
    main()
