"""Plans what the machine as a whole is to do: clocks, cards, memory, sockets, the time."""

from rnts.machine import FAST_CLOCKS
from rnts.tuning.machine import Machine
from rnts.tuning.permission import file_refusal, right_refusal, write_command
from rnts.tuning.plan import Advice, Asked, Kind, Part, Step
from rnts.tuning.reading import (
    BUFFER_LIMITS,
    CLOCK_FOLDER,
    FREQUENCY_FOLDER,
    HUGE_PAGES_FOLDER,
    SWAPPINESS,
)
from rnts.tuning.scheduling_parts import wish_step
from rnts.wish import HUGE_PAGES, LOCK_MEMORY, SOCKET_BUFFER_BYTES

SOCKET_BYTES = 4 << 20  # a frame of the largest size, and its successor while it is folded
SWAPPINESS_MAX = 10
_MIB = 1 << 20
_AT_START = "agent and aggregator do it when they start; those that run have to be started again"


def governor(machine: Machine, asked: Asked) -> Part:
    """One governor for all clocks."""
    wanted, name = asked.governor, "governor"
    if not machine.frequencies:
        return Part(name, absent="no clock can be governed here (no cpufreq): a hypervisor does")
    choices = {choice for found in machine.frequencies for choice in found.choices}
    if any(wanted not in found.choices for found in machine.frequencies):
        offered = ", ".join(sorted(choices)) or "nothing"
        return Part(name, absent=f"there is no governor {wanted!r} here, but {offered}")
    steps = []
    for policy, former, _ in machine.frequencies:
        path = f"{FREQUENCY_FOLDER}/{policy}/scaling_governor"
        steps.append(_file_step(machine, "file", path, former, wanted, "no waits for a clock"))
    return Part(name, tuple(steps))


def irq_coalescing(machine: Machine, asked: Asked) -> Part:
    """How long cards collect interrupts."""
    name, notes, steps = "irq-coalescing", [], []
    known = {interface.name: interface for interface in machine.interfaces}
    if missing := [each for each in asked.interfaces if each not in known]:
        offered = ", ".join(known) or "none"
        return Part(name, absent=f"no card has the name {', '.join(missing)}; there is {offered}")
    wanted = f"rx-usecs {asked.usecs} adaptive-rx off"
    for interface in machine.interfaces:
        if interface.name not in asked.interfaces and (asked.interfaces or not interface.is_up):
            continue
        if interface.usecs is None:
            notes.append(f"{interface.name} does not collect interrupts, or tells nobody")
            continue
        adaptive = "on" if interface.is_adaptive else "off"
        former = f"rx-usecs {interface.usecs} adaptive-rx {adaptive}"
        command = f"sudo ethtool -C {interface.name} adaptive-rx off rx-usecs {asked.usecs}"
        why = f"at most one interrupt in {asked.usecs} µs"
        refusal = right_refusal(machine, "net_admin")
        steps.append(Step("coalescing", interface.name, former, wanted, why, command, refusal))
    if not steps:
        why = "; ".join(notes) or "no card is up"
        return Part(name, absent=f"no card whose interrupts can be collected: {why}")
    return Part(name, tuple(steps), tuple(notes))


def hugepages(machine: Machine) -> Part:
    """Large pages for large arrays, where programs ask for them; no waiting for them."""
    enabled, defrag = (f"{HUGE_PAGES_FOLDER}/{name}" for name in ("enabled", "defrag"))
    now = _chosen(machine.values.get(enabled, ""))
    if not now:
        return Part("hugepages", absent="this kernel has no transparent huge pages")
    steps = [wish_step(machine, HUGE_PAGES, "true", _AT_START)]
    wanted = "madvise" if now == "never" else now
    why = "programs get large pages where they ask for them"
    steps.append(_file_step(machine, "choice", enabled, now, wanted, why))
    if former := _chosen(machine.values.get(defrag, "")):
        wanted = "defer+madvise" if former == "always" else former
        why = "nobody waits for memory to be moved who did not ask"
        step = _file_step(machine, "choice", defrag, former, wanted, why)
        steps.append(step._replace(is_optional=True))
    return Part("hugepages", tuple(steps))


