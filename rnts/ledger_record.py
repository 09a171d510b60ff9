"""The records of an aggregator's log: what each says, and how it is packed.

An *epoch* record begins the reign of an aggregator; a *close* record says which windows it has
closed since the last one. Both tell where every sender stands and how the books stand. Of sources
and senders a record holds only what has changed, unless it is a checkpoint, which holds all.
"""

import json
import struct
import zlib
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.digest import Digest, unpack_digest

CODEC = 1  # of packed records
EPOCH, CLOSE = "epoch", "close"
_MAGIC = b"RNTL"
_HEAD = struct.Struct("<4sHI")  # magic, codec, bytes of the packed head
_PART = struct.Struct("<I")
_LEVEL = 1  # of zlib
_HEAD_BYTES_MAX = 64 << 20  # of an opened head; a damaged one must not take all memory


class Standing(NamedTuple):
    """Where one sender stood: its frames from `first` to `upto` are new in this record.

    committed: all frames before it lie in closed windows.
    pending: records in frames before `upto` that are of windows still open.
    records: of closed windows, in all.
    refused_at: of frames not committed that held records of the future, when each was folded.
    replayed: the frames up to here have come to the aggregator that writes this; None: all have.
    counted: of those after it, up to which frame and before which window they were counted.
    """

    agent_id: int
    incarnation: int
    first: int
    upto: int
    committed: int
    pending: int
    records: int
    seen_ns: int
    is_expected: bool
    refused_at: dict[int, int]
    replayed: int | None = None
    counted: list[tuple[int, int]] = []  # noqa: RUF012 - nobody changes it

    def counted_at(self, boundary: int) -> list[tuple[int, int]]:
        """Up to which windows its frames are counted, where `boundary` is the first one open."""
        if self.replayed is None:
            return [(self.upto, boundary)]
        older = [step for step in self.counted if step[0] > self.replayed]
        return [(self.replayed, boundary), *older]


class BookChanges(NamedTuple):
    """What has changed in the books: rows of sources, keys of those that ended, sums.

    rows: int64[sources, len(columns)]; `about` has the columns' names and all that is no row.
    """

    rows: NDArray[np.int64]
    ended: list[int]
    about: dict[str, Any]


@dataclass
class LedgerRecord:
    """One record; `first` … `end` - 1 are the windows that it closes, numbered by `window_ns`.

    counts: records by what became of them, since the log began: `folded` lie in closed windows.
    dropped: losses by reason since the log began, as the books stand.
    coverage: which agents were expected and which were heard when the windows closed.
    """

    kind: str
    epoch: int
    owner: int
    time_ns: int
    window_ns: int
    first: int
    end: int
    sealed_before: int
    is_checkpoint: bool
    counts: dict[str, int]
    dropped: dict[str, int]
    coverage: dict[str, Any]
    standings: list[Standing]
    forgotten: list[tuple[int, int]]
    books: BookChanges
    digests: list[Digest] = field(default_factory=list)

    def head(self) -> dict[str, Any]:
        """All but tables and digests, as JSON shows it."""
        skipped = ("books", "digests")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}

    def pack(self) -> bytes:
        """The record as bytes."""
        about = self.head() | {"books": self.books.about, "ended": self.books.ended}
        about["shape"] = self.books.rows.shape
        text = json.dumps(about, separators=(",", ":")).encode()
        packed = zlib.compress(text, _LEVEL)
        rows = zlib.compress(self.books.rows.astype("<i8").tobytes(), _LEVEL)
        parts = [rows, *(digest.pack() for digest in self.digests)]
        sized = b"".join(_PART.pack(len(part)) + part for part in parts)
        return _HEAD.pack(_MAGIC, CODEC, len(packed)) + packed + sized


def unpack_record(data: bytes, with_digests: bool = True) -> LedgerRecord:
    """Undo `pack`; raises ValueError for bytes that are no record."""
    try:
        magic, codec, length = _HEAD.unpack_from(data)
        if magic != _MAGIC or codec != CODEC:
            raise ValueError(f"no record of codec {CODEC}: {data[:8].hex(' ')}")
        about = json.loads(_inflate(data[_HEAD.size : _HEAD.size + length]))
        parts, at = [], _HEAD.size + length
        while at < len(data):
            (size,) = _PART.unpack_from(data, at)
            parts.append(data[at + _PART.size : at + _PART.size + size])
            at += _PART.size + size
        rows = np.frombuffer(_inflate(parts[0]), "<i8").reshape(about.pop("shape"))
        books = BookChanges(rows.astype(np.int64), about.pop("ended"), about.pop("books"))
        about["standings"] = [_standing(*words) for words in about["standings"]]
        about["forgotten"] = [(agent_id, life) for agent_id, life in about["forgotten"]]
        digests = [unpack_digest(part) for part in parts[1:]] if with_digests else []
        return LedgerRecord(**about, books=books, digests=digests)
    except (struct.error, zlib.error, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no record: {error}") from error


def _standing(*words: Any) -> Standing:
    """A standing out of JSON, whose keys are texts."""
    standing = Standing(*words)
    return standing._replace(
        refused_at={int(k): v for k, v in standing.refused_at.items()},
        counted=[(last, window) for last, window in standing.counted],
    )


def _inflate(data: bytes) -> bytes:
    opener = zlib.decompressobj()
    opened = opener.decompress(data, _HEAD_BYTES_MAX)
    if opener.unconsumed_tail or not opener.eof:
        raise ValueError("no record: it ends early, or is larger than any")
    return opened
