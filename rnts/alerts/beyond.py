"""Entities that are true beyond the limit of a rule: known by their labels, and counted."""

from collections import Counter
from collections.abc import Container, Sequence

from rnts.alerts.handed import Leaving
from rnts.alerts.rule import Labels
from rnts.reflex.change import Changes

OVERFLOW_LABELS: Labels = (("overflow", "limit"),)  # of the alert that they are together
BEYOND_MAX = 1_000_000  # entities of a rule that are known


class Beyond:
    """Those of all rules; `beyond_limit` counts how often one was found.

    thinned: rules of which some are no longer true, though nobody said so
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._by_rule: dict[str, set[Labels]] = {}
        self._storms: dict[str, Changes] = {}  # of rules of which nobody else is known
        self._counts = counts
        self.thinned: set[str] = set()

    def add(self, rule: str, labels: Sequence[Labels]) -> None:
        """There was no place for these."""
        self._counts["beyond_limit"] += len(labels)
        known = self._known(rule)
        known.update(labels[: max(0, BEYOND_MAX - len(known))])

    def add_all(self, rule: str, changes: Changes) -> None:
        """There was none for these, each of them once, in a storm, which is told first."""
        if self.count(rule) or len(changes) > BEYOND_MAX:
            self.add(rule, changes.labels)
            return
        self._counts["beyond_limit"] += len(changes)
        self._storms[rule] = changes

    def _known(self, rule: str) -> set[Labels]:
        """Those of a rule, by their labels."""
        known = self._by_rule.setdefault(rule, set())
        if (storm := self._storms.pop(rule, None)) is not None:
            known.update(storm.labels)
        return known

    def discard(self, rule: str, labels: Labels) -> None:
        """This one is false, or has a place."""
        if self.count(rule):
            self._known(rule).discard(labels)

    def keep(self, rule: str, there: Container[Labels]) -> None:
        """Only these of a rule may still be true: one of whom all is told anew is never false."""
        if not self.count(rule):
            return
        known = self._known(rule)
        if gone := [each for each in known if each not in there]:
            known.difference_update(gone)
            self.thinned.add(rule)

    def reload(self, rules: Container[str]) -> None:
        """Let go of those of rules that are gone."""
        self._by_rule = {name: those for name, those in self._by_rule.items() if name in rules}
        self._storms = {name: those for name, those in self._storms.items() if name in rules}

    def leave(self, gone: Leaving) -> None:
        """Entities have left."""
        for rule in {*self._by_rule, *self._storms}:
            known = self._known(rule)
            known.difference_update([each for each in known if gone.has(each)])

    def count(self, rule: str) -> int:
        """How many of a rule are known."""
        storm = self._storms.get(rule)
        return len(self._by_rule.get(rule, ()) if storm is None else storm)
