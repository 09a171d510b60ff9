"""What is known of the entities of one rule, from what an aggregator told of its conditions."""

import math
from collections import deque
from itertools import repeat

from rnts.alerts.life import Sample
from rnts.alerts.rule import Rule
from rnts.reflex.change import Change, Changes, Labels


def sample_of(change: Change, event_ns: int, resolve: float) -> Sample:
    """What was told of an entity, as its alert takes it."""
    truth, value, worst, certainty = change[1:]
    return Sample(truth, value, event_ns, resolve, worst, certainty=certainty)


class Watched:
    """What is known of one rule's entities."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._listed: dict[Labels, Change] = {}
        self._late: list[Changes] = []  # that are to be listed
        self.resolved: dict[Labels, float] = {}  # the truth of `resolve_when` where it is not false
        self.is_told = False  # whether all entities were told at least once
        self.is_resolve_told = False
        self.unheard: set[Labels] = set()  # that have alerts, and of whom nothing was told anew
        # Who is false, though it had an alert when all was told anew, and by the steady clock from
        # when on that counts: windows of an aggregator that has just begun are empty.
        self.early: set[Labels] = set()
        self.complete_ns = 0
        self.due_ns = 0
        self.ripe_ns: float | None = None  # when one has held for long enough; None: to be found

    @property
    def listed(self) -> dict[Labels, Change]:
        """Who is true, or unknown."""
        if self._late:
            for changes in self._late:
                if changes.truths[0]:
                    self._listed.update(zip(changes.labels, changes, strict=True))
                else:
                    deque(map(self._listed.pop, changes.labels, repeat(None)), maxlen=0)
            self._late.clear()
        return self._listed

    def list_late(self, changes: Changes) -> None:
        """List these, who are all true, or none of these, who are all false, when that is asked.

        Telling of a storm and of its end comes before.
        """
        self._late.append(changes)

    def resolve_of(self, labels: Labels) -> float:
        """The truth of `resolve_when` for an entity."""
        if not self.rule.has_resolve_when or not self.is_resolve_told:
            return math.nan
        return self.resolved.get(labels, 0.0)

    def is_early(self, labels: Labels, truth: float, now_ns: int) -> bool:
        """Note that an entity was told of; whether it is false only since windows are empty yet."""
        if labels not in self.unheard:
            self.early.discard(labels)
            return False
        self.unheard.remove(labels)
        if truth == 0 and now_ns < self.complete_ns:
            self.early.add(labels)
            return True
        return False

    def sample(self, labels: Labels, event_ns: int, now_ns: int) -> Sample | None:
        """What the rule is of an entity; None where that is not known."""
        if labels in self.unheard or (now_ns < self.complete_ns and labels in self.early):
            return None
        change = self.listed.get(labels)
        resolve = self.resolve_of(labels)
        if change is not None:
            return sample_of(change, event_ns, resolve)
        if self.is_told:
            return Sample(0.0, math.nan, event_ns, resolve)
        return None
