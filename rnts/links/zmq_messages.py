"""Messages of several parts through ZeroMQ's sockets, without the dearer half of pyzmq.

`send_multipart`, `recv_multipart` and `getsockopt` turn flags and options into enums for each part.
That takes as long as the sending itself, a thousand times a second; what they call is called here.
"""

import zmq
from zmq.backend import Socket as _Backend

_send, _receive, _get = _Backend.send, _Backend.recv, _Backend.get
_EVENTS, _POLLIN, _MORE = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.RCVMORE)
_NOBLOCK, _NOBLOCK_AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def is_readable(end: "zmq.Socket[bytes]") -> bool:
    """Whether a message has arrived: half of what zmq.Again costs."""
    return bool(int(_get(end, _EVENTS)) & _POLLIN)


def receive_parts(end: "zmq.Socket[bytes]") -> list[bytes]:
    """The parts of the next message. Raises zmq.Again where none has arrived."""
    parts = [_receive(end, _NOBLOCK)]
    while _get(end, _MORE):
        parts.append(_receive(end, _NOBLOCK))
    return parts


def send_parts(end: "zmq.Socket[bytes]", *parts: bytes) -> None:
    """Send one message. Raises zmq.Again where the queue is full or nobody is connected.

    Only the first part can be refused; who takes that takes all of them.
    """
    last = len(parts) - 1
    for part in parts[:last]:
        _send(end, part, _NOBLOCK_AND_MORE)
    _send(end, parts[last], _NOBLOCK)
