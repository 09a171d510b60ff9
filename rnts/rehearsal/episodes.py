"""Notes the episodes of alerts as they happen: each state, when it began, and the value then."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rnts.alerts.life import FIRING, INACTIVE, PENDING, RECOVERING, Key, Life
from rnts.alerts.rule import Labels


class Step(NamedTuple):
    """An alert came into a state; `value` is what it showed then, `reason` why it ended."""

    state: str
    at_ns: int
    value: float | None
    reason: str


@dataclass
class Episode:
    """One episode of one alert. `is_early`: it began before all windows of its rule were full."""

    rule: str
    severity: str
    labels: Labels
    key: str
    is_early: bool
    steps: list[Step] = field(default_factory=list)

    @property
    def fired_ns(self) -> int | None:
        """When it began to fire; None if it was pending only."""
        return next((step.at_ns for step in self.steps if step.state == FIRING), None)

    @property
    def has_fired(self) -> bool:
        """Whether it was more than pending."""
        return self.fired_ns is not None

    @property
    def is_open(self) -> bool:
        """Whether it was not over at the end."""
        return self.steps[-1].state in _OPEN

    def document(self, start_ns: int) -> dict[str, Any]:
        """The episode as JSON; times are since the epoch, and since the beginning."""
        steps = [
            {
                "state": step.state,
                "at_ns": step.at_ns,
                "after_ns": step.at_ns - start_ns,
                "value": step.value,
                **({"reason": step.reason} if step.reason else {}),
            }
            for step in self.steps
        ]
        return {
            "rule": self.rule,
            "severity": self.severity,
            "labels": dict(self.labels),
            "key": self.key,
            "has_fired": self.has_fired,
            "is_open": self.is_open,
            "is_early": self.is_early,
            "steps": steps,
        }


_OPEN = (PENDING, FIRING, RECOVERING)


class Episodes:
    """All episodes in the order in which they began; `look` after each tick that changed some."""

    def __init__(self) -> None:
        self.all: list[Episode] = []
        self._open: dict[Key, tuple[int, Episode]] = {}  # with the number of the episode

    def look(
        self,
        lives: Mapping[Key, Life],
        severities: Mapping[str, str],
        full_ns: Mapping[str, int],
        now_ns: int,
    ) -> None:
        """Note what has changed; `full_ns` is when the windows of a rule are full."""
        for key in [key for key in self._open if key not in lives]:
            self._end(key, now_ns)
        for key, life in lives.items():
            known = self._open.get(key)
            if known is not None and known[0] != life.episode:
                self._end(key, now_ns)
                known = None
            if known is None:
                if not life.is_active:
                    continue
                is_early = now_ns < full_ns.get(life.rule, 0)
                severity = severities.get(life.rule, "")
                episode = Episode(life.rule, severity, life.labels, life.key, is_early)
                self.all.append(episode)
                known = self._open[key] = (life.episode, episode)
                if life.state != PENDING:  # it was that within the same tick
                    episode.steps.append(Step(PENDING, now_ns, _number(life.value), ""))
            if not known[1].steps or known[1].steps[-1].state != life.state:
                value = _number(life.value) if life.is_active else None
                step = Step(life.state, now_ns, value, life.reason)
                known[1].steps.append(step)
                if not life.is_active:
                    del self._open[key]

    def _end(self, key: Key, now_ns: int) -> None:
        """An alert is not there any more: it had not fired, or nobody was to be told."""
        _, episode = self._open.pop(key)
        episode.steps.append(Step(INACTIVE, now_ns, None, ""))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
