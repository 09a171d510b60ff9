"""The spool: what is written is read again after any death, and what is damaged is told exactly."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rnts.entries import Entry
from rnts.retained import Retained
from rnts.spool import Spool
from rnts.spool_files import Files
from rnts.spool_folder import find_lives, life_name
from rnts.spool_life import Life, read_life
from rnts.spool_parts import STATE, SpoolLimits, State, read_state
from rnts.spool_records import LOST, Record, scan

AGENT, LIFE, SOURCE = 7, 1000, 42
LIMITS = SpoolLimits(bytes_max=1 << 20, segment_bytes=700)
STANDING = State(AGENT, LIFE, 1, b"rows")


def entry(number: int, payload: bytes | None = None, base: int | None = None) -> Entry:
    """A frame of as many records as its number says."""
    payload = b"%03d" % number * 20 if payload is None else payload
    return Entry(number, number, base or number, payload, {SOURCE: number, -number: 1})


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of one life."""
    return tmp_path / life_name(AGENT, LIFE)


def fill(folder: Path, count: int, limits: SpoolLimits = LIMITS) -> Spool:
    """A spool of so many entries."""
    spool = Spool(Files(folder), limits, lambda: STANDING)
    for number in range(1, count + 1):
        assert spool.append(entry(number)) is not None
    return spool


def read(folder: Path) -> Life:
    """What a successor finds."""
    life = read_life(Files(folder))
    assert life is not None
    return life


def payloads(folder: Path, life: Life) -> dict[int, bytes | None]:
    """The payload of each entry by its number; None of holes and of what is damaged."""
    spool = Spool(Files(folder), LIMITS, lambda: STANDING)
    spool.adopt(life.segments)
    return {e.first: None if e.place is None else spool.read(e.place) for e in life.entries}


def test_what_is_written_is_found_in_order(folder: Path) -> None:
    """Numbers, groups, counts and payloads come back, whoever wrote them; files are the owner's."""
    fill(folder, 20)
    life = read(folder)
    assert life.state == STANDING
    assert [(e.first, e.last, e.base) for e in life.entries] == [(n, n, n) for n in range(1, 21)]
    assert [e.counts for e in life.entries] == [entry(n).counts for n in range(1, 21)]
    assert payloads(folder, life) == {n: entry(n).payload for n in range(1, 21)}
    assert (life.holes, life.unknown, life.torn_bytes) == (0, 0, 0)
    assert len(life.segments) > 3
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {0o700, 0o600}


def test_segments_go_when_they_are_committed(folder: Path) -> None:
    """Data go when nothing of them is needed, counts when all is committed; then all is gone."""
    spool = Spool(Files(folder), LIMITS, lambda: STANDING)
    places = [spool.append(entry(number)) for number in range(1, 21)]
    for place in places[:10]:
        spool.drop(place)
    life = read(folder)
    assert [e.is_hole for e in life.entries[:8]] == [True] * 8
    assert [e.counts for e in life.entries] == [entry(n).counts for n in range(1, 21)]
    spool.release(9)
    assert read(folder).entries[0].first <= 9
    assert len(list(folder.glob("*.index"))) < 7
    for place in places[10:]:
        spool.drop(place)
    spool.release(21)
    spool.end()
    assert not folder.exists()
    assert spool.size_bytes == 0


@pytest.mark.parametrize("suffix", ["data", "index"])
def test_a_torn_segment_is_cut_at_every_byte(folder: Path, suffix: str) -> None:
    """As a power cut leaves it: what is whole comes back, and counts that are there are told."""
    fill(folder, 3, SpoolLimits(1 << 20, 1 << 16))
    path = folder / f"00000001.{suffix}"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        life = read(folder)
        found = payloads(folder, life)
        if suffix == "index":  # the data tell it all
            assert found == {n: entry(n).payload for n in (1, 2, 3)}
            continue
        assert [e.counts for e in life.entries] == [entry(n).counts for n in (1, 2, 3)]
        ends = [len(whole) * n // 3 for n in (1, 2, 3)]
        assert [found[n] is not None for n in (1, 2, 3)] == [size >= end for end in ends]
        assert life.holes == sum(size < end for end in ends)


def test_rot_anywhere_costs_one_entry_at_most(folder: Path) -> None:
    """Any byte of the files changed: no entry is wrong, at most one payload or count is missing."""
    fill(folder, 4, SpoolLimits(1 << 20, 1 << 16))
    for path in sorted(folder.glob("0*")):
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :])
            life = read(folder)
            found = payloads(folder, life)
            good = [n for n in (1, 2, 3, 4) if found.get(n) == entry(n).payload]
            assert len(good) >= 3
            assert all(value in (None, b"", entry(n).payload) for n, value in found.items())
            assert [e.counts for e in life.entries] == [entry(n).counts for n in (1, 2, 3, 4)]
        path.write_bytes(whole)


