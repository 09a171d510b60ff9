"""A client of standing queries at its link: what commands and processes are told changes by."""

import time
from collections.abc import Mapping
from typing import Self

from rnts.links.choice import agent_link
from rnts.links.options import LinkOptions
from rnts.query import checked_endpoint
from rnts.reflex.change import Update
from rnts.standing.client import WatchClient
from rnts.standing.query import Query


class Watching:
    """One connection, for as long as it is wanted: it outlives aggregators at its address.

    The link is the one that agents have; who may come in by it is the same as for other viewers.
    """

    def __init__(
        self, endpoint: str, queries: Mapping[str, Query], options: LinkOptions | None = None
    ) -> None:
        self.endpoint = checked_endpoint(endpoint)
        self.client = WatchClient(queries, time.monotonic_ns())
        self._is_open = True
        self._link = agent_link(options or LinkOptions())
        try:
            self._link.connect(self.endpoint)
        except BaseException:
            self._link.close()
            raise

    def poll(self, timeout_ms: int) -> list[Update]:
        """What is new; waits for it at most that long. To be called at least every 100 ms."""
        self._send()
        updates: list[Update] = []
        if self._link.wait(timeout_ms):
            for parts in self._link.receive():
                updates += self.client.on_message(parts, time.monotonic_ns())
            self._send()  # what was heard makes room for more at once
        return updates

    @property
    def is_live(self) -> bool:
        """Whether the aggregator was heard within three heartbeats."""
        return self.client.is_live(time.monotonic_ns())

    def _send(self) -> None:
        for parts in self.client.outgoing(time.monotonic_ns()):
            self._link.send(parts)  # what does not go out is said again

    def close(self) -> None:
        """Say so, and let go of the link; once more harms nothing."""
        if not self._is_open:
            return
        self._is_open = False
        for parts in self.client.goodbye():
            self._link.send(parts)
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
