"""Counts what happens to ZeroMQ's connections, as its monitor tells it, under names."""

import struct
import time
from collections import Counter

import zmq
from zmq.constants import Event

from rnts.links.zmq_messages import is_readable, receive_parts
from rnts.links.zmq_options import MONITOR

_LOOK_NS = 20_000_000  # a look costs as much as a message, and a connection has few events
_EVENT = struct.Struct("=HI")
_NAMES = {
    Event.CONNECTED: "connected",  # at a TCP or Unix socket; whether it may speak comes after
    Event.CONNECT_RETRIED: "retried",
    Event.ACCEPTED: "accepted",
    Event.ACCEPT_FAILED: "accept_failed",
    Event.HANDSHAKE_SUCCEEDED: "welcomed",
    Event.HANDSHAKE_FAILED_NO_DETAIL: "handshake_broken",  # it went, or was silent for too long
    Event.HANDSHAKE_FAILED_PROTOCOL: "handshake_foreign",  # it speaks otherwise, or has a wrong key
    Event.HANDSHAKE_FAILED_AUTH: "handshake_refused",  # the other end does not know our key
    Event.DISCONNECTED: "disconnected",
}


class ConnectionCounters:
    """The counters of one role; a socket that is watched next adds to them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._watched: zmq.Socket[bytes] | None = None
        self._events: zmq.Socket[bytes] | None = None
        self._look_ns = 0

    def watch(
        self, watched: "zmq.Socket[bytes]", context: "zmq.Context[zmq.Socket[bytes]]"
    ) -> None:
        """Count what happens to this socket from now on."""
        self.leave()
        address = f"inproc://rnts-monitor-{id(watched)}"
        watched.monitor(address, sum(_NAMES))
        self._watched, self._events = watched, context.socket(zmq.PAIR)
        for option, value in MONITOR.items():
            self._events.setsockopt(option, value)
        self._events.connect(address)

    def look(self) -> None:
        """Take now and then; to be called often, since ZeroMQ's thread may wait."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            self.take()

    def take(self) -> None:
        """Count what has happened since."""
        while self._events is not None and is_readable(self._events):
            number, _ = _EVENT.unpack(receive_parts(self._events)[0])
            self.counts[_NAMES[Event(number)]] += 1

    def leave(self) -> None:
        """Watch no more."""
        self.take()
        if self._watched is not None and self._events is not None:
            self._watched.disable_monitor()
            self._events.close(linger=0)
        self._watched = self._events = None
