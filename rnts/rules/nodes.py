"""What a checked expression consists of: operations whose kinds and units are known."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from rnts.rules.faults import Fault

NUMBER, TRUTH, STATE, TEXT, WRONG = "a number", "a truth", "a state", "a text", "wrong"

FAULTS_MAX = 10  # that are told of one condition

# Of which entities something can be asked.
OF_ANY, OF_NEURONS, OF_SEVERAL = "any", "neurons", "several"


class Need(NamedTuple):
    """What must be read of an entity: a function of a metric ("" where it is of none) by window.

    reach:     one of the three above
    position:  where it is written
    written:   how
    """

    function: str
    metric: str
    window_ns: int
    reach: str
    position: int
    written: str


@dataclass(frozen=True, slots=True)
class Node:
    """An operation: number (`constant`), reading (`need`), or as `reader.Term` names them."""

    operation: str
    kind: str
    position: int
    parts: tuple["Node", ...] = ()
    unit: str = ""
    constant: float = 0.0
    need: Need | None = None

    @property
    def is_constant(self) -> bool:
        """Whether it depends on no reading."""
        return self.need is None and all(part.is_constant for part in self.parts)


def number(value: float, position: int) -> Node:
    """A number that is written out."""
    return Node("number", NUMBER, position, constant=value)


def constant_of(node: Node) -> float:
    """The number of a calculation that depends on nothing; NaN where it divides by zero."""
    if not node.parts:
        return node.constant
    values = [constant_of(part) for part in node.parts]
    if node.operation == "neg":
        return -values[0]
    left, right = values
    if node.operation == "/":
        return left / right if right else math.nan
    return {"+": left + right, "-": left - right, "*": left * right}[node.operation]


def scaled(node: Node, times: float, per: float, unit: str) -> Node:
    """A reading in another unit; a factor of one takes no operation."""
    for sign, factor in (("*", times), ("/", per)):
        if factor != 1.0:
            parts = (node, number(factor, node.position))
            node = Node(sign, node.kind, node.position, parts)
    return Node(
        node.operation, node.kind, node.position, node.parts, unit, node.constant, node.need
    )


def unscaled(node: Node) -> tuple[Node, float, float]:
    """Undo `scaled`: what is in another unit, `times` and `per`.

    Factors that somebody wrote stay: those that make units stand where their reading does.
    """
    factors = {"*": 1.0, "/": 1.0}
    while node.operation in factors and node.need is None:
        left, right = node.parts
        if right.operation != "number" or right.position != left.position:
            break
        factors[node.operation] *= right.constant
        node = left
    return node, factors["*"], factors["/"]


class Faults:
    """Collects what is wrong, and gives a node in place of what is."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    @property
    def are_enough(self) -> bool:
        """Whether no more need be looked for: finding similar names takes its time."""
        return len(self.found) >= FAULTS_MAX

    def wrong(self, position: int, message: str) -> Node:
        """Note a fault; the node that it returns causes no faults above it."""
        self.found.append(Fault(position, message))
        return Node("number", WRONG, position)
