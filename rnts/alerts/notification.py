"""A notification: what was seen, since when, and what to look at; a document that actions send."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rnts.alerts.life import Life, Told
from rnts.alerts.rule import CRITICAL, SEVERITIES, Labels, Rule

FIRING_KIND, RESOLVED_KIND, FLAPPING_KIND = "firing", "resolved", "flapping"
DIGEST_KIND = "digest"
ALERTS_LISTED_MAX = 20
WORST_LISTED_MAX = 5


class Notice(NamedTuple):
    """One thing to tell of one alert, with the key that makes telling it twice harmless."""

    life: Life
    rule: Rule
    kind: str
    episode_key: str  # of the episode that this is about
    times: int = 1  # how often it has been told, with this time

    @property
    def key(self) -> str:
        """The same for the same thing told, and for nothing else."""
        again = f"-{self.times}" if self.times > 1 else ""
        return f"{self.episode_key}-{self.kind}{again}"


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


def build(
    receiver: str, notices: Sequence[Notice], group: dict[str, str], wall_ns: int, is_digest: bool
) -> Notification:
    """One notification of all these notices, of which there is at least one."""
    ordered = sorted(notices, key=_weight)
    counts = Counter(notice.kind for notice in notices)
    kind = DIGEST_KIND if is_digest else _kind(counts)
    rules = {notice.rule.name: notice.rule for notice in ordered}
    severity = max((rule.severity for rule in rules.values()), key=SEVERITIES.index)
    name = ordered[0].rule.name if len(rules) == 1 else f"{len(rules)} rules"
    causes = [cause for rule in rules.values() for cause in rule.causes]
    keys = sorted(notice.key for notice in notices)
    together = hashlib.blake2b("\n".join(keys).encode(), digest_size=8).hexdigest()
    where = " ".join(f"{label}={value}" for label, value in group.items())
    return Notification(
        key=keys[0] if len(keys) == 1 else f"{together}-{kind}",
        receiver=receiver,
        kind=kind,
        rule=name,
        severity=severity,
        group=group,
        title=" ".join(filter(None, (name, where, _said(counts)))),
        count=len(notices),
        counts=dict(counts),
        wall_ns=wall_ns,
        alerts=[_listed(notice) for notice in ordered[:ALERTS_LISTED_MAX]],
        worst=_worst(ordered),
        suggested_causes=list(dict.fromkeys(causes)),
    )


def read_notification(document: dict[str, Any]) -> Notification:
    """Undo `document`."""
    return Notification(**document)


def _kind(counts: Counter[str]) -> str:
    return next(k for k in (FIRING_KIND, FLAPPING_KIND, RESOLVED_KIND) if counts[k])


def _said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _weight(notice: Notice) -> tuple[int, float, Labels]:
    """What sorts the worst to the front: what fires, then by value; labels make it certain."""
    value = notice.life.value
    weight = math.inf if math.isnan(value) else -value
    return notice.kind == RESOLVED_KIND, weight, notice.life.labels


def _listed(notice: Notice) -> dict[str, Any]:
    life, rule = notice.life, notice.rule
    return {
        "key": notice.key,
        "episode": notice.episode_key,
        "rule": rule.name,
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


def _worst(ordered: Sequence[Notice]) -> list[dict[str, Any]]:
    """The entities that matter most: as the evaluation named them, else the alerts themselves."""
    named = [entity for notice in ordered for entity in notice.life.worst]
    if not named:
        values = [abs(notice.life.value) for notice in ordered]
        whole = sum(value for value in values if math.isfinite(value))
        for notice in ordered[:WORST_LISTED_MAX]:
            entity = ",".join(f"{name}={value}" for name, value in notice.life.labels)
            share = abs(notice.life.value) / whole if whole else math.nan
            named.append((entity, notice.life.value, share))
    else:
        named.sort(key=lambda each: math.inf if math.isnan(each[2]) else -each[2])
    return [
        {"entity": entity, "value": _number(value), "share": _number(share)}
        for entity, value, share in named[:WORST_LISTED_MAX]
    ]


def _number(value: float) -> float | None:
    """What JSON has a form for."""
    return value if math.isfinite(value) else None


def told_of(notice: Notice, at_ns: int) -> Told:
    """What the receiver then knows."""
    return Told(notice.kind, notice.episode_key, at_ns, notice.times)
