"""A machine for tests of the host source: `/proc` in plain files, clocks, an SDK that notes."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnts.events import Event
from rnts.host import HostReport, HostSource
from rnts.host_gpu import GpuUsage
from rnts.host_proc import ProcReader, Unreadable
from rnts.model import Health

SECOND_NS = 1_000_000_000
BEAT_NS = SECOND_NS // 4
TICK_NS = SECOND_NS // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
KERNEL_THREAD = 0x00200000


@dataclass
class Facts:
    """What the files of one process say; a test changes some and writes them again."""

    comm: bytes = b"work"
    state: str = "S"
    flags: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    cpu_ticks: int = 0
    threads: int = 1
    start_ticks: int = 100
    resident_pages: int = 10
    wait_status: int = 0
    io: tuple[int, int, int, int] | None = (0, 0, 0, 0)  # bytes and calls, read and written
    schedstat: tuple[int, int, int] | None = (0, 0, 1)
    tasks: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    cmdline: bytes = b""
    uid: int = 54321
    switches: tuple[int, int] = (1, 0)
    swapped_kb: int = 0
    cgroup: str = "0::/\n"
    files_max: str = "1024"
    sockets: tuple[int, ...] = ()
    namespace: str = "net:[1]"

    def stat(self, pid: int) -> bytes:
        """The `stat` file, with the fields that nobody reads as zeros."""
        fields = ["0"] * 50
        fields[0] = self.state
        fields[6] = str(self.flags)
        fields[7], fields[9] = str(self.minor_faults), str(self.major_faults)
        fields[11], fields[12] = str(self.cpu_ticks - self.cpu_ticks // 3), str(self.cpu_ticks // 3)
        fields[17], fields[19] = str(self.threads), str(self.start_ticks)
        fields[21], fields[49] = str(self.resident_pages), str(self.wait_status)
        return b"%d (%s) %s\n" % (pid, self.comm, " ".join(fields).encode())


class FakeProc:
    """A folder that reads like `/proc`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "proc"
        self.groups = root / "cgroup"
        (self.root / "sys/kernel/random").mkdir(parents=True)
        (self.root / "sys/kernel/random/boot_id").write_text("b007\n")
        (self.root / "1/net").mkdir(parents=True)
        self.write_sockets()

    def put(self, pid: int, facts: Facts) -> None:
        """Write the files of a process, over those that are there."""
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_bytes(facts.stat(pid))
        (folder / "cmdline").write_bytes(facts.cmdline)
        (folder / "cgroup").write_text(facts.cgroup)
        limit = f"Max open files            {facts.files_max:20} 4096                 files\n"
        (folder / "limits").write_text(f"Limit    Soft Limit\n{limit}")
        status = f"Name:\tx\nUid:\t0\t{facts.uid}\t0\t0\nVmSwap:\t{facts.swapped_kb} kB\n"
        voluntary, forced = facts.switches
        switches = f"voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{forced}\n"
        (folder / "status").write_text(status + switches)
        self._write_or_remove(folder / "io", io_text(facts.io))
        self._write_or_remove(folder / "schedstat", schedstat_text(facts.schedstat))
        shutil.rmtree(folder / "task", ignore_errors=True)
        for thread, counters in facts.tasks.items():
            (folder / f"task/{thread}").mkdir(parents=True)
            (folder / f"task/{thread}/schedstat").write_text(schedstat_text(counters))
        shutil.rmtree(folder / "fd", ignore_errors=True)
        (folder / "fd").mkdir()
        (folder / "fd/0").symlink_to("/dev/null")
        for number, inode in enumerate(facts.sockets, 1):
            (folder / f"fd/{number}").symlink_to(f"socket:[{inode}]")
        (folder / "ns").mkdir(exist_ok=True)
        (folder / "ns/net").unlink(missing_ok=True)
        (folder / "ns/net").symlink_to(facts.namespace)

    def remove(self, pid: int) -> None:
        """Let a process end."""
        shutil.rmtree(self.root / str(pid))

    def write_sockets(self, *tcp: tuple[str, str, str, int], unix: tuple[int, ...] = ()) -> None:
        """Write the tables: (local, remote, state, inode) of TCP, inodes of connected unix ones."""
        net = self.root / "1/net"
        lines = [f" 0: {a} {b} {state} 0:0 00:0 0 0 0 {inode} 1 0" for a, b, state, inode in tcp]
        (net / "tcp").write_text("heading\n" + "".join(f"{line}\n" for line in lines))
        rows = [f"0: 3 0 00000000 0001 03 {inode} /run/a\n" for inode in unix]
        (net / "unix").write_text("heading\n" + "".join(rows))

    @staticmethod
    def _write_or_remove(path: Path, text: str) -> None:
        if text:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)


def io_text(counters: tuple[int, int, int, int] | None) -> str:
    """An `io` file; nothing for None."""
    if counters is None:
        return ""
    names = ("rchar", "wchar", "syscr", "syscw")
    lines = [f"{name}: {value}\n" for name, value in zip(names, counters, strict=True)]
    return "".join(lines) + "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"


def schedstat_text(counters: tuple[int, int, int] | None) -> str:
    """A `schedstat` file; nothing for None."""
    return "" if counters is None else "{} {} {}\n".format(*counters)


