"""What is handed in for the next tick: samples, those of many entities, and entities that leave."""

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rnts.alerts.life import Sample
from rnts.alerts.notification import entity_of
from rnts.alerts.rule import Labels
from rnts.reflex.change import Changes, join_changes

One = tuple[str, Labels, Sample]  # of a rule
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


class Batch(NamedTuple):
    """What a rule is of many entities at one time, with one truth of `resolve_when` for all."""

    changes: Changes
    event_ns: int
    resolve: float = math.nan

    @property
    def truth(self) -> float | None:
        """The truth that all of them have; None where they differ."""
        truths = self.changes.truths
        return truths[0] if truths and truths.count(truths[0]) == len(truths) else None

    def is_like(self, other: "Batch") -> bool:
        """Whether both say the same of different entities."""
        are_unknown = math.isnan(self.resolve) and math.isnan(other.resolve)
        is_same = self.resolve == other.resolve or are_unknown
        return is_same and self.truth is not None and self.truth == other.truth


def are_distinct(batches: Sequence[Batch]) -> bool:
    """Whether no entity is in them twice, so that their order does not matter."""
    if len(batches) == 1:
        return len(batches[0].changes.different) == len(batches[0].changes)
    entities = frozenset[str]().union(*(batch.changes.different for batch in batches))
    return len(entities) == sum(len(batch.changes) for batch in batches)


def in_order(entities: Sequence[str]) -> list[int]:
    """The places of entities by what decides who has one of a rule's last places.

    That is neither who came first, nor the name, by which one group would have them all. Of one
    that is there twice the order stays.
    """
    codes = [zlib.crc32(entity.encode("utf-8", "surrogatepass")) for entity in entities]
    if len(set(codes)) == len(codes):  # as nearly always, and integers are sorted twice as fast
        return sorted(range(len(codes)), key=codes.__getitem__)
    ranks = list(zip(codes, entities, strict=True))
    return sorted(range(len(ranks)), key=ranks.__getitem__)


class Handed:
    """Samples in their order; a rule has samples, or batches of many entities, or both."""

    def __init__(self, counts: Counter[str]) -> None:
        self.samples: list[One] = []
        self.batches: dict[str, list[Batch]] = {}  # by rules
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

    def observe_all(self, rule: str, batch: Batch) -> None:
        """Take in many. What comes in pieces, as a storm may, has the time of the last of them."""
        batches = self.batches.setdefault(rule, [])
        for place, one in enumerate(batches):
            between = batches[place + 1 :]  # of whom nothing must come before what is older
            if one.is_like(batch) and (not between or are_distinct([*between, batch])):
                joined = join_changes([one.changes, batch.changes])
                if isinstance(joined, Changes):
                    batches[place] = batch._replace(changes=joined)
                    return
        batches.append(batch)

    def take_apart(self, rule: str) -> None:
        """Have samples in place of what was handed in together."""
        for changes, event_ns, resolve in self.batches.pop(rule):
            for change in changes:
                _, truth, value, worst, certainty = change
                sample = Sample(truth, value, event_ns, resolve, worst, certainty=certainty)
                self.observe(rule, change.labels, sample)

    def in_order(self, has_room: Callable[[str, int], bool]) -> list[One]:
        """All samples; who has one of a rule's last places does not depend on who came first."""
        counts = Counter(name for name, _, _ in self.samples)
        if all(has_room(name, count) for name, count in counts.items()):
            return self.samples
        places = in_order([entity_of(labels) for _, labels, _ in self.samples])
        return [self.samples[place] for place in places]

    def has_samples(self, rule: str) -> bool:
        """Whether there are single samples of a rule."""
        return any(name == rule for name, _, _ in self.samples)
