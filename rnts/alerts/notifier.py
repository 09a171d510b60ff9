"""Decides who is told what: it compares what receivers know with what is so, each tick.

Nothing waits in a queue: an alert is *unsettled* while some receiver should know something else of
it. So a restart, a silence or a full bucket lose nothing, and a storm is told in a few sentences.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rnts.alerts.bucket import Bucket
from rnts.alerts.life import Life, Moment
from rnts.alerts.moves import Move
from rnts.alerts.notification import (
    FIRING_KIND,
    FLAPPING_KIND,
    RESOLVED_KIND,
    Notice,
    Notification,
    build,
    told_of,
)
from rnts.alerts.rule import SEVERITIES, Receiver, Rule
from rnts.alerts.storm import Storm
from rnts.alerts.suppression import Inhibitor, Silences, make_matchable
from rnts.reflex.change import Changes


class Group(NamedTuple):
    """What is told together: a rule's alerts with equal values of the receiver's labels."""

    receiver: str
    rule: str
    values: tuple[str, ...]


class Notifier:
    """One tick after the other; `counts` says what was held back, and why."""

    def __init__(
        self, receivers: Iterable[Receiver], inhibitor: Inhibitor, silences: Silences,
        counts: Counter[str],
    ) -> None:  # fmt: skip
        self.counts, self._silences = counts, silences
        self._receivers: dict[str, Receiver] = {}
        self._buckets: dict[str, Bucket] = {}
        self._told_now: set[Group] = set()  # from columns, in this tick
        self.reload(receivers, inhibitor)

    def reload(self, receivers: Iterable[Receiver], inhibitor: Inhibitor) -> None:
        """Go over to other receivers; what is left of the tokens of unchanged ones stays."""
        before, buckets = self._receivers, self._buckets
        self._inhibitor = inhibitor
        self._receivers = {receiver.name: receiver for receiver in receivers}
        self._buckets = {
            name: buckets[name] if before.get(name) == each else Bucket(each.burst, each.refill_ns)
            for name, each in self._receivers.items()
        }
        repeats = [each.repeat_ns for each in self._receivers.values() if each.repeat_ns]
        self._repeat_ns_min = min(repeats, default=None)
        self.wait_ns_min = min((each.group_wait_ns for each in self._receivers.values()), default=0)

    def is_due(self, life: Life, at: Moment) -> bool:
        """Whether somebody may have to be told of it again."""
        if self._repeat_ns_min is None or not life.is_firing:
            return False
        before_ns = at.steady_ns - self._repeat_ns_min
        return any(told.at_ns <= before_ns for told in life.told.values())

    def shares_group(self, rule: Rule, changes: Changes) -> bool:
        """Whether some are told with the alert of those beyond a limit, which has no labels."""
        columns = dict(zip(changes.names, changes.columns, strict=True))
        for receiver in filter(None, map(self._receivers.get, rule.receivers)):
            by = [columns[label] for label in receiver.group_by if label in columns]
            if not by or not all(map(any, zip(*by, strict=True))):
                return True
        return False

    def notify(
        self, unsettled: Iterable[tuple[Life, Rule]], at: Moment
    ) -> tuple[list[Notification], list[Life], dict[str, int]]:
        """What is to be told now, and the alerts of which everybody knows all that there is.

        Last come rules of which nothing is to be told before a time, if nothing else happens.
        """
        groups: dict[Group, list[Notice]] = {}
        settled = []
        is_hushed = self._inhibitor.is_needed or bool(self._silences.by_id)
        for life, rule in unsettled:
            is_settled, is_held_back = True, None if is_hushed else False
            for name in dict.fromkeys((*rule.receivers, *life.told)):
                receiver = self._receivers.get(name)
                if receiver is None:  # it was removed: there is nobody who could hear of the end
                    self.counts["unknown_receiver"] += name in life.told or life.is_firing
                    life.tell(name, None)
                    continue
                notice = self._notice(life, rule, receiver, at)
                if notice is None:
                    continue
                is_settled = False
                if notice.kind != RESOLVED_KIND:
                    if is_held_back is None:
                        is_held_back = self._is_held_back(life, rule, at)
                    if is_held_back:
                        continue
                group = _group_of(receiver, rule.name, dict(life.labels))
                groups.setdefault(group, []).append(notice)
            if is_settled:
                settled.append(life)
        due: dict[str, dict[Group, list[Notice]]] = {}
        asleep_ns: dict[str, int] = {}
        for group, notices in groups.items():
            due_ns = _due_ns(self._receivers[group.receiver], notices)
            asleep_ns[group.rule] = min(due_ns, asleep_ns.get(group.rule, due_ns))
            # Of a group that was told just now, who is due besides is told in the next tick.
            if at.steady_ns >= due_ns and group not in self._told_now:
                due.setdefault(group.receiver, {})[group] = notices
        self._told_now.clear()
        told = []
        for name, receiver in self._receivers.items():
            if name in due:
                told += self._tell(receiver, due[name], at)
        return told, settled, asleep_ns

    def notify_storm(self, storm: Storm, at: Moment) -> list[Notification]:
        """What is to be told of alerts of which nobody knows anything, and nothing holds back."""
        told: list[Notification] = []
        self.counts["unknown_receiver"] += storm.unknown_to(self._receivers)
        for name, receiver in self._receivers.items():
            if name in storm.rule.receivers:
                told += self._counted(receiver, storm.told_to(receiver), at)
        return told

    def notify_move(self, move: Move, at: Moment) -> list[Notification]:
        """What is to be told of critical alerts that fire now, or are over."""
        told: list[Notification] = []
        self.counts["unknown_receiver"] += move.unknown_to(self._receivers)
        for receiver in self._receivers.values():
            told += self._counted(receiver, move.told_to(receiver, at), at)
        move.settle()
        return told

    def _counted(
        self, receiver: Receiver, told: list[Notification], at: Moment
    ) -> list[Notification]:
        """Count what is told of critical alerts, which take tokens where there are any."""
        if told:
            bucket = self._buckets[receiver.name]
            bucket.fill(at.steady_ns)
            for one in told:
                bucket.take()
                self._told_now.add(_group_of(receiver, one.rule, one.group))
        self.counts["notifications"] += len(told)
        return told

    def _is_held_back(self, life: Life, rule: Rule, at: Moment) -> bool:
        """Whether a silence or another alert covers it; then what fires is not told."""
        if not life.is_firing:
            return False
        labels = make_matchable(rule.name, rule.severity, life.labels)
        is_silenced = self._silences.covers(labels, at.wall_ns)
        if is_silenced or self._inhibitor.covers(labels):
            life.changed_ns = at.steady_ns  # what is told afterwards waits for its group again
            self.counts["silenced" if is_silenced else "inhibited"] += 1
            return True
        return False

    def _notice(self, life: Life, rule: Rule, receiver: Receiver, at: Moment) -> Notice | None:
        """What this receiver should be told of this alert, or None."""
        told = life.told.get(receiver.name)
        if life.is_firing and receiver.name not in rule.receivers:
            return None  # it was told under a former rule, and will hear of the end
        if life.is_flapping:
            is_known = told is not None and told.kind == FLAPPING_KIND
            return None if is_known else Notice(life, rule, FLAPPING_KIND, life.episode)
        if not life.is_firing:
            if told is None:
                return None
            if not receiver.tells_resolved:
                life.tell(receiver.name, None)
                return None
            return Notice(life, rule, RESOLVED_KIND, told.episode)
        if told is None or told.kind != FIRING_KIND:
            times = told.times + 1 if told and told.episode == life.episode else 1
            return Notice(life, rule, FIRING_KIND, life.episode, times)
        since_ns = at.steady_ns - told.at_ns
        if told.is_due_again or (receiver.repeat_ns and since_ns >= receiver.repeat_ns):
            return Notice(life, rule, FIRING_KIND, told.episode, told.times + 1)
        return None

    def _tell(
        self, receiver: Receiver, due: dict[Group, list[Notice]], at: Moment
    ) -> list[Notification]:
        """A notification a group while tokens last; the last token is for all of the rest."""
        bucket = self._buckets[receiver.name]
        bucket.fill(at.steady_ns)
        told = []
        # A critical one needs no token, and takes one from the others where there is one.
        waiting = []
        for group, notices in sorted(due.items(), key=_rank):
            if notices[0].rule.is_critical:
                told.append(self._said(receiver, notices, at, group))
                bucket.take()
            else:
                waiting.append((group, notices))
        while waiting and bucket.tokens:
            bucket.take()
            if bucket.tokens or len(waiting) == 1:
                group, notices = waiting.pop(0)
                told.append(self._said(receiver, notices, at, group))
                continue
            together = [notice for _, notices in waiting for notice in notices]
            told.append(self._said(receiver, together, at))
            self.counts["digested"] += len(waiting)
            waiting.clear()
        self.counts["held_back"] += len(waiting)
        return told

    def _said(
        self, receiver: Receiver, notices: list[Notice], at: Moment, group: Group | None = None
    ) -> Notification:
        """The notification of a group, or a digest, and what its receiver knows from now on."""
        pairs = zip(receiver.group_by, group.values, strict=True) if group else ()
        shown = {label: value for label, value in pairs if value}
        notification = build(receiver.name, notices, shown, at.wall_ns, is_digest=group is None)
        for notice in notices:
            is_over = notice.kind == RESOLVED_KIND
            notice.life.tell(receiver.name, None if is_over else told_of(notice, at.steady_ns))
        self.counts["notifications"] += 1
        return notification


def _group_of(receiver: Receiver, rule: str, labels: Mapping[str, str]) -> Group:
    """The group of this receiver that an alert of a rule belongs to."""
    return Group(receiver.name, rule, tuple(labels.get(label, "") for label in receiver.group_by))


def _rank(one: tuple[Group, list[Notice]]) -> tuple[int, Group]:
    """Who gets a token first: what is worse, and then by name, not by who came first."""
    group, notices = one
    return -SEVERITIES.index(notices[0].rule.severity), group


def _due_ns(receiver: Receiver, notices: list[Notice]) -> int:
    """When the group has waited for others long enough; one that is critical does not wait."""
    if notices[0].rule.is_critical:
        return 0
    return min(notice.life.changed_ns for notice in notices) + receiver.group_wait_ns
