"""Finding segments: whatever appears is found, and folders at rest are not read again."""

import os
from pathlib import Path

import pytest

from rnts import segment_files
from rnts.segment_files import SegmentFiles

LONG_AGO_NS = 10**18


def at_rest(folder: Path) -> None:
    """Let a folder look as if nothing had changed in it for long."""
    os.utime(folder, ns=(LONG_AGO_NS, LONG_AGO_NS))


def test_a_folder_at_rest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing changes there is no answer, and the folder is not opened either."""
    (tmp_path / "a.seg").touch()
    at_rest(tmp_path)
    files = SegmentFiles(lambda: [tmp_path])
    assert files.changed() == {tmp_path / "a.seg"}

    def fail(folder: Path) -> None:
        raise AssertionError(f"{folder} was read")

    with monkeypatch.context() as guarded:
        guarded.setattr(segment_files, "_segment_files", fail)
        assert files.changed() is None
        assert files.changed() is None


def test_a_file_made_in_the_tick_of_the_last_look_is_found(tmp_path: Path) -> None:
    """A folder that changed a moment ago is read again, since its time may not move any more."""
    files = SegmentFiles(lambda: [tmp_path])
    assert files.changed() == set()
    before = os.stat(tmp_path).st_mtime_ns
    (tmp_path / "a.seg").touch()
    os.utime(tmp_path, ns=(before, before))
    assert files.changed() == {tmp_path / "a.seg"}


def test_files_that_were_not_ready_are_given_again(tmp_path: Path) -> None:
    """Who could not use a file yet asks for all of them once more."""
    (tmp_path / "a.seg").touch()
    at_rest(tmp_path)
    files = SegmentFiles(lambda: [tmp_path])
    files.changed()
    files.look_again()
    assert files.changed() == {tmp_path / "a.seg"}
    assert files.changed() is None


def test_folders_come_and_go(tmp_path: Path) -> None:
    """A folder that is not there holds nothing; one that appears is read, other files are not."""
    folder = tmp_path / "rnts-1"
    folders = [folder]
    files = SegmentFiles(lambda: folders)
    assert files.changed() == set()
    folder.mkdir()
    (folder / "a.seg").touch()
    (folder / "aggregator.sock").touch()
    assert files.changed() == {folder / "a.seg"}
    at_rest(folder)
    assert files.changed() == {folder / "a.seg"}
    folders.clear()
    assert files.changed() == set()
    assert files.changed() is None
