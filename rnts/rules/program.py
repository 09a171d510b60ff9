"""All conditions of one scope as one program over columns, and what runs it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import conditions as kernel
from rnts.rules.condition import Condition, Reading
from rnts.rules.nodes import Node

_OPERATIONS = {
    "neg": kernel.NEGATE, "+": kernel.ADD, "-": kernel.SUBTRACT, "*": kernel.MULTIPLY,
    "/": kernel.DIVIDE, "<": kernel.LESS, "<=": kernel.LESS_EQUAL, ">": kernel.GREATER,
    ">=": kernel.GREATER_EQUAL, "==": kernel.EQUAL, "!=": kernel.NOT_EQUAL, "not": kernel.NOT,
    "and": kernel.AND, "or": kernel.OR,
}  # fmt: skip
Columns = NDArray[np.float64]
_READING, _CONSTANT, _SCRATCH, _TRUTH, _VALUE = "reading", "constant", "scratch", "truth", "value"


class Program:
    """The conditions of one scope, ready to be evaluated by one thread at a time.

    readings:  the rows that `evaluate` takes, in this order
    rules:     the conditions, in the order of the rows that it writes
    """

    def __init__(self, rules: Sequence[Condition]) -> None:
        if len({rule.scope for rule in rules}) > 1:
            raise ValueError("the conditions of a program have one scope")
        self.rules = tuple(rules)
        self.readings: tuple[Reading, ...] = tuple(
            dict.fromkeys(reading for rule in rules for reading in rule.readings)
        )
        writer = _Writer(self.readings, self.rules)
        self._code = writer.finished()
        self._registers = np.zeros((writer.registers, kernel.BLOCK))
        self._registers[: len(writer.constants)] = np.array([*writer.constants]).reshape(-1, 1)

    def evaluate(self, readings: Columns, truth: Columns, values: Columns) -> None:
        """Write what each condition is of each entity; NaN is unknown throughout.

        readings:  float64[readings, entities], in the units of the model, health as its number
        truth:     float64[rules, entities], written: 1, 0 or NaN
        values:    float64[rules, entities], written: the value that a notification shows
        """
        entities = readings.shape[1]
        expected = (len(self.rules), entities)
        if readings.shape[0] != len(self.readings):
            raise ValueError(f"{len(self.readings)} readings are needed, not {readings.shape[0]}")
        if truth.shape != expected or values.shape != expected:
            raise ValueError(f"truth and values have the shape {expected}")
        arrays = (readings, self._registers, truth, values)
        kernel.evaluate(self._code, arrays)


def programs(rules: Sequence[Condition]) -> dict[str, Program]:
    """A program for each scope that occurs, with its conditions in the order given."""
    scopes = dict.fromkeys(rule.scope for rule in rules)
    return {scope: Program([rule for rule in rules if rule.scope == scope]) for scope in scopes}


class _Writer:
    """Writes the code of one rule after the other.

    Registers, targets and operands are numbered as if each kind began at 0, until all are known:
    (kind, number) becomes a place in `finished`.
    """

    def __init__(self, readings: Sequence[Reading], rules: Sequence[Condition]) -> None:
        self.constants: dict[float, int] = {}
        self._rows = {reading: row for row, reading in enumerate(readings)}
        self._rule_count = len(rules)
        self._scratch_used = 0
        self._steps: list[tuple[int, _Place, _Place, _Place]] = []
        self._kept: tuple[Node, _Place] | None = None
        for row, rule in enumerate(rules):
            self._rule(row, rule)

    @property
    def registers(self) -> int:
        """The registers that the program takes; the first are for constants."""
        return len(self.constants) + self._scratch_used

    def finished(self) -> NDArray[np.int64]:
        """The code, as the kernel takes it."""
        below = {
            _READING: 0,
            _CONSTANT: len(self._rows),
            _SCRATCH: len(self._rows) + len(self.constants),
        }
        targets = {
            _SCRATCH: len(self.constants),
            _TRUTH: self.registers,
            _VALUE: self.registers + self._rule_count,
        }
        code = [
            (
                operation,
                targets[target.kind] + target.number,
                below[left.kind] + left.number,
                below[right.kind] + right.number,
            )
            for operation, target, left, right in self._steps
        ]
        return np.array(code, np.int64).reshape(-1, kernel.CODE_WORDS)

    def _rule(self, row: int, rule: Condition) -> None:
        """Write the code of a rule; what is shown is computed once, although it is needed twice."""
        self._kept = None
        shown = self._operand(rule.shown, rule, 0)
        self._emit(kernel.COPY, _Place(_VALUE, row), shown, shown)
        self._kept = (rule.shown, shown)
        self._operand(rule.root, rule, _after(shown, 0), _Place(_TRUTH, row))

    def _operand(
        self, node: Node, rule: Condition, free: int, target: "_Place | None" = None
    ) -> "_Place":
        """Write what computes a node; returns where it stands: at `target` if that is given.

        Scratch registers from `free` on may change.
        """
        if self._kept and self._kept[0] is node:
            place = self._kept[1]
        elif node.need is not None:
            place = _Place(_READING, self._rows[rule.reading(node.need)])
        elif node.operation == "number":
            constants = self.constants
            place = _Place(_CONSTANT, constants.setdefault(node.constant, len(constants)))
        else:
            return self._computed(node, rule, free, target)
        return self._emit(kernel.COPY, target, place, place) if target else place

    def _computed(
        self, node: Node, rule: Condition, free: int, target: "_Place | None"
    ) -> "_Place":
        operation = _OPERATIONS[node.operation]
        *others, last = node.parts[1:] or node.parts
        first = second = self._operand(node.parts[0], rule, free)
        for part in others if len(node.parts) > 1 else ():
            second = self._operand(part, rule, _after(first, free))
            first = self._emit(operation, self._vacant(free, first, second), first, second)
        if len(node.parts) > 1:
            second = self._operand(last, rule, _after(first, free))
        return self._emit(operation, target or self._vacant(free, first, second), first, second)

    def _vacant(self, free: int, *operands: "_Place") -> "_Place":
        """The lowest scratch register from `free` on that is no operand."""
        taken = [operand.number for operand in operands if operand.kind == _SCRATCH]
        number = next(number for number in range(free, free + 3) if number not in taken)
        self._scratch_used = max(self._scratch_used, number + 1)
        return _Place(_SCRATCH, number)

    def _emit(self, operation: int, target: "_Place", left: "_Place", right: "_Place") -> "_Place":
        self._steps.append((operation, target, left, right))
        return target


class _Place(NamedTuple):
    """Where a column stands: of which kind it is, and its number within that."""

    kind: str
    number: int


def _after(place: _Place, free: int) -> int:
    """The first scratch register that may change while `place` is still needed."""
    return max(free, place.number + 1) if place.kind == _SCRATCH else free
