"""The alerts of all rules: samples go in, each tick moves the lives that they are about."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from rnts.alerts.life import LEFT_REASON, Life, Moment, Sample
from rnts.alerts.rule import ALERT, SECOND_NS, Labels, Rule

SAMPLES_MAX = 2_000_000  # of one tick
BEYOND_MAX = 1_000_000  # entities of a rule beyond its limit that are known by their labels
OVERFLOW_LABELS: Labels = (("overflow", "limit"),)
CHANGED_REASON, REMOVED_REASON = "the rule has changed", "the rule was removed"
LOOK_EVERY_NS = SECOND_NS // 10  # at what only time changes
LOOKED_AT_MAX = 1_000  # in one tick: a round over 10,000 alerts takes a second


class Key(NamedTuple):
    """Which alert: a rule has one for each set of labels."""

    rule: str
    labels: Labels


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


class Lives:
    """All lives; `touched` are those that may have changed since somebody last took them."""

    def __init__(self, rules: Iterable[Rule], counts: Counter[str]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.by_key: dict[Key, Life] = {}
        self.touched: dict[Key, None] = {}  # in order
        self._counts = counts
        self._former: dict[str, Rule] = {}  # rules that are gone, while alerts of theirs end
        self._samples: list[tuple[Key, Sample]] = []
        self._leaving: list[Labels] = []
        self._active: dict[str, set[Key]] = {}
        self._beyond: dict[str, set[Labels]] = {}
        self._look_ns = 0
        self._round: list[Key] = []  # that are still to be looked at
        self._restored_ns: int | None = None

    def rule_of(self, life: Life) -> Rule:
        """The rule that a life is of, also where it has been removed since."""
        return self.rules.get(life.rule) or self._former[life.rule]

    def remembered_rules(self) -> dict[str, Rule]:
        """All rules, and those removed ones of whose alerts somebody has yet to hear the end."""
        used = {life.rule for life in self.by_key.values()}
        former = {name: rule for name, rule in self._former.items() if name in used}
        return {**former, **self.rules}

    def watched(self, rule: Rule) -> Iterable[Key]:
        """Alerts of a rule of which samples are wanted, also where the rule is false."""
        if rule.no_data == ALERT:
            return [key for key, life in self.by_key.items() if key.rule == rule.name]
        return tuple(self._active.get(rule.name, ()))

    def observe(self, rule: str, labels: Labels, sample: Sample) -> None:
        """Hand in a sample for the next tick."""
        if len(self._samples) < SAMPLES_MAX:
            self._samples.append((Key(rule, labels), sample))
        else:
            self._counts["samples_full"] += 1

    def leave(self, labels: Labels) -> None:
        """An entity has gone: in the next tick all its alerts are over."""
        self._leaving.append(labels)

    def reload(self, rules: Iterable[Rule], former: Iterable[Rule] = ()) -> None:
        """Go over to other rules; lives of those that mean the same go on as they are."""
        self._former.update({rule.name: rule for rule in (*former, *self.rules.values())})
        self.rules = {rule.name: rule for rule in rules}
        self.touched.update(dict.fromkeys(self.by_key))

    def restore(self, lives: Iterable[Life], at: Moment) -> None:
        """Take over lives that were kept; the rules that they are of have been told already."""
        self._restored_ns = at.steady_ns
        for life in lives:
            key = Key(life.rule, life.labels)
            self.by_key[key] = life
            self._touch(key)

    def tick(self, at: Moment) -> None:
        """Move all lives on to this moment."""
        self._end_changed(at)
        heard = self._take_samples(at)
        if self._leaving:
            self._leave(Leaving(self._leaving), at)
            self._leaving.clear()
        self._look_at_overflow(heard, at)
        if at.steady_ns >= self._look_ns:
            self._look_ns = at.steady_ns + LOOK_EVERY_NS
            self._look(at)

    def forget(self, key: Key) -> None:
        """An alert is over, and all is said of it."""
        del self.by_key[key]

    def is_kept(self, life: Life) -> bool:
        """Whether there is more to come of a life, or to be said of it."""
        rule = self.rules.get(life.rule)
        is_watched = rule is not None and rule.no_data == ALERT and not life.is_gone
        return life.is_active or bool(life.told) or bool(life.flips) or is_watched

    def _touch(self, key: Key) -> None:
        """Note that a life may have changed, and whether it takes a place of its rule's."""
        self.touched[key] = None
        active = self._active.setdefault(key.rule, set())
        if self.by_key[key].is_active and key.labels != OVERFLOW_LABELS:
            active.add(key)
        else:
            active.discard(key)

    def _end_changed(self, at: Moment) -> None:
        """End what is of a rule that is gone, or means something else now."""
        digests = {name: rule.digest for name, rule in self.rules.items()}
        for key in list(self.touched):
            life = self.by_key[key]
            digest = digests.get(life.rule)
            if digest != life.rule_digest:
                life.end(REMOVED_REASON if digest is None else CHANGED_REASON, at)
                life.rule_digest = digest or life.rule_digest
                self._touch(key)

    def _take_samples(self, at: Moment) -> set[str]:
        """Give each sample to its life; the rules that were heard of."""
        heard = set()
        for key, sample in self._samples:
            rule = self.rules.get(key.rule)
            if rule is None:
                self._counts["unknown_rule"] += 1
                continue
            heard.add(rule.name)
            life = self.by_key.get(key)
            if life is None or not life.is_active:
                life = self._admit(rule, key, sample, life)
            if life is not None:
                state, is_without_data = life.state, life.is_without_data
                life.observe(rule, sample, at, self._counts)
                if life.state != state or life.is_without_data != is_without_data:
                    self._touch(key)
        self._samples.clear()
        return heard

    def _admit(self, rule: Rule, key: Key, sample: Sample, life: Life | None) -> Life | None:
        """The life that a sample is for, unless there is none, or no place for it."""
        beyond = self._beyond.get(rule.name)
        if sample.truth == 0:
            if beyond:
                beyond.discard(key.labels)
            if rule.no_data != ALERT:
                return life
        elif sample.truth != 1:
            return life
        if len(self._active.get(rule.name, ())) >= rule.limit:
            if sample.truth == 0:
                return life
            self._counts["beyond_limit"] += 1
            beyond = self._beyond.setdefault(rule.name, set())
            if len(beyond) < BEYOND_MAX:
                beyond.add(key.labels)
            return None
        if beyond:
            beyond.discard(key.labels)
        return life or self.by_key.setdefault(key, Life(rule.name, rule.digest, key.labels))

    def _leave(self, gone: Leaving, at: Moment) -> None:
        for key, life in self.by_key.items():
            if gone.has(key.labels):
                life.end(LEFT_REASON, at)
                self._touch(key)
        for beyond in self._beyond.values():
            beyond.difference_update([each for each in beyond if gone.has(each)])

    def _look_at_overflow(self, heard: set[str], at: Moment) -> None:
        """Those beyond a rule's limit are one alert, whose value is how many they are."""
        for name in heard:
            rule, beyond = self.rules[name], self._beyond.get(name)
            key = Key(name, OVERFLOW_LABELS)
            life = self.by_key.get(key)
            if not beyond and (life is None or not life.is_active or self._is_early(rule, at)):
                continue
            count = len(beyond or ())
            life = life or self.by_key.setdefault(key, Life(name, rule.digest, key.labels))
            sample = Sample(float(count > 0), float(count), at.wall_ns, 1.0)
            life.observe(rule, sample, at, self._counts)
            self._touch(key)

    def _is_early(self, rule: Rule, at: Moment) -> bool:
        """Whether entities beyond the limit may have yet to be heard again after a restart."""
        restored_ns = self._restored_ns
        return restored_ns is not None and at.steady_ns < restored_ns + rule.gap_ns

    def _look(self, at: Moment) -> None:
        """No data, by arrival: no clock of an entity can make it look alive or dead."""
        if not self._round:
            self._round = list(self.by_key)
        looked_at, self._round = self._round[:LOOKED_AT_MAX], self._round[LOOKED_AT_MAX:]
        for key in looked_at:
            life = self.by_key.get(key)
            if life is None:
                continue
            rule = self.rules.get(life.rule)
            if rule and not life.is_gone and (life.is_active or rule.no_data == ALERT):
                was_without = life.is_without_data
                life.look(rule, at)
                self._counts["without_data"] += life.is_without_data and not was_without
            self._touch(key)
