"""The file of a recording: whole records only, whatever happens to it or to who writes it."""

import errno
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from recording_tools import AGENT, START_NS, batches, entries, frames, name_of, record_to

from rnts.errors import RntsError, UsageError
from rnts.recordings import writer as module
from rnts.recordings.dumping import dump
from rnts.recordings.opened import opened
from rnts.recordings.reader import Reader
from rnts.recordings.records import HEADER_BYTES, RECORD_BYTES, Kind, Record, parse_head
from rnts.recordings.writer import Writer, require_free
from rnts.tap_client import Lost


def made(path: Path, count: int = 6) -> list[bytes]:
    """A recording of so many frames, and a gap after the second; the frames."""
    found = frames(batches(count))
    told = entries(found)
    record_to(path, [*told[:2], Lost(3, "link", START_NS), *told[2:]])
    return found


def payloads(reader: Reader) -> list[bytes]:
    """The frames that a recording has."""
    return [record.payload for record in reader.records() if record.kind == Kind.ENTRY]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Frames, gaps and the end come back as they were, and the summary adds up."""
    path = tmp_path / "file"
    found = made(path)
    reader = Reader(path)
    assert payloads(reader) == found
    assert [record.kind for record in reader.records()] == [1, 1, 2, 1, 1, 1, 1, 3]
    summary = reader.summary()
    assert (summary["frames"], summary["keyframes"], summary["records"]) == (6, 1, 18)
    assert (summary["gaps"], summary["frames_lost"], summary["ended"]) == (1, {"link": 3}, True)
    assert summary["lives"][0]["agent_id"] == str(AGENT)
    assert (summary["damaged_bytes"], summary["torn_bytes"]) == (0, 0)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_end_is_cut_off_at_any_byte(tmp_path: Path) -> None:
    """However a file ends, its whole records are read and the rest is counted."""
    path, cut = tmp_path / "file", tmp_path / "cut"
    found = made(path, 3)
    raw = path.read_bytes()
    ends = [HEADER_BYTES]
    while ends[-1] < len(raw):
        head = parse_head(raw[ends[-1] : ends[-1] + RECORD_BYTES])
        assert head is not None
        ends.append(ends[-1] + RECORD_BYTES + head.payload_bytes)
    for size in range(HEADER_BYTES, len(raw)):
        cut.write_bytes(raw[:size])
        whole = max(end for end in ends if end <= size)
        reader = Reader(cut)
        kinds = [record.kind for record in reader.records()]
        assert len(kinds) == ends.index(whole)
        assert (reader.torn_bytes, reader.is_ended) == (size - whole, False)
        assert payloads(reader) == found[: kinds.count(Kind.ENTRY)]


def test_damage_in_the_middle_is_stepped_over(tmp_path: Path) -> None:
    """A flipped bit costs the record that has it, which is counted in bytes, and no other."""
    path = tmp_path / "file"
    found = made(path, 3)
    raw = bytearray(path.read_bytes())
    second = HEADER_BYTES + RECORD_BYTES + len(found[0])
    size = RECORD_BYTES + len(found[1])
    for at in (second + 1, second + 20, second + RECORD_BYTES + 5):
        raw[at] ^= 4
        path.write_bytes(raw)
        raw[at] ^= 4
        reader = Reader(path)
        assert payloads(reader) == [found[0], found[2]]
        assert (reader.damaged_bytes, reader.torn_bytes) == (size, 0)
        skipped: Counter[str] = Counter()
        assert [each.record.first for each in opened(reader.records(), skipped)] == [1]
        assert skipped == {"base": 1}  # what builds on a lost frame says nothing


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    """No recording, a version to come, a damaged header: each has its words."""
    path = tmp_path / "file"
    with pytest.raises(UsageError, match="cannot be read"):
        Reader(path)
    path.write_bytes(b"something else" * 9)
    with pytest.raises(RntsError, match="is no recording"):
        Reader(path)
    path.unlink()
    made(path)
    raw = bytearray(path.read_bytes())
    raw[17] ^= 1
    path.write_bytes(raw)
    with pytest.raises(RntsError, match="damaged"):
        Reader(path)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Unless it is asked for; that it has no folder is said before anything is recorded."""
    with pytest.raises(UsageError, match="nowhere is no folder"):
        require_free(tmp_path / "nowhere" / "file", replaces=False)
    path = tmp_path / "file"
    made(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--force"):
        require_free(path, replaces=False)
    with pytest.raises(UsageError, match="exists"):
        Writer(path, 0)
    assert path.read_bytes() == before
    Writer(path, 0, replaces=True).close(0)
    assert Reader(path).summary()["frames"] == 0


def test_a_full_disk_leaves_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits is kept, what does not is counted, half a record is cut off again."""
    path, room = tmp_path / "file", 1_000  # bytes
    real_write = os.write

    def write(file: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real_write(file, bytes(data[:room]))
        room -= written
        return written

    monkeypatch.setattr(module.os, "write", write)
    found = frames(batches(6))
    writer = Writer(path, START_NS)
    for each in entries(found):
        writer.take(each)
    writer.flush()
    for each in entries(found, agent=AGENT + 1)[:2]:
        writer.take(each)
    writer.close(START_NS)
    assert "No space left" in writer.problem
    reader = Reader(path)
    kept = payloads(reader)
    assert kept == found[: len(kept)] and 0 < len(kept) < 6
    assert (reader.torn_bytes, reader.is_ended) == (0, False)
    document = writer.document()
    assert (document["frames"], document["records"]) == (len(kept), 3 * len(kept))
    assert document["frames_lost"] == {"not_written": 8 - len(kept)}
    assert document["bytes"] == path.stat().st_size


def test_what_an_aggregator_folds_again_is_written_once(tmp_path: Path) -> None:
    """One that restarts is sent frames again; the recording has each number of a life once."""
    path = tmp_path / "file"
    told = entries(frames(batches(4)))
    writer = record_to(path, [*told[:3], Lost(0, "aggregator_restarted", 0), *told[1:]])
    assert payloads(Reader(path)) == [each.payload for each in told]
    assert writer.lost == {"aggregator_restarted": 0, "repeated": 2}


def test_a_dump_says_what_each_record_says(tmp_path: Path) -> None:
    """Every record is one JSON object with the fields that it has, names and numbers told apart."""
    path = tmp_path / "file"
    told = frames([[name_of(2**63, "a", "g")], *batches(1)])
    record_to(path, entries(told))
    lines = [json.loads(json.dumps(each)) for each in dump(Reader(path), Counter())]
    assert lines[0]["neuron_id"] == str(2**63)
    assert (lines[0]["kind"], lines[0]["name"], lines[0]["group"]) == ("name", "a", "g")
    assert lines[2] == {
        "at_ns": START_NS + 500_000_000, "agent_id": str(AGENT), "time_ns": START_NS + 2_000,
        "neuron_id": "2", "kind": "sample", "activation_count": 0, "processing_time_ns": 2_000,
        "queue_depth": 0, "cpu_usage_percent": 44.3, "signal_strength": 0.0,
    }  # fmt: skip


def test_a_record_is_as_its_drawing_says() -> None:
    """Golden bytes, so that a file of today is read by the program of tomorrow."""
    packed = Record(Kind.ENTRY, 1, 2, 3, 4, 5, b"frame").pack()
    assert packed.hex() == (
        "5252454301000000" "0100000000000000" "0200000000000000" "0300000000000000"
        "0400000000000000" "0500000000000000" "05000000cd3cf8b5" "00000000c60dbf13" "6672616d65"
    )  # fmt: skip
