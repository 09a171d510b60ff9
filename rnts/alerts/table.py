"""Alerts as a machine without clocks and files: what is to be told comes out of each tick.

`changes` are documents by name, None for one that is gone: who keeps them, and gives them to
`restore` after a restart, has the machine back as it was.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rnts.alerts.flapping import Flapping
from rnts.alerts.life import Key, Life, Moment, Sample
from rnts.alerts.life_documents import LIFE, documents_of, read_life
from rnts.alerts.lives import Lives
from rnts.alerts.notes import Notes, Reader
from rnts.alerts.notification import Notification, read_notification
from rnts.alerts.notifier import Notifier
from rnts.alerts.outbox import OUT, Outbox, outbox_name
from rnts.alerts.rule import Receiver, Rule, make_labels, read_rule
from rnts.alerts.suppression import (
    Inhibition,
    Inhibitor,
    Silence,
    Silences,
    make_matchable,
    matches,
)
from rnts.alerts.unsettled import Unsettled
from rnts.reflex.change import Changes

RULE, SILENCES = "rule/", "silences"
Documents = dict[str, Any]


class AlertTable:
    """Hand in samples, then tick; deliver what it returns, and say so with `settle`."""

    def __init__(
        self,
        rules: Iterable[Rule],
        receivers: Iterable[Receiver],
        inhibitions: Iterable[Inhibition] = (),
        flapping: Flapping | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.lives = Lives(rules, self.counts, self._is_due, self._shares_group)
        self.silences = Silences()
        self._inhibitor = Inhibitor(inhibitions)
        self._notifier = Notifier(receivers, self._inhibitor, self.silences, self.counts)
        self._flapping = flapping or Flapping()
        self._unsettled = Unsettled()
        self._notes = Notes()
        self.outbox = Outbox(self._notes, self.counts)
        self._notes.note(*map(RULE.__add__, self.lives.rules))

    def observe(
        self,
        rule: str,
        labels: dict[str, str],
        truth: float,
        value: float,
        event_time_ns: int,
        resolve: float = math.nan,
        worst: tuple[tuple[str, float, float], ...] = (),
    ) -> None:
        """Hand in what a rule is found to be for an entity: true 1, false 0, unknown NaN.

        resolve: the truth of `resolve_when`; worst: (entity, value, share of the whole) each.
        """
        sample = Sample(truth, value, event_time_ns, resolve, worst)
        self.lives.observe(rule, make_labels(labels), sample)

    def leave(self, labels: dict[str, str]) -> None:
        """An entity has gone: alerts that have all these labels are over, with that reason."""
        self.lives.leave(make_labels(labels))

    def reload(self, rules: Iterable[Rule]) -> None:
        """Go over to other rules at the next tick; unchanged ones keep their state."""
        before = dict(self.lives.rules)
        self.lives.reload(rules)
        self._notes.note(*map(RULE.__add__, (*before, *self.lives.rules)))

    def reload_telling(
        self,
        receivers: Iterable[Receiver],
        inhibitions: Iterable[Inhibition],
        flapping: Flapping,
    ) -> None:
        """Go over to other receivers and to what else decides about telling; lives go on."""
        self._inhibitor = Inhibitor(inhibitions)
        self._flapping = flapping
        self._notifier.reload(receivers, self._inhibitor)
        self.lives.touched.update(dict.fromkeys(self.lives.by_key))

    def add_silence(self, silence: Silence) -> bool:
        """Take in a silence, also in place of one with its id; False where there are too many."""
        self._notes.note(SILENCES)
        return self.silences.add(silence)

    def end_silence(self, silence_id: str, wall_ns: int) -> bool:
        """Have a silence end now, as if its time had come; False where there is none."""
        self._notes.note(SILENCES)
        return self.silences.end(silence_id, wall_ns)

    def settle(self, notification: Notification) -> None:
        """It needs no more telling: it was delivered, or given up and counted."""
        self.outbox.settle(notification)

    def tick(self, now_ns: int, wall_ns: int) -> list[Notification]:
        """Take in what was handed in, and return what is to be told from now on.

        now_ns: a clock that never steps; wall_ns: that of people, for silences and to be shown.
        """
        at = Moment(now_ns, wall_ns)
        self.grow()
        self.lives.tick(at, self._flapping, self._unsettled, self._is_hushed())
        told = self._take_many(at)
        self._end_silences(at)
        for key in self.lives.touched:
            self._flapping.look(self.lives.grown[key], at)
        self._unsettled.add(self.lives.touched)
        self.lives.touched.clear()
        return told + self._notify(at)

    def _is_due(self, life: Life, at: Moment) -> bool:
        """Whether time alone has changed what is to be told of a life."""
        return self._flapping.is_due(life, at) or self._notifier.is_due(life, at)

    def _shares_group(self, rule: Rule, changes: Changes) -> bool:
        return self._notifier.shares_group(rule, changes)

    def _is_hushed(self) -> bool:
        """Whether each alert has to be looked at before it may be told."""
        return bool(self.silences.by_id) or self._inhibitor.is_needed

    def _take_many(self, at: Moment) -> list[Notification]:
        """Tell, and put down, what became of many alike; lives wait for who is told at once."""
        told, storms = [], self.lives.storms
        for storm in storms:
            if storm.tells:
                told += self._notifier.notify_storm(storm, at)
            storm.settle()
            self._notes.note_storm(storm)
        if not all(storm.tells for storm in storms):
            self.grow()
        for storm in storms:
            if storm.are_to_be_told:
                name = storm.rule.name
                is_alone = name not in self._unsettled
                self._unsettled.add(Key(name, labels) for labels in storm.labels())
                if is_alone and not storm.rule.is_critical:
                    self._unsettled.sleep({name: at.steady_ns + self._notifier.wait_ns_min})
        for move in self.lives.moves:
            if move.tells:
                told += self._notifier.notify_move(move, at)
            self._notes.note_move(move)
            self._unsettled.add(move.touched())
        for notification in told:
            self.outbox.post(notification)
        return told

    def grow(self) -> None:
        """Make the lives of storms, which are told; that is remembered of them already."""
        assert self.lives.by_key is self.lives.grown

    def _end_silences(self, at: Moment) -> None:
        """Who was told before a silence is told again after it, if it still fires."""
        for silence in self.silences.expire(at.wall_ns):
            self._notes.note(SILENCES)
            for key, life in self.lives.grown.items():
                rule = self.lives.rule_of(life)
                labels = make_matchable(rule.name, rule.severity, key.labels)
                if life.is_firing and matches(silence.matchers, labels):
                    self.lives.touched[key] = None
                    for name, told in life.told.items():
                        life.tell(name, told._replace(is_due_again=True))

    def _notify(self, at: Moment) -> list[Notification]:
        by_key, rule_of = self.lives.grown, self.lives.rule_of
        if self._inhibitor.is_needed:
            self._inhibitor.begin(
                make_matchable(life.rule, rule_of(life).severity, life.labels)
                for life in by_key.values()
                if life.is_firing
            )
        awake = self._unsettled.awake(at.steady_ns, self._is_hushed())
        lives = {key: by_key[key] for key in awake}
        told, settled, asleep_ns = self._notifier.notify(
            [(life, rule_of(life)) for life in lives.values()], at
        )
        self._unsettled.sleep(asleep_ns)
        for notification in told:
            self.outbox.post(notification)
        for life in settled:
            key = Key(life.rule, life.labels)
            self._unsettled.settle(key)
            if not self.lives.is_kept(life):
                self.lives.forget(key)
        self._notes.note_lives(lives, by_key)
        return told

    def changes(self) -> Documents:
        """What has changed since the last call, by name; None for what is gone."""
        rules: dict[str, Rule] = {}  # seldom asked for, and then for many

        def read(name: str) -> Any:
            if name.startswith(RULE):
                rules.update({} if rules else self.lives.remembered_rules())
            return self._document(name, rules)

        return self._notes.take(self.lives.grown, read)

    def everything(self) -> Documents:
        """All that is to be remembered, by name."""
        rules = self.lives.remembered_rules()
        found: Documents = {RULE + name: asdict(rule) for name, rule in rules.items()}
        found.update(documents_of(self.lives.by_key.values()))
        found.update({name: each.document() for name, each in self.outbox.items()})
        return {**found, SILENCES: self.silences.document()}

    def _document(self, name: str, rules: Mapping[str, Rule]) -> Any:
        """A document that is of no life; None where what it was of is gone."""
        if name == SILENCES:
            return self.silences.document()
        if name.startswith(RULE):
            rule = rules.get(name.removeprefix(RULE))
            return None if rule is None else asdict(rule)
        notification = self.outbox.get(name)
        return None if notification is None else notification.document()

    def restore(
        self, documents: Documents, shift_ns: int, now_ns: int, wall_ns: int
    ) -> list[Notification]:
        """Go on where the documents end; return what was to be told and perhaps was not.

        shift_ns: what the steady clock shows now, less what it showed at the end.
        """
        reader = Reader(documents, self.counts)
        reader.read_one(documents.get(SILENCES, ()), self.silences.restore)
        rules = reader.read(RULE, read_rule)
        lives = reader.read(LIFE, lambda each: read_life(each, shift_ns))
        known = {rule.name for rule in rules} | self.lives.rules.keys()
        self.lives.reload(list(self.lives.rules.values()), rules)
        self._notes.note(*(RULE + rule.name for rule in rules))
        self.lives.restore([x for x in lives if x.rule in known], Moment(now_ns, wall_ns))
        for notification in reader.read(OUT, read_notification):
            self.outbox[outbox_name(notification)] = notification
        return list(self.outbox.values())
