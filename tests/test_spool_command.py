"""`rnts spool`: what it tells of healthy and of damaged spools, and what it leaves alone."""

import json
from pathlib import Path

import pytest
from test_spool import AGENT, LIFE, fill
from typer.testing import CliRunner

from rnts import doctor
from rnts.commands._findings import of_processes
from rnts.commands.spool import app
from rnts.spool_folder import life_name
from rnts.spool_parts import STATE


def say(*words: str) -> tuple[int, str]:
    """Exit code and output of `rnts spool WORDS`."""
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_what_is_there_is_told(tmp_path: Path) -> None:
    """Frames, records and bytes of each life, to people and to programs."""
    fill(tmp_path / life_name(AGENT, LIFE), 20)
    code, output = say("inspect", "--folder", str(tmp_path), "--json")
    [life] = json.loads(output)["lives"]
    assert code == 0
    assert (life["frames"], life["records"], life["problem"]) == (20, 230, "")
    code, output = say("check", "--folder", str(tmp_path))
    assert code == 0
    assert "230" in output


def test_nothing_is_nothing(tmp_path: Path) -> None:
    """A folder that is not there holds nothing."""
    assert say("inspect", "--folder", str(tmp_path / "no")) == (0, "nothing is spooled\n")
    assert say("repair", "--folder", str(tmp_path / "no")) == (0, "nothing to repair\n")


def test_damage_is_found_and_counted(tmp_path: Path) -> None:
    """A payload that has rotted is one frame with its records, and the exit code is 1."""
    folder = tmp_path / life_name(AGENT, LIFE)
    fill(folder, 3)
    data = folder / "00000001.data"
    raw = bytearray(data.read_bytes())
    raw[-1] ^= 1
    data.write_bytes(raw)
    code, output = say("check", "--folder", str(tmp_path), "--json")
    [life] = json.loads(output)["lives"]
    assert code == 1
    assert (life["damaged"], life["records_damaged"]) == (1, 4)


def test_repair_puts_aside_what_nobody_can_read(tmp_path: Path) -> None:
    """A life without its state is renamed with all it holds; a healthy one stays as it is."""
    fill(tmp_path / life_name(AGENT, LIFE), 3)
    broken = tmp_path / life_name(AGENT, LIFE + 1)
    fill(broken, 3)
    (broken / STATE).write_bytes(b"")
    assert say("check", "--folder", str(tmp_path))[0] == 1
    code, output = say("repair", "--folder", str(tmp_path))
    assert code == 0
    assert "put aside" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        life_name(AGENT, LIFE),
        life_name(AGENT, LIFE + 1) + ".damaged",
    ]
    assert say("check", "--folder", str(tmp_path))[0] == 0


def test_doctor_says_whether_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not made yet is fine; one that nobody may write to is a warning."""
    assert doctor.spool(tmp_path / "to" / "come").verdict in ("ok", "warn")
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert doctor.spool(tmp_path).verdict == "warn"


def test_status_says_that_a_disk_refuses() -> None:
    """The condition of the spool is a finding, in words."""
    agent = {"pid": 3, "host": "here", "spool": {"condition": "full", "failures": {"full": 2}}}
    [found] = [f for f in of_processes({"agents": [agent]}) if "spool" in f.text]
    assert "the disk has no room" in found.text
