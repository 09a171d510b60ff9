"""A notification: what was seen, since when, and what to look at; a document that actions send."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from rnts.alerts.life import Life, Told
from rnts.alerts.rule import CRITICAL, SEVERITIES, Labels, Rule
from rnts.reflex.change import text_of
from rnts.reflex.told_certainty import seen_document

FIRING_KIND, RESOLVED_KIND, FLAPPING_KIND = "firing", "resolved", "flapping"
DIGEST_KIND = "digest"
ALERTS_LISTED_MAX = 20
WORST_LISTED_MAX = 5


class Notice(NamedTuple):
    """One thing to tell of one alert, with what makes telling it twice harmless."""

    life: Life
    rule: Rule
    kind: str
    episode: int  # that this is about; it may be over
    times: int = 1  # how often it has been told, with this time

    @property
    def episode_key(self) -> str:
        """What the episode is known by outside."""
        return f"{self.life.fingerprint}-{self.episode}"

    @property
    def key(self) -> str:
        """The same for the same thing told, and for nothing else."""
        return self.key_of(self.episode_key)

    def key_of(self, episode_key: str) -> str:
        """The key, where `episode_key` is known already."""
        again = f"-{self.times}" if self.times > 1 else ""
        return f"{episode_key}-{self.kind}{again}"

    @property
    def about(self) -> str:
        """What is told, but for the labels of whom."""
        return "\0".join((self.rule.name, str(self.episode), self.kind, str(self.times)))


@dataclass(frozen=True)
class Notification:
    """What one receiver is told at once; `alerts` lists the worst of `count`."""

    key: str
    receiver: str
    kind: str
    rule: str
    severity: str
    group: dict[str, str]
    title: str
    count: int
    counts: dict[str, int]
    wall_ns: int
    alerts: list[dict[str, Any]]
    worst: list[dict[str, Any]]
    suggested_causes: list[str]

    @property
    def is_critical(self) -> bool:
        """Whether it must not be dropped."""
        return self.severity == CRITICAL

    def document(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return dict(vars(self))


class Whole(NamedTuple):
    """What is said of all alerts of a notification together."""

    kind: str
    counts: Counter[str]
    rules: Sequence[Rule]
    key: str
    worst: list[dict[str, Any]]


def build(
    receiver: str, notices: Sequence[Notice], group: dict[str, str], wall_ns: int, is_digest: bool
) -> Notification:
    """One notification of all these notices, of which there is at least one."""
    ordered = sorted(notices, key=_weight)
    counts = Counter(notice.kind for notice in notices)
    kind = DIGEST_KIND if is_digest else _kind(counts)
    rules = {notice.rule.name: notice.rule for notice in ordered}
    alike = groupby(notices, lambda notice: notice.about)
    about = [(what, [entity_of(notice.life.labels) for notice in those]) for what, those in alike]
    key = ordered[0].key if len(ordered) == 1 else _key_of_all(about, kind)
    whole = Whole(kind, counts, list(rules.values()), key, _worst(ordered))
    return _compose(receiver, ordered[:ALERTS_LISTED_MAX], group, wall_ns, whole)


def build_alike(
    receiver: str, first: Sequence[Notice], about: Sequence[tuple[str, Sequence[str]]],
    group: dict[str, str], wall_ns: int, value_sum: float,
) -> Notification:  # fmt: skip
    """What `build` makes of notices of one kind of alerts of a rule, without all of them.

    first: the worst of them, in their order, as many as are listed; about: what is told, and the
    entities, as `entity_of` has them, of which it is; value_sum: of all values, without signs.
    """
    one, count = first[0], sum(len(entities) for _, entities in about)
    key = one.key if count == 1 else _key_of_all(about, one.kind)
    worst = _shown(_shares(first, value_sum))
    whole = Whole(one.kind, Counter({one.kind: count}), [one.rule], key, worst)
    return _compose(receiver, first, group, wall_ns, whole)


def _compose(
    receiver: str, first: Sequence[Notice], group: dict[str, str], wall_ns: int, whole: Whole
) -> Notification:
    rules = whole.rules
    name = rules[0].name if len(rules) == 1 else f"{len(rules)} rules"
    where = " ".join(f"{label}={value}" for label, value in group.items())
    return Notification(
        key=whole.key,
        receiver=receiver,
        kind=whole.kind,
        rule=name,
        severity=max((rule.severity for rule in rules), key=SEVERITIES.index),
        group=group,
        title=" ".join(filter(None, (name, where, _said(whole.counts)))),
        count=whole.counts.total(),
        counts=dict(sorted(whole.counts.items())),
        wall_ns=wall_ns,
        alerts=[_listed(notice) for notice in first],
        worst=whole.worst,
        suggested_causes=list(dict.fromkeys(cause for rule in rules for cause in rule.causes)),
    )


def entity_of(labels: Labels) -> str:
    """A text for the labels of an alert, of which the rule says what names they have."""
    return text_of([value for _, value in labels])


def _key_of_all(about: Iterable[tuple[str, Sequence[str]]], kind: str) -> str:
    """A key of what is told of whom, in whatever order; ten thousand fingerprints take 50 ms."""
    entities_of: dict[str, list[str]] = {}
    for what, entities in about:
        entities_of.setdefault(what, []).extend(entities)
    digest = hashlib.blake2b(digest_size=8)
    for what, those in sorted(entities_of.items()):
        digest.update("\n".join((what, *sorted(those), "")).encode("utf-8", "surrogatepass"))
    return f"{digest.hexdigest()}-{kind}"


def read_notification(document: dict[str, Any]) -> Notification:
    """Undo `document`."""
    return Notification(**document)


def _kind(counts: Counter[str]) -> str:
    return next(k for k in (FIRING_KIND, FLAPPING_KIND, RESOLVED_KIND) if counts[k])


def _said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _weight(notice: Notice) -> tuple[int, float, str]:
    """What sorts the worst to the front: what fires, then by value; labels make it certain."""
    life = notice.life
    return notice.kind == RESOLVED_KIND, weight_of(life.value), entity_of(life.labels)


def weight_of(value: float) -> float:
    """What sorts larger values to the front, and what has none to the end."""
    return math.inf if math.isnan(value) else -value


def _listed(notice: Notice) -> dict[str, Any]:
    life, rule, episode_key = notice.life, notice.rule, notice.episode_key
    document = {
        "key": notice.key_of(episode_key),
        "episode": episode_key,
        "rule": rule.name,
        "severity": rule.severity,
        "labels": dict(life.labels),
        "kind": notice.kind,
        "state": life.state,
        "reason": life.reason,
        "condition": rule.condition,
        "value": _number(life.value),
        "bound": rule.bound,
        "window_ns": rule.window_ns,
        "since_event_ns": life.since_event_ns,
        "since_wall_ns": life.since_wall_ns,
        "is_without_data": life.is_without_data,
    }
    if life.certainty is not None:  # a storm has hundreds that have none
        document |= seen_document(life.certainty, rule.threshold)
    if life.note:
        document["note"] = life.note
    return document


def _worst(ordered: Sequence[Notice]) -> list[dict[str, Any]]:
    """The entities that matter most: as the evaluation named them, else the alerts themselves."""
    named = [entity for notice in ordered for entity in notice.life.worst]
    if named:
        named.sort(key=lambda each: math.inf if math.isnan(each[2]) else -each[2])
        return _shown(named)
    return _shown(_shares(ordered, sum_of([notice.life.value for notice in ordered])))


def sum_of(values: Sequence[float]) -> float:
    """The sum of values without their signs, whatever their order; what is not finite is left."""
    if values and values.count(values[0]) == len(values):
        return abs(values[0]) * len(values) if math.isfinite(values[0]) else 0.0
    return math.fsum(map(abs, filter(math.isfinite, values)))


def _shares(ordered: Sequence[Notice], value_sum: float) -> list[tuple[str, float, float]]:
    """The worst alerts as entities, each with its share of all values."""
    named = []
    for notice in ordered[:WORST_LISTED_MAX]:
        entity = ",".join(f"{name}={value}" for name, value in notice.life.labels)
        share = abs(notice.life.value) / value_sum if value_sum else math.nan
        named.append((entity, notice.life.value, share))
    return named


def _shown(named: Sequence[tuple[str, float, float]]) -> list[dict[str, Any]]:
    return [
        {"entity": entity, "value": _number(value), "share": _number(share)}
        for entity, value, share in named[:WORST_LISTED_MAX]
    ]


def _number(value: float) -> float | None:
    """What JSON has a form for."""
    return value if math.isfinite(value) else None


def told_of(notice: Notice, at_ns: int) -> Told:
    """What the receiver then knows."""
    return Told(notice.kind, notice.episode, at_ns, notice.times)
