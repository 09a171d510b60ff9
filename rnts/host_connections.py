"""Finds out which processes are connected to each other, by sweeps that are spread over passes.

A sweep looks at the open files of every process that has run since the sweep before, lists the
sockets of the network namespace, and puts the two together. It goes on in small steps, as many in
a pass as its share of the CPU allows, so that ten thousand connections make it slower, not dearer.
"""

import socket
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from rnts.events import ConnectionEstablished, ConnectionLost
from rnts.host_limits import Limits
from rnts.host_monitor import tcp_monitor, unix_monitor, works
from rnts.host_proc import ProcReader, Unreadable
from rnts.host_process import Process
from rnts.host_sockets import Socket, Sockets, Traffic, tcp_text, unix_text

SWEEP_SHARE = 0.02  # of a core, which a sweep may use; a step more at most
SWEEP_NS = 2_000_000_000  # from the start of one sweep to the start of the next, at least
DESCRIPTORS_A_STEP = 256
SCANS_BETWEEN_SETTLING = 8  # a process seldom changes its limits or its network namespace

Processes = Mapping[int, Process]
Pair = tuple[Process, Process]


@dataclass(slots=True)
class Sent:
    """What one process has sent to another since the sweep before."""

    messages: int = 0
    bytes: int = 0
    latency_ns: int | None = None
    is_counted: bool = False  # by the kernel: it does so for TCP, not for unix sockets

    def add(self, before: Traffic | None, now: Traffic) -> None:
        """Add what went through one socket; a connection's latency is that of its best one."""
        self.is_counted = True
        if before is not None:
            self.messages += max(0, now.messages - before.messages)
            self.bytes += max(0, now.bytes - before.bytes)
        if now.latency_ns is not None and (self.latency_ns or now.latency_ns) >= now.latency_ns:
            self.latency_ns = now.latency_ns


@dataclass(slots=True)
class _Seen:
    """What a sweep has gathered so far."""

    owners: dict[int, Process] = field(default_factory=dict)
    sockets: dict[int, Socket] = field(default_factory=dict)
    ends: dict[Hashable, int] = field(default_factory=dict)

    def peer(self, found: Socket) -> Process | None:
        """The process at the other end, if it is one of this machine."""
        inode = found.peer_inode or self.ends.get((found.target, found.source), 0)
        return self.owners.get(inode)


