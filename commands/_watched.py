"""An expression that `rnts watch` was given: what it is, what is known of it, in which words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rnts.errors import UsageError
from rnts.reflex.change import Change
from rnts.reflex.told_certainty import in_words
from rnts.rules.condition import Condition, parse_quantity
from rnts.rules.faults import Fault, RuleError
from rnts.rules.nodes import STATE, TRUTH
from rnts.rules.vocabulary import STATES
from rnts.standing.query import EVERY_MS_MAX, Query
from rnts.standing.view import View

_STATE_NAMES = {number: name for name, number in STATES.items()}
_UNITS = {"percent": "%"}


@dataclass
class Watched:
    """One expression; `view` is what the aggregator has told of it."""

    condition: Condition
    view: View = field(init=False)

    def __post_init__(self) -> None:
        self.view = View(self.is_condition)

    @property
    def text(self) -> str:
        """The expression on one line."""
        return " ".join(self.condition.text.split())

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false, and no number or state."""
        return self.condition.root.kind == TRUTH

    @property
    def are_states(self) -> bool:
        """Whether what is shown are states, and no numbers."""
        return self.condition.shown.kind == STATE

    @property
    def nobody(self) -> str:
        """Of whom nothing is known where nothing is."""
        scope = self.condition.scope
        return "all neurons together" if scope == "all" else f"any {scope}"

    @property
    def unit(self) -> str:
        """The unit of the value, as it was asked for."""
        unit = self.condition.shown.unit
        return _UNITS.get(unit, unit)

    def query(self, every_ms: int | None, default_ms: int, limit: int) -> Query:
        """What to ask of the aggregator; conditions are told at once unless one says otherwise."""
        if every_ms is None:
            every_ms = 0 if self.is_condition else default_ms
        if every_ms > EVERY_MS_MAX:
            raise UsageError("--every is at most 1h")
        is_condition = self.is_condition
        return Query(self.condition.text, is_condition, is_condition, limit, every_ms)

    def value(self, change: Change) -> float | str | None:
        """The value for programs: a number, or the name of a state; None where it is unknown."""
        if not math.isfinite(change.value):
            return None if math.isnan(change.value) else str(change.value)
        if self.are_states:
            return _STATE_NAMES.get(change.value, change.value)
        return change.value

    def value_in_words(self, change: Change) -> str:
        """The value for people: 120 ms, critical, true (0.75)."""
        value = self.value(change)
        words = value if isinstance(value, str) else "" if value is None else f"{value:.6g}"
        if words and self.unit:
            words += f" {self.unit}"
        if not self.is_condition:
            return words or "unknown"
        truth = truth_of(change)
        said = "unknown" if truth is None else "true" if truth else "false"
        return f"{said} ({words})" if words else said

    def certainty_in_words(self, change: Change) -> str:
        """How certain the value is; empty where nothing is known of that."""
        return in_words(change.certainty) if change.certainty else ""


def truth_of(change: Change) -> bool | None:
    """Whether a condition is true; None where that is unknown."""
    return None if math.isnan(change.truth) else change.truth == 1


def understand(texts: Sequence[str]) -> dict[str, Watched]:
    """The expressions by keys; raises UsageError that marks each fault under its text."""
    watched: dict[str, Watched] = {}
    wrong: list[str] = []
    for number, text in enumerate(texts):
        try:
            watched[str(number)] = Watched(parse_quantity(text))
        except RuleError as error:
            wrong.append(marked(text, error.faults))
    if wrong:
        raise UsageError("\n".join(wrong))
    return watched


def marked(text: str, faults: Sequence[Fault]) -> str:
    """An expression with each fault below the place where it is."""
    lines, start = [], 0
    for shown in text.split("\n"):
        end = start + len(shown)
        here = [fault for fault in faults if start <= fault.position <= end]
        lines.append(shown.replace("\t", " "))
        lines += [" " * (fault.position - start) + f"^ {fault.message}" for fault in here]
        start = end + 1
    beyond = [fault for fault in faults if fault.position >= start]
    return "\n".join(lines + [f"^ {fault.message}" for fault in beyond])


def labels_in_words(labels: Any) -> str:
    """Of whom it is: group=a host=b, or all."""
    return " ".join(f"{name}={value}" for name, value in labels) or "all"
