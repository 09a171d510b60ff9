"""The ZeroMQ driver of a process that is asked by commands of this machine: one JSON each way."""

import socket
from pathlib import Path
from typing import NamedTuple

import zmq

from rnts.errors import ConnectError
from rnts.links.ipc import claim_ipc
from rnts.links.limits import BATCH
from rnts.links.zmq_messages import is_readable, receive_parts, send_parts
from rnts.links.zmq_options import LISTENING, set_up


class Request(NamedTuple):
    """A request, and the way back to who asks."""

    route: bytes
    body: bytes


class ControlLink:
    """Listens at an ipc address; the file system says who may connect. `unanswered` counts."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.unanswered = endpoint, 0
        self._guard: socket.socket | None = claim_ipc(endpoint, "alert process")
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        set_up(self._socket, endpoint, LISTENING)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConnectError(f"cannot listen at {endpoint}: {error.strerror}") from error

    def fileno(self) -> int:
        """Readable when something has happened; only `is_readable` says whether there is more."""
        return int(self._socket.getsockopt(zmq.FD))

    def is_readable(self) -> bool:
        """Whether a request waits; to be asked after each answer, since that may use up a sign."""
        return is_readable(self._socket)

    def receive(self) -> list[Request]:
        """The requests that wait, a bounded number."""
        found: list[Request] = []
        while len(found) < BATCH and self.is_readable():
            route, *parts = receive_parts(self._socket)
            found.append(Request(route, parts[-1] if parts else b""))
        return found

    def answer(self, request: Request, body: bytes) -> None:
        """Answer; who has gone, or does not read, is not waited for."""
        try:
            send_parts(self._socket, request.route, body)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self.unanswered += 1

    def close(self) -> None:
        """Stop listening, and remove the socket's file."""
        self._context.destroy(linger=0)
        if self._guard is not None:
            Path(self.endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
            self._guard.close()
