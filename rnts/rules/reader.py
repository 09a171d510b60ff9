"""Reads the expression of a condition with `ast`; only what is on the list here gets through."""

import ast
import math
from dataclasses import dataclass

from rnts.rules.clauses import Clauses
from rnts.rules.faults import Fault, RuleError

DEPTH_MAX = 32  # of operations within operations

_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.USub: "-", ast.UAdd: "+",
    ast.Not: "not", ast.And: "and", ast.Or: "or",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_NOT_HERE = {
    ast.IfExp: "if", ast.Lambda: "lambda", ast.In: "in", ast.NotIn: "not in", ast.Is: "is",
    ast.IsNot: "is not", ast.Tuple: "a list", ast.Await: "await", ast.Starred: "*",
}  # fmt: skip
_INSTEAD = "; write comparisons joined by and, or, not"


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of an expression, with the character at which a fault of it is told.

    number, duration, text, name   `value` is the float, the nanoseconds, the text, the name
    call                           `value` is the name, `parts` the arguments
    over                           `parts` are what the window is of, and its duration
    neg, not, + - * /, and, or,
    < <= > >= == !=                `parts` are the operands; chains are taken apart
    """

    operation: str
    position: int
    parts: tuple["Term", ...] = ()
    value: object = None


def read(text: str, clauses: Clauses) -> Term:
    """The expression of a condition; raises RuleError where it has what conditions do not."""
    try:
        # In parentheses it may begin with a space.
        body = ast.parse(f"({clauses.expression})", mode="eval").body
    except SyntaxError as error:
        raise RuleError(text, [_syntax_fault(clauses.expression, error)]) from None
    except (RecursionError, MemoryError):
        raise RuleError(text, [Fault(0, _too_deep())]) from None
    return _Reader(text, clauses).term(body, 0)


def _too_deep() -> str:
    return f"more than {DEPTH_MAX} operations within each other"


def _characters(line: str, utf8_bytes: int) -> int:
    """The characters of a line that so many of its bytes are: `ast` counts bytes."""
    return len(line.encode()[:utf8_bytes].decode(errors="replace"))


def _syntax_fault(expression: str, error: SyntaxError) -> Fault:
    """Where Python's parser could not go on, without its advice, which is about programs."""
    position = min(max((error.offset or 1) - 2, 0), len(expression))  # its offset is of characters
    rest = expression[position:].strip()
    if not rest or rest == ")":
        return Fault(len(expression.rstrip()), "the expression ends too early")
    return Fault(position, f"{rest.split()[0][:40]} does not fit in here")


class _Reader:
    """Turns nodes of `ast` into terms."""

    def __init__(self, text: str, clauses: Clauses) -> None:
        self._text = text
        self._line = clauses.expression
        self._durations = clauses.durations

    def term(self, node: ast.expr, depth: int) -> Term:
        """The term of a node and of what is in it."""
        # A list without parentheses of its own begins where ours do.
        position = max(0, _characters(f"({self._line})", node.col_offset) - 1)
        if depth > DEPTH_MAX:
            raise RuleError(self._text, [Fault(position, _too_deep())])
        below = depth + 1
        match node:
            case ast.Constant(value=value):
                return self._constant(value, position)
            case ast.Name(id=name):
                return Term("name", position, value=name)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return Term("call", position, tuple(self.term(arg, below) for arg in args), name)
            case ast.Subscript(value=inner, slice=ast.Constant() as window):
                start = _characters(f"({self._line})", window.col_offset) - 1
                length = Term("duration", start, value=self._durations[start])
                return Term("over", position, (self.term(inner, below), length))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Term("not", position, (self.term(operand, below),))
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                inside = self.term(operand, below)
                return inside if isinstance(sign, ast.UAdd) else Term("neg", position, (inside,))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
                parts = (self.term(left, below), self.term(right, below))
                return Term(_SIGNS[type(op)], position, parts)
            case ast.BoolOp(op=op, values=values):
                return Term(
                    _SIGNS[type(op)], position, tuple(self.term(value, below) for value in values)
                )
            case ast.Compare():
                return self._comparison(node, position, below)
        raise RuleError(self._text, [Fault(position, self._refusal(node))])

    def _constant(self, value: object, position: int) -> Term:
        if position in self._durations:
            return Term("duration", position, value=self._durations[position])
        if isinstance(value, str):
            return Term("text", position, value=value)
        if type(value) not in (int, float):
            raise RuleError(self._text, [Fault(position, f"{value} has no meaning in a condition")])
        assert isinstance(value, int | float)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise RuleError(self._text, [Fault(position, "the number is too large")])
        return Term("number", position, value=number)

    def _comparison(self, node: ast.Compare, position: int, below: int) -> Term:
        """A comparison; a chain is all of its comparisons together."""
        for op in node.ops:
            if type(op) not in _SIGNS:
                message = f"{_NOT_HERE[type(op)]} has no meaning in a condition{_INSTEAD}"
                raise RuleError(self._text, [Fault(position, message)])
        operands = [self.term(each, below) for each in (node.left, *node.comparators)]
        pairs = [
            Term(_SIGNS[type(op)], left.position, (left, right))
            for op, left, right in zip(node.ops, operands[:-1], operands[1:], strict=True)
        ]
        return pairs[0] if len(pairs) == 1 else Term("and", position, tuple(pairs))

    def _refusal(self, node: ast.expr) -> str:
        if isinstance(node, ast.Call):
            return "only functions with a name are called, and arguments have no names"
        kind = _NOT_HERE.get(type(node), "this")
        return f"{kind} has no meaning in a condition{_INSTEAD}"
