"""The units of `rnts service`: golden files, what each must and must not say, quoted words."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_tools import DATA
from unit_tools import Unit, parse_unit, words_of

from rnts.cpu_list import online_cpus
from rnts.errors import UsageError
from rnts.settings import Settings, load
from rnts.turns import EVERY_NS
from rnts.unit_cores import parse_cores
from rnts.unit_limits import limits
from rnts.unit_places import Places, closed_folder
from rnts.unit_plan import ROLES, TARGET, WATCHDOG_S, chosen_roles, plan
from rnts.unit_text import command_line, quoted

GOLDEN = DATA / "units"
ALERTS = DATA / "alerts.yaml"
SYSTEM = Places(
    is_system=True,
    python="/opt/rnts/bin/python",
    runtime="/dev/shm/rnts-0",
    is_runtime_chosen=False,
    state="/var/lib/rnts",
    cache="/var/cache/rnts",
    config="/etc/rnts/cortex.yaml",
)
USER = replace(
    SYSTEM,
    is_system=False,
    runtime="/dev/shm/rnts-1000",
    state="/home/ada/.local/state/rnts",
    cache="/home/ada/.cache/rnts/numba",
    config=None,
)
# What would part programs from the agent, or stop compiled kernels, or is not for users' managers.
HARMFUL = {
    "PrivateUsers", "PrivateIPC", "PrivatePIDs", "PrivateDevices", "PrivateMounts", "ProtectProc",
    "ProcSubset", "TemporaryFileSystem", "InaccessiblePaths", "RemoveIPC", "IPCNamespacePath",
    "MemoryDenyWriteExecute", "RootDirectory", "DynamicUser", "PrivateNetwork", "ProtectClock",
}  # fmt: skip
OF_SYSTEM = {
    "ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "CapabilityBoundingSet", "User",
    "DevicePolicy", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectControlGroups", "ProtectHostname", "ExecStartPre",
}  # fmt: skip


def settings(config: Path = ALERTS) -> Settings:
    """Settings with rules, of no machine."""
    return load(config, environ={})


def golden_units() -> dict[str, str]:
    """What the golden files hold; after a change that is meant, write it there."""
    roles = chosen_roles([], settings())
    cores = parse_cores(["0-1", "agent=3"], ROLES, range(4))
    found = {f"system/{n}": t for n, t in plan(roles, settings(), SYSTEM, cores).items()}
    found |= {f"user/{n}": t for n, t in plan(["agent"], settings(), USER, {}).items()}
    return found | {f"up/{n}": t for n, t in plan(["up"], settings(), USER, {}).items()}


def services(places: Places) -> dict[str, Unit]:
    """Every role's unit."""
    roles = (["aggregate", "agent", "alert"], ["up"])
    units = {n: t for each in roles for n, t in plan(each, settings(), places, {}).items()}
    return {name: parse_unit(text) for name, text in units.items() if name != TARGET}


@pytest.mark.parametrize("path", golden_units())
def test_units_are_the_golden_ones(path: str) -> None:
    """The same settings and places give the same text, byte by byte."""
    assert golden_units()[path] == (GOLDEN / path).read_text()


def test_no_golden_file_is_left_over() -> None:
    """Each golden file is compared with something."""
    files = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    assert files == golden_units().keys()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("places", [SYSTEM, USER], ids=["system", "user"])
