"""The parts of `rnts bench delivery` that can be wrong without a sign of it."""

from pathlib import Path

import pytest

from rnts.errors import RntsError
from rnts.perf import link_floor, restart
from rnts.perf.sandbox import sandbox


def test_bare_sockets_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is no rate of frames that did not arrive: one of another length is told."""
    with sandbox() as box:
        assert link_floor.floor_rate(box, "ipc", 10) > 0
    monkeypatch.setattr(link_floor, "FRAME_BYTES", link_floor.FRAME_BYTES // 2)
    with sandbox() as box, pytest.raises(RntsError, match="0 of 10 frames arrived"):
        link_floor.floor_rate(box, "ipc", 10)


def test_the_file_system_of_a_ledger_is_named(tmp_path: Path) -> None:
    """It is what the kernel says is mounted there; a folder of the kernel's own is proc."""
    assert restart.file_system(Path("/proc")) == "proc"
    assert restart.file_system(tmp_path) in Path("/proc/self/mountinfo").read_text()
