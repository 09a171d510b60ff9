"""`rnts doctor` finds each fault on a made-up machine, says what to do, and counts by exit code."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnts import doctor, machine, platform, warmup
from rnts.__main__ import build
from rnts.kernels import _cache
from rnts.machine import MIB, Finding


def write(path: Path, text: str) -> None:
    """A file of the made-up machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def is_ok(finding: Finding) -> bool:
    """Whether nothing is wrong; a fault has to come with a fix."""
    assert finding.finding
    assert bool(finding.fix) == (finding.verdict != "ok")
    return finding.verdict == "ok"


@pytest.mark.parametrize(
    ("system", "processor", "bits", "python", "missing"),
    [
        ("Darwin", "arm64", 64, (3, 12), "Linux"),
        ("Linux", "riscv64", 64, (3, 12), "x86-64 or aarch64"),
        ("Linux", "x86_64", 32, (3, 12), "64-bit"),
        ("Linux", "aarch64", 64, (3, 10), "Python 3.11"),
    ],
)
def test_platform_names_what_is_missing(
    system: str, processor: str, bits: int, python: tuple[int, int], missing: str
) -> None:
    """A system, processor or Python that does not fit is named with what is needed."""
    assert missing in (platform.problem(system, processor, bits, python) or "")


def test_platform_is_fine_where_it_should_be() -> None:
    """Linux on either processor with any newer Python has no problem."""
    assert platform.problem("Linux", "x86_64", 64, (3, 11)) is None
    assert platform.problem("Linux", "aarch64", 64, (3, 14)) is None


def test_libraries_are_there() -> None:
    """The libraries that RNTS needs are found with their versions."""
    finding = doctor.libraries()

    assert is_ok(finding)
    assert "numba" in finding.finding


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [("absent>=1", "absent is missing"), ("numba>=99", "is older than 99")],
)
def test_missing_and_old_libraries_are_named(
    monkeypatch: pytest.MonkeyPatch, requirement: str, problem: str
) -> None:
    """A library that is not there, or too old, is a fault."""
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: [requirement])
    finding = doctor.libraries()

    assert finding.verdict == "fail"
    assert problem in finding.finding


def test_shared_memory_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    """Without the folder there is nothing to record into."""
    assert machine.shared_memory(tmp_path / "shm").verdict == "fail"
    assert is_ok(machine.shared_memory(tmp_path)) or os.statvfs(tmp_path).f_bavail == 0


@pytest.mark.parametrize(("free", "verdict"), [(1, "fail"), (64, "warn"), (4096, "ok")])
def test_shared_memory_has_to_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str
) -> None:
    """Little room is a warning, next to none a fault."""
    real = os.statvfs(tmp_path)
    numbers = [*real]
    numbers[1], numbers[4] = MIB, free
    monkeypatch.setattr(machine.os, "statvfs", lambda _: os.statvfs_result(numbers))

    assert machine.shared_memory(tmp_path).verdict == verdict


@pytest.mark.parametrize(("mode", "verdict"), [(0o700, "ok"), (0o755, "warn"), (0o777, "fail")])
def test_runtime_folder_is_private(tmp_path: Path, mode: int, verdict: str) -> None:
    """Others may not look into the runtime folder, and must not write to it."""
    tmp_path.chmod(mode)

    assert doctor.runtime_folder(tmp_path, os.getuid()).verdict == verdict


def test_runtime_folder_belongs_to_the_user(tmp_path: Path) -> None:
    """A folder of somebody else and a file in its place are faults; an absent one is made later."""
    (tmp_path / "file").touch()

    assert doctor.runtime_folder(tmp_path, os.getuid() + 1).verdict == "fail"
    assert doctor.runtime_folder(tmp_path / "file").verdict == "fail"
    assert is_ok(doctor.runtime_folder(tmp_path / "absent"))


def test_address_is_free_taken_or_left_behind(runtime_folder: Path) -> None:
    """A socket file that nobody listens at is told from one where somebody does."""
    path = runtime_folder / "a.sock"
    endpoint = f"ipc://{path}"
    assert "is free" in doctor.address(endpoint).finding
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert "is in use" in doctor.address(endpoint).finding

    finding = doctor.address(endpoint)
    assert finding.verdict == "warn"
    assert "left behind" in finding.finding


def test_tcp_address_is_free_or_taken() -> None:
    """A port that somebody listens at is told from one where nobody does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "is in use" in doctor.address(f"tcp://127.0.0.1:{port}").finding
    assert "is free" in doctor.address(f"tcp://127.0.0.1:{port}").finding


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1", "ipc:///" + "x" * 200])
def test_address_that_cannot_be_is_a_fault(endpoint: str) -> None:
    """An address without a port, or with a path longer than a socket takes, is a fault."""
    assert doctor.address(endpoint).verdict == "fail"


def test_kernels_without_a_cache_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be written, each process compiles its own: slow, but it works."""
    monkeypatch.setattr(warmup, "cache_folder", lambda: None)

    assert doctor.kernels().verdict == "warn"


@pytest.mark.parametrize(("is_warm", "verdict"), [(True, "ok"), (False, "warn")])
def test_kernels_are_compiled_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_warm: bool, verdict: str
) -> None:
    """Kernels that are not compiled yet are a warning, with the command that does it."""
    monkeypatch.setattr(warmup, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warmup, "is_warm", lambda: is_warm)

    assert doctor.kernels().verdict == verdict


