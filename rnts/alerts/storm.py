"""Many alerts of a rule that begin at once: from columns, before each of them has a life.

Where they are told at once that comes first: what is told and remembered is what single lives would
tell and remember, and to make 10,000 of them takes 20 ms, which no notification has to wait for.
Others, which wait for their `for` or their group, have their lives before anybody may be told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rnts.alerts.cohorts import Cohort
from rnts.alerts.flapping import Flapping
from rnts.alerts.life import FIRING, PENDING, Key, Life, Moment, Sample, Told
from rnts.alerts.life_documents import document_of_alike
from rnts.alerts.many_told import tell_many
from rnts.alerts.notification import FIRING_KIND, Notice, Notification, entity_of
from rnts.alerts.rule import Labels, Receiver, Rule
from rnts.reflex.change import Changes

STORM_MIN = 100  # fewer are taken one by one


def may_storm(rule: Rule, changes: Changes) -> bool:
    """Whether these would all begin now, had none of them a life yet.

    Of what is told at once a few may be the first of many, who are told together.
    """
    are_enough = len(changes) >= STORM_MIN or (rule.is_critical and not rule.for_ns)
    return are_enough and not changes.worst and set(changes.truths) == {1.0}


def is_storm(rule: Rule, changes: Changes) -> bool:
    """Whether these, none of whom is twice among them, are one, but for what their lives say."""
    return len(changes) >= STORM_MIN and may_storm(rule, changes)


class Storm:
    """Entities whose alerts begin at one moment; each cohort is told and remembered by its first.

    changes:   of them, which say who they are
    flapping:  by which none of them flaps
    tells:     whether all receivers are told now, from the columns
    beyond:    for whom the rule has no place, if there are any
    """

    def __init__(
        self,
        rule: Rule,
        changes: Changes,
        cohorts: Sequence[Cohort],
        event_ns: int,
        at: Moment,
        flapping: Flapping,
        tells: bool,
    ) -> None:
        self.rule, self._cohorts, self.tells = rule, cohorts, tells
        self.changes, self._at = changes, at
        self.beyond: Changes | None = None
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
        labels, _, value, _, certainty = self.changes[cohort.places[0]]
        if cohort.before is None:
            life = Life(self.rule.name, self.rule.digest, labels)
        else:
            life = cohort.before.copy(labels, value)
        sample = Sample(1.0, value, event_ns, certainty=certainty)
        life.observe(self.rule, sample, self._at, Counter())
        flapping.look(life, self._at)
        assert life.state == (PENDING if self.rule.for_ns else FIRING) and not life.is_flapping
        return life

    @property
    def are_to_be_told(self) -> bool:
        """Whether somebody has to hear of them who has not."""
        return not self.tells and not self.rule.for_ns

    def _life(self, place: int) -> Life:
        """The life of one of them."""
        life = self._made.get(place)
        if life is None:
            those = self.changes
            labels = those.labels_at(place)
            certainty = those.certainties[place] if those.certainties else None
            life = self._first_of[place].copy(labels, those.values[place], certainty)
            self._made[place] = life
        return life

    def _tell(self, life: Life, receiver: str) -> None:
        life.tell(receiver, Told(FIRING_KIND, life.episode, self._at.steady_ns))

    def lives(self) -> Iterator[Life]:
        """All of them, each like the first of its cohort but for its labels and its value."""
        changes = self.changes
        certainties = changes.certainties or [None] * len(changes)
        rows = zip(changes.labels, changes.values, certainties, self._first_of, strict=True)
        for place, (labels, value, certainty, first) in enumerate(rows):
            yield self._made.get(place) or first.copy(labels, value, certainty)

    def unknown_to(self, receivers: Iterable[str]) -> int:
        """How often one is to be told that is none of these receivers."""
        return len(self.changes) * len(set(self.rule.receivers).difference(receivers))

    def told_to(self, receiver: Receiver) -> list[Notification]:
        """What a receiver is told: a notification a group."""
        places = range(len(self.changes))
        told = tell_many(receiver, self.changes, places, self._notice, None, self._at.wall_ns)
        for life in self._made.values():
            self._tell(life, receiver.name)
        return told

    def _notice(self, place: int) -> Notice:
        life = self._life(place)
        return Notice(life, self.rule, FIRING_KIND, life.episode)

    def settle(self) -> None:
        """Who is told from the columns was told; what is so now is what is remembered."""
        for life in self._made.values():
            life.noted = life.signature()

    def documents(self) -> list[dict[str, Any]]:
        """What is remembered of all of them, a cohort each."""
        if len(self._cohorts) == 1:
            return [document_of_alike(self._first_of[0], self.changes)]
        return [
            document_of_alike(self._made[cohort.places[0]], self.changes.pick(cohort.places))
            for cohort in self._cohorts
        ]

    def is_about(self, key: Key) -> bool:
        """Whether an alert is one of these."""
        return key.rule == self.rule.name and entity_of(key.labels) in self.changes.different

    def labels(self) -> list[Labels]:
        """Whom it is about."""
        return self.changes.labels
