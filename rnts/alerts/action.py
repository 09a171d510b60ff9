"""What an action is: something that can be done about an alert, and how hard it is tried."""

from dataclasses import dataclass
from typing import Protocol

from rnts.alerts.notification import Notification
from rnts.alerts.rule import SECOND_NS


class ActionError(Exception):
    """An action failed; `is_final`: to try again would not help."""

    def __init__(self, message: str, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Action(Protocol):
    """One thing that can be done about an alert; it bounds its own time and holds nothing."""

    def run(self, notification: Notification) -> None:
        """Do it; raises ActionError where it failed."""

    def describe(self, notification: Notification) -> str:
        """What `run` would do, in words."""


@dataclass(frozen=True)
class Policy:
    """How hard an action is tried.

    attempts: in all; the wait between two doubles from `back_off_ns`, up to `back_off_ns_max`.
    cooldown_ns: after one that worked, for which further ones are dropped unless critical; the end
        of what somebody was told never is.
    failures_max: notifications in a row after whose failure none is tried for `open_ns`.
    """

    attempts: int = 4
    back_off_ns: int = SECOND_NS // 2
    back_off_ns_max: int = 30 * SECOND_NS
    cooldown_ns: int = 0
    failures_max: int = 5
    open_ns: int = 60 * SECOND_NS
