"""What alerts remember: cut at every byte, torn between two files, and with a full disk."""

import errno
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_tools import EPOCH, RULE, SECOND, Bench

from rnts.alerts import memory as memory_module
from rnts.alerts.journal import read_lines
from rnts.alerts.memory import JOURNAL, SNAPSHOT, Memory
from rnts.alerts.suppression import Silence
from rnts.errors import UsageError

RULES = replace(RULE, for_ns=2 * SECOND, keep_firing_ns=2 * SECOND)
EPISODE = [0, 1, 1, 1, 1, 0, 0, 0, 0]  # pending, firing, recovering, resolved
AFTERWARDS = {  # what is so after a death at a step of the episode, long enough to be sure
    True: [1, 1, 1, 1, 0, 0, 0, 0, 0],
    False: [0, 0, 0, 0, 0],
}


@pytest.fixture
def no_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """All there is stands in the journal."""
    monkeypatch.setattr(Memory, "is_snapshot_due", lambda self, steady_ns: False)


def episode(folder: Path) -> Iterator[tuple[Bench, int, int]]:
    """Go through an episode; a bench, the step, and the bytes of the journal, after each."""
    bench = Bench(folder, RULES)
    for step, truth in enumerate(EPISODE):
        bench.step({"n1": truth})
        yield bench, step, os.path.getsize(folder / JOURNAL)
    bench.memory.close()


@pytest.mark.usefixtures("no_snapshots")
def test_cut_at_every_byte(tmp_path: Path) -> None:
    """A journal that is cut anywhere is what its whole lines say; what is torn is counted."""
    for _ in episode(tmp_path / "whole"):
        pass
    raw = (tmp_path / "whole" / JOURNAL).read_bytes()
    lines, _ = read_lines(raw)
    assert len(lines) >= 6

    cut = tmp_path / "cut"
    cut.mkdir()
    for length in range(len(raw) + 1):
        (cut / JOURNAL).write_bytes(raw[:length])
        memory = Memory(cut)
        remembered = memory.restore()
        memory.close()
        whole = raw[:length].count(b"\n")
        documents: dict[str, Any] = {}
        for line in lines[:whole]:
            documents.update(line["documents"])
        assert (remembered.documents if remembered else {}) == {
            name: document for name, document in documents.items() if document is not None
        }
        torn = length - (raw[:length].rfind(b"\n") + 1)
        assert memory.counts["torn_bytes"] == torn
        assert (cut / JOURNAL).stat().st_size == length - torn


@pytest.mark.usefixtures("no_snapshots")
@pytest.mark.parametrize("is_submitted", [False, True])
def test_death_at_every_step(tmp_path: Path, is_submitted: bool) -> None:
    """Whoever dies at any line of an episode, told or not: one firing and one end, each under one
    key, and a key comes twice only where nothing says that it had arrived."""
    folder = tmp_path / "whole"
    told_before: list[tuple[int, int, list[str]]] = []  # bytes, step, keys handed over by then
    keys: list[str] = []
    for bench, step, length in episode(folder):
        told_before.append((length, step, list(keys)))
        keys = bench.keys()
    raw = (folder / JOURNAL).read_bytes()

    ends = [0] + [place + 1 for place, byte in enumerate(raw) if byte == ord("\n")]
    for end in ends:
        # The step whose line comes after the cut, or the step that wrote the last line.
        at = next((each for each in told_before if each[0] >= end + 1), told_before[-1])
        wrote = next(each for each in told_before if each[0] >= end)
        before = list(at[2]) if is_submitted else list(wrote[2])
        step = at[1] if is_submitted else wrote[1]
        alone = tmp_path / f"{end}"
        alone.mkdir()
        (alone / JOURNAL).write_bytes(raw[:end])
        (alone / JOURNAL).chmod(0o600)
        memory = Memory(alone)
        remembered = memory.restore()
        memory.close()
        documents = remembered.documents if remembered else {}
        undelivered = {name.rpartition("/")[2] for name in documents if name.startswith("out/")}
        after = go_on(alone, step)

        everything = Counter(before + after)
        firing = {key for key in everything if key.endswith("-firing")}
        resolved = {key for key in everything if key.endswith("-resolved")}
        assert len(firing) == len(resolved) == 1, (end, everything)
        assert firing.pop().removesuffix("-firing") == resolved.pop().removesuffix("-resolved")
        assert max(everything.values()) <= 2
        assert {key for key, count in everything.items() if count == 2} <= undelivered


def go_on(folder: Path, step: int) -> list[str]:
    """Start on what is left in a folder, at a step of the episode; the keys of what is told."""
    bench = Bench(folder, RULES, now_ns=(step + 10) * SECOND)
    bench.steps(*AFTERWARDS[EPISODE[step] == 1 or step == 0])
    bench.memory.close()
    shutil.rmtree(folder)
    return bench.keys()