def test_systemd_takes_them(places: Places, tmp_path: Path) -> None:
    """systemd's own check finds nothing wrong, also in words that have to be quoted."""
    odd = '/nowhere/50% of $HOME\'s "x; y"/config.yaml'
    places = replace(places, python=sys.executable, config=odd, runtime="/run/rnts of % $x")
    units = plan(["aggregate", "agent", "alert"], settings(), places, {"": "0"})
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    mode = [] if places.is_system else ["--user"]
    done = subprocess.run(
        ["systemd-analyze", *mode, "verify", *(str(tmp_path / name) for name in units)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("places", [SYSTEM, USER], ids=["system", "user"])
def test_nothing_parts_programs_from_services(places: Places) -> None:
    """No unit has a setting that hides segments or process ids, or forbids linked kernels."""
    for name, unit in services(places).items():
        assert not unit["Service"].keys() & HARMFUL, name
        if not places.is_system:
            assert not unit["Service"].keys() & OF_SYSTEM, name


@pytest.mark.parametrize("places", [SYSTEM, USER], ids=["system", "user"])
def test_every_service_is_watched_limited_and_hardened(places: Places) -> None:
    """Readiness, watchdog, restarts, memory and what a process may do stand in each unit."""
    for name, unit in services(places).items():
        service = unit["Service"]
        assert service["Type"] == ["notify"] and service["NotifyAccess"] == ["main"]
        assert service["WatchdogSec"] == [str(WATCHDOG_S)]
        assert 3 * EVERY_NS <= WATCHDOG_S * 10**9
        assert service["Restart"] == ["on-failure"]
        assert "143" in service["SuccessExitStatus"][0].split(), "SIGTERM is no failure"
        assert service["RestartPreventExitStatus"] == ["2 3 5"]
        assert service["NoNewPrivileges"] == ["yes"] and service["MemoryMax"]
        assert service["SystemCallFilter"] == ["@system-service"]
        assert unit["Unit"]["PartOf"] == [TARGET]
        assert ("ExecReload" in service) == (name == "rnts-alert.service")
        assert service["WorkingDirectory"] == ["/"]
    assert services(places).keys() == {f"rnts-{role}.service" for role in ROLES}


def test_programs_and_services_meet() -> None:
    """A user's services get the runtime folder of the user's programs; root's look into all."""
    (user,) = {str(unit["Service"]["Environment"]) for unit in services(USER).values()}
    assert "RNTS_RUNTIME_DIR=/dev/shm/rnts-1000" in user
    assert "RNTS_STATE_DIR=/home/ada/.local/state/rnts" in user
    (system,) = {str(unit["Service"]["Environment"]) for unit in services(SYSTEM).values()}
    assert "RNTS_RUNTIME_DIR" not in system and "RNTS_STATE_DIR=/var/lib/rnts" in system
    chosen = replace(SYSTEM, runtime="/run/rnts", is_runtime_chosen=True)
    for unit in services(chosen).values():
        assert "RNTS_RUNTIME_DIR=/run/rnts" in unit["Service"]["Environment"]
        assert unit["Service"]["ExecStartPre"] == ["+mkdir -p -m 700 /run/rnts"]


def test_what_is_written_stays_writable() -> None:
    """Folders of runtime, state, cache and settings are; shared memory is so as a whole."""
    named = replace(SYSTEM, more=("/srv/spool", "/var/lib/rnts/alerts", "/dev/shm/elsewhere"))
    for unit in services(named).values():
        (value,) = unit["Service"]["ReadWritePaths"]
        assert words_of(value) == ["-/dev/shm", "-/srv/spool", "-/var/cache/rnts", "-/var/lib/rnts"]


@pytest.mark.parametrize("field", ["python", "runtime", "state", "cache", "config"])
def test_private_tmp_hides_nothing_that_is_used(field: str) -> None:
    """Whatever lies in /tmp, or in /var/tmp, is still seen there."""
    assert all(u["Service"]["PrivateTmp"] == ["yes"] for u in services(SYSTEM).values())
    for folder in ("/tmp/x", "/var/tmp/x"):
        places = replace(SYSTEM, **{field: folder})
        assert not any("PrivateTmp" in unit["Service"] for unit in services(places).values())


def test_agent_may_need_what_it_retains(tmp_path: Path) -> None:
    """The limit of memory is above what the settings let an agent keep."""
    config = tmp_path / "large.yaml"
    config.write_text("agent: {retained_bytes_max: 10000000000}\n")
    found = {s.name: s.value for s in limits("agent", settings(config), SYSTEM)}
    assert int(found["MemoryMax"].removesuffix("M")) << 20 >= 11_000_000_000


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))))
def test_words_mean_themselves(words: list[str]) -> None:
    """Whatever a word holds, systemd reads it as it was given."""
    assert words_of(command_line(["/bin/true", *words])) == ["/bin/true", *words]
    assert "".join(
        words_of(" ".join(quoted(word) for word in words if "$" not in word))
    ) == "".join(word for word in words if "$" not in word)


