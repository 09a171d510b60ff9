"""Every option of ZeroMQ's sockets that RNTS sets, with its reason, and none elsewhere."""

import zmq

from rnts.links.limits import (
    HIGH_WATER,
    KEEPALIVE_S,
    KEEPALIVE_TRIES,
    MESSAGE_BYTES_MAX,
    RECONNECT_MS,
    RECONNECT_MS_MAX,
)
from rnts.tuned import socket_buffer_bytes

Options = dict[zmq.SocketOption, int]

_HANDSHAKE_MS = 5000
_CONNECT_MS = 5000
_MONITOR_EVENTS_MAX = 100_000

# Of all sockets. No heartbeats of ZeroMQ: libzmq 4.3.5 aborts the process when one is due for a
# peer that left while its messages filled our queue (libzmq #4364). Agents notice silence by
# themselves, and TCP's keep-alive clears what is half open.
ALL: Options = {
    zmq.LINGER: 0,  # the protocol keeps what matters; leaving must not hang
    zmq.SNDHWM: HIGH_WATER,  # 1,000 by default, which at 4 MiB each would be 4 GB a peer
    zmq.RCVHWM: HIGH_WATER,
    zmq.MAXMSGSIZE: MESSAGE_BYTES_MAX,  # a hostile peer is cut off by the library
    zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,  # who connects and says nothing is let go of; 30 s by default
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: KEEPALIVE_S,
    zmq.TCP_KEEPALIVE_INTVL: KEEPALIVE_S,
    zmq.TCP_KEEPALIVE_CNT: KEEPALIVE_TRIES,
}
# Of those that connect. Without a limit attempts stay 20 ms apart for ever, and without a time-out
# one into a network that swallows packets lasts for two minutes.
CONNECTING: Options = {
    zmq.RECONNECT_IVL: RECONNECT_MS,
    zmq.RECONNECT_IVL_MAX: RECONNECT_MS_MAX,
    zmq.CONNECT_TIMEOUT: _CONNECT_MS,
}
AGENT: Options = {zmq.IMMEDIATE: 1}  # queue nothing for a peer that is not there
# Of the one that listens. A peer that has gone is told apart from one that does not read, so that
# both are counted. No peer may take over another's name: our agents choose none, so only a thief
# of answers would.
LISTENING: Options = {
    zmq.ROUTER_MANDATORY: 1,
    zmq.ROUTER_HANDOVER: 0,
}
# Of the one that publishes: a subscriber that does not read is told of, and loses nothing unseen.
PUBLISHING: Options = {zmq.XPUB_NODROP: 1}
# Without a keeper of the door nobody comes in; by default everybody would.
GUARDED: Options = {zmq.ZAP_ENFORCE_DOMAIN: 1}
# ZeroMQ's own threads would wait where events were not taken in. In close(), they are first.
MONITOR: Options = {zmq.LINGER: 0, zmq.RCVHWM: _MONITOR_EVENTS_MAX}


def set_up(end: "zmq.Socket[bytes]", endpoint: str, *roles: Options) -> None:
    """Give a socket the options of all, and of its roles, for what it connects or binds next."""
    for role in (ALL, *roles):
        for option, value in role.items():
            end.setsockopt(option, value)
    if size := socket_buffer_bytes():
        end.setsockopt(zmq.SNDBUF, size)
        end.setsockopt(zmq.RCVBUF, size)
    if "[" in endpoint:  # an address in brackets; elsewhere a name would be looked up twice
        end.setsockopt(zmq.IPV6, 1)
