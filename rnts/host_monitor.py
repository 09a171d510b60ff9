"""Lists connected sockets by the kernel's socket monitor, sock_diag(7), a family of netlink.

It covers the network namespace of this process, needs no rights, and says more than text does:
the peer of a unix socket, and how much went through a TCP one.
"""

import socket
import struct
import sys
from collections.abc import Iterator

from rnts.host_sockets import Socket, Sockets, Traffic

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, linux/unix_diag.h, linux/tcp.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_AND_DUMP = 0x001 | 0x300
_MESSAGE_ERROR, _MESSAGE_DONE = 2, 3
_ESTABLISHED = 1 << 1  # TCP_ESTABLISHED; a connected unix socket has the same number
_WITH_TCP_INFO, _TCP_INFO = 1 << 1, 2
_WITH_UNIX_PEER, _UNIX_PEER = 4, 2
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_INET_REQUEST = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states, socket
_UNIX_REQUEST = struct.Struct("=BxxxIIIII")  # family, states, inode, what to show, cookie
_INET_MESSAGE = struct.Struct("=4x2s2s16s16s12x16xI")  # … ports, addresses … inode
_UNIX_MESSAGE = struct.Struct("=4xI8x")  # … inode …
# Byte offsets in struct tcp_info; the last of them is there since Linux 4.19.
_MINIMUM_ROUND_TRIP_US, _DATA_SEGMENTS_OUT, _BYTES_SENT, _BYTES_RESENT = 148, 156, 200, 208
_NEVER_MEASURED = 0xFFFFFFFF
_MAPPED_IPV4 = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, as IPv6 sockets show IPv4 peers
_RECEIVE_BYTES = 65_536
_TIMEOUT_S = 1.0


def tcp_monitor(family: int) -> Sockets:
    """Established connections of AF_INET or AF_INET6; raises OSError."""
    request = _INET_REQUEST.pack(family, socket.IPPROTO_TCP, _WITH_TCP_INFO, _ESTABLISHED)
    for bodies in _dump(request, _INET_MESSAGE.size):
        yield [_tcp_socket(body, family) for body in bodies]


def unix_monitor() -> Sockets:
    """Connected unix sockets; raises OSError."""
    request = _UNIX_REQUEST.pack(socket.AF_UNIX, _ESTABLISHED, 0, _WITH_UNIX_PEER, 0, 0)
    for bodies in _dump(request, _UNIX_MESSAGE.size):
        yield [_unix_socket(body) for body in bodies]


def works(sockets: Sockets) -> bool:
    """Whether the kernel answers: a family may be missing, a sandbox may forbid it."""
    try:
        for _ in sockets:
            pass
    except OSError:
        return False
    return True


def _tcp_socket(body: memoryview, family: int) -> Socket:
    source_port, target_port, source, target, inode = _INET_MESSAGE.unpack_from(body)
    info = _attribute(body[_INET_MESSAGE.size :], _TCP_INFO)
    traffic = None if info is None else _traffic(info)
    ends = (_address(source, family), source_port), (_address(target, family), target_port)
    return Socket(inode, *ends, traffic=traffic)


def _traffic(info: memoryview) -> Traffic | None:
    if len(info) < _BYTES_RESENT + 8:
        return None
    (round_trip_us,) = struct.unpack_from("=I", info, _MINIMUM_ROUND_TRIP_US)
    (segments,) = struct.unpack_from("=I", info, _DATA_SEGMENTS_OUT)
    # Not bytes_acked: that counts the opening of a connection as one byte.
    sent, resent = struct.unpack_from("=QQ", info, _BYTES_SENT)
    latency_ns = None if round_trip_us == _NEVER_MEASURED else round_trip_us * 1000 // 2
    return Traffic(segments, sent - resent, latency_ns)


def _address(raw: bytes, family: int) -> bytes:
    if family == socket.AF_INET:
        return raw[:4]
    return raw[12:] if raw.startswith(_MAPPED_IPV4) else raw


def _unix_socket(body: memoryview) -> Socket:
    (inode,) = _UNIX_MESSAGE.unpack_from(body)
    peer = _attribute(body[_UNIX_MESSAGE.size :], _UNIX_PEER)
    return Socket(inode, peer_inode=int.from_bytes(peer or b"", sys.byteorder))


def _dump(request: bytes, body_bytes: int) -> Iterator[list[memoryview]]:
    """The bodies of all answers to one request, a list a receive; raises OSError."""
    header = _HEADER.pack(
        _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_AND_DUMP, 1, 0
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as monitor:
        monitor.settimeout(_TIMEOUT_S)
        monitor.sendto(header + request, (0, 0))
        is_done = False
        while not is_done:
            data = memoryview(monitor.recv(_RECEIVE_BYTES))
            bodies, is_done = split_messages(data, body_bytes)
            yield bodies


def split_messages(data: memoryview, body_bytes: int) -> tuple[list[memoryview], bool]:
    """The bodies in one datagram, each of so many bytes at least, and whether the answer ends.

    Raises OSError where the kernel refuses, or a message is cut off.
    """
    bodies: list[memoryview] = []
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if kind == _MESSAGE_DONE and length >= _HEADER.size:
            return bodies, True
        least = 4 if kind == _MESSAGE_ERROR else body_bytes
        if not _HEADER.size + least <= length <= len(data):
            raise OSError("a message of the socket monitor is cut off")
        if kind == _MESSAGE_ERROR:
            raise OSError(-struct.unpack_from("=i", data, _HEADER.size)[0], "refused")
        bodies.append(data[_HEADER.size : length])
        data = data[_aligned(length) :]
    return bodies, False


def _attribute(data: memoryview, wanted: int) -> memoryview | None:
    """The value of an attribute: length and type of two bytes each, then the value."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if kind == wanted:
            return data[4:length]
        data = data[max(4, _aligned(length)) :]
    return None


def _aligned(length: int) -> int:
    return (length + 3) & ~3