@pytest.mark.parametrize("word", ["a\nExecStart=/bin/sh", "a\0", "a\x1b", "\udcff"])
def test_words_that_no_unit_can_hold_are_refused(word: str) -> None:
    """A line break would begin another setting."""
    with pytest.raises(UsageError, match="cannot stand in a unit"):
        quoted(word)


def test_roles_that_run() -> None:
    """Alerts run where there are rules; what cannot run together is refused, with what can."""
    plain = load(environ={}, cwd=Path("/nowhere"))
    assert chosen_roles([], plain) == ["aggregate", "agent"]
    assert chosen_roles([], settings()) == ["aggregate", "agent", "alert"]
    assert chosen_roles(["agent"], plain) == ["agent"]
    assert chosen_roles(["up"], plain) == ["up"]
    for asked, said in (
        (["up", "agent"], "up runs"),
        (["alert"], "no rules"),
        (["agnt"], "agent?"),
    ):
        with pytest.raises(UsageError, match=said):
            chosen_roles(asked, plain)


def test_cores_are_read() -> None:
    """Ranges and single ones, for all or for a role."""
    found = parse_cores(["0-2,5", "agent=7"], ROLES, range(8))
    assert found == {"": "0 1 2 5", "agent": "7"}
    text = plan(["aggregate", "agent"], settings(), SYSTEM, found)
    assert parse_unit(text["rnts-agent.service"])["Service"]["CPUAffinity"] == ["7"]
    assert parse_unit(text["rnts-aggregate.service"])["Service"]["CPUAffinity"] == ["0 1 2 5"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x"], "write 0-3,8"),
        ([""], "write numbers"),
        ([","], "write numbers"),
        (["٣"], "write 0-3,8"),
        (["1_0"], "write 0-3,8"),
        (["3-1"], "write 0-3,8"),
        (["0-8"], "no core 8"),
        (["1", "2"], "given twice"),
        (["agnt=1"], "none of aggregate, agent"),
    ],
)
def test_cores_that_are_none(words: list[str], said: str) -> None:
    """Each mistake is told with the word that has it."""
    with pytest.raises(UsageError, match=said):
        parse_cores(words, ROLES, range(8))


def test_cores_that_are_off_are_none(tmp_path: Path) -> None:
    """Where siblings are off, numbers of cores have gaps; where nobody tells, all are counted."""
    listed = tmp_path / "online"
    assert online_cpus(listed) == set(range(os.cpu_count() or 1))
    listed.write_text("0,2,4,6\n")
    assert parse_cores(["6"], ROLES, online_cpus(listed)) == {"": "6"}
    with pytest.raises(UsageError, match="no core 1"):
        parse_cores(["0-2"], ROLES, online_cpus(listed))


@pytest.mark.parametrize("sign", list("\"'\\$"))
def test_a_program_that_systemd_would_not_run_is_refused(sign: str) -> None:
    """Before anything is installed, a person learns which sign of its path is in the way."""
    places = replace(SYSTEM, python=f"/opt/od{sign}d/bin/python")
    with pytest.raises(UsageError, match=r"systemd runs no program with .* in its path, as /opt"):
        plan(["agent"], settings(), places, {})


def test_folder_that_root_without_powers_cannot_enter(tmp_path: Path) -> None:
    """The first one on the way, also behind a link; none where all may enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(closed, 1000, 1000)
    (tmp_path / "link").symlink_to(closed / "python")
    assert closed_folder(str(closed / "python")) == closed
    assert closed_folder(str(tmp_path / "link")) in (closed, tmp_path)
    assert closed_folder("/usr/bin/env") is None
