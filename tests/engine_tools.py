"""An engine that is told what expressions are, and finds out what is new of them the plain way."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rnts.reflex.change import Change, Labels, Update
from rnts.rules.condition import Condition
from rnts.rules.nodes import TRUTH

Values = Mapping[Labels, tuple[float, float]]  # truth and value of each entity


def group(name: str) -> Labels:
    """The labels of a group."""
    return (("group", name),)


class _Expression:
    def __init__(self, condition: Condition, lists_unknown: bool, limit: int) -> None:
        self.text = condition.text
        self.is_condition = condition.root.kind == TRUTH
        self.lists_unknown, self.limit = lists_unknown, limit
        self.told: dict[Labels, tuple[float, float]] = {}
        self.known: set[Labels] = set()
        self.asked: set[tuple[str, ...]] = set()
        self.omitted = 0


class PlainEngine:
    """`read` has the values of an expression by its text. Not more than `most` are taken."""

    def __init__(self, read: Callable[[str], Values], most: int = 10_000) -> None:
        self._read, self._most = read, most
        self._now: dict[str, Values] = {}
        self.expressions: dict[Any, _Expression] = {}
        self.evaluations = 0

    def register(
        self,
        key: Any,
        condition: Condition,
        *,
        is_condition: bool | None = None,
        lists_unknown: bool = False,
        limit: int = 1_000,
    ) -> None:
        """Evaluate an expression from now on."""
        if len(self.expressions) >= self._most:
            raise ValueError(f"the engine has {self._most} expressions already")
        made = self.expressions[key] = _Expression(condition, lists_unknown, limit)
        assert is_condition in (None, made.is_condition)

    def ask_about(self, key: Any, entities: Iterable[tuple[str, ...]]) -> None:
        """Tell of these, too, once something is known of them; it never takes one for gone."""
        self.expressions[key].asked = set(entities)

    def _answers(self, expression: _Expression) -> dict[Labels, tuple[float, float]]:
        """What is known by now of those that were asked about."""
        found = {}
        for labels, now in self._now.get(expression.text, {}).items():
            values = tuple(value for _, value in labels)
            if values in expression.asked and now[0] in (0, 1):
                expression.asked.remove(values)
                found[labels] = now
        return found

    def remove(self, key: Any) -> None:
        """Evaluate it no more."""
        del self.expressions[key]

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Look at all values."""
        self.evaluations += 1
        texts = {each.text for each in self.expressions.values()}
        self._now = {text: dict(self._read(text)) for text in texts}

    def take(self, key: Any, now_ns: int) -> Update | None:
        """What differs from what was told."""
        expression = self.expressions[key]
        before = expression.told
        after = self._listed(expression)
        gone = tuple(labels for labels in before if labels not in after)
        answers = self._answers(expression)
        found = [
            Change(labels, *now)
            for labels, now in {**after, **answers}.items()
            if labels in answers or _is_news(before, labels, now)
        ]
        is_condition = expression.is_condition
        expression.told = {
            labels: now
            for labels, now in after.items()
            if (now[0] != 0 if is_condition else not math.isnan(now[1]))
        }
        if not found and not gone:
            return None
        return Update(key, now_ns, False, tuple(found), gone, expression.omitted)

    def full(self, key: Any, now_ns: int) -> Update:
        """All that is listed."""
        expression = self.expressions[key]
        answers = self._answers(expression)
        self.take(key, now_ns)
        told = {**expression.told, **answers}
        changes = tuple(Change(labels, *now) for labels, now in told.items())
        return Update(key, now_ns, True, changes, (), expression.omitted)

    def _listed(self, expression: _Expression) -> dict[Labels, tuple[float, float]]:
        now = self._now.get(expression.text, {})
        if expression.is_condition:
            unknown = expression.known if expression.lists_unknown else set()
            expression.known = {each for each, (truth, _) in now.items() if truth in (0, 1)}
            return {
                labels: (truth, value)
                for labels, (truth, value) in now.items()
                if truth == 1 or labels in expression.told or (labels in unknown and truth != 0)
            }
        known = [(labels, value) for labels, (_, value) in now.items() if not math.isnan(value)]
        known.sort(key=lambda each: -each[1])
        expression.omitted = max(0, len(known) - expression.limit)
        listed = {labels: (math.nan, value) for labels, value in known[: expression.limit]}
        lost = {each for each, (_, value) in now.items() if math.isnan(value)}
        unknown = dict.fromkeys(lost & expression.told.keys(), (math.nan, math.nan))
        return listed | unknown  # what is unknown now is told once


def _is_news(before: Values, labels: Labels, now: tuple[float, float]) -> bool:
    return labels not in before or repr(before[labels]) != repr(now)
