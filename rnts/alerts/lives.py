"""The alerts of all rules: samples go in, each tick moves the lives that they are about."""

from collections import Counter
from collections.abc import Callable, Container, Iterable

from rnts.alerts.beyond import OVERFLOW_LABELS, Beyond
from rnts.alerts.crowds import Crowds
from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch, Handed, Leaving
from rnts.alerts.known import Known
from rnts.alerts.life import LEFT_REASON, Key, Life, Moment, Sample
from rnts.alerts.moves import Move
from rnts.alerts.rounds import Rounds
from rnts.alerts.rule import ALERT, Labels, Rule
from rnts.alerts.storm import Storm
from rnts.reflex.change import Changes

CHANGED_REASON, REMOVED_REASON = "the rule has changed", "the rule was removed"


class Lives:
    """All lives; `touched` are those that may have changed since somebody last took them.

    storms:  those of the last tick, to be told before anything else is looked at
    moves:   what became of many alerts alike in the last tick, to be told then, too
    grown:   the lives but for those of storms, which are made when `by_key` is first asked for
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        counts: Counter[str],
        is_due: Callable[[Life, Moment], bool] = lambda life, at: False,
        shares_group: Callable[[Rule, Changes], bool] = lambda rule, changes: True,
    ) -> None:
        """`is_due`: whether time alone has changed what is to be told of a life."""
        self._is_due = is_due
        self.rules = {rule.name: rule for rule in rules}
        self._known = Known()
        self.grown = self._known.by_key
        self.storms, self.moves = list[Storm](), list[Move]()
        self.touched: dict[Key, None] = {}  # in order
        self._counts = counts
        self._former: dict[str, Rule] = {}  # rules that are gone, while alerts of theirs end
        self._handed = Handed(counts)
        self._active: dict[str, dict[Key, None]] = {}  # in the order in which they began
        self.beyond = Beyond(counts)
        crowded = self._known, self._active, self.beyond, self._handed
        self._crowds = Crowds(*crowded, counts, shares_group)
        self._rounds = Rounds[Key]()
        self._restored_ns: int | None = None

    @property
    def by_key(self) -> dict[Key, Life]:
        """All lives."""
        storms, self.storms = self.storms, []
        for storm in storms:
            keys = [Key(storm.rule.name, labels) for labels in storm.labels()]
            self._known.add_all(keys, storm.changes, storm.lives())
            self._active.setdefault(storm.rule.name, {}).update(dict.fromkeys(keys))
        return self.grown

    def rule_of(self, life: Life) -> Rule:
        """The rule that a life is of, also where it has been removed since."""
        return self.rules.get(life.rule) or self._former[life.rule]

    def remembered_rules(self) -> dict[str, Rule]:
        """All rules, and those removed ones of whose alerts somebody has yet to hear the end."""
        used = {life.rule for life in self.grown.values()}
        former = {name: rule for name, rule in self._former.items() if name in used}
        return {**former, **self.rules}

    def watched(self, rule: Rule) -> Iterable[Key]:
        """Alerts of a rule of which samples are wanted, also where it is false."""
        keys = self.by_key if rule.no_data == ALERT else self._active.get(rule.name, {})
        return [key for key in keys if key[0] == rule.name and key[1] != OVERFLOW_LABELS]

    def observe(self, rule: str, labels: Labels, sample: Sample) -> None:
        """Hand in a sample for the next tick."""
        self._handed.observe(rule, labels, sample)

    def observe_all(self, rule: str, batch: Batch) -> None:
        """Hand in what a rule is found to be of many."""
        self._handed.observe_all(rule, batch)

    def leave(self, labels: Labels) -> None:
        """An entity has gone: in the next tick all its alerts are over."""
        self._handed.leaving.append(labels)

    def reload(self, rules: Iterable[Rule], former: Iterable[Rule] = ()) -> None:
        """Go over to other rules; lives of those that mean the same go on as they are."""
        self._former.update({rule.name: rule for rule in (*former, *self.rules.values())})
        self.rules = {rule.name: rule for rule in rules}
        self.touched.update(dict.fromkeys(self.by_key))
        self.beyond.reload(self.rules)

    def restore(self, lives: Iterable[Life], at: Moment) -> None:
        """Take over lives that were kept; the rules that they are of have been told already."""
        self._restored_ns = at.steady_ns
        for life in lives:
            key = Key(life.rule, life.labels)
            self._known.add(key, life)
            self._touch(key)

    def tick(
        self,
        at: Moment,
        flapping: Flapping | None = None,
        unsettled: Container[str] = (),
        is_hushed: bool = False,
    ) -> None:
        """Move all lives on to this moment.

        flapping:   who calls tells what is in `storms` and `moves`, where none flaps by this
        unsettled:  rules of whose alerts somebody may have to hear
        is_hushed:  whether each alert has to be looked at before it may be told
        """
        assert self.by_key is self.grown
        self._end_changed(at)
        handed, crowds = self._handed, self._crowds
        crowds.take(self.rules, self.touched, unsettled, flapping, is_hushed, at)
        self.moves = crowds.moves
        for name in list(handed.batches):
            handed.take_apart(name)
        heard = self._take_samples(at)
        self.storms += crowds.storms
        heard.update(storm.rule.name for storm in crowds.storms)
        heard.update(move.rule.name for move in crowds.moves)
        if handed.leaving:
            self._leave(Leaving(handed.leaving), at)
            handed.leaving.clear()
        self._look_at_overflow(heard, at)
        self._look(at)

    def forget(self, key: Key) -> None:
        """An alert is over, and all is said of it."""
        self._known.forget(key)

    def is_kept(self, life: Life) -> bool:
        """Whether there is more to come of a life, or to be said of it."""
        rule = self.rules.get(life.rule)
        is_watched = rule is not None and rule.no_data == ALERT and not life.is_gone
        return life.is_active or bool(life.told) or bool(life.flips) or is_watched

    def _touch(self, key: Key) -> None:
        """Note that a life may have changed, and whether it takes a place of its rule's."""
        self.touched[key] = None
        active = self._active.setdefault(key.rule, {})
        if self.grown[key].is_active and key.labels != OVERFLOW_LABELS:
            active[key] = None
        else:
            active.pop(key, None)

    def _end_changed(self, at: Moment) -> None:
        """End what is of a rule that is gone, or means something else now."""
        for key in list(self.touched):
            life = self.grown[key]
            rule = self.rules.get(life.rule)
            digest = rule and rule.digest
            if digest != life.rule_digest:
                life.end(REMOVED_REASON if digest is None else CHANGED_REASON, at)
                life.rule_digest = digest or life.rule_digest
                self._touch(key)

    def _take_samples(self, at: Moment) -> set[str]:
        """Give each sample to its life; the rules that were heard of."""
        heard = set()
        for name, labels, sample in self._handed.in_order(self._has_room):
            rule = self.rules.get(name)
            if rule is None:
                self._counts["unknown_rule"] += 1
                continue
            heard.add(name)
            key = Key(name, labels)
            life = self.grown.get(key)
            if life is None or not life.is_active:
                life = self._admit(rule, key, sample, life)
            if life is not None:
                before = life.state, life.is_without_data, life.is_gone
                life.observe(rule, sample, at, self._counts)
                if before != (life.state, life.is_without_data, life.is_gone):
                    self._touch(key)
        self._handed.samples.clear()
        return heard

    def _has_room(self, name: str, count: int) -> bool:
        """Whether a rule has places for so many more; one that is unknown needs none."""
        return name not in self.rules or count <= self._room(self.rules[name])

    def _room(self, rule: Rule) -> int:
        return rule.limit - len(self._active.get(rule.name, ()))

    def _admit(self, rule: Rule, key: Key, sample: Sample, life: Life | None) -> Life | None:
        """The life that a sample is for, unless there is none, or no place for it."""
        if sample.truth == 0:
            self.beyond.discard(rule.name, key.labels)
            if rule.no_data != ALERT:
                return life
        elif sample.truth != 1:
            return life
        if self._room(rule) <= 0:
            if sample.truth == 0:
                return life
            self.beyond.add(rule.name, (key.labels,))
            return None
        self.beyond.discard(rule.name, key.labels)
        return life or self._known.add(key, Life(rule.name, rule.digest, key.labels))

    def _leave(self, gone: Leaving, at: Moment) -> None:
        for key, life in self.grown.items():
            if gone.has(key.labels):
                life.end(LEFT_REASON, at)
                self._touch(key)
        self.beyond.leave(gone)

    def _look_at_overflow(self, heard: set[str], at: Moment) -> None:
        """Those beyond a rule's limit are one alert, whose value is how many they are."""
        for name in heard | (self.beyond.thinned & self.rules.keys()):
            rule, count = self.rules[name], self.beyond.count(name)
            key = Key(name, OVERFLOW_LABELS)
            life = self.grown.get(key)
            if not count and (life is None or not life.is_active or self._is_early(rule, at)):
                continue
            life = life or self._known.add(key, Life(name, rule.digest, key.labels))
            sample = Sample(float(count > 0), float(count), at.wall_ns, 1.0)
            life.observe(rule, sample, at, self._counts)
            self._touch(key)
        self.beyond.thinned.clear()

    def _is_early(self, rule: Rule, at: Moment) -> bool:
        """Whether entities beyond the limit may have yet to be heard again after a restart."""
        restored_ns = self._restored_ns
        return restored_ns is not None and at.steady_ns < restored_ns + rule.gap_ns

    def _look(self, at: Moment) -> None:
        """No data, by arrival: no clock of an entity can make it look alive or dead."""
        for key in self._rounds.take(self.grown, at.steady_ns):
            life = self.grown.get(key)
            if life is None or any(storm.is_about(key) for storm in self.storms):
                continue
            rule = self.rules.get(life.rule)
            if rule and not life.is_gone and (life.is_active or rule.no_data == ALERT):
                state, was_without = life.state, life.is_without_data
                life.look(rule, at)
                is_silent = life.is_without_data and not was_without
                self._counts["without_data"] += is_silent
                if is_silent or life.state != state:
                    self._touch(key)
            if self._is_due(life, at) or not self.is_kept(life):
                self._touch(key)
