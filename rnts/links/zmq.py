"""The ZeroMQ driver: DEALER at the agent, ROUTER at the aggregator, REQ-like clients for queries.

ZeroMQ loses messages silently at its high-water marks and to peers that vanish; the delivery
protocol's numbers close that, so the marks here only bound memory and nothing waits at the end.
"""

import contextlib
import socket
from pathlib import Path

import zmq

from rnts.errors import ConnectError

MESSAGE_BYTES_MAX = (4 << 20) + 4096  # a frame at its largest, and its header
_HIGH_WATER = 128  # messages; credit allows 64 under way
_KEEPALIVE_S, _KEEPALIVE_TRIES = 10, 3  # of TCP: a host that is gone is let go of after 40 s
_RECONNECT_MS, _RECONNECT_MS_MAX = 20, 1000
_BATCH = 256  # messages taken in at once, so that answers and windows are never put off for long


def _set_up(end: "zmq.Socket[bytes]") -> None:
    """Options of all sockets, less what differs by their role."""
    end.setsockopt(zmq.LINGER, 0)  # the protocol keeps what matters; leaving must not hang
    end.setsockopt(zmq.SNDHWM, _HIGH_WATER)
    end.setsockopt(zmq.RCVHWM, _HIGH_WATER)
    end.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)  # a hostile peer is cut off by the library
    # No heartbeats of ZeroMQ: libzmq 4.3.5 aborts the process when one is due for a peer that left
    # while its messages filled our queue (libzmq #4364). Agents notice silence by themselves.
    end.setsockopt(zmq.TCP_KEEPALIVE, 1)
    end.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _KEEPALIVE_S)
    end.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _KEEPALIVE_S)
    end.setsockopt(zmq.TCP_KEEPALIVE_CNT, _KEEPALIVE_TRIES)


def _is_readable(end: "zmq.Socket[bytes]") -> bool:
    """Whether a message has arrived: a tenth of what zmq.Again costs."""
    return bool(int(end.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


class AgentLink:
    """The agent's socket; one endpoint at a time."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def connect(self, endpoint: str) -> None:
        """Go over to `endpoint`; what was queued for the former one is dropped."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._context.socket(zmq.DEALER)
        _set_up(self._socket)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a peer that is not there
        self._socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MS_MAX)
        self._socket.connect(endpoint)

    def send(self, parts: list[bytes]) -> bool:
        """Send one message; False where nobody is connected or the queue is full."""
        assert self._socket is not None
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=True)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[list[bytes]]:
        """The messages that have arrived."""
        messages: list[list[bytes]] = []
        while self._socket is not None and len(messages) < _BATCH and _is_readable(self._socket):
            messages.append(self._socket.recv_multipart(zmq.NOBLOCK))
        return messages

    def wait(self, timeout_ms: int) -> bool:
        """Sleep until a message arrives; whether one did."""
        return self._socket is not None and bool(self._socket.poll(timeout_ms))

    def close(self) -> None:
        """Let go of the socket; returns at once."""
        self._context.destroy(linger=0)


class AggregatorLink:
    """The aggregator's socket: agents and clients alike, each by the name that ZeroMQ gave it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._guard = _claim_ipc(endpoint)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        _set_up(self._socket)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ConnectError(f"cannot listen at {endpoint}: {error.strerror}") from error

    def receive(self, timeout_ms: int) -> list[tuple[bytes, list[bytes]]]:
        """Wait for messages, at most `timeout_ms`; (peer, parts) each, a bounded number."""
        messages: list[tuple[bytes, list[bytes]]] = []
        if _is_readable(self._socket) or self._socket.poll(timeout_ms):
            while len(messages) < _BATCH and _is_readable(self._socket):
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
                messages.append((peer, parts))
        return messages

    def send(self, peer: bytes, parts: list[bytes]) -> None:
        """Answer; to a peer that has gone or does not read, the answer is dropped."""
        with contextlib.suppress(zmq.Again, zmq.ZMQError):
            self._socket.send_multipart([peer, *parts], zmq.NOBLOCK)

    def close(self) -> None:
        """Stop listening, and remove the socket's file."""
        self._context.destroy(linger=0)
        if self._guard is not None:
            Path(self.endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
            self._guard.close()


def _claim_ipc(endpoint: str) -> socket.socket | None:
    """Hold an ipc address for this process: ZeroMQ itself would take over a living one's path.

    An abstract socket does it: the kernel frees it with the process, however that ends.
    """
    if not endpoint.startswith("ipc://"):
        return None
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.bind("\0rnts-guard:" + endpoint[-90:])
    except OSError as error:
        guard.close()
        raise ConnectError(f"another aggregator listens at {endpoint}") from error
    return guard


class QueryLink:
    """A client's socket, for one question after another."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def ask(self, parts: list[bytes], timeout_ms: int) -> list[bytes]:
        """Send one message and wait for its answer; raises ConnectError when none comes in time."""
        if self._socket is None:
            self._socket = self._context.socket(zmq.DEALER)
            _set_up(self._socket)
            self._socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
            self._socket.connect(self.endpoint)
        self._socket.send_multipart(parts)
        if not self._socket.poll(timeout_ms):
            self._socket.close()  # a late answer must not be taken for the next one's
            self._socket = None
            raise ConnectError(f"no aggregator answers at {self.endpoint}; start it: `rnts up`")
        return self._socket.recv_multipart()

    def close(self) -> None:
        """Let go of the socket."""
        self._context.destroy(linger=0)
