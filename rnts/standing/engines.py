"""Two engines as one: what is asked of canaries goes to theirs, all else to that of the users."""

from collections.abc import Iterable
from typing import Any

from rnts.canary_ids import GROUP
from rnts.reflex.change import Update
from rnts.rules.condition import Condition
from rnts.standing.engine import Engine


class Engines:
    """An engine whose keys are (client, the client's key); a client asks of canaries by `GROUP`."""

    def __init__(self, users: Engine, canaries: Engine) -> None:
        self._users, self._canaries = users, canaries

    def _of(self, key: Any) -> Engine:
        return self._canaries if key[1] == GROUP else self._users

    def register(self, key: Any, condition: Condition, **more: Any) -> None:
        """Evaluate an expression from now on; see `Engine.register`."""
        self._of(key).register(key, condition, **more)

    def ask_about(self, key: Any, entities: Iterable[tuple[str, ...]]) -> None:
        """Tell of these, too; see `Engine.ask_about`."""
        self._of(key).ask_about(key, entities)

    def remove(self, key: Any) -> None:
        """Evaluate it no more."""
        self._of(key).remove(key)

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Find out what all are; canaries last, so that they wait for what rules cost."""
        self._users.evaluate(now_ns, steady_ns)
        self._canaries.evaluate(now_ns, steady_ns)

    def take(self, key: Any, now_ns: int) -> Update | None:
        """What is new of an expression since the last time."""
        return self._of(key).take(key, now_ns)

    def full(self, key: Any, now_ns: int) -> Update:
        """All that has to be known of it."""
        return self._of(key).full(key, now_ns)