@pytest.mark.parametrize(
    ("is_ready", "words"), [(True, "run without Numba"), (False, "loads Numba")]
)
def test_how_kernels_are_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ready: bool, words: str
) -> None:
    """Where ready code could not be written, a person sees why processes take more memory."""
    monkeypatch.setattr(warmup, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warmup, "is_warm", lambda: True)
    monkeypatch.setattr(warmup, "is_ready", lambda: is_ready)

    assert words in doctor.kernels().finding


def test_warm_means_that_all_kernels_were_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is warm for the sources and the Python for which a warm-up went to its end."""
    monkeypatch.setenv("RNTS_CACHE_DIR", str(tmp_path))
    assert not warmup.is_warm()
    folder = tmp_path / _cache.source_hash()
    folder.mkdir()
    _cache.warm_mark(folder).touch()
    assert warmup.is_warm()

    monkeypatch.setattr(_cache, "_numba_version", lambda: b"0.0.1")
    assert not warmup.is_warm()


@pytest.mark.parametrize(
    ("check", "limit", "verdict"),
    [
        (machine.open_files, 256, "warn"),
        (machine.open_files, 65536, "ok"),
        (machine.open_files, -1, "ok"),
        (machine.file_size, MIB, "fail"),
        (machine.file_size, -1, "ok"),
    ],
)
def test_limits(check: Callable[[int], Finding], limit: int, verdict: str) -> None:
    """Few open files are a warning; files too small for a segment a fault; -1 is no limit."""
    assert check(limit).verdict == verdict


@pytest.mark.parametrize(("source", "verdict"), [("tsc", "ok"), ("hpet", "warn"), ("", "ok")])
def test_clock(tmp_path: Path, source: str, verdict: str) -> None:
    """A clock that needs a system call is a warning; a kernel that does not say is none."""
    path = tmp_path / "devices/system/clocksource/clocksource0/current_clocksource"
    write(path, f"{source}\n")

    assert machine.clock(tmp_path).verdict == verdict


def test_processors_are_limited_by_the_quotas_above(tmp_path: Path) -> None:
    """The tightest quota of our control group and of those above it counts."""
    write(tmp_path / "proc/self/cgroup", "0::/user/app\n")
    write(tmp_path / "fs/cgroup/user/app/cpu.max", "max 100000\n")
    write(tmp_path / "fs/cgroup/user/cpu.max", "50000 100000\n")
    finding = machine.processors(tmp_path, tmp_path / "proc")

    assert finding.verdict == "warn"
    assert "quota of 0.50" in finding.finding


def test_memory_is_limited_by_the_groups_above(tmp_path: Path) -> None:
    """What is left is the least of the machine's and of each control group's."""
    write(tmp_path / "proc/meminfo", "MemTotal: 9999999 kB\nMemAvailable: 4194304 kB\n")
    write(tmp_path / "proc/self/cgroup", "0::/app\n")
    assert machine.memory(tmp_path, tmp_path / "proc").finding == "4,096 MiB left"

    write(tmp_path / "fs/cgroup/app/memory.max", f"{300 * MIB}\n")
    write(tmp_path / "fs/cgroup/app/memory.current", f"{100 * MIB}\n")
    finding = machine.memory(tmp_path, tmp_path / "proc")
    assert finding.finding == "200 MiB left"
    assert finding.verdict == "warn"


def test_machine_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    """Without /proc and /sys the checks say so, and do not fail."""
    for check in (machine.processors, machine.memory):
        assert check(tmp_path, tmp_path).finding
    assert is_ok(machine.clock(tmp_path))
    assert is_ok(machine.processes(tmp_path, user=0))


@pytest.mark.parametrize(("user", "verdict"), [(0, "ok"), (1000, "warn")])
def test_hidden_processes(tmp_path: Path, user: int, verdict: str) -> None:
    """A /proc that hides others' processes limits everyone but root."""
    write(tmp_path / "self/mounts", "tmp /tmp tmpfs rw 0 0\nproc /proc proc rw,hidepid=2 0 0\n")

    assert machine.processes(tmp_path, user).verdict == verdict


def test_pidfd_that_is_refused_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel or sandbox without pidfd_open cannot tell of the death of a program."""
    assert is_ok(machine.process_handles())

    def refuse(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert not is_ok(machine.process_handles())


def test_command_lists_every_check() -> None:
    """`rnts doctor --json` has one document with a finding for each check."""
    result = CliRunner().invoke(build(), ["doctor", "--json"])
    document = json.loads(result.stdout)

    assert document["version"] == 1
    findings = [Finding(**finding) for finding in document["findings"]]
    assert len({finding.check for finding in findings}) == len(findings) >= 13
    assert result.exit_code == any(finding.verdict == "fail" for finding in findings)


def test_command_fails_where_rnts_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault makes exit code 1, and the table shows it with its fix."""
    findings = [Finding("memory", "ok", "plenty"), Finding("clock", "fail", "stopped", "wind it")]
    monkeypatch.setattr(doctor, "examine", lambda endpoint: iter(findings))
    result = CliRunner().invoke(build(), ["doctor"])

    assert result.exit_code == 1
    for text in ("memory", "plenty", "fail", "clock", "stopped", "→ wind it"):
        assert text in result.stdout
