"""Reads a machine: what its files, its processes and its cards say, as one description."""

import re

from rnts.cpu_list import format_cpus, parse_cpus
from rnts.errors import UsageError
from rnts.tuning.calls import Calls
from rnts.tuning.files import Files
from rnts.tuning.machine import Cpu, Frequency, Interface, Interrupt, Machine, Rights
from rnts.tuning.running import lock_limit_bytes, processes

CPU_FOLDER = "/sys/devices/system/cpu"
FREQUENCY_FOLDER = f"{CPU_FOLDER}/cpufreq"
HUGE_PAGES_FOLDER = "/sys/kernel/mm/transparent_hugepage"
CLOCK_FOLDER = "/sys/devices/system/clocksource/clocksource0"
SWAPPINESS = "/proc/sys/vm/swappiness"
# The most that a socket may ask for.
BUFFER_LIMITS = ("/proc/sys/net/core/rmem_max", "/proc/sys/net/core/wmem_max")
VALUES = (
    f"{HUGE_PAGES_FOLDER}/enabled",
    f"{HUGE_PAGES_FOLDER}/defrag",
    f"{CLOCK_FOLDER}/current_clocksource",
    f"{CLOCK_FOLDER}/available_clocksource",
    SWAPPINESS,
    *BUFFER_LIMITS,
)
_CAPABILITIES = {"net_admin": 12, "ipc_lock": 14, "sys_nice": 23}
_NOBODY = 65534
_WHOLE_MACHINE = "0 0 4294967295"  # of uid_map: the namespace of users is the machine's own


def read_machine(files: Files, calls: Calls, wish: dict[str, str], state_folder: str) -> Machine:
    """Look at all of it; the processes are those that share the folder of the state."""
    status = files.text("/proc/self/status")
    cpus = _cpus(files)
    numbers = {cpu.number for cpu in cpus}
    allowed = _cpus_of(_field(status, "Cpus_allowed_list")) & _cpuset(files) or numbers
    swap = re.search(r"^SwapTotal:\s+(\d+) kB", files.text("/proc/meminfo"), re.MULTILINE)
    return Machine(
        boot=files.text("/proc/sys/kernel/random/boot_id"),
        cpus=cpus,
        allowed=format_cpus(allowed & numbers),
        quota=_quota(files),
        interrupts=_interrupts(files),
        has_irqbalance=any(
            files.text(f"/proc/{name}/comm") == "irqbalance"
            for name in files.names("/proc", r"\d+")
        ),
        frequencies=_frequencies(files),
        interfaces=_interfaces(files, calls),
        values={path: text for path in VALUES if (text := files.text(path))},
        swap_bytes=int(swap[1]) << 10 if swap else 0,
        processes=processes(files, calls, state_folder),
        wish=dict(wish),
        rights=_rights(files, status),
    )


