"""What an alert process has around it, played: a memory without files, actions not taken."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from rnts.alerts.action import Action, Policy
from rnts.alerts.actions import ActionPool
from rnts.alerts.life_documents import read_documents
from rnts.alerts.memory import Memory, Remembered
from rnts.alerts.notification import Notification
from rnts.alerts.workshop import Workshop
from rnts.settings import Settings


class Kept(Memory):
    """Keeps what a process remembers at its end; `on_change` is called when a tick changed any."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        # Without that of Memory, which opens files.
        self.condition = None
        self.counts: Counter[str] = Counter()
        self._on_change = on_change
        self._kept: tuple[str, int] | None = None  # as JSON, and when

    def restore(self) -> Remembered | None:
        """What there is from before."""
        if self._kept is None:
            return None
        text, steady_ns = self._kept
        return Remembered(read_documents(json.loads(text), self.counts), steady_ns)

    def append(self, changes: dict[str, Any], steady_ns: int) -> None:
        """Say that something has changed."""
        if changes:
            self._on_change()

    def is_snapshot_due(self, steady_ns: int) -> bool:
        """Not before the end."""
        return False

    def snapshot(self, everything: dict[str, Any], steady_ns: int) -> None:
        """Keep everything, as files would."""
        self._kept = json.dumps(everything), steady_ns

    def close(self) -> None:
        """There are no files."""


class IdleWorkshop(Workshop):
    """Makes no actions: nobody carries any out."""

    def make(self, settings: Settings) -> dict[str, tuple[Action, Policy]]:
        """None."""
        return {}


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