class Notes:
    """Stands for the SDK: notes down what neurons report, in order."""

    def __init__(self) -> None:
        self.names: list[dict[str, Any]] = []
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.events: list[tuple[str, Event]] = []
        self.healths: list[tuple[str, Health, str]] = []
        self.links: list[tuple[str, int, dict[str, Any]]] = []
        self.forgotten: list[str] = []

    def neuron(self, name: str, **given: Any) -> "NotingNeuron":
        """A neuron whose reports are noted."""
        self.names.append({"name": name, **given})
        return NotingNeuron(self, name, given["neuron_id"])

    def forget(self, neuron: "NotingNeuron") -> None:
        """Note that a neuron is let go of."""
        self.forgotten.append(neuron.name)

    def take(self, name: str) -> dict[str, Any] | None:
        """The last record of a neuron since the last call for it; None if there is none."""
        found = [metrics for recorded, metrics in self.records if recorded == name]
        self.records = [record for record in self.records if record[0] != name]
        return found[-1] if found else None


class NotingNeuron:
    """Has the methods of a neuron that the host source uses."""

    def __init__(self, notes: Notes, name: str, neuron_id: int) -> None:
        self.notes, self.name, self.id = notes, name, neuron_id

    def record(self, **metrics: Any) -> None:
        """Note a sample."""
        self.notes.records.append((self.name, metrics))

    def event(self, event: Event) -> None:
        """Note an event."""
        self.notes.events.append((self.name, event))

    def health(self, state: Health, reason: str = "") -> None:
        """Note a state of health."""
        self.notes.healths.append((self.name, state, reason))

    def link(self, peer_id: int) -> "NotingLink":
        """A link whose reports are noted."""
        return NotingLink(self, peer_id)


class NotingLink:
    """Has the method of a link that the host source uses."""

    def __init__(self, neuron: NotingNeuron, peer_id: int) -> None:
        self.neuron, self.peer_id = neuron, peer_id

    def sent(self, **what: Any) -> None:
        """Note what went through."""
        self.neuron.notes.links.append((self.neuron.name, self.peer_id, what))


class NoGpu(GpuUsage):
    """A machine without a GPU."""

    def _start(self) -> None:
        self.reason = "none in this test"


class LimitedReader(ProcReader):
    """A reader to which some files are forbidden, or fail, whatever the rights of this test."""

    def __init__(self, root: Path, kept_max: int | None = None) -> None:
        super().__init__(root, kept_max)
        self.refuses: dict[str, OSError] = {}  # by a part of the name
        self.reads: list[str] = []
        self.listed: list[str] = []

    def open(self, name: str) -> int:
        """Open, or refuse; notes each name."""
        self.reads.append(name)
        for part, error in self.refuses.items():
            if part in name:
                raise error
        return super().open(name)

    def names(self, name: str = "") -> list[str]:
        """List, or refuse; notes each name."""
        self.listed.append(name)
        for part, error in self.refuses.items():
            if part in name:
                reason = "forbidden" if isinstance(error, PermissionError) else "failed"
                raise Unreadable(reason, name)
        return super().names(name)


class Machine:
    """A fake machine with its host source; `beat` lets a quarter of a second pass."""

    def __init__(self, root: Path, *, has_clocks: bool = True, kept_max: int | None = None) -> None:
        self.proc = FakeProc(root)
        self.reader = LimitedReader(self.proc.root, kept_max)
        self.notes = Notes()
        self.now_ns = 1_000 * SECOND_NS
        self.cpu_ns: dict[int, int] = {}
        clocks: dict[str, Any] = {"cpu_clock": self._cpu_time} if has_clocks else {}
        self.source = HostSource(
            self.notes,  # type: ignore[arg-type]
            groups=self.proc.groups,
            clock=lambda: self.now_ns,
            reader=self.reader,
            gpu=NoGpu(),
            **clocks,
        )
        self.put(1, Facts(comm=b"init"))

    def put(self, pid: int, facts: Facts, cpu_ns: int | None = None) -> None:
        """Write a process and move its CPU clock; it stands still without `cpu_ns`."""
        self.proc.put(pid, facts)
        self.cpu_ns[pid] = self.cpu_ns.get(pid, 0) if cpu_ns is None else cpu_ns

    def remove(self, pid: int) -> None:
        """Let a process end."""
        self.proc.remove(pid)
        self.cpu_ns.pop(pid, None)

    def beat(self, count: int = 1, beat_ns: int = BEAT_NS) -> HostReport:
        """Let time pass and sample, `count` times; the report of the last pass."""
        for _ in range(count):
            self.now_ns += beat_ns
            report = self.source.sample()
        return report

    def sweep(self, count: int = 1) -> HostReport:
        """Beat until so many sweeps over the connections have ended."""
        wanted = self.source.report.sweeps + count
        for _ in range(100 * count):
            report = self.beat()
            if report.sweeps >= wanted:
                return report
        raise AssertionError(f"no sweep ends: {report}")

    def _cpu_time(self, number: int) -> int:
        pid = ~(number >> 3)
        if pid not in self.cpu_ns:
            raise ProcessLookupError(pid)
        return self.cpu_ns[pid]