class Connections:
    """The connections between the processes of this machine."""

    def __init__(self, reader: ProcReader, limits: Limits, is_live: bool) -> None:
        self.sweeps = 0
        self.failures: dict[str, int] = {}  # sweeps given up, by reason
        self.hidden = 0  # processes whose open files are not for our eyes
        self._reader = reader
        self._limits = limits
        # In a /proc that is not that of this system, its first process stands for all.
        self._home = "self" if is_live else "1"
        self._tables = _choose_tables(reader, self._home, is_live)
        self._sweep: Iterator[None] | None = None
        self._sweep_ns: int | None = None
        self._pairs: set[Pair] = set()
        self._missed: set[Pair] = set()
        self._traffic: dict[int, Traffic] = {}

    @property
    def links(self) -> int:
        """How many pairs of processes are connected."""
        return len({frozenset(pair) for pair in self._pairs})

    def advance(self, processes: Processes, now_ns: int, budget_ns: float) -> None:
        """Go on with the sweep until `budget_ns` of CPU time are used, but a step at least."""
        if self._sweep is None:
            if self._sweep_ns is not None and now_ns - self._sweep_ns < SWEEP_NS:
                return
            self._sweep_ns = now_ns
            self._sweep = self._steps(processes)
        end_ns = time.thread_time_ns() + budget_ns
        try:
            for _ in self._sweep:
                if time.thread_time_ns() >= end_ns:
                    return
            self.sweeps += 1
        except (Unreadable, OSError) as error:
            reason = error.reason if isinstance(error, Unreadable) else "failed"
            self.failures[reason] = self.failures.get(reason, 0) + 1
            for process in processes.values():
                process.connections = None  # an old count would pass for a new one
        self._sweep = None

    def leave(self, process: Process) -> None:
        """Tell the peers of a process that has ended."""
        for pair in [pair for pair in self._pairs if process in pair]:
            self._pairs.discard(pair)
            self._missed.discard(pair)
            source, target = pair
            if target is process:
                source.neuron.event(ConnectionLost(target.neuron.id, "the peer has ended"))

    def _steps(self, processes: Processes) -> Iterator[None]:
        self._limits.renew()
        namespace = self._namespace(self._home)
        for process in list(processes.values()):
            # A process that has not run has neither opened nor closed a file.
            if process.scanned_cpu_ns != process.last.cpu_ns or not process.has_clock:
                yield from self._scan(process, namespace)
        seen = _Seen()
        for table in self._tables:
            for batch in table():
                for found in batch:
                    seen.sockets[found.inode] = found
                    if found.source is not None:
                        seen.ends[found.source, found.target] = found.inode
                yield
        by_age = sorted(processes.values(), key=lambda process: (process.start_ticks, process.pid))
        for process in by_age:
            for inode in process.sockets or ():
                # Children inherit sockets, and it is mostly the youngest one that uses them.
                seen.owners[inode] = process
        yield from self._match(processes, seen)

    def _scan(self, process: Process, namespace: str) -> Iterator[None]:
        """Find the sockets of a process, and how near it is to its limits."""
        process.scanned_cpu_ns = process.last.cpu_ns
        if not process.last.stat.has_memory:
            process.sockets = None
            return
        folder = f"{process.pid}/fd"
        inodes: set[int] = set()
        try:
            names = self._reader.names(folder)
            for index, name in enumerate(names):
                if target := self._target(f"{folder}/{name}"):
                    inodes.add(target)
                if (index + 1) % DESCRIPTORS_A_STEP == 0:
                    yield
            process.signs.descriptors = len(names)
            if process.scans % SCANS_BETWEEN_SETTLING == 0:
                signs = process.signs
                signs.descriptors_max = self._limits.descriptors(process.pid)
                signs.memory_limit_bytes = self._limits.memory_bytes(process.pid)
                process.is_elsewhere = self._namespace(str(process.pid)) != namespace
            process.scans += 1
            # The tables show one network namespace; of the sockets of another nothing is known.
            process.sockets = None if process.is_elsewhere else frozenset(inodes)
        except Unreadable:
            process.sockets = None  # counted as hidden, unless it is gone by then
        yield

    def _target(self, name: str) -> int:
        """The inode of the socket behind an open file; 0 if it is none, or just closed."""
        try:
            target = self._reader.link(name)
        except Unreadable as error:
            if error.reason != "vanished":
                raise
            return 0
        number = target[len("socket:[") : -1] if target.startswith("socket:[") else ""
        return int(number) if number.isdecimal() else 0

    def _namespace(self, pid: str) -> str:
        try:
            return self._reader.link(f"{pid}/ns/net")
        except Unreadable as error:
            if error.reason != "vanished":
                raise
            return ""

    def _match(self, present: Processes, seen: _Seen) -> Iterator[None]:
        """Count connections, and find those between two processes."""
        is_first = self.sweeps == 0
        current: dict[Pair, Sent] = {}
        traffic: dict[int, Traffic] = {}
        self.hidden = 0
        for process in list(present.values()):
            if process.sockets is None:
                process.connections = None
                self.hidden += process.last.stat.has_memory
                continue
            count = 0
            for inode in process.sockets & seen.sockets.keys():
                found = seen.sockets[inode]
                peer = seen.peer(found)
                count += peer is not process
                if peer is None or peer is process or seen.owners[inode] is not process:
                    continue
                sent = current.setdefault((process, peer), Sent())
                if found.traffic is not None:
                    none = found.traffic if is_first else Traffic(0, 0, None)
                    sent.add(self._traffic.get(inode, none), found.traffic)
                    traffic[inode] = found.traffic
            process.connections = count
            yield
        self._traffic = traffic
        there = set(present.values())  # some may have ended while this went on
        self._report(
            {pair: sent for pair, sent in current.items() if there.issuperset(pair)}, is_first
        )

    def _report(self, current: dict[Pair, Sent], is_first: bool) -> None:
        for pair, sent in current.items():
            source, target = pair
            is_new = pair not in self._pairs
            if is_new and not is_first:
                source.neuron.event(ConnectionEstablished(target.neuron.id))
            if is_new or sent.messages or sent.bytes:
                source.neuron.link(target.neuron.id).sent(
                    messages=sent.messages if sent.is_counted else None,
                    bytes=sent.bytes if sent.is_counted else None,
                    latency_ns=sent.latency_ns,
                )
        gone = self._pairs - current.keys()
        # The kernel's list is no snapshot: what changes while it is made may be left out once.
        lost = gone & self._missed
        for source, target in lost:
            source.neuron.event(ConnectionLost(target.neuron.id, "closed"))
        self._missed = gone - lost
        self._pairs = set(current) | self._missed


def _choose_tables(reader: ProcReader, home: str, is_live: bool) -> list[Callable[[], Sockets]]:
    """The best source for each kind of socket: the kernel's monitor, or else text."""
    ways: list[tuple[Callable[[], Sockets], Callable[[], Sockets]]] = [
        (
            lambda: tcp_monitor(socket.AF_INET),
            lambda: tcp_text(reader, f"{home}/net/tcp", is_optional=False),
        ),
        (
            lambda: tcp_monitor(socket.AF_INET6),
            lambda: tcp_text(reader, f"{home}/net/tcp6", is_optional=True),
        ),
        (unix_monitor, lambda: unix_text(reader, f"{home}/net/unix")),
    ]
    return [fast if is_live and works(fast()) else slow for fast, slow in ways]