def lock_memory(machine: Machine) -> Part:
    """Memory of agent and aggregator touched beforehand, and never swapped out."""
    limits = [process.lock_bytes for process in machine.processes if process.role != "alert"]
    has_right = "ipc_lock" in machine.rights.capabilities
    limit = (
        None
        if has_right
        else min(
            (size for size in (*limits, machine.rights.lock_bytes) if size is not None),
            default=None,
        )
    )
    step = wish_step(machine, LOCK_MEMORY, "true", _AT_START)
    command = "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service, before they start"
    if limit == 0:
        step = step._replace(refusal="RLIMIT_MEMLOCK is 0: nothing may be locked", command=command)
        return Part("lock-memory", (step,))
    if limit is None:
        return Part("lock-memory", (step,))
    note = f"RLIMIT_MEMLOCK is {limit / _MIB:g} MiB: that much is locked, the smallest pieces first"
    return Part("lock-memory", (step,), (note,), (Advice("all of it would be", command),))


def socket_buffers(machine: Machine) -> Part:
    """Room in sockets between agents and aggregators."""
    steps = []
    for path in BUFFER_LIMITS:
        if (former := machine.values.get(path, "")).isdecimal():
            wanted = str(max(int(former), SOCKET_BYTES))
            why = "the most that a program may ask for"
            steps.append(_file_step(machine, "file", path, former, wanted, why))
    if not steps:
        return Part("socket-buffers", absent="limits of sockets cannot be seen here")
    steps.append(wish_step(machine, SOCKET_BUFFER_BYTES, str(SOCKET_BYTES), _AT_START))
    return Part("socket-buffers", tuple(steps))


def swappiness(machine: Machine) -> Part:
    """Advice only: other programs may have their reasons."""
    value = machine.values.get(SWAPPINESS, "")
    if not value.isdecimal():
        return Part("swappiness", absent="vm.swappiness cannot be seen here")
    if not machine.swap_bytes:
        return Part("swappiness", notes=("nothing is swapped: there is no swap",))
    if int(value) <= SWAPPINESS_MAX:
        return Part("swappiness", notes=(f"vm.swappiness is {value}",))
    text = f"vm.swappiness is {value}: memory that rests is swapped out early, arrays too"
    command = f"sudo sysctl vm.swappiness={SWAPPINESS_MAX}"
    return Part("swappiness", advice=(Advice(text, command),))


def time_source(machine: Machine) -> Part:
    """A check only: a kernel has its reasons for a slow clock."""
    now = machine.values.get(f"{CLOCK_FOLDER}/current_clocksource", "")
    if not now:
        return Part("time-source", absent="the kernel does not say which clock it uses")
    if now in FAST_CLOCKS:
        return Part("time-source", notes=(f"{now}: the time is read without a system call",))
    fast = [
        each
        for each in machine.values.get(f"{CLOCK_FOLDER}/available_clocksource", "").split()
        if each in FAST_CLOCKS
    ]
    text = f"{now}: a timestamp costs a system call, a microsecond or more"
    if not fast:
        text += "; the kernel offers no other. Boot with clocksource=tsc if that counter is sound"
        return Part("time-source", advice=(Advice(text),))
    command = write_command(f"{CLOCK_FOLDER}/current_clocksource", fast[0])
    return Part("time-source", advice=(Advice(f"{text}; {fast[0]} would not", command),))


def _chosen(text: str) -> str:
    """The word in brackets of a file that lists all choices."""
    return text.partition("[")[2].partition("]")[0]


def _file_step(machine: Machine, kind: Kind, path: str, former: str, wanted: str, why: str) -> Step:
    command = write_command(path, wanted)
    return Step(kind, path, former, wanted, why, command, file_refusal(machine, path))
