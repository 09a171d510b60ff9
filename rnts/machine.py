"""What the machine offers: shared memory, limits, clock, processors, memory, sight of processes.

Each check takes the paths it looks at, so that it can be shown a made-up machine, and returns one
Finding. Files of the kernel that are missing make a finding that says so, never an error.
"""

import os
import re
import resource
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

Verdict = Literal["ok", "warn", "fail"]

MIB = 1 << 20
SHARED_MEMORY_WANTED = 256 * MIB
SHARED_MEMORY_NEEDED = 16 * MIB
MEMORY_WANTED = 512 * MIB
FILES_WANTED = 1024  # two for each program that is watched, and those of the sockets
PROCESSORS_WANTED = 2  # agent and aggregator work side by side
FAST_CLOCKS = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}


class Finding(NamedTuple):
    """How one thing is, and what to do about it.

    `fail`: RNTS cannot do its work here. `warn`: it will be slower or see less.
    """

    check: str
    verdict: Verdict
    finding: str
    fix: str = ""


def shared_memory(folder: Path) -> Finding:
    """Whether there is shared memory, and room for the lanes of some programs."""
    name = "shared memory"
    mount = f"mount a tmpfs there (docker run --shm-size=1g; mount -t tmpfs tmpfs {folder})"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        space = os.statvfs(folder)
    except OSError as error:
        fix = f"{mount}, or set RNTS_RUNTIME_DIR to a folder that can be written"
        return Finding(name, "fail", f"{folder}: {error.strerror}", fix)
    free = space.f_bavail * space.f_frsize
    finding = f"{folder} has {free // MIB:,} MiB free"
    if free < SHARED_MEMORY_WANTED:
        verdict: Verdict = "fail" if free < SHARED_MEMORY_NEEDED else "warn"
        return Finding(name, verdict, finding, f"remove what fills it, or {mount}")
    return Finding(name, "ok", finding)


def open_files(limit: int | None = None) -> Finding:
    """Whether a process may hold enough files open."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= limit < FILES_WANTED:
        return Finding("open files", "warn", f"at most {limit}", f"ulimit -n {FILES_WANTED * 4}")
    return Finding("open files", "ok", "no limit" if limit < 0 else f"at most {limit:,}")


def file_size(limit: int | None = None) -> Finding:
    """Whether a segment can have its size: a limit on files holds for shared memory, too."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if 0 <= limit < SHARED_MEMORY_WANTED:
        finding = f"at most {limit // MIB:,} MiB: segments of programs may not fit"
        return Finding("file size", "fail", finding, "ulimit -f unlimited")
    return Finding("file size", "ok", "no limit" if limit < 0 else f"at most {limit // MIB:,} MiB")


def clock(sys_folder: Path = Path("/sys")) -> Finding:
    """Whether the time is read without a system call: each record reads it."""
    path = sys_folder / "devices/system/clocksource/clocksource0/current_clocksource"
    source = _read(path)
    if source in FAST_CLOCKS:
        return Finding("clock", "ok", source)
    if not source:
        return Finding("clock", "ok", "the kernel does not say which clock it uses")
    fix = "boot with clocksource=tsc if the processor's counter is sound"
    return Finding(
        "clock", "warn", f"{source}: a timestamp costs a system call, a microsecond or more", fix
    )


def processors(sys_folder: Path = Path("/sys"), proc: Path = Path("/proc")) -> Finding:
    """How many processors we may use, by affinity and by the quota of our control groups."""
    count = len(os.sched_getaffinity(0))
    finding = f"{count} of {os.cpu_count()}"
    quota = min((q for f in _groups(sys_folder, proc) if (q := _quota(f))), default=float(count))
    if quota < count:
        finding += f", with a quota of {quota:.2f}"
    if min(quota, count) < PROCESSORS_WANTED:
        fix = "give it two: agent and aggregator work side by side"
        return Finding("processors", "warn", finding, fix)
    return Finding("processors", "ok", finding)


def memory(sys_folder: Path = Path("/sys"), proc: Path = Path("/proc")) -> Finding:
    """How much memory is left, on the machine and in our control groups."""
    lines = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read(proc / "meminfo"), re.MULTILINE))
    left = [int(lines["MemAvailable"]) << 10] if "MemAvailable" in lines else []
    for folder in _groups(sys_folder, proc):
        most, used = _read(folder / "memory.max"), _read(folder / "memory.current")
        if most.isdigit() and used.isdigit():
            left.append(int(most) - int(used))
    if not left:
        return Finding("memory", "ok", "the kernel does not say how much is left")
    finding = f"{min(left) // MIB:,} MiB left"
    if min(left) < MEMORY_WANTED:
        return Finding("memory", "warn", finding, "end what needs it, or raise the group's limit")
    return Finding("memory", "ok", finding)


def processes(proc: Path = Path("/proc"), user: int | None = None) -> Finding:
    """Whether the host source can see the processes of this machine."""
    user = os.getuid() if user is None else user
    name = "processes"
    mounts = (line.split() for line in _read(proc / "self/mounts").splitlines())
    options = next((m[3].split(",") for m in mounts if len(m) > 3 and m[2] == "proc"), [])
    hidden = [
        o for o in options if re.fullmatch(r"hidepid=(1|2|4|noaccess|invisible|ptraceable)", o)
    ]
    if user != 0 and hidden:
        fix = "run the agent as root, or mount /proc with gid=GROUP and join that group"
        return Finding(name, "warn", f"/proc is mounted with {hidden[0]}: only ours are seen", fix)
    if user != 0:
        return Finding(name, "ok", "all are seen; those of other users without their I/O counts")
    return Finding(name, "ok", "all are seen")


def process_handles() -> Finding:
    """Whether the kernel tells of the death of a process (pidfd, Linux 5.3)."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError) as error:
        fix = "use Linux 5.3 or later, and let the sandbox allow pidfd_open"
        return Finding("pidfd", "fail", f"pidfd_open: {error}", fix)
    return Finding("pidfd", "ok", "the death of a program is noticed at once")


def _groups(sys_folder: Path, proc: Path) -> list[Path]:
    """The folders of our control group (version 2) and of all above it."""
    own = re.search(r"^0::(.*)$", _read(proc / "self/cgroup"), re.MULTILINE)
    root = sys_folder / "fs/cgroup"
    folder = root / own[1].strip("/") if own else root
    return [f for f in (folder, *folder.parents) if f == root or root in f.parents]


def _quota(group: Path) -> float | None:
    """Processors that the group may use; None without a limit."""
    most, _, period = _read(group / "cpu.max").partition(" ")
    return int(most) / int(period) if most.isdigit() and period.isdigit() else None


def _read(path: Path) -> str:
    """The text of a file of the kernel's; empty where there is none for us."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
