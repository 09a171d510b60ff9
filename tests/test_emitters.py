"""`rnts doctor` says which emitters can serve here, and which serve the programs at work."""

from pathlib import Path

import pytest
from capture_tools import producing

from rnts import emitters, warmup
from rnts.emitters import serving


def test_programs_are_counted_by_their_emitter(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each segment tells in its header; what is no segment tells nothing."""
    (runtime_folder / "foreign.seg").write_bytes(b"x" * 10_000)
    (runtime_folder / "empty.seg").touch()
    assert serving([runtime_folder, runtime_folder / "missing"]) == {}
    with producing(), producing():
        monkeypatch.setenv("RNTS_JIT", "1")
        with producing():
            assert serving([runtime_folder]) == {"python": 2, "compiled": 1}
            finding = emitters.emitters()
    assert "programs at work: 1 compiled, 2 python" in finding.finding


def test_a_compiled_emitter_that_is_ready_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to ask for it; where it is not compiled yet, how to have that done."""
    monkeypatch.setattr(warmup, "is_warm", lambda: True)
    finding = emitters.emitters()
    assert (finding.verdict, finding.fix) == ("ok", "")
    assert "rnts.attach(jit=True)" in finding.finding

    monkeypatch.setattr(warmup, "is_warm", lambda: False)
    finding = emitters.emitters()
    assert (finding.verdict, finding.fix) == ("warn", "run `rnts warmup`")


def test_why_it_cannot_serve_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the machine stands in the finding."""

    def fail(attach: object) -> None:
        raise RuntimeError("this Python has no GIL")

    monkeypatch.setattr(emitters, "make_compiled", fail)
    finding = emitters.emitters()
    assert finding.verdict == "warn"
    assert "this Python has no GIL" in finding.finding
