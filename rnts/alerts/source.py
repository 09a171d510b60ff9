"""What an alert process needs of whoever tells it how its rules are: standing queries."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from rnts.reflex.change import Update
from rnts.standing.query import Query


class Source(Protocol):
    """An aggregator's standing queries, over whatever road; nothing here waits."""

    def replace(self, queries: Mapping[str, Query], now_ns: int) -> None:
        """Ask these from now on; those that are the same go on as they are."""

    def exchange(self, now_ns: int) -> list[Update]:
        """Send what is due, and take what has arrived; afterwards nothing is left to take."""

    def is_live(self, now_ns: int) -> bool:
        """Whether the aggregator was heard a moment ago, so that what it did not say is so."""

    @property
    def alive_at_ns(self) -> int:
        """The aggregator's wall time when it was heard last; what it told before holds until it."""

    def due_ns(self, now_ns: int) -> int:
        """Until when `exchange` may wait where nothing arrives, by the steady clock."""

    def filenos(self) -> Iterable[int]:
        """Descriptors of which one is readable when something may have arrived."""

    def close(self) -> None:
        """Let go of the road."""
