"""Where processes meet: a folder of the user's own, and what a program is called there."""

import os
import sys
from pathlib import Path

import pytest
from capture_tools import run_python

from rnts import local_neuron
from rnts.errors import UsageError
from rnts.runtime import (
    SHARED_MEMORY,
    make_runtime_folder,
    runtime_folder,
    segment_folders,
    state_folder,
)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_link_is_no_runtime_folder(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with slashes behind it, which would let the system follow it."""
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv("RNTS_RUNTIME_DIR", f"{tmp_path}/link{end}")

    with pytest.raises(UsageError, match="must be a folder of this user"):
        make_runtime_folder()


def test_the_runtime_folder_is_made_for_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the folders above it, and without complaint if it is there."""
    monkeypatch.setenv("RNTS_RUNTIME_DIR", f"{tmp_path}/a/b/")

    assert make_runtime_folder() == make_runtime_folder() == runtime_folder() == f"{tmp_path}/a/b"
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    assert segment_folders() == [tmp_path / "a/b"]


def test_no_umask_keeps_the_agent_out(tmp_path: Path) -> None:
    """A program that lets nobody open its files, itself included, is read all the same."""
    run = run_python(
        """
        import os
        os.umask(0o777)
        import rnts
        print(rnts.neuron("n").record(queue_depth=1))
        segment = rnts.producer.PROCESS.segment()
        for path in (segment.path.parent, segment.path):
            print(oct(path.stat().st_mode & 0o777))
        """,
        RNTS_RUNTIME_DIR=f"{tmp_path}/folder",
    )
    assert (run.stdout, run.stderr) == ("True\n0o700\n0o600\n", "")


def test_who_has_no_home_has_state_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the runtime folder, and not in a folder called ~ where a command runs."""
    for name in ("RNTS_STATE_DIR", "RNTS_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert state_folder() == f"{runtime_folder()}/state"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == f"{tmp_path}/rnts"


def test_the_runtime_folder_is_in_shared_memory_unless_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without RNTS_RUNTIME_DIR it bears the user's number."""
    monkeypatch.delenv("RNTS_RUNTIME_DIR")

    assert runtime_folder() == f"{SHARED_MEMORY}/rnts-{os.getuid()}"
    assert Path(runtime_folder()) in segment_folders()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/usr/bin/serve"], "serve"),
        (["jobs/nightly.py", "--now"], "nightly"),
        (["lib/tool/__main__.py"], "tool"),
        (["__main__.py"], "python"),
        (["jobs/"], "jobs"),
        (["."], "python"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_program_is_named_by_its_file(
    arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package by its folder, and what has no file is Python."""
    monkeypatch.setattr(sys, "argv", arguments)

    assert local_neuron.program.__wrapped__() == name
