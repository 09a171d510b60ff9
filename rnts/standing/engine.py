"""What is asked of an engine that finds out what standing expressions are."""

from collections.abc import Iterable
from typing import Any, Protocol

from rnts.reflex.change import Update
from rnts.rules.condition import Condition


class Engine(Protocol):
    """Evaluates expressions under keys that its caller chooses; all in one thread."""

    def register(
        self,
        key: Any,
        condition: Condition,
        *,
        is_condition: bool | None = None,
        lists_unknown: bool = False,
        limit: int = 1_000,
    ) -> None:
        """Evaluate an expression from now on, in place of what stood under its key.

        Raises ValueError where there is no room for it.
        """

    def ask_about(self, key: Any, entities: Iterable[tuple[str, ...]]) -> None:
        """Tell what a condition is of these, too, once it is known, or that they are gone.

        By the values of their labels: raises ValueError where these are others. Those that were
        asked about before are asked about no more.
        """

    def remove(self, key: Any) -> None:
        """Evaluate it no more."""

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Find out what all are now, by what was folded."""

    def take(self, key: Any, now_ns: int) -> Update | None:
        """What is new since the last take of this key; None if nothing is."""

    def full(self, key: Any, now_ns: int) -> Update:
        """Everything that has to be known of it now."""
