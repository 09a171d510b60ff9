"""Connected sockets, and how to list them from the text files of `/proc/PID/net`.

The text serves where the kernel's socket monitor (`rnts/host_monitor.py`) does not: it is three
times as slow, and tells neither the peer of a unix socket nor what went through a TCP one.
"""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from rnts.host_proc import ProcReader, Unreadable

_MAPPED_IPV4 = "0000000000000000FFFF0000"  # ::ffff:0:0/96, as IPv6 sockets show IPv4 peers
_TCP_ESTABLISHED = "01"
_UNIX_CONNECTED = "03"
_LINES_A_BATCH = 500


class Traffic(NamedTuple):
    """What a TCP socket has sent since it was connected."""

    messages: int  # segments with data
    bytes: int  # each counted once, however often it had to be sent
    latency_ns: int | None  # half of the shortest round trip of late


class Socket(NamedTuple):
    """A connected socket, by its inode; a TCP one has two ends, a unix one its peer's inode."""

    inode: int
    source: Hashable = None
    target: Hashable = None
    peer_inode: int = 0
    traffic: Traffic | None = None


Sockets = Iterator[list[Socket]]  # a batch at a time, so that whoever reads can pause


def tcp_text(reader: ProcReader, name: str, is_optional: bool) -> Sockets:
    """Established connections of a file like `1/net/tcp`; raises Unreadable.

    An optional file may be missing: a system without IPv6 has no `tcp6`.
    """
    try:
        lines = reader.read_lines(name)
    except Unreadable as error:
        if error.reason == "vanished" and is_optional:
            return
        raise
    for batch in _batches(lines):
        try:
            rows = [line.split(maxsplit=10) for line in batch]
            yield [
                Socket(int(row[9]), _end(row[1]), _end(row[2]))
                for row in rows
                if row[3] == _TCP_ESTABLISHED
            ]
        except (ValueError, IndexError):
            raise Unreadable("malformed", name) from None


def unix_text(reader: ProcReader, name: str) -> Sockets:
    """Connected sockets of a file like `1/net/unix`; raises Unreadable.

    The path at the end of a line is its owner's choice and may hold line ends, so what does not
    look like a line is taken for a piece of a path.
    """
    for batch in _batches(reader.read_lines(name)):
        rows = [line.split(maxsplit=7) for line in batch]
        yield [
            Socket(int(row[6]))
            for row in rows
            if len(row) > 6 and row[5] == _UNIX_CONNECTED and row[6].isdecimal()
        ]


def _end(text: str) -> str:
    return text.removeprefix(_MAPPED_IPV4)


def _batches(lines: list[bytes]) -> Iterator[list[str]]:
    for start in range(1, len(lines), _LINES_A_BATCH):  # the first line is the heading
        yield [line.decode("ascii", "replace") for line in lines[start : start + _LINES_A_BATCH]]
