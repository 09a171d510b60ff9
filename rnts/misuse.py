"""What `record` says of arguments that are no plain numbers: made plain, or refused with a reason.

No fast path comes here. The builtin hands over what it cannot convert by itself, the writer in
Python what could not be packed.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Iterable

from rnts.model import FIELD, METRIC_NAMES, Storage

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any

RECORD_ARGUMENTS = (*METRIC_NAMES, "health", "weight")
_FIELDS = [FIELD[name] for name in RECORD_ARGUMENTS]
TIME_MAX = (1 << 63) - 1


def plain_values(values: Iterable[Any]) -> list[int | float | None]:
    """The values of a record's arguments, in their order, as ints, floats and None.

    Raises TypeError for what is no number of the right kind and OverflowError for what does not fit
    its field; what a value's own `__index__` or `__float__` raises goes through.
    """
    return [
        None
        if value is None
        else _real(field.name, value, field.storage)
        if field.storage.is_float
        else _whole(field.name, value, (1 << field.storage.bits) - 1)
        for field, value in zip(_FIELDS, values, strict=True)
    ]


def plain_time(timestamp_ns: Any) -> int | None:
    """The same for the time of a record, which None leaves to the clock."""
    if timestamp_ns is None:
        return None
    time_ns = _whole("timestamp_ns", timestamp_ns, TIME_MAX)
    if time_ns == 0:
        raise OverflowError("timestamp_ns must be nanoseconds since 1970, not 0")
    return time_ns


def _whole(name: str, value: Any, limit: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name} must be an int or None, not {kind}") from None
    if not 0 <= number <= limit:
        raise OverflowError(f"{name} must be 0 … {limit}, not {number}")
    return number


def _real(name: str, value: Any, storage: Storage) -> float:
    if isinstance(value, str | bytes | bytearray):  # float() would read them
        raise TypeError(f"{name} must be a number or None, not {type(value).__name__}")
    try:
        number = float(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name} must be a number or None, not {kind}") from None
    except OverflowError:
        raise OverflowError(f"{name} must fit a float, and this int does not") from None
    if storage is Storage.F32 and math.isfinite(number):
        try:
            struct.pack("<f", number)
        except OverflowError:
            raise OverflowError(f"{name} must fit a 32-bit float, and {number} does not") from None
    return number
