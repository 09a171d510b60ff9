"""Digests: what is written into the ledger of a closed window, its statistics by group.

The statistics of all groups together are the sums of these, so they are not written. What stands
in a digest is exact: moments as doubles, histograms bucket by bucket.
"""

import json
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.digest import list_buckets
from rnts.kernels.held import MOMENTS
from rnts.kernels.panes import ACTIVE, GROUP_RECORDS, GROUP_WORDS, RECORDS
from rnts.panes import Panes
from rnts.population import Population

CODEC = 1  # of packed digests
# Digests that wait to be written; beyond it the oldest lose their statistics, then their windows.
WAITING_MAX, LISTED_MAX = 64, 4_096
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


class Digests:
    """Takes the digests of windows that close or are revised, until somebody fetches them.

    Off until `is_on` is set, since taking one costs 0.1 ms.
    """

    def __init__(self, panes: Panes, population: Population) -> None:
        self.is_on = False
        self.dropped = 0  # digests that lost their statistics for want of room
        self.unlisted = 0  # records of closed windows of which no digest tells
        self._left_out: Counter[int] = Counter()  # the same of windows that are open
        self._panes, self._population = panes, population
        self._waiting: list[Digest] = []
        self._whole = 0  # of those waiting, the first that has its statistics
        self._revisions: dict[int, int] = {}  # of windows that are not sealed
        self._written: dict[int, int] = {}  # their records, as of the last digest
        self._complete: dict[int, bool] = {}
        self._revised: set[int] = set()
        self._room = _room(1 << 12)

    def revision_of(self, window: int) -> int:
        """How often a window was revised; 0 for one that is sealed or open."""
        return self._revisions.get(window, 0)

    def revise(self, window: int) -> None:
        """Late records have come into a window that is closed."""
        if window not in self._revised:
            self._revised.add(window)
            self._revisions[window] = self._revisions.get(window, 0) + 1

    def leave_out(self, window: int, records: int, is_closed: bool) -> None:
        """A window has got records that are in no statistics: those of canaries."""
        if is_closed:
            self.unlisted += records
        else:
            self._left_out[window] += records

    def close(self, first: int, end: int, sealed_before: int, complete: bool) -> None:
        """The windows first … end - 1 close, all before `sealed_before` are sealed."""
        self._take_revised()
        for window in [window for window in self._left_out if window < end]:
            self.unlisted += self._left_out.pop(window)
        for window in range(max(first, sealed_before), end):
            self._complete[window] = complete  # for records that come late into one that had none
        for window in sorted(self._panes.records()):
            if first <= window < end:
                self._complete[window] = complete
                self._take(window)
        for window in [window for window in self._complete if window < sealed_before]:
            for known in (self._revisions, self._written, self._complete):
                known.pop(window, None)

    def fetch(self) -> list[Digest]:
        """The digests that are to be written, the oldest first; they wait no longer."""
        self._take_revised()
        waiting, self._waiting, self._whole = self._waiting, [], 0
        return waiting

    @property
    def has_news(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._waiting or self._revised)

    def _take_revised(self) -> None:
        for window in sorted(self._revised):
            self._take(window)
        self._revised.clear()

    def _take(self, window: int) -> None:
        if not self.is_on:
            return
        records = self._panes.head(window, RECORDS)
        added = records - self._written.get(window, 0)
        self._written[window] = records
        digest = Digest(
            window,
            self.revision_of(window),
            self._complete.get(window, False),
            records,
            added,
            self._panes.head(window, ACTIVE),
        )
        self._fill(digest)
        self._waiting.append(digest)
        if len(self._waiting) - self._whole > WAITING_MAX:
            self._waiting[self._whole].drop_statistics()
            self._whole += 1
            self.dropped += 1
        if len(self._waiting) > LISTED_MAX:
            self.unlisted += self._waiting.pop(0).added
            self._whole -= 1

    def _fill(self, digest: Digest) -> None:
        """Copy the statistics of the groups that have records out of the window's pane."""
        panes, names = self._panes, self._population.group_names
        words = panes.groups(digest.window)[: len(names)]
        pane = digest.window % panes.ring
        found = list_buckets(pane, len(names), panes.arrays, self._room)
        if found > len(self._room[0]):
            self._room = _room(2 * found)
            list_buckets(pane, len(names), panes.arrays, self._room)
        digest.groups = list(names)
        digest.words = words.copy()
        digest.moments = panes.group_moments(digest.window)[: len(names)].copy()
        cells, indices, counts = self._room
        digest.cells, digest.indices = cells[:found].copy(), indices[:found].copy()
        digest.counts = counts[:found].copy()
        assert int(words[:, GROUP_RECORDS].sum()) == digest.records


def _room(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    return np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
