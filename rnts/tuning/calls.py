"""What cannot be asked of the kernel by a file: threads, and how cards collect interrupts."""

import ctypes
import fcntl
import os
import socket
import struct
from typing import NamedTuple, Protocol

from rnts import scheduling

_SIOCETHTOOL = 0x8946
_GET, _SET = 0x0E, 0x0F  # ETHTOOL_GCOALESCE, ETHTOOL_SCOALESCE
# struct ethtool_coalesce: the command, then 22 numbers, of which these are used.
_COALESCE = struct.Struct("23I")
_RX_USECS, _ADAPTIVE_RX = 1, 10
_NAME_BYTES_MAX = 15


class Coalescing(NamedTuple):
    """How long a card waits before it tells of arrivals, and whether it adapts that."""

    usecs: int
    is_adaptive: bool


class Calls(Protocol):
    """What is asked; each raises OSError where the kernel refuses."""

    def slice_ns(self, thread: int) -> int | None:
        """The length of a thread's slices; None where that is not to be had."""

    def set_slice_ns(self, thread: int, wanted_ns: int) -> None:
        """Ask for slices of that length."""

    def set_nice(self, thread: int, nice: int) -> None:
        """Ask for that niceness."""

    def set_cpus(self, thread: int, cpus: frozenset[int]) -> None:
        """Keep a thread to these processors."""

    def coalescing(self, interface: str) -> Coalescing:
        """How an interface collects interrupts."""

    def set_coalescing(self, interface: str, wanted: Coalescing) -> None:
        """Change that."""


class LinuxCalls:
    """Those of this machine."""

    def slice_ns(self, thread: int) -> int | None:
        """See `Calls`."""
        return scheduling.slice_ns(thread)

    def set_slice_ns(self, thread: int, wanted_ns: int) -> None:
        """See `Calls`."""
        scheduling.set_slice_ns(thread, wanted_ns)

    def set_nice(self, thread: int, nice: int) -> None:
        """See `Calls`."""
        os.setpriority(os.PRIO_PROCESS, thread, nice)  # Linux means the thread alone by it

    def set_cpus(self, thread: int, cpus: frozenset[int]) -> None:
        """See `Calls`."""
        os.sched_setaffinity(thread, cpus)

    def coalescing(self, interface: str) -> Coalescing:
        """See `Calls`."""
        numbers = _ethtool(interface, [_GET] + [0] * 22)
        return Coalescing(numbers[_RX_USECS], bool(numbers[_ADAPTIVE_RX]))

    def set_coalescing(self, interface: str, wanted: Coalescing) -> None:
        """See `Calls`."""
        numbers = _ethtool(interface, [_GET] + [0] * 22)  # all others stay what they are
        numbers[0], numbers[_RX_USECS] = _SET, wanted.usecs
        numbers[_ADAPTIVE_RX] = int(wanted.is_adaptive)
        _ethtool(interface, numbers)


def _ethtool(interface: str, numbers: list[int]) -> list[int]:
    buffer = ctypes.create_string_buffer(_COALESCE.pack(*numbers), _COALESCE.size)
    name = os.fsencode(interface)[:_NAME_BYTES_MAX]
    request = struct.pack("16sP16x", name, ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        fcntl.ioctl(end, _SIOCETHTOOL, request)
    return list(_COALESCE.unpack(buffer.raw))
