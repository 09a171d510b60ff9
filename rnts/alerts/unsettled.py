"""Alerts of which a receiver may have to hear, and until when they only wait for their groups.

Ten thousand that wait half a second for others are not described ten times meanwhile.
"""

from collections.abc import Container, Iterable, Mapping

from rnts.alerts.life import Key


class Unsettled(Container[str]):
    """By rules, in the order in which they became so; it contains the names of these rules."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[Key, None]] = {}
        self._asleep_ns: dict[str, int] = {}  # by rules, until when

    def __contains__(self, rule: object) -> bool:
        return rule in self._keys

    def add(self, keys: Iterable[Key]) -> None:
        """Somebody may have to hear of these now, and of others of their rules."""
        for key in keys:
            self._keys.setdefault(key.rule, {})[key] = None
            self._asleep_ns.pop(key.rule, None)

    def settle(self, key: Key) -> None:
        """Everybody knows all that there is of this one."""
        keys = self._keys[key.rule]
        del keys[key]
        if not keys:
            del self._keys[key.rule]
            self._asleep_ns.pop(key.rule, None)

    def sleep(self, until_ns: Mapping[str, int]) -> None:
        """Of these rules nothing is to be told before, if nothing else happens to their alerts."""
        self._asleep_ns.update(until_ns)

    def awake(self, now_ns: int, is_hushed: bool) -> list[Key]:
        """Those that are to be looked at; where something hushes alerts, that may end: all."""
        if is_hushed:
            self._asleep_ns.clear()
        asleep_ns = self._asleep_ns
        return [
            key
            for rule, keys in self._keys.items()
            if asleep_ns.get(rule, now_ns) <= now_ns
            for key in keys
        ]
