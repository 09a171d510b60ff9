"""The ZeroMQ driver of control topics: an XPUB that knows whether anybody hears it."""

import socket
import threading
from collections import Counter
from pathlib import Path

import zmq

from rnts.errors import ConnectError, UsageError
from rnts.links.ipc import claim_ipc
from rnts.links.zmq_messages import is_readable, receive_parts, send_parts
from rnts.links.zmq_options import PUBLISHING, set_up
from rnts.settings_values import check_topic_address


class PublishLink:
    """Publishes from any thread. `counts` says `unheard` where nobody had subscribed."""

    def __init__(self, endpoint: str) -> None:
        try:
            check_topic_address(endpoint)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self.endpoint = endpoint
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()  # a socket belongs to one thread at a time
        self._topics: set[bytes] = set()
        self._guard: socket.socket | None = claim_ipc(endpoint, "alert process")
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        set_up(self._socket, endpoint, PUBLISHING)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConnectError(f"cannot publish at {endpoint}: {error.strerror}") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def publish(self, topic: bytes, body: bytes) -> bool:
        """Send to all who have subscribed; whether there was one.

        Raises ConnectError where one of them has not read what was sent before.
        """
        with self._lock:
            self._take_subscriptions()
            try:
                send_parts(self._socket, topic, body)
            except zmq.Again as error:
                raise ConnectError(f"a subscriber of {self.endpoint} does not read") from error
            is_heard = any(topic.startswith(prefix) for prefix in self._topics)
            self.counts["published" if is_heard else "unheard"] += 1
            return is_heard

    def has_subscriber(self, topic: bytes) -> bool:
        """Whether somebody hears this topic."""
        with self._lock:
            self._take_subscriptions()
            return any(topic.startswith(prefix) for prefix in self._topics)

    def _take_subscriptions(self) -> None:
        while is_readable(self._socket):
            said, *_ = receive_parts(self._socket)
            if said[:1] == b"\1":
                self._topics.add(said[1:])
            else:
                self._topics.discard(said[1:])

    def close(self) -> None:
        """Stop publishing, and remove the socket's file."""
        self._context.destroy(linger=0)
        if self._guard is not None:
            Path(self.endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
            self._guard.close()
