"""Entities that are true beyond the limit of a rule: known by their labels, and counted."""

from collections import Counter
from collections.abc import Container, Sequence

from rnts.alerts.handed import Leaving
from rnts.alerts.rule import Labels

OVERFLOW_LABELS: Labels = (("overflow", "limit"),)  # of the alert that they are together
BEYOND_MAX = 1_000_000  # entities of a rule that are known


class Beyond:
    """Those of all rules; `beyond_limit` counts how often one was found.

    thinned: rules of which some are no longer true, though nobody said so
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._by_rule: dict[str, set[Labels]] = {}
        self._counts = counts
        self.thinned: set[str] = set()

    def add(self, rule: str, labels: Sequence[Labels]) -> None:
        """There was no place for these."""
        self._counts["beyond_limit"] += len(labels)
        known = self._by_rule.setdefault(rule, set())
        known.update(labels[: max(0, BEYOND_MAX - len(known))])

    def discard(self, rule: str, labels: Labels) -> None:
        """This one is false, or has a place."""
        if known := self._by_rule.get(rule):
            known.discard(labels)

    def keep(self, rule: str, there: Container[Labels]) -> None:
        """Only these of a rule may still be true: one of whom all is told anew is never false."""
        known = self._by_rule.get(rule, set())
        if gone := [each for each in known if each not in there]:
            known.difference_update(gone)
            self.thinned.add(rule)

    def reload(self, rules: Container[str]) -> None:
        """Let go of those of rules that are gone."""
        self._by_rule = {name: those for name, those in self._by_rule.items() if name in rules}

    def leave(self, gone: Leaving) -> None:
        """Entities have left."""
        for known in self._by_rule.values():
            known.difference_update([each for each in known if gone.has(each)])

    def count(self, rule: str) -> int:
        """How many of a rule are known."""
        return len(self._by_rule.get(rule, ()))