def test_death_between_snapshot_and_journal(tmp_path: Path) -> None:
    """Lines that a snapshot covers already are skipped, whatever they say."""
    bench = Bench(tmp_path)
    bench.step({"n1": 1})
    old = (tmp_path / JOURNAL).read_bytes()
    bench.step({"n1": 1})  # a snapshot empties the journal
    bench.step({"n1": 0})
    bench.desk.close(bench.now_ns)
    assert (tmp_path / JOURNAL).read_bytes() == b""
    before = Memory(tmp_path)
    (tmp_path / JOURNAL).write_bytes(old)
    after = Memory(tmp_path)

    found, expected = after.restore(), before.restore()
    before.close(), after.close()
    assert found is not None and found == expected


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else may read what is remembered, also where a file had another mode."""
    (tmp_path / JOURNAL).touch(0o644)
    bench = Bench(tmp_path)
    bench.step({"n1": 1})
    bench.desk.close(bench.now_ns)
    assert [(tmp_path / n).stat().st_mode & 0o777 for n in (JOURNAL, SNAPSHOT)] == [0o600] * 2


def test_damaged_snapshot(tmp_path: Path) -> None:
    """A snapshot that is damaged is counted and left aside; alerts go on from nothing."""
    bench = Bench(tmp_path)
    bench.step({"n1": 1})
    bench.desk.close(bench.now_ns)
    raw = (tmp_path / SNAPSHOT).read_bytes()
    (tmp_path / SNAPSHOT).write_bytes(raw[:-9] + b"?" + raw[-8:])

    bench.start()
    assert bench.memory.counts["snapshot_damaged"] == 1
    assert bench.step({"n1": 1}) == ["hot firing 1"]
    assert bench.keys()[0] != bench.keys()[1]  # no receiver may take it for the old one
    bench.memory.close()


def test_what_is_in_place_of_the_files(tmp_path: Path) -> None:
    """A folder or a pipe is refused by name, at once; a line of something else is damage."""
    for make in (os.mkdir, os.mkfifo):
        make(tmp_path / SNAPSHOT)
        memory = Memory(tmp_path)
        with pytest.raises(UsageError, match="cannot be read: "):
            memory.restore()
        memory.close()
        (tmp_path / SNAPSHOT).unlink() if make is os.mkfifo else (tmp_path / SNAPSHOT).rmdir()
    for text in (b"{}", b"[1]", b"no JSON"):
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        for name in (SNAPSHOT, JOURNAL):
            (tmp_path / name).write_bytes(line)
        memory = Memory(tmp_path)
        assert memory.restore() is None
        assert memory.counts == {"snapshot_damaged": 1, "torn_bytes": len(line)}
        memory.close()


def test_documents_of_another_version(tmp_path: Path) -> None:
    """What another version remembered in another form is counted, and the rest goes on."""
    bench = Bench(tmp_path)
    bench.step({"n1": 1, "n2": 1})
    everything = bench.table.everything()
    name = f"life/{bench.life('n2').fingerprint}"
    everything[name] = {**everything[name], "colour": "red"}
    alike = {"alike": {"rule": "hot"}, "those": {"colours": []}}
    others = {"rule/x": None, "silences": [{"id": 1}], "alike/0": alike}
    bench.memory.snapshot({**everything, **others}, bench.now_ns)

    bench.restart()
    assert bench.table.counts["unreadable"] == 2 and bench.memory.counts["unreadable"] == 1
    assert bench.step({"n1": 1, "n2": 1}) == ["hot firing 1"]
    bench.memory.close()


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a condition with a name; alerts go on, and all is remembered afterwards."""
    bench = Bench(tmp_path)
    write_whole = memory_module.write_whole

    def refuse(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse_file(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory_module, "write_whole", refuse)
    with monkeypatch.context() as patch:
        patch.setattr(memory_module, "replace_file", refuse_file)
        assert bench.step({"n1": 1}) == ["hot firing 1"]
        assert bench.step({"n1": 1}) == []
        assert bench.memory.condition == "disk_full" and bench.memory.counts["disk_full"] == 2
        assert (tmp_path / JOURNAL).read_bytes() == b""
    monkeypatch.setattr(memory_module, "write_whole", write_whole)
    assert bench.step({"n1": 1}) == []
    assert bench.memory.condition is None

    bench.restart()
    assert bench.step({"n1": 1}) == []
    bench.memory.close()


def test_silences_are_remembered(tmp_path: Path) -> None:
    """A silence with its author outlives a restart, and ends when it said."""
    bench = Bench(tmp_path)
    expires_ns = EPOCH + bench.now_ns + 10 * SECOND
    silence = Silence("s1", (("rule", "hot"),), "ann", expires_ns, "is known")
    assert bench.table.add_silence(silence)
    bench.step()
    bench.restart()
    assert list(bench.table.silences.by_id.values()) == [silence]
    bench.step(seconds=20)
    bench.restart()
    assert not bench.table.silences.by_id
    bench.memory.close()
