"""The links between neurons that the aggregator knows, and what went over them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import traffic as table

LINKS_MAX = 65_536


class Link(NamedTuple):
    """What went from one neuron to another since the link is known."""

    source_id: int
    target_id: int
    messages: int
    bytes: int
    latency_ns: int | None  # of the newest record that had one
    latest_ns: int


class Traffic:
    """At most `LINKS_MAX` links; those that are silent for long are forgotten."""

    def __init__(self) -> None:
        self._links = np.zeros((2 * LINKS_MAX, table.LINK_WORDS), np.uint64)
        self._table = np.zeros(table.TRAFFIC_WORDS, np.int64)
        self.arrays = (self._links, self._table)

    @property
    def known(self) -> int:
        """How many links are known."""
        return int(self._table[table.LINKS_KNOWN])

    @property
    def refused(self) -> int:
        """Link records that were left out because there was no room for another link."""
        return int(self._table[table.LINKS_OVERFLOW])

    def forget(self, silent_since_ns: int) -> None:
        """Forget links that have been silent since then."""
        if self.known and silent_since_ns > 0:
            table.forget_links(self.arrays, np.uint64(silent_since_ns))

    def top(self, count: int) -> list[Link]:
        """The links that carried most messages, the busiest first."""
        return self._busiest(np.flatnonzero(self._links[:, table.LATEST]), count)

    def of(self, neuron_id: int, count: int) -> tuple[list[Link], list[Link]]:
        """The busiest links to a neuron, and from it."""
        known = self._links[:, table.LATEST] != 0
        own = np.uint64(neuron_id)
        to_it = np.flatnonzero(known & (self._links[:, table.PEER] == own))
        from_it = np.flatnonzero(known & (self._links[:, table.SOURCE] == own))
        return self._busiest(to_it, count), self._busiest(from_it, count)

    def _busiest(self, cells: NDArray[np.int64], count: int) -> list[Link]:
        if cells.size > count:
            most_first = ~self._links[cells, table.MESSAGES]  # unsigned: there is no minus
            cells = cells[np.argpartition(most_first, count)[:count]]
        rows = sorted(self._links[cells].tolist(), key=lambda row: -row[table.MESSAGES])
        return [_link(row) for row in rows]


def _link(row: list[int]) -> Link:
    latency_ns = row[table.LATENCY] if row[table.TIMED] else None
    return Link(
        row[table.SOURCE],
        row[table.PEER],
        row[table.MESSAGES],
        row[table.BYTES],
        latency_ns,
        row[table.LATEST],
    )
