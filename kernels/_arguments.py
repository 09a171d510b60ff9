"""What stands between a caller and ready machine code: arguments are those that were declared.

Guarantee: a call with anything else raises TypeError and reads nothing. Numba's compiled wrappers
look at nothing but the size of a value: they would take floats for integers, read a slice as if it
had no gaps, and write over the stack for an array of more dimensions. Cost: 0.1 us an array, about
as much as Numba's dispatcher takes; closures for all that is allowed took 0.5, which was 10 us a
frame for agent and aggregator each.

A kind is "int", "float", {"dtype": ..., "ndim": ...} or a list of kinds for a tuple.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Check = Callable[[Any], None]


def checked(native: Callable[..., Any], name: str, kinds: list[Any]) -> Callable[..., Any]:
    """`native` behind a check of its arguments by their kinds.

    The function is generated flat: it lets pass what is usual, and leaves the rest to `check_of`,
    which tells what is wrong, or that it is as good.
    """
    scope: dict[str, Any] = {"native": native, "check": check_of(name, kinds)}
    names = ", ".join(f"a{i}" for i in range(len(kinds)))
    unpacking, conditions = _usual(kinds, "a", scope)
    lines = [
        f"def call({names}):",
        "    try:",
        *[f"        {line}" for line in unpacking],
        f"        is_usual = {' and '.join(conditions) or True}",
        "    except (AttributeError, TypeError, ValueError):",
        "        is_usual = False",
        "    if not is_usual:",
        f"        check(({names},))",
        f"    return native({names})",
    ]
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of numbers only
    function: Callable[..., Any] = scope["call"]
    return function


def _usual(kinds: list[Any], prefix: str, scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Assignments that take tuples apart, and conditions that usual arguments fulfil."""
    lines, conditions = [], []
    for i, kind in enumerate(kinds):
        variable = f"{prefix}{i}"
        if isinstance(kind, dict):
            scope[f"dtype_{variable}"] = np.dtype(kind["dtype"])
            conditions += [
                f"{variable}.dtype is dtype_{variable}",
                f"{variable}.ndim == {kind['ndim']}",
                f"{variable}.flags.carray",
            ]
        elif isinstance(kind, list):
            parts = "".join(f"{variable}_{j}, " for j in range(len(kind)))
            inner_lines, inner_conditions = _usual(kind, f"{variable}_", scope)
            lines += [f"{parts}= {variable}", *inner_lines]
            conditions += [f"type({variable}) is tuple", *inner_conditions]
        else:
            conditions.append(f"type({variable}) is {kind}")
    return lines, conditions


def check_of(name: str, kind: Any) -> Check:
    """What raises TypeError for an argument of the kernel `name` that is not of a kind."""
    if isinstance(kind, dict):
        return _array_check(name, np.dtype(kind["dtype"]), kind["ndim"])
    if isinstance(kind, list):
        return _tuple_check(name, [check_of(name, part) for part in kind])
    wanted = (int, np.integer) if kind == "int" else (int, float, np.integer, np.floating)

    def check(value: Any) -> None:
        if not isinstance(value, wanted):
            raise TypeError(f"{name} takes a number ({kind}), not {type(value).__name__}")

    return check


def _array_check(name: str, dtype: "np.dtype[Any]", ndim: int) -> Check:
    def check(value: Any) -> None:
        if (
            type(value) is not np.ndarray
            or value.dtype != dtype
            or value.ndim != ndim
            or not value.flags.carray  # C-contiguous, aligned and writable
        ):
            raise TypeError(f"{name} takes a plain array of {ndim} dimensions of {dtype}")

    return check


def _tuple_check(name: str, checks: list[Check]) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, tuple) or len(value) != len(checks):
            raise TypeError(f"{name} takes a tuple of {len(checks)}")
        for part, check_part in zip(value, checks, strict=True):
            check_part(part)

    return check
