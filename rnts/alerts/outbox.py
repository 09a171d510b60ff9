"""What was told and has not arrived: the one thing that is kept beside what is so."""

from collections import Counter

from rnts.alerts.notes import Notes
from rnts.alerts.notification import Notification

OUTBOX_MAX = 10_000  # notifications that nobody has delivered yet
OUT = "out/"


class Outbox(dict[str, Notification]):
    """Notifications by the names of their documents; `notes` hear of each that comes or goes."""

    def __init__(self, notes: Notes, counts: Counter[str]) -> None:
        super().__init__()
        self._notes, self._counts = notes, counts

    def post(self, notification: Notification) -> None:
        """Remember a notification until it is delivered; what is critical is never given up."""
        if len(self) >= OUTBOX_MAX:
            oldest = next((n for n, each in self.items() if not each.is_critical), None)
            if oldest is not None:
                del self[oldest]
                self._notes.note(oldest)
                self._counts["outbox_full"] += 1
        name = outbox_name(notification)
        self[name] = notification
        self._notes.note(name)

    def settle(self, notification: Notification) -> None:
        """It was delivered, or given up and counted."""
        name = outbox_name(notification)
        if self.pop(name, None) is not None:
            self._notes.note(name)


def outbox_name(notification: Notification) -> str:
    """What tells a notification from all others: its receiver and its idempotency key."""
    return f"{OUT}{notification.receiver}/{notification.key}"
