"""What comes of many alerts at once: storms that begin, and alerts that go on as one of them does.

Batches of which neither can be said are left to be taken apart. Nothing of one rule depends on
another one's, and of one rule each entity is in one batch only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from rnts.alerts.beyond import Beyond
from rnts.alerts.cohorts import find_cohorts
from rnts.alerts.flapping import Flapping
from rnts.alerts.handed import Batch, Handed, are_distinct
from rnts.alerts.life import RESOLVED, Key, Life, Moment
from rnts.alerts.moves import Move, find_move
from rnts.alerts.rule import Rule
from rnts.alerts.storm import Storm, is_storm


class Crowds:
    """Takes batches out of what was handed in; `storms` and `moves` are those of the last tick."""

    def __init__(
        self,
        grown: dict[Key, Life],
        active: dict[str, dict[Key, None]],
        beyond: Beyond,
        handed: Handed,
        counts: Counter[str],
    ) -> None:
        self.storms: list[Storm] = []
        self.moves: list[Move] = []
        self._grown, self._active, self._beyond = grown, active, beyond
        self._handed, self._counts = handed, counts

    def take(
        self,
        rules: Mapping[str, Rule],
        touched: Iterable[Key],
        unsettled: Iterable[Key],
        flapping: Flapping | None,
        at: Moment,
    ) -> None:
        """Take in what can be: nothing of rules of which alerts are `touched` already.

        unsettled: alerts of which somebody may have to hear; these do not go on with others.
        """
        self.storms, self.moves = [], []
        batches = self._handed.batches
        if not batches or self._handed.leaving or flapping is None:
            return
        of_touched, of_unsettled = ({key.rule for key in keys} for keys in (touched, unsettled))
        for name in [name for name in batches if name in rules and name not in of_touched]:
            is_busy = self._handed.has_samples(name) or self._beyond.count(name)
            if is_busy or not are_distinct(batches[name]):
                continue
            left = [
                batch
                for batch in batches[name]
                if not self._take(rules[name], batch, name in of_unsettled, flapping, at)
            ]
            if left:
                batches[name] = left
            else:
                del batches[name]

    def _take(
        self, rule: Rule, batch: Batch, is_busy: bool, flapping: Flapping, at: Moment
    ) -> bool:
        """Take in a batch as what it is; whether it is either."""
        if batch.truth is None or batch.changes.worst:
            return False
        first = self._grown.get(Key(rule.name, batch.changes[0].labels))
        if batch.truth == 1 and (first is None or first.state == RESOLVED):
            return self._begin(rule, batch, flapping, at)
        move = None
        if not is_busy:
            move = find_move(rule, batch, self._grown, flapping, at)
        if move is None:
            return False
        active = self._active.setdefault(rule.name, {})
        move.go(active, self._counts)
        self.moves.append(move)
        return True

    def _begin(self, rule: Rule, batch: Batch, flapping: Flapping, at: Moment) -> bool:
        """Begin a storm of as many as the rule has places for; whether it is one."""
        name, changes = rule.name, batch.changes
        room = rule.limit - len(self._active.get(name, ()))
        if room <= 0 or not is_storm(rule, changes):
            return False
        within = changes if len(changes) <= room else changes[:room]
        cohorts = find_cohorts(rule, within, self._grown, flapping, at)
        if cohorts is None:
            return False
        self.storms.append(Storm(rule, within, cohorts, batch.event_ns, at, flapping))
        if within is not changes:
            self._beyond.add(name, changes[room:].labels)
        return True
