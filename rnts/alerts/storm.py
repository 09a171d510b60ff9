"""Many alerts of a rule that fire at once: told from columns, before each of them has a life.

What is told and remembered is what single lives would tell and remember, and each has its life
afterwards: to make 10,000 of them takes 20 ms, which no notification has to wait for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeVar

from rnts.alerts.cohorts import Cohort
from rnts.alerts.flapping import Flapping
from rnts.alerts.life import FIRING, Life, Moment, Sample, Told
from rnts.alerts.life_documents import document_of_alike
from rnts.alerts.notification import (
    ALERTS_LISTED_MAX,
    FIRING_KIND,
    Notice,
    Notification,
    build_alike,
    sum_of,
    weight_of,
)
from rnts.alerts.rule import Labels, Receiver, Rule
from rnts.reflex.change import Changes

Key = TypeVar("Key")
STORM_MIN = 100  # fewer are taken one by one


def may_storm(rule: Rule, changes: Changes) -> bool:
    """Whether these would all fire now, and be told at once, had none of them a life yet."""
    is_at_once = rule.is_critical and not rule.for_ns and not rule.has_resolve_when
    return is_at_once and not changes.worst and set(changes.truths) == {1.0}


def is_storm(rule: Rule, changes: Changes) -> bool:
    """Whether these are one, as far as that can be said without their lives."""
    is_much = len(changes) >= STORM_MIN and may_storm(rule, changes)
    return is_much and len(set(changes.entities)) == len(changes)


class Storm:
    """Entities whose alerts begin at one moment; each cohort is told and remembered by its first.

    flapping:  by which none of them flaps
    """

    def __init__(
        self,
        rule: Rule,
        changes: Changes,
        cohorts: Sequence[Cohort],
        event_ns: int,
        at: Moment,
        flapping: Flapping,
    ) -> None:
        self.rule, self._cohorts = rule, cohorts
        self._changes, self._at = changes, at
        self._made = {
            cohort.places[0]: self._begun(cohort, event_ns, flapping) for cohort in cohorts
        }
        self._first_of = [self._made[cohorts[0].places[0]]] * len(changes)
        for cohort in cohorts[1:]:
            first = self._made[cohort.places[0]]
            for place in cohort.places:
                self._first_of[place] = first

    def _begun(self, cohort: Cohort, event_ns: int, flapping: Flapping) -> Life:
        """The first of a cohort: it is made as any other life is, and all are like it."""
        labels, _, value, _, certainty = self._changes[cohort.places[0]]
        if cohort.before is None:
            life = Life(self.rule.name, self.rule.digest, labels)
        else:
            life = cohort.before.copy(labels, value)
        sample = Sample(1.0, value, event_ns, certainty=certainty)
        life.observe(self.rule, sample, self._at, Counter())
        flapping.look(life, self._at)
        assert life.state == FIRING and not life.is_flapping
        return life

    def _life(self, place: int) -> Life:
        """The life of one of them."""
        life = self._made.get(place)
        if life is None:
            labels, _, value, _, certainty = self._changes[place]
            life = self._made[place] = self._first_of[place].copy(labels, value, certainty)
        return life

    def _tell(self, life: Life, receiver: str) -> None:
        life.told[receiver] = Told(FIRING_KIND, life.episode, self._at.steady_ns)

    def lives(self) -> Iterator[Life]:
        """All of them, each like the first of its cohort but for its labels and its value."""
        changes = self._changes
        certainties = changes.certainties or [None] * len(changes)
        rows = zip(changes.labels, changes.values, certainties, self._first_of, strict=True)
        for place, (labels, value, certainty, first) in enumerate(rows):
            yield self._made.get(place) or first.copy(labels, value, certainty)

    def told_to(self, receiver: Receiver) -> list[Notification]:
        """What a receiver is told: a notification a group."""
        groups = self._groups(receiver)
        told = [self._told_of(receiver, values, places) for values, places in groups.items()]
        for life in self._made.values():
            self._tell(life, receiver.name)
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

    def documents(self) -> list[dict[str, Any]]:
        """What is remembered of all of them, a cohort each."""
        if len(self._cohorts) == 1:
            return [document_of_alike(self._first_of[0], self._changes)]
        return [
            document_of_alike(self._made[cohort.places[0]], self._changes.pick(cohort.places))
            for cohort in self._cohorts
        ]

    def by_cohort(self, keys: Sequence[Key]) -> list[list[Key]]:
        """Their keys, which are in the order of the labels, by cohorts."""
        return [[keys[place] for place in cohort.places] for cohort in self._cohorts]

    def reborn(self) -> Iterator[tuple[str, Labels]]:
        """The rule and the labels of those that had a life before."""
        for cohort in self._cohorts:
            if cohort.before is not None:
                labels = map(self._changes.labels.__getitem__, cohort.places)
                yield from zip(repeat(self.rule.name), labels, strict=False)

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
