"""What is handed in for the next tick: samples, those of many entities, and entities that leave."""

import math
from collections import Counter
from collections.abc import Iterable

from rnts.alerts.life import Sample
from rnts.alerts.rule import Labels
from rnts.reflex.change import Changes, join_changes

SAMPLES_MAX = 2_000_000  # of one tick


class Leaving:
    """Entities that go in one tick: thousands of them are one look at each alert."""

    def __init__(self, gone: Iterable[Labels]) -> None:
        self._whole = {labels for labels in gone if labels}
        self._pairs = {labels[0] for labels in self._whole if len(labels) == 1}
        self._parts = [set(labels) for labels in self._whole if len(labels) == 2]

    def has(self, labels: Labels) -> bool:
        """Whether an alert with these labels is about one of them: it has all labels of that one.

        Entities have one label or three; other numbers are looked at one by one.
        """
        if labels in self._whole or any(pair in self._pairs for pair in labels):
            return True
        return any(part <= set(labels) for part in self._parts)


class Handed:
    """Samples in their order; a rule has samples, or one batch of many entities, or both."""

    def __init__(self, counts: Counter[str]) -> None:
        self.samples: list[tuple[str, Labels, Sample]] = []
        self.batches: dict[str, tuple[Changes, int]] = {}  # by rules, with their event times
        self.leaving: list[Labels] = []
        self._counts = counts

    def observe(self, rule: str, labels: Labels, sample: Sample) -> None:
        """Take in one sample."""
        if rule in self.batches:
            self.take_apart(rule)
        if len(self.samples) < SAMPLES_MAX:
            self.samples.append((rule, labels, sample))
        else:
            self._counts["samples_full"] += 1

    def observe_all(self, rule: str, changes: Changes, event_time_ns: int) -> None:
        """Take in many. What comes in pieces, as a storm may, has the time of the last of them."""
        if rule in self.batches:
            joined = join_changes([self.batches[rule][0], changes])
            if isinstance(joined, Changes):
                changes = joined
            else:
                self.take_apart(rule)
        self.batches[rule] = changes, event_time_ns

    def take_apart(self, rule: str) -> None:
        """Have samples in place of what was handed in together."""
        changes, event_ns = self.batches.pop(rule)
        for change in changes:
            _, truth, value, worst, certainty = change
            sample = Sample(truth, value, event_ns, math.nan, worst, certainty=certainty)
            self.observe(rule, change.labels, sample)

    def has_samples(self, rule: str) -> bool:
        """Whether there are single samples of a rule."""
        return any(name == rule for name, _, _ in self.samples)