def test_numbers_of_which_nothing_is_left_are_said_to_be_unknown(folder: Path) -> None:
    """An entry without content stands for them, and what builds on them is of no use."""
    spool = Spool(Files(folder), LIMITS, lambda: STANDING)
    for number in range(1, 13):
        spool.append(entry(number, base=1))
    for path in folder.glob("00000002.*"):
        path.unlink()
    life = read(folder)
    [gap] = [e for e in life.entries if e.payload == b""]
    assert life.unknown == gap.last - gap.first + 1
    numbers = [n for e in life.entries for n in range(e.first, e.last + 1)]
    assert numbers == list(range(1, 13))

    spool.adopt(life.segments)
    retained = Retained(1 << 20, spool, life.entries)
    sent = []
    while retained.waiting:
        one = retained.waiting.popleft()
        sent.append((one.first, retained.payload_of(one)))
    assert [first for first, payload in sent if payload] == list(range(1, gap.first))


def test_a_damaged_state_leaves_the_life_alone(folder: Path, tmp_path: Path) -> None:
    """Without it nobody knows whose entries these are: they are counted, and kept for a person."""
    fill(folder, 3)
    raw = (folder / STATE).read_bytes()
    assert read_state(raw) == STANDING
    for at in range(len(raw)):
        assert read_state(raw[:at]) is None
        assert read_state(raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]) is None
    (folder / STATE).write_bytes(raw[:-1])
    refused: Counter[str] = Counter()
    assert find_lives(tmp_path, refused) == []
    assert refused == {"state": 1}
    assert folder.exists()


@pytest.mark.parametrize(
    ("number", "name"),
    [(errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EACCES, "denied"),
     (errno.EROFS, "denied"), (errno.EIO, "failed")],
)  # fmt: skip
def test_a_disk_that_refuses_is_named_and_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    """Nothing is raised and nothing that was written is lost; later it goes on by itself."""
    clock = Clock()
    spool = Spool(Files(folder), LIMITS, lambda: STANDING, clock_s=clock)
    assert spool.append(entry(1)) is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", refuse(number))
        assert spool.append(entry(2)) is None
        assert (spool.condition, spool.failures) == (name, {name: 1})
        assert spool.append(entry(2)) is None
        assert spool.failures == {name: 1}  # it is left alone for a while
    clock.now_s += 2
    assert spool.append(entry(2)) is not None
    assert spool.condition == ""
    assert payloads(folder, read(folder)) == {n: entry(n).payload for n in (1, 2)}


def refuse(number: int) -> Callable[..., int]:
    """A write that fails."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_write_in_part_is_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that becomes full within a record leaves no half of it."""
    clock = Clock()
    spool = Spool(Files(folder), LIMITS, lambda: STANDING, clock_s=clock)
    assert spool.append(entry(1)) is not None
    write = os.pwritev
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", lambda fd, parts, at: write(fd, [parts[0][:9]], at))
        assert spool.append(entry(2)) is None
        assert spool.condition == "full"
    clock.now_s += 2
    assert spool.append(entry(3)) is not None
    life = read(folder)
    assert life.torn_bytes == 0
    assert [e.first for e in life.entries if e.payload is None] == [1, 3]


def test_lost_entries_keep_their_counts(folder: Path) -> None:
    """What is given up in memory while there is a spool is told by the next life."""
    spool = fill(folder, 1)
    spool.append_lost(entry(2))
    spool.append(entry(3))
    life = read(folder)
    assert [(e.first, e.is_hole) for e in life.entries] == [(1, False), (2, True), (3, False)]
    assert life.entries[1].counts == entry(2).counts


def test_memory_overflows_to_disk_and_disk_to_a_declared_hole(folder: Path) -> None:
    """In order: the oldest goes to disk, then what never went out is lost with its counts."""
    spool = Spool(Files(folder), SpoolLimits(3_000, 700), lambda: STANDING)
    retained = Retained(8_000, spool)
    for number in range(1, 200):
        retained.offer(b"%03d" % number * 40, {SOURCE: 1}, 1, is_keyframe=True)
    entries = list(retained.waiting)
    hole, rest = entries[0], entries[1:]
    assert hole.is_hole
    assert hole.counts == {SOURCE: hole.last}
    assert [e.first for e in rest] == list(range(hole.last + 1, 200))
    assert [retained.payload_of(e) for e in rest] == [b"%03d" % e.first * 40 for e in rest]
    places = [e.place is not None for e in rest]
    assert places == sorted(places, reverse=True)
    assert any(places)
    assert spool.size_bytes <= 3_000 + 900
    assert retained.bytes <= 8_000
    life = read(folder)
    told = Counter[int]()
    for one in life.entries:
        told.update(one.counts)
    assert (life.unknown, life.entries[0].first) == (0, 1)
    assert told[SOURCE] == life.entries[-1].last


def test_records_are_found_between_bytes_that_are_none() -> None:
    """A scan steps over what is damaged, and trusts only what its checksum says."""
    one, two = (Record(LOST, n, n, n, 0, 0, 0, {SOURCE: n}).pack() for n in (1, 2))
    raw = b"RSPL" + one + b"RSPLRSP" + two + one[:50]
    assert [record.first for _, record in scan(raw, has_payloads=False)] == [1, 2]
