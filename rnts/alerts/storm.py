"""Many alerts of a rule that fire at once: told from columns, before each of them has a life.

What is told and remembered is what single lives would tell and remember, and each has its life
afterwards: to make 10,000 of them takes 20 ms, which no notification has to wait for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import repeat
from operator import itemgetter
from typing import Any

from rnts.alerts.life import Life, Moment, Sample, Told
from rnts.alerts.life_documents import document_of_alike
from rnts.alerts.notification import (
    ALERTS_LISTED_MAX,
    FIRING_KIND,
    Notice,
    Notification,
    build_alike,
    entity_of,
    sum_of,
    weight_of,
)
from rnts.alerts.rule import Labels, Receiver, Rule
from rnts.reflex.change import Changes

STORM_MIN = 100  # fewer are taken one by one


def may_storm(rule: Rule, changes: Changes) -> bool:
    """Whether these would all fire now, and be told at once, had none of them a life yet."""
    is_at_once = rule.is_critical and not rule.for_ns and not rule.has_resolve_when
    return is_at_once and not changes.worst and set(changes.truths) == {1.0}


def is_storm(rule: Rule, changes: Changes, known: Iterable[Labels]) -> bool:
    """Whether these are one, where the rule has alerts with the labels that are known."""
    if len(changes) < STORM_MIN or not may_storm(rule, changes):
        return False
    fresh = set(changes.entities)
    return len(fresh) == len(changes) and fresh.isdisjoint(map(entity_of, known))


class Storm:
    """Entities without a life of which a rule has become true at one moment."""

    def __init__(self, rule: Rule, changes: Changes, event_ns: int, at: Moment) -> None:
        self.rule = rule
        self._changes, self._event_ns, self._at = changes, event_ns, at
        self._made: dict[int, Life] = {}
        self._receivers: list[str] = []

    def _life(self, place: int) -> Life:
        """The life of one of them: the first is made as any other is, and all are like it."""
        life = self._made.get(place)
        if life is None:
            labels, _, value, _ = self._changes[place]
            if self._made:
                life = next(iter(self._made.values())).copy(labels, value)
            else:
                life = Life(self.rule.name, self.rule.digest, labels)
                life.observe(self.rule, Sample(1.0, value, self._event_ns), self._at, Counter())
            self._made[place] = life
        return life

    def _tell(self, life: Life, receiver: str) -> None:
        life.told[receiver] = Told(FIRING_KIND, life.episode, self._at.steady_ns)

    def lives(self) -> Iterator[Life]:
        """All of them, each like the first but for its labels and its value."""
        first = self._life(0)
        for place, labels in enumerate(self._changes.labels):
            yield self._made.get(place) or first.copy(labels, self._changes.values[place])

    def told_to(self, receiver: Receiver) -> list[Notification]:
        """What a receiver is told: a notification a group."""
        groups = self._groups(receiver)
        told = [self._told_of(receiver, values, places) for values, places in groups.items()]
        for life in self._made.values():
            self._tell(life, receiver.name)
        self._receivers.append(receiver.name)
        return told

    def _groups(self, receiver: Receiver) -> dict[tuple[str, ...], list[int]]:
        """The places of those that are told together, by the values of the receiver's labels."""
        changes, groups = self._changes, dict[tuple[str, ...], list[int]]()
        columns = dict(zip(changes.names, changes.columns, strict=True))
        nothing = [""] * len(changes)
        found = [columns.get(name, nothing) for name in receiver.group_by]
        rows = zip(*found, strict=True) if found else repeat(())
        for values, place in zip(rows, range(len(changes)), strict=False):
            groups.setdefault(values, []).append(place)
        return groups

    def _told_of(
        self, receiver: Receiver, values: tuple[str, ...], places: list[int]
    ) -> Notification:
        pick = itemgetter(*places, places[0])  # one more, since it gives one alone as it is
        entities = pick(self._changes.entities)[:-1]
        amounts = pick(self._changes.values)[:-1]
        first = map(self._life, _worst(amounts, entities, places))
        notices = [Notice(life, self.rule, FIRING_KIND, life.episode) for life in first]
        pairs = zip(receiver.group_by, values, strict=True)
        group = {name: value for name, value in pairs if value}
        return build_alike(
            receiver.name, notices, entities, group, self._at.wall_ns, sum_of(amounts)
        )

    def document(self) -> dict[str, Any]:
        """What is remembered of all of them."""
        return document_of_alike(self._life(0), self._changes)

    def labels(self) -> list[Labels]:
        """Whom it is about."""
        return self._changes.labels


def _worst(amounts: Sequence[float], entities: Sequence[str], places: Sequence[int]) -> list[int]:
    """The places of those that are listed; where values are equal the names decide."""
    if amounts.count(amounts[0]) == len(amounts):
        rows = zip(entities, places, strict=True)
        return [place for _, place in nsmallest(ALERTS_LISTED_MAX, rows)]
    weighed = zip(map(weight_of, amounts), entities, places, strict=True)
    return [place for _, _, place in nsmallest(ALERTS_LISTED_MAX, weighed)]
