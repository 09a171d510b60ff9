"""What an alert process has around it, played: a memory that keeps nothing, actions not taken."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from rnts.alerts.actions import ActionPool
from rnts.alerts.memory import Memory, Remembered
from rnts.alerts.notification import Notification


class Forgetful(Memory):
    """Keeps nothing; `on_change` is called after each tick that changed something."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        # Without that of Memory, which opens files.
        self.condition = None
        self.counts: Counter[str] = Counter()
        self._on_change = on_change

    def restore(self) -> Remembered | None:
        """There is nothing from before."""
        return None

    def append(self, changes: dict[str, Any], steady_ns: int) -> None:
        """Say that something has changed."""
        if changes:
            self._on_change()

    def is_snapshot_due(self, steady_ns: int) -> bool:
        """No."""
        return False

    def snapshot(self, everything: dict[str, Any], steady_ns: int) -> None:
        """Nobody will ask for it."""

    def close(self) -> None:
        """There are no files."""


class Notebook(ActionPool):
    """Writes notifications down, and says of each at once that it was delivered."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[Notification] = []
        self._settled: list[Notification] = []

    def submit(self, notification: Notification) -> None:
        """Write it down."""
        self.told.append(notification)
        self._settled.append(notification)

    def take_done(self) -> list[Notification]:
        """Those that were written down since the last call."""
        settled, self._settled = self._settled, []
        return settled
