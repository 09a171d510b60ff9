"""Digests: what is written into the ledger of a closed window, its statistics by group.

The statistics of all groups together are the sums of these, so they are not written. What stands
in a digest is exact: moments as doubles, histograms bucket by bucket.
"""

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.held import MOMENTS
from rnts.kernels.panes import GROUP_WORDS

CODEC = 1  # of packed digests
_HEAD = struct.Struct("<BI")
_LEVEL = 1  # of zlib: 5 KB of a window of ten groups become 2, in 0.2 ms


@dataclass
class Digest:
    """The statistics of one window, in the state of one of its revisions.

    added: records that it has more than the revision before.
    groups: the groups with records, by name; words and moments have a row for each of them.
    cells, indices, counts: the buckets that are not empty; a cell is group * COLUMNS + column.
    """

    window: int
    revision: int
    complete: bool
    records: int
    added: int
    active: int
    groups: list[str] = field(default_factory=list)
    words: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, GROUP_WORDS), np.int64))
    moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, MOMENTS)))
    cells: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    indices: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def head(self) -> dict[str, Any]:
        """All but the statistics, as JSON shows it."""
        return {
            "window": self.window,
            "revision": self.revision,
            "complete": self.complete,
            "records": self.records,
            "added": self.added,
            "active": self.active,
            "groups": self.groups,
        }

    def drop_statistics(self) -> None:
        """Keep only the counts: there is no room for more."""
        self.groups = []
        self.words, self.moments = self.words[:0], self.moments[:0]
        self.cells, self.indices, self.counts = self.cells[:0], self.indices[:0], self.counts[:0]

    def pack(self) -> bytes:
        """The digest as bytes."""
        head = self.head() | {"buckets": len(self.cells)}
        parts = [
            self.words.astype("<i8"),
            self.moments.astype("<f8"),
            np.diff(self.cells, prepend=0).astype("<u4"),
            self.indices.astype("<u2"),
            self.counts.astype("<f8"),
        ]
        body = zlib.compress(b"".join(part.tobytes() for part in parts), _LEVEL)
        text = json.dumps(head, separators=(",", ":")).encode()
        return _HEAD.pack(CODEC, len(text)) + text + body


def unpack_digest(data: bytes) -> Digest:
    """Undo `pack`; raises ValueError for bytes that are none."""
    try:
        codec, length = _HEAD.unpack_from(data)
        if codec != CODEC:
            raise ValueError(f"a digest of codec {codec}, and known is {CODEC}")
        head = json.loads(data[_HEAD.size : _HEAD.size + length])
        buckets, rows = head.pop("buckets"), len(head["groups"])
        body = zlib.decompress(data[_HEAD.size + length :])
        kinds = [("<i8", rows * GROUP_WORDS), ("<f8", rows * MOMENTS)]
        kinds += [("<u4", buckets), ("<u2", buckets), ("<f8", buckets)]
        arrays, at = [], 0
        for kind, size in kinds:
            arrays.append(np.frombuffer(body, kind, size, at))
            at += arrays[-1].nbytes
        words, moments, steps, indices, counts = arrays
        return Digest(
            **head,
            words=words.reshape(rows, GROUP_WORDS),
            moments=moments.reshape(rows, MOMENTS),
            cells=np.cumsum(steps, dtype=np.int64),
            indices=indices.astype(np.int64),
            counts=counts,
        )
    except (struct.error, zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"no digest: {error}") from error
