"""Finds the processes of RNTS that work with one folder of state, by what they do, with threads."""

import re
from itertools import dropwhile
from pathlib import PurePath

from rnts.cpu_list import format_cpus, parse_cpus
from rnts.runtime import state_folder
from rnts.tuning.calls import Calls
from rnts.tuning.files import Files
from rnts.tuning.machine import Process, Thread
from rnts.wish import ROLES

_SESSION, _NICE, _START_TIME = 3, 16, 19  # columns of `stat` behind the name


def processes(files: Files, calls: Calls, folder: str) -> tuple[Process, ...]:
    """Those of any user whose environment we may read."""
    has_groups = files.text("/proc/sys/kernel/sched_autogroup_enabled") == "1"
    found = []
    for name in files.names("/proc", r"\d+"):
        role = role_of(_words(files, f"/proc/{name}/cmdline"))
        if not role:
            continue
        pairs = (word.partition("=") for word in _words(files, f"/proc/{name}/environ"))
        environment = {key: value for key, _, value in pairs}
        if not environment or state_folder(environment) != folder:
            continue
        columns = _columns(files, f"/proc/{name}")
        user = re.search(r"^Uid:\s+\d+\s+(\d+)", files.text(f"/proc/{name}/status"), re.MULTILINE)
        threads = [
            thread
            for number in files.names(f"/proc/{name}/task", r"\d+")
            if (thread := read_thread(files, calls, f"/proc/{name}/task/{number}"))
        ]
        if columns and user and threads:
            cpu_group = _cpu_group(files, name)
            found.append(
                Process(
                    int(name),
                    int(columns[_START_TIME]),
                    role,
                    int(user[1]),
                    lock_limit_bytes(files.text(f"/proc/{name}/limits")),
                    int(columns[_SESSION]),
                    group_nice(files, name) if has_groups and not cpu_group else None,
                    cpu_group,
                    tuple(threads),
                )
            )
    return tuple(found)


def group_nice(files: Files, process: str) -> int | None:
    """The niceness of a process's session; None where the kernel has none, or it has ended."""
    found = re.search(r"nice (-?\d+)$", files.text(f"/proc/{process}/autogroup"))
    return int(found[1]) if found else None


def start_time(files: Files, process: str) -> int | None:
    """When a process began; None where it has ended."""
    columns = _columns(files, f"/proc/{process}")
    return int(columns[_START_TIME]) if columns else None


def _cpu_group(files: Files, process: str) -> str:
    """The control group that shares processors out to a process; empty where that is the root."""
    groups = files.text(f"/proc/{process}/cgroup")
    if old := re.search(r"^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:/(.+)$", groups, re.MULTILINE):
        return old[1]
    new = re.search(r"^0::/(.+)$", groups, re.MULTILINE)
    return new[1] if new and files.text(f"/sys/fs/cgroup/{new[1]}/cpu.weight") else ""


def lock_limit_bytes(limits: str) -> int | None:
    """RLIMIT_MEMLOCK of a `limits` file; None where there is no limit, or it is not told."""
    found = re.search(r"^Max locked memory\s+(\d+)", limits, re.MULTILINE)
    return int(found[1]) if found else None


def role_of(words: list[str]) -> str:
    """What a command line runs of RNTS for long: agent, aggregate or alert; empty if nothing."""
    for position, word in enumerate(words):
        is_module = word == "rnts" and words[position - 1 : position] == ["-m"]
        if is_module or (position < 2 and PurePath(word).name == "rnts"):
            rest = [*dropwhile(lambda word: word.startswith("-"), words[position + 1 :])]
            # `rnts alert list` and the like ask the process that runs, and end.
            asks = rest[1:2] and not rest[1].startswith("-")
            return rest[0] if rest and rest[0] in ROLES and not asks else ""
    return ""


def _words(files: Files, path: str) -> list[str]:
    return [word for word in files.text(path).split("\0") if word]


def _columns(files: Files, folder: str) -> list[str]:
    """What `stat` says behind the name, which may hold blanks and brackets."""
    columns = files.text(f"{folder}/stat").rpartition(")")[2].split()
    return columns if len(columns) > _START_TIME else []


def read_thread(files: Files, calls: Calls, folder: str) -> Thread | None:
    """A thread as it is now; None where it has ended meanwhile."""
    columns = _columns(files, folder)
    cpus = re.search(r"^Cpus_allowed_list:\s*(\S+)", files.text(f"{folder}/status"), re.MULTILINE)
    number = int(PurePath(folder).name)
    try:
        slice_ns = calls.slice_ns(number)
    except OSError:
        return None
    if not columns or cpus is None:
        return None
    allowed = format_cpus(parse_cpus(cpus[1]))
    return Thread(number, int(columns[_START_TIME]), allowed, int(columns[_NICE]), slice_ns)
