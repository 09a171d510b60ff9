"""Turns what an aggregator tells of standing queries into samples of alerts.

An update is handed in at once. What is listed is so until something else is told: while the
aggregator is alive it is handed in again each interval of its rule, with the aggregator's time,
and an alert whose entity is not listed is handed in as false. While it is not alive nothing is
handed in, so silence is silence. So it is with entities that an aggregator, where it has told
everything anew, has yet to hear of.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from rnts.alerts.life import PENDING, RECOVERING, Key, Life, Sample
from rnts.alerts.lives import Lives
from rnts.alerts.rule import ALERT, Rule
from rnts.alerts.together import found_again, found_of_many, found_resolved
from rnts.alerts.watched import Watched, sample_of
from rnts.reflex.change import Change, Labels, Update
from rnts.standing.query import ABOUT_CHARACTERS_MAX, ABOUT_MAX, Entity, characters_of
from rnts.text import name_to_id

CONDITION, RESOLVE = "condition/", "resolve/"  # what keys of queries begin with
_KEY_CHARACTERS_MAX = 255  # as standing queries have it


def query_key(kind: str, rule: str) -> str:
    """The key under which a rule's condition, or `resolve_when`, is asked."""
    key = kind + rule
    return key if len(key) <= _KEY_CHARACTERS_MAX else f"{kind}{name_to_id(rule):016x}"


