"""Conditions evaluated slowly and obviously, as docs/rules.md says; unknown is None."""

import ast
import math
import re
from collections.abc import Callable
from fractions import Fraction

Read = Callable[[str, str, int], float | None]  # function, metric, window in ns -> its number
Value = float | None

UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
METRICS = {  # name without unit -> (name in the model, unit suffixes of it)
    "processing_time": ("processing_time_ns", "ns us ms s"),
    "memory": ("memory_bytes", "bytes kb mb"),
    "bytes_transmitted": ("bytes_transmitted", "bytes kb mb"),
    "cpu_usage": ("cpu_usage_percent", "percent"),
    "gpu_usage": ("gpu_usage_percent", "percent"),
    "cache_hit_rate": ("cache_hit_rate", "percent"),
    "noise_ratio": ("noise_ratio", "percent"),
}
PLAIN = [
    "activation_count",
    "queue_depth",
    "messages_sent",
    "messages_received",
    "bytes_transmitted",
    "connection_count",
    "cache_hit_rate",
    "signal_strength",
    "noise_ratio",
    "activation_potential",
]
DIVISORS = {"us": 1e3, "ms": 1e6, "s": 1e9, "kb": 1024.0, "mb": 1048576.0}
NOW = {"neurons", "degraded_neurons", "critical_neurons"}
WINDOWED = {"error_rate", "affected_neurons", "errors", "records", "active_neurons"}
STATES = {"healthy": 0.0, "degraded": 1.0, "critical": 2.0, "unknown": 3.0}


def evaluate(text: str, read: Read) -> tuple[Value, Value]:
    """Truth (1, 0 or None) and the value that is shown, of a condition without `by` and `for`."""
    python = re.sub(r" over (\S+?)(?=[\s)]|$)", r".over('\1')", text)
    python = re.sub(r", *([0-9.]+[a-z]+)\)", r", '\1')", python)
    tree = ast.parse(python.strip(), mode="eval").body
    return number(tree, read), shown(tree, read)


def number(node: ast.expr, read: Read) -> Value:
    """The number of an expression; that of something true is 1."""
    match node:
        case ast.Constant(value=str() as state):
            return STATES[state]
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return named(name, "1s", read)
        case ast.Call(func=ast.Attribute(value=inner), args=[ast.Constant(value=str() as window)]):
            if isinstance(inner, ast.Name):
                return named(inner.id, window, read)
            assert isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
            assert isinstance(inner.args[0], ast.Name)
            return of_metric(inner.func.id, inner.args[0].id, window, read)
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=metric), *rest]):
            window = ast.literal_eval(rest[0]) if rest else "1s"
            return of_metric(function, metric, window, read)
        case ast.UnaryOp(op=op, operand=operand):
            value = number(operand, read)
            if value is None:
                return None
            return 1.0 - value if isinstance(op, ast.Not) else -value
        case ast.BinOp(left=left, op=op, right=right):
            return calculated(op, number(left, read), number(right, read))
        case ast.BoolOp(op=op, values=values):
            return joined([number(value, read) for value in values], isinstance(op, ast.And))
        case ast.Compare(left=left, ops=ops, comparators=others):
            read = _reading_of(node, read)
            sides = [number(side, read) for side in (left, *others)]
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            return joined([compared(*pair) for pair in pairs], True)
    raise AssertionError(ast.dump(node))


def shown(node: ast.expr, read: Read) -> Value:
    """The first side of a comparison that depends on a reading."""
    match node:
        case ast.BoolOp(values=values):
            return shown(next(value for value in values if depends(value)), read)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return shown(operand, read)
        case ast.Compare(left=left, comparators=others):
            shown_side = next(side for side in (left, *others) if depends(side))
            return number(shown_side, _reading_of(node, read))
    return number(node, read)


def _reading_of(node: ast.expr, read: Read) -> Read:
    """Who never said how it is, is unknown where that is what is asked."""
    if not any(
        isinstance(each, ast.Constant) and each.value == "unknown" for each in ast.walk(node)
    ):
        return read
    named = {"health": "health_or_unknown"}
    return lambda function, metric, window: read(named.get(function, function), metric, window)


def depends(node: ast.expr) -> bool:
    """Whether a name occurs."""
    return any(isinstance(each, ast.Name) for each in ast.walk(node))


def named(name: str, window: str, read: Read) -> Value:
    """The number of a name."""
    if name in ("health", "health_status"):
        return read("health", "", 0)
    if name in NOW:
        return read(name, "", 0)
    if name in WINDOWED:
        return read(name, "", nanoseconds(window))
    if name == "error_rate_percent":
        rate = read("error_rate", "", nanoseconds(window))
        return None if rate is None else rate * 100.0
    if is_metric(name):
        return in_unit(name, lambda metric: read("last", metric, 0))
    form = re.fullmatch(r"(p\d+(?:_\d+)?|[a-z]+)_(.+)", name)
    assert form
    return of_metric(form[1], form[2], window, read)


def of_metric(function: str, name: str, window: str, read: Read) -> Value:
    """A function of a metric, in the unit of its name."""
    if percentile := re.fullmatch(r"p(\d+)(?:_(\d+))?", function):
        value = Fraction(f"{percentile[1]}.{percentile[2] or 0}")
        function = f"p{float(value):g}".replace(".", "_")
    if function in ("count", "absent"):
        return read(function, model_name(name), nanoseconds(window))
    return in_unit(name, lambda metric: read(function, metric, nanoseconds(window)))


def is_metric(name: str) -> bool:
    """Whether a name is a metric in one of its units."""
    base, _, unit = name.rpartition("_")
    return name in PLAIN or (base in METRICS and unit in METRICS[base][1].split())


def model_name(name: str) -> str:
    """What a metric is called in the model."""
    return name if name in PLAIN else METRICS[name.rpartition("_")[0]][0]


def in_unit(name: str, read_metric: Callable[[str], Value]) -> Value:
    """The number of a metric, in the unit of its name."""
    value = read_metric(model_name(name))
    if value is None or name in PLAIN:
        return value
    base, _, unit = name.rpartition("_")
    if unit == "percent" and base in PLAIN:
        return value * 100.0
    return value / DIVISORS.get(unit, 1.0)


def nanoseconds(window: str) -> int:
    """A duration as a number."""
    match = re.fullmatch(r"([0-9.]+)([a-z]+)", window)
    assert match
    return int(Fraction(match[1]) * UNITS[match[2]])


def calculated(op: ast.operator, left: Value, right: Value) -> Value:
    """Arithmetic; what is no number is unknown."""
    if left is None or right is None:
        return None
    if isinstance(op, ast.Div):
        value = left / right if right else math.nan
    else:
        sign = {ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__"}[type(op)]
        value = getattr(left, sign)(right)
    return None if math.isnan(value) else value


def compared(op: ast.cmpop, left: Value, right: Value) -> Value:
    """A comparison; with something unknown it is unknown."""
    if left is None or right is None:
        return None
    holds = {
        ast.Lt: left < right, ast.LtE: left <= right, ast.Gt: left > right,
        ast.GtE: left >= right, ast.Eq: left == right, ast.NotEq: left != right,
    }[type(op)]  # fmt: skip
    return float(holds)


def joined(truths: list[Value], is_and: bool) -> Value:
    """Kleene's `and` and `or` of any number of truths."""
    decisive = 0.0 if is_and else 1.0
    if decisive in truths:
        return decisive
    return None if None in truths else 1.0 - decisive
