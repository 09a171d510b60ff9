"""Connections between processes: counts, links and events, from tables of sockets."""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_tools import BEAT_NS, KERNEL_THREAD, Facts, Machine
from hypothesis import given
from hypothesis import strategies as st

from rnts import host_connections, host_monitor
from rnts.events import ConnectionEstablished, ConnectionLost
from rnts.host_connections import SWEEP_NS
from rnts.host_monitor import split_messages, tcp_monitor, unix_monitor, works
from rnts.host_proc import ProcReader, Unreadable
from rnts.host_sockets import Socket, Sockets, Traffic, tcp_text, unix_text

A, B, C = "0100007F:1F90", "0100007F:C350", "0200000A:0050"
MAPPED_B = "0000000000000000FFFF00000100007F:C350"
MAPPED_A = "0000000000000000FFFF00000100007F:1F90"
UP, LISTENING, CLOSING = "01", "0A", "08"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a server, a client, and a connection between them from the start."""
    machine = Machine(tmp_path)
    machine.put(5, Facts(b"server", sockets=(50, 51)))
    machine.put(6, Facts(b"client", sockets=(60,)))
    machine.proc.write_sockets((A, "0:0", LISTENING, 50), (A, B, UP, 51), (B, A, UP, 60))
    return machine


def neuron_id(machine: Machine, name: str) -> int:
    """The id under which a process was announced."""
    return next(e["neuron_id"] for e in machine.notes.names if e["name"] == name)


def run(machine: Machine, pid: int, facts: Facts) -> None:
    """Write a process that has run since."""
    machine.put(pid, facts, machine.cpu_ns.get(pid, 0) + 1)


def test_connections_are_counted(machine: Machine) -> None:
    """Established ones only, to others, as far as the process holds them."""
    machine.put(7, Facts(b"self", sockets=(70, 71, 72)))
    machine.proc.write_sockets(
        (A, B, UP, 51),
        (B, A, UP, 60),
        (C, A, UP, 70),
        (A, C, UP, 71),  # to itself
        ("1:1", "2:2", UP, 72),  # to another machine
        unix=(73,),
    )
    report = machine.sweep()
    machine.beat(4)
    counts = {
        name: (machine.notes.take(name) or {}).get("connection_count")
        for name in ("server[5]", "client[6]", "self[7]", "init[1]")
    }
    assert counts == {"server[5]": 1, "client[6]": 1, "self[7]": 1, "init[1]": 0}
    assert report.links == 1
    assert machine.notes.events == []  # it was there before we looked


def test_connect_and_disconnect_are_events_of_both(machine: Machine) -> None:
    """Each end tells its peer; a loss is believed when a second sweep confirms it."""
    machine.proc.write_sockets()
    machine.sweep()
    machine.proc.write_sockets((MAPPED_A, MAPPED_B, UP, 51), (B, A, UP, 60))
    assert machine.sweep().links == 1
    server, client = (neuron_id(machine, name) for name in ("server[5]", "client[6]"))
    established = [
        ("server[5]", ConnectionEstablished(client)),
        ("client[6]", ConnectionEstablished(server)),
    ]
    assert sorted(machine.notes.events, key=str) == sorted(established, key=str)
    machine.notes.events.clear()
    machine.proc.write_sockets((A, B, CLOSING, 51))
    machine.sweep()
    assert machine.notes.events == []
    assert machine.sweep().links == 0
    lost = [
        ("server[5]", ConnectionLost(client, "closed")),
        ("client[6]", ConnectionLost(server, "closed")),
    ]
    assert sorted(machine.notes.events, key=str) == sorted(lost, key=str)


def test_a_gap_of_one_sweep_is_no_loss(machine: Machine) -> None:
    """The kernel's list is no snapshot: what one sweep missed and the next has was there."""
    machine.sweep()
    machine.proc.write_sockets()
    machine.sweep()
    machine.proc.write_sockets((A, B, UP, 51), (B, A, UP, 60))
    machine.sweep(3)
    assert machine.notes.events == []