def _field(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", status, re.MULTILINE)
    return found[1] if found else ""


def _cpus_of(text: str) -> frozenset[int]:
    """A list of the kernel's; empty where it is none."""
    try:
        return parse_cpus(text)
    except UsageError:
        return frozenset()


def _cpus(files: Files) -> tuple[Cpu, ...]:
    online = _cpus_of(files.text(f"{CPU_FOLDER}/online"))
    nodes = {}
    for node in files.names("/sys/devices/system/node", r"node\d+"):
        for number in _cpus_of(files.text(f"/sys/devices/system/node/{node}/cpulist")):
            nodes[number] = int(node[4:])
    found = []
    for name in files.names(CPU_FOLDER, r"cpu\d+"):
        number = int(name[3:])
        if online and number not in online:
            continue
        topology = f"{CPU_FOLDER}/{name}/topology"
        siblings = _cpus_of(files.text(f"{topology}/thread_siblings_list")) or {number}
        package = files.text(f"{topology}/physical_package_id")
        package_number = int(package) if package.isdecimal() else 0
        found.append(Cpu(number, tuple(sorted(siblings)), nodes.get(number, 0), package_number))
    return tuple(found)


def _groups(files: Files, controller: str) -> list[str]:
    """Folders of our control group and those above it: version 2, then 1 of this controller."""
    text = files.text("/proc/self/cgroup")
    found = []
    for pattern, root in (
        (r"^0::(.*)$", "/sys/fs/cgroup"),
        (rf"^\d+:(?:[^:]*,)?{controller}(?:,[^:]*)?:(.*)$", f"/sys/fs/cgroup/{controller}"),
    ):
        if own := re.search(pattern, text, re.MULTILINE):
            pieces = [piece for piece in own[1].split("/") if piece]
            found += ["/".join([root, *pieces[:length]]) for length in range(len(pieces), -1, -1)]
    return found


def _cpuset(files: Files) -> frozenset[int]:
    """What the nearest group that says so leaves us; all where none does."""
    for folder in _groups(files, "cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus"):
            if cpus := _cpus_of(files.text(f"{folder}/{name}")):
                return cpus
    return frozenset(cpu.number for cpu in _cpus(files))


def _quota(files: Files) -> float | None:
    """The least quota of our groups, in processors."""
    found = []
    for folder in _groups(files, "cpu"):
        most, _, period = files.text(f"{folder}/cpu.max").partition(" ")
        if not most:
            most = files.text(f"{folder}/cpu.cfs_quota_us")
            period = files.text(f"{folder}/cpu.cfs_period_us")
        if most.isdecimal() and period.isdecimal() and int(period):
            found.append(int(most) / int(period))
    return min(found, default=None)


def _interrupts(files: Files) -> tuple[Interrupt, ...]:
    heading, *lines = files.text("/proc/interrupts").splitlines() or [""]
    columns = len(heading.split())
    found = []
    for line in lines:
        number, _, rest = line.strip().partition(":")
        if not number.isdecimal():  # timers and the like: they come to each processor by itself
            continue
        words = rest.split(None, columns)
        path = f"/proc/irq/{number}/smp_affinity_list"
        cpus = _cpus_of(files.text(path))
        counts = tuple(int(word) for word in words[:columns] if word.isdecimal())
        name = words[columns].split()[-1] if len(words) > columns else ""
        if cpus:
            found.append(
                Interrupt(int(number), name, format_cpus(cpus), counts, _is_writable(files, path))
            )
    return tuple(found)


def _is_writable(files: Files, path: str) -> bool:
    """Whether its owner may write a file: the kernel says so of interrupts that can be moved."""
    try:
        return bool(files.locate(path).stat().st_mode & 0o200)
    except OSError:
        return False


def _frequencies(files: Files) -> tuple[Frequency, ...]:
    found = []
    for name in files.names(FREQUENCY_FOLDER, r"policy\d+"):
        if governor := files.text(f"{FREQUENCY_FOLDER}/{name}/scaling_governor"):
            choices = files.text(f"{FREQUENCY_FOLDER}/{name}/scaling_available_governors")
            found.append(Frequency(name, governor, tuple(choices.split())))
    return tuple(found)


def _interfaces(files: Files, calls: Calls) -> tuple[Interface, ...]:
    found = []
    for name in files.names("/sys/class/net"):
        if not files.names(f"/sys/class/net/{name}/device"):
            continue  # loopback, bridges and the like have no interrupts
        is_up = files.text(f"/sys/class/net/{name}/operstate") in ("up", "unknown")
        try:
            usecs, is_adaptive = calls.coalescing(name)
            found.append(Interface(name, usecs, is_adaptive, is_up))
        except OSError:
            found.append(Interface(name, None, False, is_up))
    return tuple(sorted(found))


def _rights(files: Files, status: str) -> Rights:
    limits = files.text("/proc/self/limits")
    users = _field(status, "Uid").split()
    user = int(users[1]) if len(users) > 1 else _NOBODY
    bits = int(_field(status, "CapEff") or "0", 16)
    # What a container's root has counts within its own namespace of users only.
    is_whole = " ".join(files.text("/proc/self/uid_map").split()) == _WHOLE_MACHINE
    has = frozenset(name for name, bit in _CAPABILITIES.items() if is_whole and bits >> bit & 1)
    nice = re.search(r"^Max nice priority\s+(\d+)", limits, re.MULTILINE)
    mounts = [line.split() for line in files.text("/proc/self/mounts").splitlines()]
    read_only = sorted(
        mount[1]
        for mount in mounts
        if len(mount) > 3
        and f"{mount[1]}/".startswith(("/proc/", "/sys/"))
        and "ro" in mount[3].split(",")
    )
    return Rights(
        user=user,
        is_root=user == 0 and is_whole,
        capabilities=has,
        nice_min=-20 if "sys_nice" in has else min(0, 20 - int(nice[1])) if nice else 0,
        lock_bytes=None if "ipc_lock" in has else lock_limit_bytes(limits),
        read_only=tuple(read_only),
    )
