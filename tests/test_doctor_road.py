"""What `rnts doctor` says of the ledger and of clocks, with an aggregator at work and without."""

from pathlib import Path
from typing import Any

import pytest

from rnts import doctor_road
from rnts.doctor_road import clocks, ledger_at_work, ledger_file, road
from rnts.keeper import LOG
from rnts.ledger import Ledger

SECOND = 1_000_000_000
SOUND = {
    "path": "/l", "condition": None, "advice": None, "records": 7, "written_ns": 50 * SECOND,
    "set_aside": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("about", "verdict", "words", "fix"),
    [
        (None, "ok", "off: an aggregator that is started again begins anew", ""),
        ({}, "ok", "/l, 7 records, the last 3 s ago", ""),
        (
            {"condition": "full", "advice": "make room"},
            "warn",
            "is not written (full)",
            "make room",
        ),
        ({"set_aside": "/l.damaged-1"}, "warn", "the one before was damaged", "/l.damaged-1"),
    ],
)
def test_the_ledger_of_a_running_aggregator(
    about: dict[str, Any] | None, verdict: str, words: str, fix: str
) -> None:
    """Off is fine, sound comes with the age of its last record, trouble with what to do."""
    said = None if about is None else SOUND | about
    found = ledger_at_work({"time_ns": 53 * SECOND, "aggregator": {"ledger": said}})
    assert (found.check, found.verdict) == ("ledger", verdict)
    assert words in found.finding
    assert fix in found.fix
    assert bool(found.fix) == (verdict != "ok")


def test_a_clock_that_is_off_is_named_with_its_agent() -> None:
    """Clocks are fine until the aggregator gives notice of one; then it is told what to do."""
    agents = [
        {"pid": 7, "host": "here", "clock_notice": None},
        {"pid": 8, "host": "there", "clock_notice": "its clock is 300 ms behind; set both by NTP"},
    ]
    assert clocks({"agents": agents[:1]}).verdict == "ok"
    found = clocks({"agents": agents})
    assert found.verdict == "warn"
    assert found.finding == "agent 8 on there: its clock is 300 ms behind"
    assert found.fix == "set both by NTP"


def test_the_ledger_that_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an aggregator the file itself says how it is: off, to be made, empty, damaged."""
    path = tmp_path / "deep" / "ledger.sqlite"
    assert "off" in ledger_file(None).finding
    assert ledger_file(path).finding == f"{path}, made when it is needed"
    with Ledger(path) as ledger:
        assert ledger_file(path).finding == f"{path} has no records yet"
        assert ledger.append_if(LOG, 0, b"no record") == 1
    found = ledger_file(path)
    assert (found.verdict, "no record" in found.finding) == ("warn", True)
    assert "move it away" in found.fix
    path.write_bytes(b"noise" * 1000)
    assert "move it away" in ledger_file(path).fix
    monkeypatch.setattr(doctor_road.os, "access", lambda *_: False)
    found = ledger_file(path)
    assert (found.verdict, "cannot be written" in found.finding) == ("warn", True)


def test_settings_that_are_wrong_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where settings cannot be read, that is said with its place, and how to see all of it."""
    (tmp_path / "rnts.yaml").write_text("aggregator: {ledgr: auto}")
    monkeypatch.chdir(tmp_path)
    (found,) = road()
    assert (found.check, found.verdict) == ("settings", "fail")
    assert found.finding.startswith("rnts.yaml:1:14: aggregator.ledgr: unknown setting")
    assert "rnts config check" in found.fix


def test_without_an_aggregator_the_file_is_looked_at(runtime_folder: Path) -> None:
    """Nobody answers in an empty runtime folder, and so nothing is said of clocks."""
    (found,) = road()
    assert (found.check, found.verdict) == ("ledger", "ok")
    assert "made when it is needed" in found.finding
