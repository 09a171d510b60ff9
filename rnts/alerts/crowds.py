"""What comes of many alerts at once: storms that begin, and alerts that go on as one of them does.

What is critical, and nothing hushes, they tell as well; of all others somebody has to hear later.

Batches of which neither can be said are left to be taken apart. Nothing of one rule depends on
another one's, and of one rule each entity is in one batch only.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping

from rnts.alerts.beyond import OVERFLOW_LABELS, Beyond
from rnts.alerts.cohorts import find_cohorts
from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch, Handed, are_distinct, in_order
from rnts.alerts.known import Known
from rnts.alerts.life import RESOLVED, Key, Moment
from rnts.alerts.moves import Move, find_move
from rnts.alerts.rule import Rule
from rnts.alerts.storm import Storm, is_storm
from rnts.reflex.change import Changes


class Crowds:
    """Takes batches out of what was handed in; `storms` and `moves` are those of the last tick."""

    def __init__(
        self,
        known: Known,
        active: dict[str, dict[Key, None]],
        beyond: Beyond,
        handed: Handed,
        counts: Counter[str],
        shares_group: Callable[[Rule, Changes], bool],
    ) -> None:
        """shares_group: whether some are told with the alert of those beyond a rule's limit."""
        self.storms: list[Storm] = []
        self.moves: list[Move] = []
        self._known, self._active, self._beyond = known, active, beyond
        self._handed, self._counts, self._shares_group = handed, counts, shares_group

    def take(
        self,
        rules: Mapping[str, Rule],
        touched: Iterable[Key],
        unsettled: Container[str],
        flapping: Flapping | None,
        is_hushed: bool,
        at: Moment,
    ) -> None:
        """Take in what can be: nothing of rules of which alerts are `touched` already.

        unsettled: rules of whose alerts somebody may have to hear, so that no others are told first
        """
        self.storms, self.moves = [], []
        batches = self._handed.batches
        if not batches or self._handed.leaving or flapping is None:
            return
        of_touched = {key.rule for key in touched}
        for name in [name for name in batches if name in rules and name not in of_touched]:
            rule = rules[name]
            tells = rule.is_critical and not is_hushed
            is_busy = self._handed.has_samples(name) or self._beyond.count(name)
            if is_busy or not are_distinct(batches[name]):
                continue
            found = [
                self._look(rule, batch, tells, name in unsettled, flapping, at)
                for batch in batches[name]
            ]
            taken = [each for each in found if each is not None]
            # What is told of a group is one notification, so with others all are looked at singly.
            # So it is where places are few: who is over may leave one to somebody else.
            is_tight = len(found) > 1 and any(
                isinstance(each, Storm) and each.beyond is not None for each in taken
            )
            if len(taken) == len(found) and sum(each.tells for each in taken) <= 1 and not is_tight:
                del batches[name]
                for each in taken:
                    self._go(each)

    def _look(
        self, rule: Rule, batch: Batch, tells: bool, is_busy: bool, flapping: Flapping, at: Moment
    ) -> Storm | Move | None:
        """What a batch is: a storm, or alerts that go on together; None if it is neither."""
        if batch.truth is None or batch.changes.worst:
            return None
        overflow = self._known.by_key.get(Key(rule.name, OVERFLOW_LABELS))
        if overflow is not None and overflow.is_active:  # which may be told as well
            tells = tells and not self._shares_group(rule, batch.changes)
        first = self._known.by_key.get(Key(rule.name, batch.changes[0].labels))
        if batch.truth == 1 and (first is None or first.state == RESOLVED):
            return self._storm(rule, batch, tells, flapping, at)
        if tells and is_busy:
            return None
        return find_move(rule, batch, tells, self._known, flapping, at)

    def _go(self, found: Storm | Move) -> None:
        """Have it so."""
        name = found.rule.name
        if isinstance(found, Move):
            found.go(self._active.setdefault(name, {}), self._counts)
            self.moves.append(found)
            return
        self.storms.append(found)
        if found.beyond is not None:
            self._beyond.add_all(name, found.beyond)

    def _storm(
        self, rule: Rule, batch: Batch, tells: bool, flapping: Flapping, at: Moment
    ) -> Storm | None:
        """A storm of as many as the rule has places for; None if it is none."""
        name, changes = rule.name, batch.changes
        room = rule.limit - len(self._active.get(name, ()))
        if room <= 0 or not is_storm(rule, changes):
            return None
        cohorts = find_cohorts(rule, changes, self._known, flapping, at)
        if cohorts is None:  # whoever fires already is not beyond the limit either
            return None
        within, beyond = changes, None
        if len(changes) > room:
            places = in_order(changes.entities)
            within, beyond = changes.pick(places[:room]), changes.pick(places[room:])
            cohorts = find_cohorts(rule, within, self._known, flapping, at)
            assert cohorts is not None, "as all of them, these have no alerts that go on"
        tells = tells and not rule.for_ns
        if tells and beyond is not None:
            tells = not self._shares_group(rule, within)
        storm = Storm(rule, within, cohorts, batch.event_ns, at, flapping, tells)
        storm.beyond = beyond
        return storm
