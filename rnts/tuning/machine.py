"""What tuning has to know of a machine, as plain data; the same machine gives the same plan."""

from typing import NamedTuple

from rnts.cpu_list import parse_cpus


class Cpu(NamedTuple):
    """A logical processor, and those that share its core with it, itself included."""

    number: int
    siblings: tuple[int, ...]
    node: int
    package: int


class Interrupt(NamedTuple):
    """A line of /proc/interrupts: who has it, where it may come, how often it came to whom."""

    number: int
    name: str
    cpus: str
    counts: tuple[int, ...]  # since the boot, a number for each processor that is on
    is_movable: bool  # the kernel keeps some where they are, such as those of NVMe queues


class Frequency(NamedTuple):
    """A set of processors whose clock is governed together."""

    policy: str
    governor: str
    choices: tuple[str, ...]


class Interface(NamedTuple):
    """A network interface of a device; without `usecs` it does not collect interrupts."""

    name: str
    usecs: int | None
    is_adaptive: bool
    is_up: bool


class Thread(NamedTuple):
    """A thread of RNTS, how it is scheduled, and when it began: numbers are used again."""

    number: int
    start: int
    cpus: str
    nice: int
    slice_ns: int | None


class Process(NamedTuple):
    """A process of RNTS that works with the same folder of state as who asks."""

    number: int
    start: int
    role: str
    user: int
    lock_bytes: int | None  # RLIMIT_MEMLOCK; None: no limit
    session: int
    group_nice: int | None  # of its session, among all others; None: sessions are no groups here
    cpu_group: str  # the control group within which its niceness counts; empty: the machine
    threads: tuple[Thread, ...]


class Rights(NamedTuple):
    """Who asks, and what that may do."""

    user: int
    is_root: bool  # of the machine: root of a container's user namespace is not
    capabilities: frozenset[str]
    nice_min: int
    lock_bytes: int | None  # RLIMIT_MEMLOCK; None: no limit
    read_only: tuple[str, ...]  # places of /proc and /sys that are mounted so


class Machine(NamedTuple):
    """All of it. `values` holds what single files of the kernel say, by their path."""

    boot: str
    cpus: tuple[Cpu, ...]  # those that are on
    allowed: str  # of those, what affinity and cpuset leave to who asks
    quota: float | None  # of control groups, in processors
    interrupts: tuple[Interrupt, ...]
    has_irqbalance: bool
    frequencies: tuple[Frequency, ...]
    interfaces: tuple[Interface, ...]
    values: dict[str, str]
    swap_bytes: int
    processes: tuple[Process, ...]
    wish: dict[str, str]
    rights: Rights

    @property
    def usable(self) -> tuple[Cpu, ...]:
        """The processors that RNTS may have."""
        allowed = parse_cpus(self.allowed)
        return tuple(cpu for cpu in self.cpus if cpu.number in allowed)

    @property
    def cores(self) -> tuple[tuple[Cpu, ...], ...]:
        """The same as cores: processors that share one stand together."""
        found: dict[tuple[int, ...], list[Cpu]] = {}
        for cpu in self.usable:
            found.setdefault(cpu.siblings, []).append(cpu)
        return tuple(tuple(core) for core in found.values())
