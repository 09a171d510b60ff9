"""The ZeroMQ driver: DEALER at the agent, ROUTER at the aggregator, DEALER for queries.

ZeroMQ loses messages silently at its high-water marks and to peers that vanish; the delivery
protocol's numbers close that, so the marks here only bound memory and nothing waits at the end.
"""

import socket
from pathlib import Path
from typing import NamedTuple

import zmq

from rnts.errors import ConnectError
from rnts.links.access import Access
from rnts.links.ipc import claim_ipc
from rnts.links.limits import BATCH, MESSAGE_BYTES_MAX
from rnts.links.options import LinkOptions
from rnts.links.zmq_counters import ConnectionCounters
from rnts.links.zmq_curve import Door, prove
from rnts.links.zmq_messages import is_readable, receive_parts, send_parts
from rnts.links.zmq_options import AGENT, CONNECTING, LISTENING, set_up

__all__ = ["MESSAGE_BYTES_MAX", "AgentLink", "AggregatorLink", "Peer", "QueryLink"]

_OWNER = "User-Id"  # what the door said of a connection; ZeroMQ hands it on with each message


class AgentLink:
    """The agent's socket; one endpoint at a time."""

    def __init__(self, options: LinkOptions | None = None) -> None:
        self._options = options or LinkOptions()
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._counters = ConnectionCounters()

    def connect(self, endpoint: str) -> None:
        """Go over to `endpoint`; what was queued for the former one is dropped."""
        self._counters.leave()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._context.socket(zmq.DEALER)
        set_up(self._socket, endpoint, CONNECTING, AGENT)
        if self._options.is_encrypted(endpoint):
            prove(self._socket, endpoint, self._options)
        self._counters.watch(self._socket, self._context)
        self._socket.connect(endpoint)

    def send(self, parts: list[bytes]) -> bool:
        """Send one message; False where nobody is connected or the queue is full."""
        assert self._socket is not None
        try:
            send_parts(self._socket, *parts)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[list[bytes]]:
        """The messages that have arrived."""
        self._counters.look()
        messages: list[list[bytes]] = []
        while self._socket is not None and len(messages) < BATCH and is_readable(self._socket):
            messages.append(receive_parts(self._socket))
        return messages

    def fileno(self) -> int:
        """For who sleeps on several: readable when something happens; then `receive` until empty.

        Sending may use up the sign that a message has arrived, so `receive` has the last look.
        """
        return -1 if self._socket is None else int(self._socket.getsockopt(zmq.FD))

    def wait(self, timeout_ms: int) -> bool:
        """Sleep until a message arrives; whether one did."""
        return self._socket is not None and bool(self._socket.poll(timeout_ms))

    def counters(self) -> dict[str, int]:
        """What happened to connections, by name, since the beginning."""
        self._counters.take()
        return dict(self._counters.counts)

    def close(self) -> None:
        """Let go of the socket; returns at once."""
        self._counters.leave()
        self._context.destroy(linger=0)


class Peer(NamedTuple):
    """Who sent a message: the way back, and the key that the connection proved to have."""

    route: bytes
    owner: str | None = None


class AggregatorLink:
    """The aggregator's socket: agents and clients alike, each by the name that ZeroMQ gave it.

    An encrypted address is there beside the one of this machine, `local`: that needs no keys, since
    the file system says who may connect to it.
    """

    def __init__(
        self, endpoint: str, options: LinkOptions | None = None, local: str | None = None
    ) -> None:
        options = options or LinkOptions()
        self.endpoint = endpoint
        self._context = zmq.Context()
        self._guards: dict[str, socket.socket] = {}
        self._door: Door | None = None
        self._counters = ConnectionCounters()
        self._access = Access()
        self._socket = self._context.socket(zmq.ROUTER)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        set_up(self._socket, endpoint, LISTENING)
        try:
            self._listen(endpoint, options, local)
        except BaseException:
            self.close()
            raise

    def _listen(self, endpoint: str, options: LinkOptions, local: str | None) -> None:
        """Bind what is open first: a socket's options are those of what it binds later."""
        self._counters.watch(self._socket, self._context)
        if not options.is_encrypted(endpoint):
            self._bind(endpoint)
            return
        self._door = Door(self._context, options)
        self._access = self._door.access
        self._poller.register(self._door.socket, zmq.POLLIN)
        if local is not None:
            self._bind(local)
        self._door.guard(self._socket, endpoint)
        self._bind(endpoint)

    def _bind(self, endpoint: str) -> None:
        guard = claim_ipc(endpoint)
        if guard is not None:
            self._guards[endpoint] = guard
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise ConnectError(f"cannot listen at {endpoint}: {error.strerror}") from error

    def receive(self, timeout_ms: int) -> list[tuple[Peer, list[bytes]]]:
        """Wait for messages, at most `timeout_ms`; (peer, parts) each, a bounded number."""
        self._counters.look()
        messages: list[tuple[Peer, list[bytes]]] = []
        if not is_readable(self._socket):
            self._poller.poll(timeout_ms)
        if self._door is not None:
            self._door.answer()
        while len(messages) < BATCH and is_readable(self._socket):
            messages.append(self._take())
        return messages

    def _take(self) -> tuple[Peer, list[bytes]]:
        """The next message, which is there. Only a door makes it worth to ask who sent it."""
        if self._door is None:
            route, *parts = receive_parts(self._socket)
            return Peer(route), parts
        frame = self._socket.recv(zmq.NOBLOCK, copy=False)
        try:
            owner = str(frame.get(_OWNER))
        except zmq.ZMQError:  # it came by the address of this machine
            owner = None
        parts = receive_parts(self._socket) if frame.more else []
        return Peer(frame.bytes, owner), parts

    def may_speak(self, peer: Peer, agent_id: int | None) -> bool:
        """Whether a peer may speak for an agent; None: whether it may ask."""
        return self._access.may_speak(peer.owner, agent_id)

    def send(self, peer: Peer, parts: list[bytes]) -> None:
        """Answer; to a peer that has gone or does not read, the answer is dropped and counted."""
        try:
            send_parts(self._socket, peer.route, *parts)
        except zmq.Again:
            self._counters.counts["answers_full"] += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._counters.counts["answers_unreachable"] += 1

    def counters(self) -> dict[str, int]:
        """What happened to connections and answers, by name, since the beginning."""
        self._counters.take()
        refused = {"keys_refused": self._door.refused} if self._door and self._door.refused else {}
        return {**self._counters.counts, **refused}

    def close(self) -> None:
        """Stop listening, and remove the sockets' files."""
        self._counters.leave()
        self._context.destroy(linger=0)
        for endpoint, guard in self._guards.items():
            Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
            guard.close()
        self._guards.clear()


class QueryLink:
    """A client's socket, for one question after another."""

    def __init__(self, endpoint: str, options: LinkOptions | None = None) -> None:
        self.endpoint = endpoint
        self._options = options or LinkOptions()
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def ask(self, parts: list[bytes], timeout_ms: int) -> list[bytes]:
        """Send one message and wait for its answer; raises ConnectError when none comes in time."""
        if self._socket is None:
            self._socket = self._context.socket(zmq.DEALER)
            set_up(self._socket, self.endpoint, CONNECTING)
            if self._options.is_encrypted(self.endpoint):
                prove(self._socket, self.endpoint, self._options)
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
