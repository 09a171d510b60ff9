"""Turns by which all alerts are looked at for what only time changes: a few at a time."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from rnts.alerts.rule import SECOND_NS

LOOK_EVERY_NS = SECOND_NS // 10
LOOKED_AT_MAX = 1_000  # in one tick: a round over 10,000 alerts takes a second
Key = TypeVar("Key", bound=Hashable)


class Rounds(Generic[Key]):
    """A round begins when the last one is through; who comes meanwhile waits for the next."""

    def __init__(self) -> None:
        self._left: list[Key] = []
        self._due_ns = 0

    def take(self, everybody: Iterable[Key], now_ns: int) -> list[Key]:
        """Whose turn it is now."""
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + LOOK_EVERY_NS
        left = self._left or list(everybody)
        self._left = left[LOOKED_AT_MAX:]
        return left[:LOOKED_AT_MAX]
