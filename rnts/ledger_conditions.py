"""What may be wrong with a ledger, each with a name and with what a person can do about it."""

import errno
import os
import resource
import sqlite3
from pathlib import Path

from rnts.errors import LedgerError

CONDITIONS = {
    "busy": "another process holds the ledger; two aggregators may share one, but not for long",
    "full": "the disk is full; make room, and it goes on by itself",
    "limited": "its process may write no larger files; raise `ulimit -f`, or name another file",
    "readonly": "the file or its folder cannot be written; give its owner the right to",
    "io": "the disk reports an error; see the kernel's log",
    "corrupt": "the file is damaged; move it away, and a new one is begun",
    "foreign": "the file is no ledger, or of another version; name another one",
    "replaced": "the file was moved away or replaced while in use; a new start goes on from it",
    "missing": "its folder is not there, or may not be entered; make it, or name another one",
}
_NAMES = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_PERM: "readonly",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_CANTOPEN: "missing",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_READONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
_PAGE_BYTES = 4096  # what SQLite writes at once


def condition_of(error: Exception, written: Path | None = None) -> str:
    """The name of what is wrong, one of CONDITIONS; `written` is the ledger if it was written to.

    SQLite has one code for all that it cannot open, and one for all that a disk refuses to write.
    """
    if isinstance(error, LedgerError):
        return error.condition
    if isinstance(error, OSError):
        if error.errno in _READONLY:
            return "readonly"
        return "full" if error.errno in _FULL else "missing"
    name = _NAMES.get(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF, "io")
    if written is not None and name == "missing" and _is_closed(written.parent):
        return "readonly"
    return "limited" if written is not None and name == "io" and _is_limited(written) else name


def _is_closed(folder: Path) -> bool:
    """Whether a folder is there, and nothing can be made in it."""
    return folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK)


def _is_limited(path: Path) -> bool:
    """Whether a file of the ledger is as large as this process may make one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return False
    parts = [part for part in (path, Path(f"{path}-wal")) if part.exists()]
    return any(part.stat().st_size + _PAGE_BYTES >= limit for part in parts)
