"""The floor below a link's rate: the same frames over bare sockets, without delivery.

`floor_rate(kind)` is a DEALER that sends to a ROUTER with the defaults of pyzmq: nothing is
numbered, acknowledged or kept, and no credit is asked for. The other end is a process of its own,
started as `python -m rnts.perf.link_floor ENDPOINT`, and says how many frames arrived.
"""

import sys
import time

import zmq

from rnts.errors import RntsError
from rnts.perf.link_throughput import FRAME_BYTES, endpoint_of
from rnts.perf.sandbox import Sandbox

KINDS = ("ipc", "tcp")
_END, _PATIENCE_MS = b"end", 60_000


def floor_rate(box: Sandbox, kind: str, count: int) -> float:
    """MiB a second until the last of `count` frames is there; raises RntsError if one is not."""
    endpoint = endpoint_of(box, kind)
    receiver = box.start("rnts.perf.link_floor", endpoint)
    box.hear(receiver)
    frame = bytes(range(256)) * (FRAME_BYTES // 256)
    with zmq.Context() as context, context.socket(zmq.DEALER) as sender:
        sender.setsockopt(zmq.LINGER, 0)
        sender.setsockopt(zmq.SNDTIMEO, _PATIENCE_MS)
        sender.connect(endpoint)
        started_ns = time.monotonic_ns()
        for _ in range(count):
            sender.send_multipart([b"header", frame])
        sender.send_multipart([_END, b""])
        if not sender.poll(_PATIENCE_MS):
            raise RntsError(f"{endpoint}: {count} frames did not arrive")
        elapsed_ns = time.monotonic_ns() - started_ns
        arrived = int(sender.recv())
    box.kill(receiver)
    if arrived != count:
        raise RntsError(f"{endpoint}: {arrived} of {count} frames arrived")
    return count * FRAME_BYTES / 2**20 / (elapsed_ns / 1e9)


def main() -> None:
    """Count until the end, and say how many."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as receiver:
        receiver.bind(sys.argv[1])
        print("ready", flush=True)
        arrived = 0
        while True:
            route, head, frame = receiver.recv_multipart()
            if head == _END:
                break
            arrived += len(frame) == FRAME_BYTES
        receiver.send_multipart([route, str(arrived).encode()])
        sys.stdin.read()  # until the other end has heard it and ends us


if __name__ == "__main__":
    main()
