"""`rnts service` with a systemctl that the test plays: what is written, asked for, and left."""

import json
import os
from pathlib import Path

import pytest
from settings_tools import DATA, isolate
from typer.testing import CliRunner
from unit_tools import parse_unit

import rnts.commands.warmup
import rnts.unit_files
import rnts.unit_places
from rnts.commands.service import app
from rnts.errors import ConfigError, ConnectError, UsageError
from rnts.systemctl import parse_states, systemctl
from rnts.unit_text import MARK

RUNNER = CliRunner()
ALERTS = str(DATA / "alerts.yaml")
SHOWN = """Id=rnts-agent.service
LoadState=loaded
ActiveState=active
SubState=running
StatusText=delivers to ipc:///x; 3 lanes = 2 segments
MainPID=71
NRestarts=2
Result=success

Id=rnts-aggregate.service
LoadState=loaded
ActiveState={state}
SubState=dead
StatusText=
MainPID=0
NRestarts=9
Result=watchdog
"""


class Machine:
    """A home, and a systemctl that notes what it is asked, and says what the test has it say."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "xdg"
        self.units = self.config / "systemd" / "user"
        self.handover = self.config / "environment.d" / "60-rnts.conf"
        self._asked, self.says = folder / "asked", folder / "says"
        self.fails = folder / "fails"
        script = folder / "bin" / "systemctl"
        script.parent.mkdir()
        script.write_text(
            f'#!/bin/sh\necho "$*" >> {self._asked}\n'
            f"if test -e {self.fails}; then echo 'Failed to connect to bus' >&2; exit 1; fi\n"
            f"case $* in *show*) cat {self.says};; esac\n"
        )
        script.chmod(0o755)
        roles = "agent", "aggregate", "alert", "up"
        running = (f"Id=rnts-{role}.service\nActiveState=active\n" for role in roles)
        self.says.write_text("\n".join(running))

    def asked(self) -> list[str]:
        """What systemctl was told to do since the last call."""
        lines = self._asked.read_text().splitlines() if self._asked.exists() else []
        self._asked.unlink(missing_ok=True)
        return [line for line in lines if "show" not in line.split()]

    def files(self) -> list[str]:
        """The units that are there."""
        return sorted(path.name for path in self.units.glob("*"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A user without units; kernels count as compiled."""
    isolate(monkeypatch, tmp_path)
    found = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(rnts.commands.warmup, "compile_if_cold", lambda: None)
    return found


def rnts_service(*words: str) -> str:
    """What `rnts service WORDS…` prints; its error is raised."""
    result = RUNNER.invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_install_writes_and_starts(machine: Machine) -> None:
    """Units are written whole, then systemd is told, in an order that has them in force."""
    rnts_service("install", "--user", "--config", ALERTS, "--cores", "0")
    assert machine.files() == [
        "rnts-agent.service", "rnts-aggregate.service", "rnts-alert.service", "rnts.target",
    ]  # fmt: skip
    assert machine.asked() == [
        "--user daemon-reload", "--user enable rnts.target", "--user restart rnts.target",
    ]  # fmt: skip
    service = parse_unit((machine.units / "rnts-alert.service").read_text())["Service"]
    assert service["ExecStart"][0].endswith(f"-P -m rnts alert --config {ALERTS}")
    assert service["CPUAffinity"] == ["0"]
    assert f"RNTS_RUNTIME_DIR={os.environ['RNTS_RUNTIME_DIR']}" in service["Environment"]
    assert os.path.isdir(os.environ["RNTS_STATE_DIR"])


