"""What a condition can be at all: comparisons that are never true, or always, whatever is reported.

They are no faults, since what somebody reports may break the model; but who writes
`error_rate > 50` means per cent, and would wait for that alert for ever.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from rnts.model import METRICS
from rnts.rules.bounds import written
from rnts.rules.condition import parse_condition
from rnts.rules.faults import Fault
from rnts.rules.nodes import STATE, Need, Node
from rnts.rules.vocabulary import COUNTS, PERCENT

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_METRICS = {field.name: field for field in METRICS}


class Range(NamedTuple):
    """The least and the greatest that a number can be."""

    least: float
    most: float


_ANYTHING = Range(-math.inf, math.inf)


def doubts_of(*texts: str | None) -> list[str]:
    """What is odd about conditions, which are valid, each with its place in the text."""
    conditions = [parse_condition(text) for text in texts if text]
    return [
        f"{each.message} (at {each.where(one.text)} of the condition)"
        for one in conditions
        for each in sorted(set(_doubts(one.root)))
    ]


def _doubts(node: Node, is_one_of_all: bool = False) -> Iterator[Fault]:
    """Also of what is in a node; `is_one_of_all`: others have to hold beside it."""
    if node.operation not in _COMPARISONS:
        for part in node.parts:
            yield from _doubts(part, node.operation == "and")
        return
    left, right = node.parts
    if left.kind == STATE or right.kind == STATE:
        return
    always = _truth(node.operation, _range_of(left), _range_of(right))
    if always is None or (always and is_one_of_all):  # as the first of 0 <= error_rate < 0.1
        return
    word = "always" if always else "never"
    said = f"{written(left)} {node.operation} {written(right)} is {word} true once it is known"
    about = "; ".join(_in_words(side) for side in node.parts if not side.is_constant)
    yield Fault(node.position, f"{said}: {about}")


def _in_words(node: Node) -> str:
    """What a side can be, and how it is asked for in per cent."""
    least, most = _range_of(node)
    said = f"{least:g} to {most:g}"
    if math.isinf(most) or math.isinf(least):
        said = f"{least:g} or more" if math.isinf(most) else f"at most {most:g}"
    words = f"{written(node)} is {said}"
    if node.need is not None and (least, most) == (0, 1):
        words += f"; per cent are asked for as {node.need.metric or node.need.function}_{PERCENT}"
    return words


def _truth(operation: str, left: Range, right: Range) -> bool | None:
    """What a comparison of such numbers is, if that does not depend on them."""
    if operation in (">", ">="):
        left, right, operation = right, left, {">": "<", ">=": "<="}[operation]
    if operation in ("==", "!="):
        is_apart = left.most < right.least or right.most < left.least
        return (operation == "!=") if is_apart else None
    if operation == "<":
        return True if left.most < right.least else (False if left.least >= right.most else None)
    return True if left.most <= right.least else (False if left.least > right.most else None)


def _range_of(node: Node) -> Range:
    """The least and the greatest that a calculation can be."""
    if node.need is not None:
        return _range_of_need(node.need)
    if not node.parts:
        return Range(node.constant, node.constant)
    sides = [_range_of(part) for part in node.parts]
    if node.operation == "neg":
        return Range(-sides[0].most, -sides[0].least)
    left, right = sides
    if node.operation == "+":
        found = [left.least + right.least, left.most + right.most]
    elif node.operation == "-":
        found = [left.least - right.most, left.most - right.least]
    elif node.operation == "*":
        found = [a * b for a in left for b in right]
    elif right.least <= 0 <= right.most:
        return _ANYTHING
    else:
        found = [a / b for a in left for b in right]
    if any(map(math.isnan, found)):
        return _ANYTHING
    return Range(min(found), max(found))


def _range_of_need(need: Need) -> Range:
    """The least and the greatest that is read, in the unit of the model."""
    if need.function in COUNTS:
        return Range(0, 1 if need.function == "error_rate" else math.inf)
    field = _METRICS[need.metric]
    is_level = field.role != "counter"
    if need.function == "absent":
        return Range(0, 1)
    if need.function == "delta" and is_level:
        return _ANYTHING
    if need.function == "count" or not is_level:
        return Range(0, math.inf)
    if field.role == "ratio":
        return Range(0, 1 if field.unit == "1" else math.inf)
    return _ANYTHING if field.storage.is_float else Range(0, math.inf)
