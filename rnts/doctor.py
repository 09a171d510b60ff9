"""What RNTS needs in order to work here, as a list of small checks with a fix for each fault."""

import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from rnts import machine, platform, runtime, warmup
from rnts.doctor_road import road
from rnts.emitters import emitters
from rnts.errors import RntsError
from rnts.machine import Finding

CONNECT_TIMEOUT_S = 1.0


def examine(endpoint: str | None = None) -> Iterator[Finding]:
    """All findings; `endpoint` is the aggregator's address, if it is not the default."""
    checks: tuple[Callable[[], Finding], ...] = (
        this_platform,
        libraries,
        lambda: machine.shared_memory(segments_folder()),
        runtime_folder,
        lambda: address(endpoint),
        spool,
        kernels,
        emitters,
        machine.open_files,
        machine.file_size,
        machine.clock,
        machine.processors,
        machine.memory,
        machine.processes,
        machine.process_handles,
    )
    for check in checks:
        yield check()
    yield from road(endpoint)


def this_platform() -> Finding:
    """Whether system, processor and Python are those that RNTS is made for."""
    if found := platform.problem():
        return Finding("platform", "fail", found, "run RNTS on a machine of that kind")
    system = os.uname()
    return Finding("platform", "ok", f"{system.sysname} {system.release}, {system.machine}")


def segments_folder() -> Path:
    """The folder that has to hold the segments, or the one in which it will be made."""
    if "RNTS_RUNTIME_DIR" not in os.environ:
        return Path(runtime.SHARED_MEMORY)
    folder = Path(runtime.runtime_folder())
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def libraries(distribution: str = "rnts") -> Finding:
    """Whether each library that RNTS asks for is there, and new enough."""
    found, wrong = [], []
    for requirement in metadata.requires(distribution) or []:
        if "extra ==" in requirement:
            continue
        name, _, least = requirement.partition(";")[0].partition(">=")
        try:
            version = metadata.version(name.strip())
        except metadata.PackageNotFoundError:
            wrong.append(f"{name.strip()} is missing")
            continue
        found.append(f"{name.strip()} {version}")
        if _release(version) < _release(least):
            wrong.append(f"{name.strip()} {version} is older than {least.strip()}")
    if wrong:
        fix = "install again: pip install rnts, or scripts/up in a checkout"
        return Finding("libraries", "fail", ", ".join(wrong), fix)
    return Finding("libraries", "ok", ", ".join(found))


def _release(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def runtime_folder(folder: Path | None = None, user: int | None = None) -> Finding:
    """Whether the folder where our processes meet is the user's own, and nobody else's."""
    name = "runtime folder"
    folder = folder or Path(runtime.runtime_folder())
    user = os.getuid() if user is None else user
    fix = f"remove {folder}, or set RNTS_RUNTIME_DIR to another folder"
    try:
        info = folder.lstat()
    except FileNotFoundError:
        return Finding(name, "ok", f"{folder}, made when it is needed")
    except OSError as error:
        return Finding(name, "fail", f"{folder}: {error.strerror}", fix)
    mode = stat.S_IMODE(info.st_mode)
    if not stat.S_ISDIR(info.st_mode):
        return Finding(name, "fail", f"{folder} is not a folder", fix)
    if info.st_uid != user:
        return Finding(name, "fail", f"{folder} belongs to user {info.st_uid}", fix)
    if mode & 0o022:
        finding = f"{folder} has mode {mode:o}: others can write to it"
        return Finding(name, "fail", finding, f"chmod 700 {folder}")
    if mode & 0o077:
        finding = f"{folder} has mode {mode:o}: others can look into it"
        return Finding(name, "warn", finding, f"chmod 700 {folder}")
    return Finding(name, "ok", f"{folder}, mode {mode:o}")


def spool(folder: Path | None = None) -> Finding:
    """Whether an agent could keep on disk what memory does not hold."""
    place = folder or Path(runtime.state_folder())
    there = next(path for path in (place, *place.parents) if path.exists())
    fix = "make it writable, or set RNTS_STATE_DIR or agent.spool.folder to another folder"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        found = f"{there} cannot be written: beyond its memory an agent loses what nobody takes"
        return Finding("spool", "warn", found, fix)
    space = os.statvfs(there)
    free = space.f_bavail * space.f_frsize
    if free < machine.SHARED_MEMORY_WANTED:
        found = f"{there} has {free // machine.MIB:,} MiB free"
        return Finding("spool", "warn", found, "make room, or set agent.spool.folder")
    return Finding("spool", "ok", f"{place}, {free // machine.MIB:,} MiB free")


def address(endpoint: str | None = None) -> Finding:
    """Whether the aggregator's address is free, taken, or blocked by what a dead one left."""
    name = "address"
    try:
        endpoint = endpoint or runtime.default_endpoint()
    except RntsError as error:
        return Finding(
            name, "fail", str(error), "set RNTS_RUNTIME_DIR to a folder with a short path"
        )
    transport, _, place = endpoint.partition("://")
    try:
        if transport == "ipc":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_TIMEOUT_S)
                probe.connect(place)
        else:
            host, _, port = place.rpartition(":")
            socket.create_connection((host.strip("[]*") or "localhost", int(port)), 1).close()
    except FileNotFoundError:
        return Finding(name, "ok", f"{endpoint} is free")
    except ConnectionRefusedError:
        if transport == "ipc":
            fix = f"an aggregator replaces it when it starts; or remove {place}"
            return Finding(name, "warn", f"{place} was left behind by a process that died", fix)
        return Finding(name, "ok", f"{endpoint} is free")
    except (OSError, ValueError) as error:
        fix = "use ipc:///PATH or tcp://HOST:PORT of a place that can be reached"
        return Finding(name, "fail", f"{endpoint}: {error}", fix)
    return Finding(name, "ok", f"{endpoint} is in use; `rnts status` asks who it is")


def kernels() -> Finding:
    """Whether compiled kernels can be kept, and are."""
    name = "kernels"
    folder = warmup.cache_folder()
    if folder is None:
        fix = "make it writable, or set RNTS_CACHE_DIR"
        finding = f"{warmup.wanted_cache_folder()} cannot be written: each process compiles its own"
        return Finding(name, "warn", finding, fix)
    count = warmup.import_kernels()
    if not warmup.is_warm():
        return Finding(name, "warn", f"not compiled yet, for {folder}", "run `rnts warmup`")
    how = "run without Numba" if warmup.is_ready() else "each process loads Numba to run them"
    return Finding(name, "ok", f"{count} are compiled, in {folder}; {how}")
