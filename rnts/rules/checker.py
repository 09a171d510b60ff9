"""Checks what a condition does with its readings: kinds, units, states."""

from dataclasses import replace

from rnts.nearest import suggest
from rnts.rules import vocabulary
from rnts.rules.nodes import (
    NUMBER,
    STATE,
    TEXT,
    TRUTH,
    WRONG,
    Faults,
    Node,
    constant_of,
    number,
)
from rnts.rules.operands import Operands
from rnts.rules.reader import Term

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Checker:
    """Turns terms into nodes whose kinds fit together; all faults are collected."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._operands = Operands(faults)

    def condition(self, term: Term) -> Node:
        """A whole condition: something that is true or not, and depends on something."""
        node = self._truth(term)
        if node.kind == TRUTH and node.is_constant:
            return self._faults.wrong(term.position, "nothing in it depends on any neuron")
        return node

    def quantity(self, term: Term) -> Node:
        """What a standing query asks for: a number, a state, or a condition."""
        node = self._node(term)
        if node.kind == TEXT:
            return self._faults.wrong(term.position, "a text alone asks for nothing")
        if node.kind != WRONG and node.is_constant:
            return self._faults.wrong(term.position, "nothing in it depends on any neuron")
        return node

    def _node(self, term: Term) -> Node:
        operation = term.operation
        if self._faults.are_enough:
            return Node("number", WRONG, term.position)
        if operation == "number":
            assert isinstance(term.value, float)
            return number(term.value, term.position)
        if operation == "text":
            return Node("number", TEXT, term.position)
        if operation == "duration":
            message = (
                "a duration follows over, for, or absent(…); other times are numbers "
                "in the unit of the name, as in p99_processing_time_ms > 100"
            )
            return self._faults.wrong(term.position, message)
        if operation in ("name", "call", "over"):
            return self._operands.of(term)
        if operation in ("not", "and", "or"):
            parts = tuple(self._truth(part) for part in term.parts)
            return Node(operation, _kind(parts, TRUTH), term.position, parts)
        if operation in _COMPARISONS:
            return self._comparison(term)
        return self._arithmetic(term)

    def _truth(self, term: Term) -> Node:
        node = self._node(term)
        if node.kind in (TRUTH, WRONG):
            return node
        if node.kind == STATE:
            advice = "compare it, as in health_status == 'critical'"
        else:
            advice = "compare it, as in error_rate > 0.5"
        return self._faults.wrong(term.position, f"{node.kind} is neither true nor false; {advice}")

    def _comparison(self, term: Term) -> Node:
        left, right = term.parts
        if TEXT in (left_kind := _text_kind(left), _text_kind(right)):
            if left_kind == TEXT:
                left, right = right, left
            return self._state(term, left, right)
        sides = (self._node(left), self._node(right))
        for side in sides:
            if side.kind == STATE:
                if any(other.kind == WRONG for other in sides):
                    return Node(term.operation, WRONG, term.position)
                message = "a state is compared with a text, as in health_status == 'critical'"
                return self._faults.wrong(side.position, message)
        return self._numbers(term, sides, "compared", "")

    def _state(self, term: Term, left: Term, text: Term) -> Node:
        """A comparison of health with one of its states."""
        state = self._node(left)
        if state.kind == WRONG:
            return state
        if state.kind != STATE:
            message = "only health_status is compared with a text"
            return self._faults.wrong(text.position, message)
        if term.operation not in ("==", "!="):
            message = f"states have no order; write == or != instead of {term.operation}"
            return self._faults.wrong(text.position, message)
        name = str(text.value)
        if name not in vocabulary.STATES:
            message = f"unknown state {name[:80]}{suggest(name[:80].lower(), vocabulary.STATES)}"
            return self._faults.wrong(text.position, message)
        if name != "unknown" and state.need is not None:
            # Whether a neuron is critical that never said how it is nobody knows.
            state = replace(state, need=state.need._replace(function="health"))
        parts = (state, number(vocabulary.STATES[name], text.position))
        return Node(term.operation, TRUTH, term.position, parts)

    def _arithmetic(self, term: Term) -> Node:
        parts = tuple(self._node(part) for part in term.parts)
        if term.operation == "neg":
            node = self._numbers(term, parts, "negated", parts[0].unit)
        elif term.operation in ("+", "-"):
            word = "added" if term.operation == "+" else "subtracted"
            node = self._numbers(term, parts, word, parts[0].unit or parts[1].unit)
        else:
            divisor = parts[-1]
            is_number = divisor.kind == NUMBER and divisor.is_constant
            if term.operation == "/" and is_number and not constant_of(divisor):
                message = "what is divided by 0 is never known"
                return self._faults.wrong(divisor.position, message)
            node = self._numbers(term, parts, "", _unit_of(term.operation, *parts))
        return node

    def _numbers(self, term: Term, parts: tuple[Node, ...], word: str, unit: str) -> Node:
        """An operation on numbers; with a `word` on numbers of one unit."""
        for part in parts:
            if part.kind not in (NUMBER, WRONG):
                message = f"{part.kind} stands where a number belongs"
                return self._faults.wrong(part.position, message)
        units = {part.unit for part in parts if part.unit}
        if word and len(units) > 1:
            first, second = parts[0].unit, parts[1].unit
            message = f"{second} cannot be {word} with {first}; write both in one unit"
            return self._faults.wrong(parts[1].position, message)
        kind = _kind(parts, TRUTH if term.operation in _COMPARISONS else NUMBER)
        return Node(term.operation, kind, term.position, parts, unit)


def _text_kind(term: Term) -> str:
    return TEXT if term.operation == "text" else ""


def _kind(parts: tuple[Node, ...], kind: str) -> str:
    return WRONG if any(part.kind == WRONG for part in parts) else kind


def _unit_of(sign: str, left: Node, right: Node) -> str:
    """The unit of a product or quotient, as far as it is one that has a name; else none."""
    if not right.unit:
        return left.unit
    return right.unit if sign == "*" and not left.unit else ""
