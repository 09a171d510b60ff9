"""The ledger: append-only logs of numbered records in one SQLite file, durable or not there.

`append_if(log, expected, record)` appends only if `expected` is the newest number of the log. So of
two owners one gets a Conflict, and has to stop. Where a write failed, the answer is Unknown with
the name of what is wrong: whether the record is there is known by reading it back, not by guessing.

A record is kept with the digest of itself and of all before it: what was changed afterwards shows.
Compaction removes the oldest; an anchor keeps number and digest of the last one removed.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

from rnts.errors import LedgerError
from rnts.ledger_conditions import condition_of

SCHEMA = 1
_APPLICATION = 0x524E544C  # "RNTL", so that a foreign database is not taken for a ledger
_BUSY_MS = 250  # another process of ours is looking, or compacting
DIGEST_BYTES = 32
_KEPT = 0.75  # of the bytes that a log may have, after a compaction, so that the next is far off
_TABLES = (
    """create table records (
        log text not null, seq integer not null, body blob not null, digest blob not null,
        is_start integer not null, unique (log, seq))""",
    "create table anchors (log text primary key, seq integer not null, digest blob not null)",
)


class Conflict(NamedTuple):
    """Somebody else has appended: `newest` is the number of the newest record."""

    newest: int


class Unknown(NamedTuple):
    """The record may be there or not; `condition` is one of CONDITIONS, or "read back"."""

    condition: str
    detail: str


class Stored(NamedTuple):
    """One record of a log."""

    seq: int
    body: bytes
    digest: bytes


class Ledger:
    """One file, opened once by each process; usable from one thread at a time."""

    def __init__(self, path: str | Path, is_reader: bool = False) -> None:
        self.path = Path(path)
        try:
            self._database = self._open(is_reader)
            try:
                self._set_up(is_reader)
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.Error, OSError) as error:
            condition = condition_of(error, None if is_reader else self.path)
            raise LedgerError(condition, self.path, str(error)) from error

    def _open(self, is_reader: bool) -> sqlite3.Connection:
        """The database itself, whatever is in it."""
        is_new = not is_reader and not self.path.exists()
        if is_new:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        mode = "ro" if is_reader else "rwc"
        database = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}", uri=True,
            isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000,
        )  # fmt: skip
        if is_new:
            os.chmod(self.path, 0o600)
        return database

    def _set_up(self, is_reader: bool) -> None:
        one = self._database.execute
        if not is_reader:
            one("begin immediate")  # two that come at once must not both make the tables
            if not one("select count(*) from sqlite_master").fetchone()[0]:
                for table in _TABLES:
                    one(table)
                one(f"pragma application_id = {_APPLICATION}")
                one(f"pragma user_version = {SCHEMA}")
            one("commit")
        identity = tuple(
            one(f"pragma {word}").fetchone()[0] for word in ("application_id", "user_version")
        )
        if identity != (_APPLICATION, SCHEMA):
            raise LedgerError("foreign", self.path, "application {}, schema {}".format(*identity))
        if not is_reader:
            one("pragma journal_mode = wal")
        one("pragma synchronous = full")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def append_if(
        self, log: str, expected: int, body: bytes, is_start: bool = False
    ) -> int | Conflict | Unknown:
        """Append a record if `expected` is the newest number; its own number once it is on disk.

        `is_start`: whoever reads the log may begin with this record.
        """
        try:
            self._database.execute("begin immediate")
            try:
                newest, before = self.head(log)
                if newest != expected:
                    self._database.execute("rollback")
                    return Conflict(newest)
                self._database.execute(
                    "insert into records values (?, ?, ?, ?, ?)",
                    (log, expected + 1, body, chained(before, body), is_start),
                )
                self._database.execute("commit")
            except sqlite3.Error:
                if self._database.in_transaction:
                    self._database.execute("rollback")
                raise
        except sqlite3.Error as error:
            return Unknown(condition_of(error, self.path), str(error))
        return expected + 1

    def head(self, log: str) -> tuple[int, bytes]:
        """Number and digest of the newest record; 0 and zeros before the first."""
        query = "select seq, digest from records where log = ? order by seq desc limit 1"
        found = self._database.execute(query, (log,)).fetchone() or self.anchor(log)
        return int(found[0]), bytes(found[1])

    def anchor(self, log: str) -> tuple[int, bytes]:
        """Number and digest of the last record that compaction has removed."""
        query = "select seq, digest from anchors where log = ?"
        found = self._database.execute(query, (log,)).fetchone() or (0, bytes(DIGEST_BYTES))
        return int(found[0]), bytes(found[1])

    def read(self, log: str, start: int = 1) -> Iterator[Stored]:
        """The records from number `start` on, in their order. Raises LedgerError."""
        query = "select seq, body, digest from records where log = ? and seq >= ? order by seq"
        try:
            with closing(self._database.execute(query, (log, start))) as rows:
                for seq, body, digest in rows:
                    yield Stored(int(seq), bytes(body), bytes(digest))
        except sqlite3.Error as error:
            raise LedgerError(condition_of(error), self.path, str(error)) from error

    def newest_start(self, log: str) -> int:
        """Number of the newest record with which a reader may begin; 0 if there is none."""
        query = "select max(seq) from records where log = ? and is_start"
        return int(self._database.execute(query, (log,)).fetchone()[0] or 0)

    def logs(self) -> list[str]:
        """The names of all logs."""
        query = "select distinct log from records order by log"
        return [name for (name,) in self._database.execute(query)]

    def compact(self, log: str, bytes_max: int) -> int:
        """Remove the oldest records if there are more bytes; returns how many. May raise.

        What stays begins with a start, and so may have more bytes where those are far apart.
        """
        keep_from, length = 0, 0
        query = "select seq, length(body), is_start from records where log = ? order by seq desc"
        with closing(self._database.execute(query, (log,))) as rows:
            for seq, size, is_start in rows:
                length += size
                if is_start and (not keep_from or length <= bytes_max * _KEPT):
                    keep_from = seq
        if length <= bytes_max:
            return 0
        self._database.execute("begin immediate")
        try:
            query = "select seq, digest from records where log = ? and seq = ?"
            last = self._database.execute(query, (log, keep_from - 1)).fetchone()
            removed = 0
            if last is not None:
                query = "insert or replace into anchors values (?, ?, ?)"
                self._database.execute(query, (log, *last))
                query = "delete from records where log = ? and seq < ?"
                removed = self._database.execute(query, (log, keep_from)).rowcount
            self._database.execute("commit")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise
        return removed

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself; reads all of it."""
        try:
            found = [row[0] for row in self._database.execute("pragma integrity_check")]
        except sqlite3.Error as error:
            return [str(error)]
        return [] if found == ["ok"] else [str(line) for line in found]


def chained(before: bytes, body: bytes) -> bytes:
    """The digest of a record whose predecessor has the digest `before`."""
    return hashlib.sha256(before + body).digest()
