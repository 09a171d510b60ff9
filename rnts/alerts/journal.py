"""Lines that can be cut anywhere: each is a checksum and JSON, and is whole or is none."""

import errno
import json
import os
import stat
import zlib
from pathlib import Path
from typing import Any

_MODE = 0o600
_FIELDS = {"number", "steady_ns", "documents"}
_encode = json.JSONEncoder(separators=(",", ":")).encode  # to make one takes as long as a line


def pack_line(document: dict[str, Any]) -> bytes:
    """The document as a line of a file."""
    text = _encode(document).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_line(line: bytes) -> dict[str, Any] | None:
    """The document of a line without its end, or None where it is damaged or cut."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # it has the checksum of what is no line of ours
        return None
    return document if isinstance(document, dict) and document.keys() >= _FIELDS else None


def read_lines(raw: bytes) -> tuple[list[dict[str, Any]], int]:
    """The documents before the first damage, and the bytes that they take."""
    documents, position = [], 0
    while (end := raw.find(b"\n", position)) >= 0:
        document = read_line(raw[position:end])
        if document is None:
            break
        documents.append(document)
        position = end + 1
    return documents, position


def read_file(path: Path) -> bytes:
    """What a file holds; nothing where there is none. Nothing else in its place is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"{path.name} is no plain file")
        return file.read()


def open_private(path: Path, flags: int) -> int:
    """Open a file that is this user's only, and make it if need be."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    os.fchmod(descriptor, _MODE)
    return descriptor


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of it, or raise OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in place of the file, so that whoever reads finds the old or the new."""
    fresh = path.with_name(path.name + ".new")
    descriptor = open_private(fresh, os.O_WRONLY | os.O_TRUNC)
    try:
        write_whole(descriptor, data)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)
