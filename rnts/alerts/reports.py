"""Takes in what stream processors report: each alert becomes a sample of the rules that it is for.

A source numbers its alerts and says them until they are confirmed, so one may come twice and is
taken once. A confirmation is an answer, which goes out after the tick that remembers it all.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from rnts.alerts.life import Moment, Sample
from rnts.alerts.lives import Lives
from rnts.alerts.rule import SEVERITIES, Labels, make_labels
from rnts.settings_values import LABELS

SOURCES_MAX = 64  # whose numbers are known; the one that was heard first goes
REPORTS_MAX = 1_000  # of one request
TEXT_CHARACTERS_MAX = 1_000
Document = dict[str, Any]


class ReportRule(NamedTuple):
    """Which alerts of a processor a rule is about."""

    rule: str
    processor: str
    at_least: str


class Reports:
    """All sources; `counts` says what was taken, what never came, and what no rule is about."""

    def __init__(self, lives: Lives, rules: Iterable[ReportRule], counts: "Counter[str]") -> None:
        self.counts = counts
        self._lives = lives
        self._next: dict[str, int] = {}  # number of the alert that is due, by source
        self.reload(rules)

    def reload(self, rules: Iterable[ReportRule]) -> None:
        """Go over to other rules."""
        self._rules = tuple(rules)

    def take(self, request: Document, at: Moment) -> Document:
        """Hand in what a request has that is new, and say what is due next.

        Raises ValueError, KeyError or TypeError for what is no request; nothing is taken then.
        """
        source, first, alerts = str(request["source"]), int(request["first"]), request["alerts"]
        if not isinstance(alerts, list) or len(alerts) > REPORTS_MAX or first < 1:
            raise ValueError(f"at most {REPORTS_MAX} alerts, numbered from 1 on")
        read = [_read(alert, at.wall_ns) for alert in alerts]
        due = self._next.get(source)
        if due is None:  # who was there before us begins where it is
            due = first
            if len(self._next) >= SOURCES_MAX:
                del self._next[next(iter(self._next))]
        self.counts["missed"] += max(0, first - due)
        for processor, severity, labels, sample in read[max(0, due - first) :]:
            self._hand_in(processor, severity, labels, sample)
        self._next[source] = max(due, first + len(alerts))
        return {"source": source, "next": self._next[source]}

    def _hand_in(self, processor: str, severity: int, labels: Labels, sample: Sample) -> None:
        wanted = [
            each.rule
            for each in self._rules
            if each.processor == processor and severity >= SEVERITIES.index(each.at_least)
        ]
        self.counts["taken" if wanted else "without_rule"] += 1
        for rule in wanted:
            self._lives.observe(rule, labels, sample)


def _read(alert: Document, wall_ns: int) -> tuple[str, int, Labels, Sample]:
    """The processor, the severity, the labels and the sample of one alert."""
    said = {str(name): str(value)[:TEXT_CHARACTERS_MAX] for name, value in alert["labels"].items()}
    named = {name: value for name, value in said.items() if name in LABELS and value}
    entity, metric = (str(alert.get(name) or "")[:TEXT_CHARACTERS_MAX] for name in _NAMES)
    if not named and entity:
        named["entity"] = entity
    if metric:
        named["metric"] = metric
    value = alert.get("value")
    note = "; ".join(map(str, (alert["summary"], *alert.get("suggested_actions", ()))))
    sample = Sample(
        1.0,
        math.nan if value is None else float(value),
        int(alert.get("at_ns") or wall_ns),
        note=note[:TEXT_CHARACTERS_MAX],
    )
    severity = SEVERITIES.index(alert["severity"])
    return str(alert["processor"]), severity, make_labels(named), sample


_NAMES = ("entity", "metric")