def test_the_end_of_a_peer_is_a_loss_at_once(machine: Machine) -> None:
    """No sweep is needed to know that the dead have no connections."""
    machine.sweep()
    client = neuron_id(machine, "client[6]")
    machine.remove(6)
    report = machine.beat()
    assert ("server[5]", ConnectionLost(client, "the peer has ended")) in machine.notes.events
    assert report.links == 0
    machine.sweep(2)
    assert sum(isinstance(event, ConnectionLost) for _, event in machine.notes.events) == 1


def test_inherited_sockets_belong_to_the_youngest(machine: Machine) -> None:
    """A parent that still holds what its child works with is not the one that is linked."""
    machine.put(7, Facts(b"worker", start_ticks=300, sockets=(51,)))
    machine.proc.write_sockets()
    machine.sweep()
    machine.proc.write_sockets((A, B, UP, 51), (B, A, UP, 60))
    machine.sweep()
    peers = {name for name, _ in machine.notes.events}
    assert peers == {"worker[7]", "client[6]"}


def test_what_cannot_be_seen_is_absent(machine: Machine) -> None:
    """No count for a process of another user or another network, nor for a kernel thread."""
    machine.put(7, Facts(b"container", sockets=(51,), namespace="net:[2]"))
    machine.put(8, Facts(b"kthreadd", flags=KERNEL_THREAD))
    machine.reader.refuses = {"6/fd": PermissionError()}
    report = machine.sweep()
    machine.beat(4)
    for name in ("client[6]", "container[7]", "kthreadd[8]"):
        metrics = machine.notes.take(name)
        assert metrics is not None and "connection_count" not in metrics
    assert report.hidden == 2
    assert (machine.notes.take("server[5]") or {})["connection_count"] == 1


def test_only_processes_that_ran_are_scanned(machine: Machine) -> None:
    """A process whose clock stands still has neither opened nor closed a file."""
    machine.sweep()
    machine.reader.listed.clear()
    run(machine, 6, Facts(b"client", sockets=(60,)))
    machine.sweep()
    assert [name for name in machine.reader.listed if name.endswith("/fd")] == ["6/fd"]


def test_a_sweep_goes_on_over_passes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly a budget each pass takes one step, and the sweep still comes to its end."""
    monkeypatch.setattr("rnts.host.SWEEP_SHARE", 0.0)
    for pid in range(10, 40):
        machine.put(pid, Facts())
    assert machine.beat(20).sweeps == 0
    assert machine.sweep().sweeps == 1


def test_a_process_with_many_files_takes_many_steps(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of open files are not looked at in one go."""
    monkeypatch.setattr("rnts.host.SWEEP_SHARE", 0.0)
    monkeypatch.setattr(host_connections, "DESCRIPTORS_A_STEP", 2)
    machine.put(7, Facts(b"many", sockets=tuple(range(100, 120))))
    machine.proc.write_sockets(*((A, C, UP, inode) for inode in range(100, 120)))
    machine.sweep()
    assert machine.source.report.passes > 10
    machine.beat(4)
    assert (machine.notes.take("many[7]") or {})["connection_count"] == 20


def test_sweeps_keep_their_distance(machine: Machine) -> None:
    """The next sweep starts two seconds after the last one did."""
    machine.sweep()
    passes = machine.source.report.passes
    machine.sweep()
    assert machine.source.report.passes - passes <= SWEEP_NS // BEAT_NS + 4
    assert machine.source.report.passes - passes >= SWEEP_NS // BEAT_NS - 4


def test_a_failed_sweep_is_counted_and_nothing_is_said(machine: Machine) -> None:
    """Without the table nothing is known: no count that was true once, and no loss."""
    machine.sweep()
    (machine.proc.root / "1/net/tcp").write_text("heading\n 0: broken 01\n")
    machine.beat(30)
    report = machine.source.report
    assert report.sweeps == 1 and report.sweeps_failed["malformed"] >= 2
    assert "connection_count" not in (machine.notes.take("server[5]") or {"connection_count": 0})
    machine.proc.write_sockets((A, B, UP, 51), (B, A, UP, 60))
    machine.sweep(2)
    assert machine.notes.events == []