class Feed:
    """Fills `lives`; `counts` says what was told of rules that are none.

    knows_all: who tells knows everybody, so that who is not listed is false at once.
    """

    def __init__(self, lives: Lives, counts: Counter[str], knows_all: bool = False) -> None:
        self.counts = counts
        self._knows_all = knows_all
        self._lives = lives
        self._watched: dict[str, Watched] = {}
        self._by_key: dict[str, Watched] = {}
        self._alive_at_ns = 0
        self.reload(lives.rules)

    def reload(self, rules: Mapping[str, Rule]) -> None:
        """Go over to other rules; what is known of those that ask the same is kept."""
        before, self._watched = self._watched, {}
        for name, rule in rules.items():
            watched = before.get(name)
            if watched is None or _asked(watched.rule) != _asked(rule):
                watched = Watched(rule)
            watched.rule = rule
            self._watched[name] = watched
        self._by_key = {
            query_key(kind, name): watched
            for name, watched in self._watched.items()
            for kind in (CONDITION, RESOLVE)
        }

    def take(self, updates: Iterable[Update], now_ns: int) -> None:
        """Hand in what is new; recoveries first, since a sample of its time is not taken twice."""
        for update in sorted(updates, key=lambda each: not each.key.startswith(RESOLVE)):
            watched = self._by_key.get(update.key)
            if watched is None:  # it was told before a reload was heard of
                self.counts["updates_unknown"] += 1
                continue
            self.counts["omitted"] += update.omitted
            watched.ripe_ns = None
            if update.key.startswith(RESOLVE):
                self._take_resolve(watched, update, now_ns)
            else:
                self._take_condition(watched, update, now_ns)
            self._take_gone(watched, update)

    def _take_gone(self, watched: Watched, update: Update) -> None:
        if not update.gone:
            return
        told = {change.labels for change in update.changes}  # who left, and has come back since
        for labels in update.gone:
            if labels not in told:
                watched.listed.pop(labels, None)
                watched.resolved.pop(labels, None)
                watched.unheard.discard(labels)
                self._lives.leave(labels)

    def about(self, keys: Iterable[str]) -> dict[str, list[Entity]]:
        """Entities that have alerts, by these keys of conditions; not more than may be asked.

        Those that are asked about have to be told of also where they are false.
        """
        found: dict[str, list[Entity]] = {}
        room, characters = ABOUT_MAX, ABOUT_CHARACTERS_MAX
        for key in keys:
            watched = self._by_key.get(key)
            if watched is None or not key.startswith(CONDITION):
                continue
            for labels in self._alerts_of(watched):
                entity = tuple(value for _, value in labels)
                characters -= characters_of(entity)
                room -= 1
                if room < 0 or characters < 0:
                    self.counts["not_asked"] += 1
                else:
                    found.setdefault(key, []).append(entity)
        return found

    def _alerts_of(self, watched: Watched) -> list[Labels]:
        """Whom the alerts of a rule are about."""
        lives, digest = self._lives.by_key, watched.rule.digest
        keys = self._lives.watched(watched.rule)
        return [key.labels for key in keys if lives[key].rule_digest == digest]

    def _take_condition(self, watched: Watched, update: Update, now_ns: int) -> None:
        if update.is_full:
            self._begin_anew(watched, now_ns)
        name = watched.rule.name
        batches = found_of_many(watched, update)
        for batch in batches:
            self._lives.observe_all(name, batch)
        if batches:
            return
        listed, observe = watched.listed, self._lives.observe
        for change in update.changes:  # a storm has ten thousand of them
            labels, truth = change.labels, change.truth
            resolve = watched.resolve_of(labels)
            if watched.is_early(labels, truth, now_ns):
                continue
            if truth == 0:
                listed.pop(labels, None)
            else:
                listed[labels] = change
                if truth != 1:
                    self._begin_silence(watched, change, update.at_ns)
            observe(name, labels, sample_of(change, update.at_ns, resolve))

    def _begin_anew(self, watched: Watched, now_ns: int) -> None:
        """All is told anew: until an aggregator has heard of an entity there are no data of it."""
        watched.listed.clear()
        watched.early.clear()
        watched.is_told = True
        if not self._knows_all:
            watched.unheard = set(self._alerts_of(watched))
            watched.complete_ns = now_ns + watched.rule.gap_ns + watched.rule.window_ns

    def _begin_silence(self, watched: Watched, change: Change, at_ns: int) -> None:
        """Where silence is an alert: one begins to be waited for when an entity falls silent."""
        rule = watched.rule
        is_new = Key(rule.name, change.labels) not in self._lives.by_key
        if rule.no_data == ALERT and is_new:
            self._lives.observe(rule.name, change.labels, Sample(0.0, math.nan, at_ns))

    def _take_resolve(self, watched: Watched, update: Update, now_ns: int) -> None:
        if update.is_full:
            watched.resolved.clear()
            watched.is_resolve_told = True
        batch = found_resolved(watched, update)
        if batch is not None:
            self._lives.observe_all(watched.rule.name, batch)
            return
        for change in update.changes:
            if change.truth == 0:
                watched.resolved.pop(change.labels, None)
            else:
                watched.resolved[change.labels] = change.truth
            is_known = Key(watched.rule.name, change.labels) in self._lives.by_key
            if is_known and change.labels not in watched.listed:  # of the others it is no news
                sample = watched.sample(change.labels, update.at_ns, now_ns)
                if sample is not None:
                    self._lives.observe(watched.rule.name, change.labels, sample)

    def repeat(self, now_ns: int, alive_at_ns: int) -> bool:
        """Hand in again what still holds, of each rule whose interval is over; only while alive.

        alive_at_ns: the time of the aggregator until which that is so. Whether there was any.
        """
        is_any = False
        has_moved, self._alive_at_ns = alive_at_ns > self._alive_at_ns, alive_at_ns
        for watched in self._watched.values():
            if now_ns >= watched.due_ns or (has_moved and self._has_ripe(watched, alive_at_ns)):
                watched.due_ns = now_ns + watched.rule.interval_ns
                self._repeat(watched, now_ns, alive_at_ns)
                is_any = True
        return is_any

    def _repeat(self, watched: Watched, now_ns: int, alive_at_ns: int) -> None:
        name, watched.ripe_ns = watched.rule.name, None
        if watched.is_told and now_ns >= watched.complete_ns:
            self._lives.beyond.keep(name, watched.listed)
        wanted = dict.fromkeys(watched.listed)
        wanted.update(dict.fromkeys(key.labels for key in self._lives.watched(watched.rule)))
        batches = found_again(watched, wanted, alive_at_ns)
        for batch in batches:
            self._lives.observe_all(name, batch)
        for labels in () if batches else wanted:
            sample = watched.sample(labels, alive_at_ns, now_ns)
            if sample is not None and not math.isnan(sample.truth):
                self._lives.observe(name, labels, sample)

    def _has_ripe(self, watched: Watched, alive_at_ns: int) -> bool:
        """Whether an alert has waited long enough, which need not wait for the interval."""
        rule = watched.rule
        if not rule.for_ns and not rule.keep_firing_ns:
            return False
        if watched.ripe_ns is None:  # what was handed in since has had its tick
            lives = (self._lives.by_key[key] for key in self._lives.watched(rule))
            watched.ripe_ns = min((_ripe_ns(life, rule) for life in lives), default=math.inf)
        return alive_at_ns >= watched.ripe_ns

    def due_ns(self) -> int | None:
        """When `repeat` has something to do at the latest; None where there are no rules."""
        return min((watched.due_ns for watched in self._watched.values()), default=None)


def _ripe_ns(life: Life, rule: Rule) -> float:
    """When the time since an alert's last sample will be what it still lacks."""
    if life.event_ns is None or life.state not in (PENDING, RECOVERING):
        return math.inf
    wanted_ns = rule.for_ns if life.state == PENDING else rule.keep_firing_ns
    return life.event_ns + wanted_ns - life.held_ns


def _asked(rule: Rule) -> tuple[str, str]:
    """What of a rule decides about its queries."""
    return rule.condition, rule.resolve_when
