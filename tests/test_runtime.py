"""Where processes meet: a folder of the user's own, and what a program is called there."""

import os
import sys
from pathlib import Path

import pytest

from rnts import local_neuron
from rnts.errors import UsageError
from rnts.runtime import SHARED_MEMORY, make_runtime_folder, runtime_folder, segment_folders


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