def test_a_process_that_ends_during_a_sweep_is_left_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever left between the first step and the last one takes part in no link."""
    monkeypatch.setattr("rnts.host.SWEEP_SHARE", 0.0)
    batches: list[list[Socket]] = [[]]
    read: list[int] = []

    def table() -> Sockets:
        read.append(1)
        yield from batches

    machine.source._connections._tables = [table]
    machine.sweep()
    batches += [[Socket(51, A, B), Socket(60, B, A)], []]
    read.clear()
    while not read:
        machine.beat()
    machine.remove(6)
    assert machine.sweep().links == 0
    assert not any(isinstance(event, ConnectionEstablished) for _, event in machine.notes.events)


def test_traffic_becomes_links(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a TCP socket sent since the last sweep, by source and target; nothing new, no record."""
    traffic = {51: Traffic(10, 1000, None), 60: Traffic(5, 500, 9_000)}

    def table() -> Sockets:
        yield [Socket(51, A, B, traffic=traffic[51]), Socket(60, B, A, traffic=traffic[60])]

    machine.source._connections._tables = [table]
    machine.sweep()
    server, client = (neuron_id(machine, name) for name in ("server[5]", "client[6]"))
    nothing = {"messages": 0, "bytes": 0}
    assert sorted(machine.notes.links, key=str) == [
        ("client[6]", server, {**nothing, "latency_ns": 9_000}),
        ("server[5]", client, {**nothing, "latency_ns": None}),
    ]
    machine.notes.links.clear()
    traffic[51] = Traffic(12, 1300, 7_000)
    machine.sweep()
    assert machine.notes.links == [
        ("server[5]", client, {"messages": 2, "bytes": 300, "latency_ns": 7_000})
    ]
    machine.notes.links.clear()
    machine.sweep(2)
    assert machine.notes.links == []


def test_a_new_connection_brings_all_its_traffic(machine: Machine) -> None:
    """A connection that came after the first sweep has sent all that it ever sent since then."""
    connected: list[Socket] = []

    def table() -> Sockets:
        yield connected

    machine.source._connections._tables = [table]
    machine.sweep()
    connected += [Socket(51, A, B, traffic=Traffic(3, 30, 5)), Socket(60, B, A)]
    machine.sweep()
    client = neuron_id(machine, "client[6]")
    sent = {"messages": 3, "bytes": 30, "latency_ns": 5}
    unknown = {"messages": None, "bytes": None, "latency_ns": None}
    server = neuron_id(machine, "server[5]")
    assert machine.notes.links == [("server[5]", client, sent), ("client[6]", server, unknown)]


def test_unix_sockets_link_by_inode(machine: Machine) -> None:
    """The kernel names the peer of a unix socket; nobody counts what goes through one."""
    connected: list[Socket] = []

    def table() -> Sockets:
        yield connected

    machine.source._connections._tables = [table]
    machine.sweep()
    connected += [Socket(51, peer_inode=60), Socket(60, peer_inode=51)]
    assert machine.sweep().links == 1
    assert len(machine.notes.events) == 2
    unknown = {"messages": None, "bytes": None, "latency_ns": None}
    assert [numbers for _, _, numbers in machine.notes.links] == [unknown, unknown]


def test_text_tables(tmp_path: Path) -> None:
    """Established TCP and connected unix sockets; paths with line ends do no harm."""
    reader = ProcReader(tmp_path)
    line = "0: {} {} {} 0:0 00:0 0 0 0 {} 1 0"
    rows = [line.format(A, B, UP, 7), line.format(A, "0:0", LISTENING, 8)]
    (tmp_path / "tcp").write_text("\n".join(["heading", *rows, ""]))
    assert list(tcp_text(reader, "tcp", False)) == [[Socket(7, A, B)]]
    assert list(tcp_text(reader, "tcp6", True)) == []
    with pytest.raises(Unreadable, match="vanished"):
        list(tcp_text(reader, "tcp6", False))
    (tmp_path / "unix").write_bytes(
        b"heading\n0: 3 0 0 0001 03 11 /a\n0: 3 0 0 0001 03 12 /b\nc d\xff e f g 03 x\n"
        b"0: 3 0 10000 0001 01 13 /listening\n0: 3 0 0 0002 03 14\n"
    )
    assert list(unix_text(reader, "unix")) == [[Socket(11), Socket(12), Socket(14)]]