def test_install_tells_what_does_not_run(machine: Machine) -> None:
    """A service that ends at once, as beside another agent, is seen: exit code 1."""
    machine.says.write_text(SHOWN.format(state="failed"))
    result = RUNNER.invoke(app, ["install", "--user"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "rnts-aggregate.service    failed (dead)" in result.stdout


def test_dry_run_prints_and_does_nothing(machine: Machine) -> None:
    """The same text as would be written, below its path; no file, no folder, no systemctl."""
    printed = rnts_service("install", "--user", "--dry-run")
    assert (machine.files(), machine.asked()) == ([], [])
    assert not os.path.exists(os.environ["RNTS_STATE_DIR"])
    rnts_service("install", "--user")
    for path in (*machine.units.iterdir(), machine.handover):
        assert f"# {path}\n{path.read_text()}" in printed


def test_others_install_removes_what_is_no_more_wanted(machine: Machine) -> None:
    """One unit in place of three: the former ones are stopped and removed first."""
    rnts_service("install", "--user", "--no-start")
    assert machine.asked() == ["--user daemon-reload", "--user enable rnts.target"]
    rnts_service("install", "--user", "up")
    assert machine.files() == ["rnts-up.service", "rnts.target"]
    assert machine.asked() == [
        "--user stop rnts-agent.service", "--user stop rnts-aggregate.service",
        "--user daemon-reload", "--user enable rnts.target", "--user restart rnts.target",
    ]  # fmt: skip


def test_programs_of_the_user_are_told_of_another_runtime_folder(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for the manager of this user has it as long as it is not the usual one."""
    rnts_service("install", "--user")
    lines = machine.handover.read_text().splitlines()
    assert f'RNTS_RUNTIME_DIR="{os.environ["RNTS_RUNTIME_DIR"]}"' in lines
    assert f'RNTS_STATE_DIR="{os.environ["RNTS_STATE_DIR"]}"' in lines
    monkeypatch.delenv("RNTS_RUNTIME_DIR")
    rnts_service("install", "--user")
    assert not machine.handover.exists()
    text = (machine.units / "rnts-agent.service").read_text()
    assert f"Environment=RNTS_RUNTIME_DIR=/dev/shm/rnts-{os.getuid()}\n" in text


def test_uninstall_leaves_nothing_of_ours(machine: Machine) -> None:
    """Units go, drop-ins and others' units stay; a second time there is nothing to do."""
    rnts_service("install", "--user")
    others = machine.units / "rnts-own.service"
    others.write_text("[Service]\nExecStart=true\n")
    machine.asked()
    rnts_service("uninstall", "--user")
    assert machine.files() == ["rnts-own.service"]
    assert not machine.handover.exists()
    assert machine.asked() == ["--user disable --now rnts.target", "--user daemon-reload"]
    assert rnts_service("uninstall", "--user") == "nothing is installed\n"


def test_unit_of_somebody_else_is_not_overwritten(machine: Machine) -> None:
    """It is named, and nothing at all is written."""
    machine.units.mkdir(parents=True)
    own = machine.units / "rnts-agent.service"
    own.write_text("[Service]\nExecStart=true\n")
    with pytest.raises(UsageError, match=r"rnts-agent\.service was not written by"):
        rnts_service("install", "--user")
    assert machine.files() == ["rnts-agent.service"] and MARK not in own.read_text()
    assert machine.asked() == []


def test_settings_are_checked_first(machine: Machine, tmp_path: Path) -> None:
    """Invalid ones are told as ever; ./rnts.yaml, which no service reads, counts for nothing."""
    (tmp_path / "rnts.yaml").write_text("nonsense: 1\n")
    rnts_service("install", "--user", "--dry-run")
    with pytest.raises(ConfigError):
        rnts_service("install", "--user", "--config", str(tmp_path / "rnts.yaml"))
    assert machine.files() == []


def test_variables_that_services_do_not_get_are_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting of this shell is not one of a service."""
    monkeypatch.setenv("RNTS_AGGREGATOR__BIND", "tcp://127.0.0.1:1")
    result = RUNNER.invoke(app, ["install", "--user"], catch_exceptions=False)
    assert "not in force for services: RNTS_AGGREGATOR__BIND" in result.stderr


def test_without_systemd_it_is_said_what_is_there(machine: Machine) -> None:
    """Units are written, it is told that they are not in force, and they can be removed."""
    machine.fails.touch()
    with pytest.raises(ConnectError, match="Failed to connect to bus; the units are written"):
        rnts_service("install", "--user")
    assert "rnts.target" in machine.files()
    with pytest.raises(ConnectError, match="disable --now"):
        rnts_service("uninstall", "--user")
    assert machine.files() == []


def test_no_systemctl_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without systemd is an error that names the command."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectError, match=r"systemctl daemon-reload: .*No such file"):
        systemctl(True, "daemon-reload")


def test_system_needs_root(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root's powers nothing is tried; looking is free."""
    monkeypatch.setattr(rnts.unit_files, "SYSTEM_FOLDER", machine.config)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "WantedBy=multi-user.target" in rnts_service("install", "--system", "--dry-run")
    with pytest.raises(UsageError, match="--system needs root"):
        rnts_service("install", "--system")
    assert machine.asked() == []


def test_system_is_not_installed_from_a_closed_folder(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services without root's powers could not start there, so nothing is written."""
    monkeypatch.setattr(rnts.unit_files, "SYSTEM_FOLDER", machine.units)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(rnts.unit_places, "closed_folder", lambda path: Path("/home/ada"))
    with pytest.raises(UsageError, match=r"lies in /home/ada, which only its owner may enter"):
        rnts_service("install", "--system")
    assert machine.files() == []


@pytest.mark.parametrize(("state", "exit_code"), [("active", 0), ("failed", 1)])
def test_status_tells_how_each_is(machine: Machine, state: str, exit_code: int) -> None:
    """One line a unit with its own words; exit code 1 where one does not run."""
    rnts_service("install", "--user")
    machine.says.write_text(SHOWN.format(state=state))
    result = RUNNER.invoke(app, ["status", "--user"], catch_exceptions=False)
    first, second = (" ".join(line.split()) for line in result.stdout.splitlines())
    assert result.exit_code == exit_code
    assert first == (
        "rnts-agent.service active (running) pid 71, 2 restarts "
        "delivers to ipc:///x; 3 lanes = 2 segments"
    )
    assert second == f"rnts-aggregate.service {state} (dead) because of watchdog pid 0, 9 restarts"
    document = json.loads(RUNNER.invoke(app, ["status", "--user", "--json"]).stdout)
    assert document["units"] == parse_states(SHOWN.format(state=state))


def test_status_of_nothing(machine: Machine) -> None:
    """Where nothing is installed systemd is not asked, and the exit code is 1."""
    result = RUNNER.invoke(app, ["status", "--user"], catch_exceptions=False)
    assert (result.exit_code, machine.asked()) == (1, [])
    assert "rnts service install" in result.stdout
