"""What the machines of alerts are told: rules, receivers, and the limits of both."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rnts.text import name_to_id

Labels = tuple[tuple[str, str], ...]  # in the order of their names

KEEP, ALERT, OK, RESOLVE = "keep", "alert", "ok", "resolve"
RECOVER = "recover"  # of those who never say that something is over: silence is how they say it
NO_DATA = (KEEP, ALERT, OK, RESOLVE, RECOVER)
SEVERITIES = ("info", "warning", "critical")
CRITICAL = "critical"
INTERVALS_WITHOUT_DATA = 3  # expected intervals of silence that are no data
SECOND_NS = 1_000_000_000


def make_labels(labels: dict[str, str]) -> Labels:
    """Labels as the machines compare them."""
    return tuple(sorted(labels.items()))


def fingerprint(rule: str, labels: Labels) -> str:
    """What an alert is known by outside: the same in all processes and after every restart."""
    return f"{name_to_id(repr((rule, labels))):016x}"


@dataclass(frozen=True)
class Rule:
    """One rule; what it says of the condition is only shown: its truth is handed in.

    for_ns, keep_firing_ns: event time that the condition, or the recovery, has to hold.
    has_resolve_when: a second truth says when the alert has recovered.
    interval_ns: how often its truth is expected.
    limit: alerts at a time; those beyond it are one alert of the rule.
    bound, window_ns, causes: what a notification says of it.
    threshold: the number of the bound, if it is one.
    """

    name: str
    condition: str
    severity: str = "warning"
    receivers: tuple[str, ...] = ()
    for_ns: int = 0
    keep_firing_ns: int = 0
    has_resolve_when: bool = False
    resolve_when: str = ""
    no_data: str = KEEP
    interval_ns: int = SECOND_NS
    limit: int = 1_000
    bound: str = ""
    window_ns: int = 0
    causes: tuple[str, ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity of {self.name} is {self.severity!r}, not of {SEVERITIES}")
        if self.no_data not in NO_DATA:
            raise ValueError(f"no_data of {self.name} is {self.no_data!r}, not of {NO_DATA}")
        if self.for_ns < 0 or self.keep_firing_ns < 0 or self.interval_ns < 1 or self.limit < 1:
            raise ValueError(f"times of {self.name} must be at least 0, interval and limit 1")

    @property
    def gap_ns(self) -> int:
        """The longest time between two samples that still counts as held."""
        return INTERVALS_WITHOUT_DATA * self.interval_ns

    @property
    def is_critical(self) -> bool:
        """Whether nothing may hold it back."""
        return self.severity == CRITICAL

    @cached_property
    def digest(self) -> str:
        """The hash of what decides about states: who is told, and what of, may change freely."""
        shown = ("severity", "receivers", "bound", "causes", "limit", "threshold")
        meaning = {name: value for name, value in asdict(self).items() if name not in shown}
        text = json.dumps(meaning, sort_keys=True).encode()
        return hashlib.blake2b(text, digest_size=8).hexdigest()


def read_rule(document: dict[str, Any]) -> Rule:
    """Undo `asdict`: JSON has lists where a rule has tuples."""
    listed = {name: tuple(document[name]) for name in ("receivers", "causes")}
    return Rule(**{**document, **listed})


@dataclass(frozen=True)
class Receiver:
    """Somebody who is told, and how much of it.

    group_by: labels whose equal values make one notification of a rule's alerts.
    group_wait_ns: what a notification waits for others of its group; a critical one never does.
    repeat_ns: after which a firing alert is told again; 0 is never.
    burst, refill_ns: notifications at once, and the time after which there is one more.
    """

    name: str
    group_by: tuple[str, ...] = ("group",)
    group_wait_ns: int = SECOND_NS // 2
    repeat_ns: int = 4 * 3_600 * SECOND_NS
    burst: int = 10
    refill_ns: int = SECOND_NS
    tells_resolved: bool = True

    def __post_init__(self) -> None:
        if self.burst < 1 or self.refill_ns < 1 or self.group_wait_ns < 0 or self.repeat_ns < 0:
            raise ValueError(f"{self.name}: burst and refill must be at least 1, times at least 0")