@given(st.binary(max_size=200))
def test_foreign_messages_raise_only_os_errors(data: bytes) -> None:
    """Whatever stands in a datagram, its pieces lie within it, or it is refused."""
    try:
        bodies, _ = split_messages(memoryview(data), body_bytes=4)
    except OSError:
        return
    assert sum(map(len, bodies)) <= len(data)


def test_refusals_of_the_monitor() -> None:
    """An error message is an OSError with its number; a cut one is refused."""
    header = struct.Struct("=IHHII")
    with pytest.raises(OSError, match="refused") as caught:
        split_messages(
            memoryview(header.pack(36, 2, 0, 1, 0) + struct.pack("=i", -2) + bytes(16)), 72
        )
    assert caught.value.errno == 2
    for length, kind in ((400, 20), (16, 20), (8, 3), (16, 2)):
        with pytest.raises(OSError, match="cut off"):
            split_messages(memoryview(header.pack(length, kind, 0, 1, 0)), body_bytes=4)

    def refused() -> Sockets:
        raise OSError(93, "no such protocol")
        yield []

    assert not works(refused())


@pytest.fixture
def monitor() -> Iterator[None]:
    """Only where this kernel and this sandbox answer; elsewhere the text serves."""
    if not (works(tcp_monitor(socket.AF_INET)) and works(unix_monitor())):
        pytest.skip("this system has no socket monitor")
    yield


@pytest.mark.usefixtures("monitor")
def test_monitor_sees_what_goes_through() -> None:
    """Both ends of a loopback connection, with what each has sent to the byte."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        client.sendall(b"x" * 1000)
        assert accepted.recv(1000, socket.MSG_WAITALL) == b"x" * 1000
        seen = {found.inode: found for batch in tcp_monitor(socket.AF_INET) for found in batch}
        near, far = (seen[os.fstat(end.fileno()).st_ino] for end in (client, accepted))
    assert (near.source, near.target) == (far.target, far.source)
    assert near.traffic is not None and far.traffic is not None
    assert (near.traffic.bytes, far.traffic.bytes) == (1000, 0)
    assert near.traffic.messages == 1


def test_an_old_kernel_counts_no_traffic() -> None:
    """A struct that ends before the counters leaves the traffic unknown."""
    assert host_monitor._traffic(memoryview(bytes(200))) is None
    assert host_monitor._traffic(memoryview(bytes(216))) == Traffic(0, 0, 0)
    unmeasured = bytes(148) + b"\xff" * 4 + bytes(64)
    assert host_monitor._traffic(memoryview(unmeasured)) == Traffic(0, 0, None)


@pytest.mark.usefixtures("monitor")
def test_text_and_monitor_agree() -> None:
    """The slow source sees the same sockets as the fast one."""
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6)
        if socket.has_dualstack_ipv6()
        else socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2]),
        server.accept()[0] as accepted,
    ):
        is_ipv6 = server.family is socket.AF_INET6
        name = "self/net/tcp6" if is_ipv6 else "self/net/tcp"
        inode = os.fstat(accepted.fileno()).st_ino
        text = {found.inode for batch in tcp_text(ProcReader(), name, False) for found in batch}
        fast = {found.inode for batch in tcp_monitor(server.family) for found in batch}
    assert inode in text & fast


@pytest.mark.usefixtures("monitor")
def test_monitor_names_the_peers_of_unix_sockets() -> None:
    """The two ends of a pair are each other's peers."""
    near, far = socket.socketpair()
    with near, far:
        seen = {found.inode: found for batch in unix_monitor() for found in batch}
        inodes = [os.fstat(end.fileno()).st_ino for end in (near, far)]
    assert [seen[inode].peer_inode for inode in inodes] == inodes[::-1]


def test_the_monitor_is_replaced_by_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not answer, the live machine is read from text as well."""
    monkeypatch.setattr(host_connections, "works", lambda sockets: False)
    near, far = socket.socketpair()
    with near, far:
        tables = host_connections._choose_tables(ProcReader(), "self", is_live=True)
        inodes = {found.inode for table in tables for batch in table() for found in batch}
        assert os.fstat(near.fileno()).st_ino in inodes
