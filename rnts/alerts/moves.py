"""Many alerts of a rule that go on alike: what becomes of one of a cohort becomes of all of it.

So ten thousand recoveries are a few steps of a life, and columns remember them, as they do of
alerts that were pending and fire, or are over. What is told and remembered is what each by itself
would be. Columns also tell what is critical; there alerts of which somebody has yet to hear go
singly. Alerts that flap do so always.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple, cast

from rnts.alerts.cohorts import COHORTS_MAX, alike
from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch
from rnts.alerts.known import Known
from rnts.alerts.life import (
    FIRING,
    INACTIVE,
    PENDING,
    RECOVERING,
    RESOLVED,
    Key,
    Life,
    Moment,
    Sample,
    Told,
)
from rnts.alerts.life_documents import documents_of_alike
from rnts.alerts.many_told import tell_many
from rnts.alerts.notification import FIRING_KIND, RESOLVED_KIND, Notice, Notification
from rnts.alerts.rule import ALERT, Receiver, Rule
from rnts.reflex.change import Changes

# States of those that move together when they are true, and when they are false.
_TRUE, _FALSE = (PENDING, FIRING, RECOVERING), (PENDING, FIRING, RECOVERING, RESOLVED)


class Part(NamedTuple):
    """Lives that are alike, by their places; what becomes of them, and what receivers knew."""

    places: Sequence[int]
    before: Life
    after: Life
    told: Mapping[str, Told]
    is_news: bool  # whether more of them has changed than their age

    @property
    def begins(self) -> bool:
        """Whether they fire now."""
        return self.before.state == PENDING and self.after.state == FIRING

    @property
    def is_over(self) -> bool:
        """Whether they end now."""
        return self.before.state != RESOLVED and self.after.state == RESOLVED

    @property
    def ceases(self) -> bool:
        """Whether they have waited, and never fire."""
        return self.before.state == PENDING and self.after.state == INACTIVE

    @property
    def is_touched(self) -> bool:
        """Whether somebody may have to hear of it, or nobody ever again."""
        before, after = self.before, self.after
        return (before.state, before.is_without_data) != (after.state, after.is_without_data)


def find_move(
    rule: Rule, batch: Batch, tells: bool, lives: Known, flapping: Flapping, at: Moment
) -> "Move | None":
    """What becomes of those that a batch is about; None where each has to be looked at.

    Nothing is changed before the move goes. tells: whether all receivers are told then.
    """
    changes, truth = batch.changes, batch.truth
    if truth not in (0, 1):
        return None
    found = lives.find(rule.name, changes)
    if not all(found):
        if truth or rule.no_data == ALERT:
            return None
        places = [place for place, life in enumerate(found) if life is not None]
        changes = changes.pick(places)  # of who has no alert there is nothing to be said
        found = [found[place] for place in places]
    known = cast(list[Life], found)
    cohorts = alike(known).values()
    if len(cohorts) > COHORTS_MAX:
        return None
    parts, counts = [], Counter[str]()
    for places in cohorts:
        part = _part(rule, batch, tells, known[places[0]], places, flapping, at, counts)
        if part is None:
            return None
        parts.append(part)
    return Move(rule, changes, known, parts, counts, bool(truth), tells)


def _part(
    rule: Rule, batch: Batch, tells: bool, first: Life, places: Sequence[int], flapping: Flapping,
    at: Moment, counts: Counter[str],
) -> Part | None:  # fmt: skip
    """What becomes of a cohort, by its first; None where that is not so for all."""
    is_plain = not first.is_flapping and not first.worst and first.rule_digest == rule.digest
    if not is_plain or first.state not in (_TRUE if batch.truth else _FALSE):
        return None
    if tells and first.state == PENDING and first.told:  # somebody has yet to hear of an end
        return None
    before, after = (first.copy(first.labels, first.value) for _ in range(2))
    tally: Counter[str] = Counter()
    sample = Sample(batch.truth or 0.0, first.value, batch.event_ns, batch.resolve)
    after.observe(rule, sample, at, tally)
    is_touched = (after.state, after.is_without_data) != (before.state, before.is_without_data)
    if is_touched:
        flapping.look(after, at)
    if after.is_flapping:
        return None
    for name, count in tally.items():
        counts[name] += count * len(places)
    if tells and after.state == RESOLVED:
        after.told = {}
    signature = after.signature()
    # Of whom there is more to be found, that is what is remembered.
    is_looked_at = is_touched and (not tells or after.state == INACTIVE)
    is_news = before.signature() != signature and not is_looked_at
    if is_news:
        after.noted = signature
    return Part(places, before, after, first.told, is_news)


class Move:
    """What becomes of these alerts; `go` has it so."""

    def __init__(
        self, rule: Rule, changes: Changes, lives: Sequence[Life], parts: Sequence[Part],
        counts: Counter[str], is_true: bool, may_tell: bool,
    ) -> None:  # fmt: skip
        self.rule, self._changes, self.lives, self._parts = rule, changes, lives, parts
        self._counts, self._is_true, self._may_tell = counts, is_true, may_tell

    @property
    def tells(self) -> bool:
        """Whether something is told of them, and not only remembered."""
        return self._may_tell and any(part.begins or part.is_over for part in self._parts)

    def touched(self) -> Iterator[Key]:
        """Alerts of which somebody may have to hear, or nobody ever again."""
        for part in self._parts:
            if part.ceases or (part.is_touched and not self._may_tell):
                for life in self._lives_of(part):
                    yield Key(self.rule.name, life.labels)

    def go(self, active: dict[Key, None], counts: Counter[str]) -> None:
        """Have each life be like the first of its cohort; `active`: those of the rule."""
        counts.update(self._counts)
        if self._is_true:
            values, certainties = self._changes.values, self._changes.certainties
            for life, value in zip(self.lives, values, strict=True):
                life.value = value
            known = certainties or repeat(None, len(self.lives))
            for life, certainty in zip(self.lives, known, strict=True):
                life.certainty = certainty
        else:
            certain = [life.certainty for life in self.lives]
            self._changes = self._changes.valued(
                [life.value for life in self.lives], certainties=certain if any(certain) else ()
            )
        over = 0
        for part in self._parts:
            before, after = vars(part.before), vars(part.after)
            news = {name: said for name, said in after.items() if said is not before.get(name)}
            lives = self._lives_of(part)
            deque(map(dict.update, map(vars, lives), repeat(news)), maxlen=0)
            over += len(lives) if part.is_over or part.ceases else 0
        if over == len(active):  # to take them out one by one takes as long as all of this
            active.clear()
        elif over:
            for part in self._parts:
                for life in self._lives_of(part) if part.is_over or part.ceases else ():
                    active.pop(Key(self.rule.name, life.labels), None)

    def _lives_of(self, part: Part) -> Sequence[Life]:
        if len(self._parts) == 1:
            return self.lives
        return [self.lives[place] for place in part.places]

    def documents(self, name: str) -> dict[str, Any]:
        """What is remembered of them; documents of many are named so, and by a number."""
        found: dict[str, Any] = {}
        for number, part in enumerate(self._parts):
            those = self._changes
            if len(self._parts) > 1:
                those = those.pick(part.places)
            if part.is_news:
                found |= documents_of_alike(f"{name}/{number}", part.after, those)
        return found

    def unknown_to(self, receivers: Iterable[str]) -> int:
        """How often one is to be told that is none of these receivers."""
        known, of_rule = set(receivers), set(self.rule.receivers)
        return sum(
            len(part.places) * len((of_rule if part.begins else part.told.keys()) - known)
            for part in self._parts
            if part.is_over or part.begins
        )

    def told_to(self, receiver: Receiver, at: Moment) -> list[Notification]:
        """What a receiver is told: a notification a group of those that fire now, or are over."""
        name = receiver.name
        parts = [part for part in self._parts if part.begins and name in self.rule.receivers]
        if receiver.tells_resolved:
            parts += [part for part in self._parts if part.is_over and name in part.told]
        if not parts:
            return []
        part_of: dict[int, Part] = {}
        for part in parts[1:]:
            part_of.update(dict.fromkeys(part.places, part))

        def notice(place: int) -> Notice:
            part = part_of.get(place, parts[0])
            kind = FIRING_KIND if part.begins else RESOLVED_KIND
            episode = part.after.episode if part.begins else part.told[name].episode
            return Notice(self.lives[place], self.rule, kind, episode)

        places, abouts = parts[0].places, None
        if part_of:
            places = sorted([*places, *part_of])
            by_part = {id(part): notice(part.places[0]).about for part in parts}
            abouts = {place: by_part[id(part_of.get(place, parts[0]))] for place in places}
        told = tell_many(receiver, self._changes, places, notice, abouts, at.wall_ns)
        for part in parts:
            if part.begins:
                part.after.tell(name, Told(FIRING_KIND, part.after.episode, at.steady_ns))
        return told

    def settle(self) -> None:
        """All receivers were told: note what they know of those that began."""
        for part in self._parts:
            if part.begins:
                part.after.noted = part.after.signature()
                known = {"told": part.after.told, "noted": part.after.noted}
                deque(map(dict.update, map(vars, self._lives_of(part)), repeat(known)), maxlen=0)
