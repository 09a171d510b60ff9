"""The ledger: a record is appended once or not, by one owner, and what was changed shows."""

import errno
import os
import resource
import sqlite3
from pathlib import Path

import pytest

from rnts.errors import LedgerError
from rnts.ledger import Conflict, Ledger, Unknown
from rnts.ledger_conditions import CONDITIONS, condition_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be."""
    return tmp_path / "deep" / "ledger.sqlite"


def fill(path: Path, count: int, starts: tuple[int, ...] = (1,)) -> None:
    """A log with so many records, of which some are starts."""
    with Ledger(path) as ledger:
        for seq in range(1, count + 1):
            assert ledger.append_if("log", seq - 1, b"x" * 1000, seq in starts) == seq


def test_a_record_is_appended_behind_the_newest_only(path: Path) -> None:
    """Whoever expects another number gets a Conflict with the newest, and nothing is written."""
    with Ledger(path) as one, Ledger(path) as other:
        assert one.append_if("log", 0, b"a") == 1
        assert other.append_if("log", 0, b"b") == Conflict(1)
        assert other.append_if("log", 1, b"c") == 2
        assert one.append_if("log", 1, b"d") == Conflict(2)
        assert one.append_if("another", 0, b"e") == 1
        assert [stored.body for stored in one.read("log")] == [b"a", b"c"]
        assert one.logs() == ["another", "log"]


def test_what_another_process_holds_is_unknown_by_name(path: Path) -> None:
    """A writer that waits in vain is told `busy`; reading back says that nothing was written."""
    fill(path, 1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    with Ledger(path, is_reader=True) as reader:
        assert reader.head("log")[0] == 1
    holder.execute("rollback")
    with Ledger(path) as ledger:
        holder.execute("begin immediate")
        answer = ledger.append_if("log", 1, b"b")
        assert isinstance(answer, Unknown)
        assert answer.condition == "busy"
        assert ledger.head("log")[0] == 1
        holder.execute("rollback")
        assert ledger.append_if("log", 1, b"b") == 2
    holder.close()


def test_a_full_disk_is_unknown_by_name_and_passes(path: Path) -> None:
    """Where there is no room the record is not there; once there is, the same append succeeds."""
    fill(path, 1)
    with Ledger(path) as ledger:
        pages = ledger._database.execute("pragma page_count").fetchone()[0]
        ledger._database.execute(f"pragma max_page_count = {pages}")
        answer = ledger.append_if("log", 1, b"b" * 100_000)
        assert isinstance(answer, Unknown)
        assert answer.condition == "full"
        assert ledger.head("log")[0] == 1
        ledger._database.execute("pragma max_page_count = 1000000")
        assert ledger.append_if("log", 1, b"b" * 100_000) == 2


@pytest.mark.parametrize("kind", ["noise", "foreign", "folder", "below a file", "newer"])
def test_what_is_no_ledger_is_refused_by_name(path: Path, kind: str) -> None:
    """Each with a condition that says what to do; the file stays as it was."""
    path.parent.mkdir()
    expected = {"noise": "corrupt", "folder": "missing", "below a file": "missing"}
    if kind == "noise":
        path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    elif kind == "folder":
        path.mkdir()
    elif kind == "below a file":
        path.write_text("")
        path = path / "ledger.sqlite"
    else:
        with sqlite3.connect(path) as database:
            database.execute("create table somebody (elses integer)")
            if kind == "newer":
                database.execute(f"pragma application_id = {0x524E544C}")
                database.execute("pragma user_version = 99")
        database.close()
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    assert caught.value.condition == expected.get(kind, "foreign")
    assert caught.value.condition in CONDITIONS


def test_a_reader_makes_no_file(path: Path) -> None:
    """Looking for a ledger that is not there leaves nothing behind."""
    with pytest.raises(LedgerError, match="missing"):
        Ledger(path, is_reader=True)
    assert not path.parent.exists()


def test_compaction_keeps_a_start_and_what_it_follows(path: Path) -> None:
    """The oldest records go; the rest begins with a start, and its digests still follow on."""
    fill(path, 20, starts=(1, 8, 15))
    with Ledger(path) as ledger:
        assert ledger.compact("log", 30_000) == 0
        digests = {stored.seq: stored.digest for stored in ledger.read("log")}
        assert ledger.compact("log", 18_000) == 7
        kept = list(ledger.read("log"))
        assert [stored.seq for stored in kept] == list(range(8, 21))
        assert ledger.anchor("log") == (7, digests[7])
        assert ledger.compact("log", 1_000) == 7
        assert ledger.anchor("log") == (14, digests[14])
        assert ledger.append_if("log", 20, b"y") == 21
        assert ledger.damage() == []


def test_one_code_of_sqlite_is_told_apart_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be opened in a folder that is there, and written at a limit, has its own name."""
    path = tmp_path / "ledger.sqlite"
    cannot_open, failed = sqlite3.OperationalError(), sqlite3.OperationalError()
    cannot_open.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    assert condition_of(cannot_open, path) == condition_of(cannot_open) == "missing"
    assert condition_of(failed, path) == condition_of(failed) == "io"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert condition_of(cannot_open, path) == "readonly"
    path.write_bytes(bytes(10_000))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10_000, -1))
    assert condition_of(failed, path) == "limited"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, -1))
    assert condition_of(failed, path) == "io"
    for number, name in ((errno.EROFS, "readonly"), (errno.ENOSPC, "full"), (errno.EIO, "missing")):
        assert condition_of(OSError(number, "")) == name
