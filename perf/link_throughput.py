"""What a link carries with acknowledgements: frames of 64 KiB under the protocol's credit.

`link_throughput(kind)` is for `rnts bench delivery`. The other end is a process of its own, started
as `python -m rnts.perf.link_throughput ENDPOINT PROTOCOL ENCRYPTION KEYS`. It acknowledges what has
arrived, and says at the end how many frames did, each in its turn.
"""

import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rnts.delivery import CREDIT_ENTRIES, Message, Type, parse_message
from rnts.errors import RntsError
from rnts.keys import Allowed, KeyFolder
from rnts.links.choice import agent_link, aggregator_link
from rnts.links.options import LinkOptions
from rnts.links.zmq_curve import make_secret, public_key
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.process import stop_event

KINDS = ("ipc", "tcp", "curve", "grpc")
FRAME_BYTES = 64 << 10
_FRAMES, _SMOKE_FRAMES, _REPEATS = 8000, 200, 3
_AGENT, _PATIENCE_S, _WAIT_MS = 1, 60.0, 100


class LinkThroughput(NamedTuple):
    """One kind of link: its rate in the best run, and what was sent and lost in all of them."""

    mib_per_second: float
    frames: int
    lost: int


def link_throughput(kind: str, smoke: bool = False) -> LinkThroughput:
    """Measure one of `KINDS`; raises RntsError where it does not work at all."""
    count, repeats = (_SMOKE_FRAMES, 1) if smoke else (_FRAMES, _REPEATS)
    rates, lost = [], 0
    with sandbox() as box:
        for _ in range(repeats):
            seconds, arrived = _run(box, kind, count)
            rates.append(count * FRAME_BYTES / 2**20 / seconds)
            lost += count - arrived
    return LinkThroughput(max(rates), repeats * count, lost)


def _run(box: Sandbox, kind: str, count: int) -> tuple[float, int]:
    """Send so many frames; seconds until the last was acknowledged, and how many arrived."""
    protocol = "grpc" if kind == "grpc" else "zmq"
    encryption = "always" if kind == "curve" else "off"
    endpoint = endpoint_of(box, kind)
    if kind == "curve":
        _exchange_keys(box.folder, endpoint)
    words = endpoint, protocol, encryption, str(box.folder / "listening")
    receiver = box.start("rnts.perf.link_throughput", *words)
    box.hear(receiver)
    seconds = _send(endpoint, LinkOptions(protocol, encryption, box.folder / "agent"), count)
    arrived = int(box.hear(receiver))
    receiver.wait()
    box.kill(receiver)  # so that its end is no failure
    return seconds, arrived


def endpoint_of(box: Sandbox, kind: str) -> str:
    """An address for this kind of link; a TCP port that nobody has at this moment."""
    if kind == "ipc":
        return f"ipc://{box.folder}/link.sock"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def _exchange_keys(folder: Path, endpoint: str) -> None:
    """Keys for both ends, each known to the other."""
    listening, agent = KeyFolder(folder / "listening"), KeyFolder(folder / "agent")
    for keys in (listening, agent):
        keys.keep_secret(make_secret(), replace=True)
    for name in list(listening.allowed()):
        listening.remove(name)
    listening.allow(Allowed(public_key(agent.secret()), "agent", "bench"))
    agent.trust(endpoint, public_key(listening.secret()))


def _send(endpoint: str, options: LinkOptions, count: int) -> float:
    """The agent's side: as many frames under way as there is credit."""
    frame = bytes(range(256)) * (FRAME_BYTES // 256)
    link = agent_link(options)
    try:
        link.connect(endpoint)
        deadline = time.monotonic() + _PATIENCE_S
        sent = acknowledged = started_ns = 0
        while acknowledged < count:
            while sent < min(count, acknowledged + CREDIT_ENTRIES):
                header = Message(Type.ENTRY, _AGENT, 1, sent + 1, sent + 1).pack()
                if not link.send([header, frame]):
                    break
                started_ns = started_ns or time.monotonic_ns()
                sent += 1
            link.wait(_WAIT_MS if sent else 1)
            for parts in link.receive():
                message = parse_message(parts[0])
                acknowledged = max(acknowledged, message.first if message else 0)
            if time.monotonic() > deadline:
                raise RntsError(f"{endpoint}: {acknowledged} of {count} frames in {_PATIENCE_S} s")
        elapsed_ns = time.monotonic_ns() - started_ns
        while not link.send([Message(Type.BYE, _AGENT, 1).pack()]):
            link.wait(1)
        link.wait(_WAIT_MS)
    finally:
        link.close()
    return elapsed_ns / 1e9


def main() -> None:
    """The aggregator's side: acknowledge until BYE, then say how many frames came in order."""
    endpoint, protocol, encryption, keys = sys.argv[1:]
    stop = stop_event()
    link = aggregator_link(endpoint, LinkOptions(protocol, encryption, Path(keys)))
    arrived, is_over = 0, False
    print("ready", flush=True)
    while not is_over and not stop.is_set():
        messages = link.receive(_WAIT_MS)
        for _, parts in messages:
            message = parse_message(parts[0])
            assert message is not None, "nobody else speaks here"
            is_over |= message.type is Type.BYE
            arrived += message.first == arrived + 1 and len(parts[1]) == FRAME_BYTES
        if messages:
            link.send(messages[-1][0], [Message(Type.RECEIVED, 1, 0, arrived).pack()])
    print(arrived, flush=True)
    link.close()


if __name__ == "__main__":
    main()
