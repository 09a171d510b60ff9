"""The floor below a reaction: three processes that pass a message on by pyzmq, and do nothing else.

Agent, aggregator and alert process are three, with a hop in front of each and one behind the last:
here each hop is a PUSH to a PULL with the defaults of pyzmq. Each relay is started as
`python -m rnts.perf.relay FROM TO`.
"""

import random
import sys
import time
from itertools import pairwise

import zmq

from rnts.errors import RntsError
from rnts.perf.sandbox import Sandbox

_RELAYS, _WARM_UP, _GAP_S, _PATIENCE_MS = 3, 50, 0.008, 10_000
_MESSAGE = [bytes(40), bytes(300)]  # about what a reaction's hops carry


class Relay:
    """Three relays in a row that begin and end at this process."""

    def __init__(self, box: Sandbox) -> None:
        hops = [f"ipc://{box.folder}/relay-{number}" for number in range(_RELAYS + 1)]
        for start, end in pairwise(hops):
            box.hear(box.start("rnts.perf.relay", start, end))
        self._context = zmq.Context()
        self._out, self._back = self._context.socket(zmq.PUSH), self._context.socket(zmq.PULL)
        self._back.bind(hops[-1])
        self._out.connect(hops[0])
        self.sample(_WARM_UP)

    def sample(self, count: int, gap_s: float = _GAP_S) -> list[int]:
        """How long so many messages took, in ns, with pauses as between canaries.

        Raises RntsError where one does not come back.
        """
        times = []
        for _ in range(count):
            time.sleep(gap_s * random.uniform(0.5, 1.5))
            since_ns = time.time_ns()
            self._out.send_multipart(_MESSAGE)
            if not self._back.poll(_PATIENCE_MS):
                raise RntsError("a message that was only passed on did not come back")
            self._back.recv_multipart()
            times.append(time.time_ns() - since_ns)
        return times

    def close(self) -> None:
        """Send no more."""
        self._context.destroy(linger=0)


def main() -> None:
    """Pass on whatever comes."""
    start, end = sys.argv[1:]
    with zmq.Context() as context:
        source, target = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        source.bind(start)
        target.connect(end)
        print("ready", flush=True)
        while True:
            target.send_multipart(source.recv_multipart())


if __name__ == "__main__":
    main()
