"""Files that are no segments yet: waited for while their makers live, removed when they died."""

import os
from pathlib import Path

import pytest
from capture_tools import Taker
from test_collector import make_file, poke

from rnts import collector, layout
from rnts.runtime import process_start_time


def own_name(folder: Path, start_time: int | None = None) -> Path:
    """A name as this process, or a former one of its number, gives to a segment's file."""
    own = process_start_time(os.getpid())
    return folder / f"{os.getpid()}-{start_time or own}-7.seg"


def test_files_that_are_still_being_made_are_waited_for(runtime_folder: Path) -> None:
    """However long its living maker takes over it: it is taken once it is a segment."""
    path = make_file(runtime_folder, lambda path: poke(path, layout.HEADER_MAGIC, 0))
    path = path.rename(own_name(runtime_folder))
    taker = Taker(runtime_folder)
    for _ in range(2):
        assert taker.take() == []
        assert taker.collector.refused == {}
    poke(path, layout.HEADER_MAGIC, layout.MAGIC)
    assert len(taker.take()) == 1


@pytest.mark.parametrize("size", [0, 100_000])
def test_files_whose_makers_died_over_them_are_removed(size: int, runtime_folder: Path) -> None:
    """Nothing was ever in them; it is counted, and files under other names stay."""
    left = own_name(runtime_folder, start_time=1)
    other = runtime_folder / "other.seg"
    for path in (left, other):
        path.write_bytes(bytes(size))
    taker = Taker(runtime_folder)
    assert taker.take() == []
    assert not left.exists()
    assert other.exists()
    assert taker.collector.refused == {"unfinished": 1, "foreign" if size else "truncated": 1}


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "dead link"])
def test_other_things_under_such_names_hold_up_nobody(what: str, runtime_folder: Path) -> None:
    """They are looked at without waiting, without following, and whatever is in them stays."""
    path = own_name(runtime_folder, start_time=1)
    target = runtime_folder / "target"
    target.write_bytes(b"")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(target if what == "link" else "nowhere")
    taker = Taker(runtime_folder)
    assert taker.take() == []
    assert sum(taker.collector.refused.values()) == 1
    assert target.exists()


def test_a_file_is_looked_at_again_after_its_makers_death(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that became ready between the two looks is taken, not removed."""
    path = make_file(runtime_folder, lambda path: poke(path, layout.HEADER_MAGIC, 0))
    path = path.rename(own_name(runtime_folder, start_time=1))

    def die(asked: Path) -> bool:
        poke(asked, layout.HEADER_MAGIC, layout.MAGIC)
        return True

    monkeypatch.setattr(collector, "is_maker_dead", die)
    taker = Taker(runtime_folder)
    assert taker.take() == []
    assert len(taker.take()) == 1
