"""Where alerts meet files and actions: what is told is remembered first, then told."""

from typing import Protocol

from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.table import AlertTable


class Deliverer(Protocol):
    """Tells receivers; never waits, and says later what became of each notification."""

    def submit(self, notification: Notification) -> None:
        """Take over one notification."""

    def take_done(self) -> list[Notification]:
        """Those that were delivered, or given up and counted, since the last call."""


class Desk:
    """A table with its memory and its deliverer; `tick` is all that a loop has to call."""

    def __init__(self, table: AlertTable, memory: Memory, deliverer: Deliverer) -> None:
        self.table, self.memory, self._deliverer = table, memory, deliverer
        self._has_begun, self._has_changed = False, True

    def begin(self, now_ns: int, wall_ns: int) -> None:
        """Go on where the files end; what was perhaps not told is told under the same keys."""
        remembered = self.memory.restore()
        if remembered is not None:
            shift_ns = now_ns - remembered.steady_ns
            for notification in self.table.restore(remembered.documents, shift_ns, now_ns, wall_ns):
                self._deliverer.submit(notification)
        self._has_begun = True

    def tick(self, now_ns: int, wall_ns: int) -> list[Notification]:
        """One step of all of it; returns what is told from now on.

        A snapshot waits for a tick in which nothing is told: it would only delay that.
        """
        assert self._has_begun
        self._settle()
        told = self.table.tick(now_ns, wall_ns)
        changes = self.table.changes()
        self.memory.append(changes, now_ns)
        for notification in told:
            self._deliverer.submit(notification)
        self.table.grow()
        self._has_changed |= bool(changes)
        if not told and self.is_snapshot_due(now_ns):
            self.memory.snapshot(self.table.everything(), now_ns)
            self._has_changed = False
        return told

    def is_snapshot_due(self, now_ns: int) -> bool:
        """Whether a snapshot is to be written, which says more than the last one.

        It does where there are alerts, whose ages grow.
        """
        if not self.memory.is_snapshot_due(now_ns):
            return False
        is_alive = self.table.lives.by_key or self.table.outbox
        return bool(self._has_changed or is_alive or self.memory.condition)

    def _settle(self) -> None:
        for notification in self._deliverer.take_done():
            self.table.settle(notification)

    def close(self, now_ns: int) -> None:
        """Remember everything a last time."""
        self._settle()
        self.memory.snapshot(self.table.everything(), now_ns)
        self.memory.close()
