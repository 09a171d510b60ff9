"""What a notification says beside a condition's value: the bound that it passed, over how long."""

import math

from rnts.rules.condition import Condition, needs_of
from rnts.rules.nodes import STATE, Node, constant_of
from rnts.rules.vocabulary import STATES

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_STATE_NAMES = {value: name for name, value in STATES.items()}


def bound_of(condition: Condition) -> str:
    """What the value that is shown is compared with, as `> 100`; empty where it is a truth."""
    found = _comparison(condition)
    if found is None:
        return ""
    operation, left, right = found
    if left.kind == STATE:
        return f"{operation} {_STATE_NAMES[right.constant]}"
    return f"{operation} {written(right)}"


def threshold_of(condition: Condition) -> float | None:
    """The number that the value which is shown is compared with, in its unit; None without one."""
    found = _comparison(condition)
    if found is None or found[1].kind == STATE or not found[2].is_constant:
        return None
    threshold = constant_of(found[2])
    return threshold if math.isfinite(threshold) else None


def _comparison(condition: Condition) -> tuple[str, Node, Node] | None:
    """The comparison whose value is shown, which stands left; None where that is a truth."""
    node, is_negated = condition.root, False
    while node.operation in ("and", "or", "not"):
        is_negated ^= node.operation == "not"
        node = next((part for part in node.parts if not part.is_constant), node.parts[0])
    if node.operation not in _COMPARISONS:
        return None
    left, right = node.parts
    operation = node.operation
    if left.is_constant:
        left, right = right, left
        operation = _TURNED.get(operation, operation)
    return _NEGATED[operation] if is_negated else operation, left, right


def window_of(condition: Condition) -> int:
    """How far back the value that is shown reaches, in nanoseconds; 0 is now."""
    return max((need.window_ns for need in needs_of(condition.shown)), default=0)


def shown_readings(condition: Condition) -> list[tuple[str, str]]:
    """Function and metric of each reading of the condition, those that are shown first."""
    needs = [*needs_of(condition.shown), *needs_of(condition.root)]
    return list(dict.fromkeys((need.function, need.metric) for need in needs))


def written(node: Node) -> str:
    """An expression as people write it; in another unit a reading stands as its name."""
    if node.need is not None:
        return node.need.written
    if node.is_constant:
        return f"{constant_of(node):g}"
    if node.operation == "neg":
        return f"-{written(node.parts[0])}"
    left, right = node.parts
    if not right.parts and right.need is None and right.position == left.position:
        return written(left)  # a factor that nobody wrote: it makes the unit
    return f"({written(left)} {node.operation} {written(right)})"
