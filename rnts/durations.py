"""Lengths of time as people write them: `10s`, `500ms`, `2m`, `1.5h`."""

import re
from decimal import Decimal

from rnts.errors import UsageError

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
DURATION_NS_MAX = 366 * UNITS_NS["d"]
_PATTERN = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([a-zµμ]+)")


def parse_duration_ns(text: str) -> int:
    """The nanoseconds of a number with a unit, at least 0; a fraction of a nanosecond is cut off.

    Raises UsageError that shows what to write where the text is no duration, has no unit, or is
    longer than a year.
    """
    stripped = text.strip().lower().replace("μ", "µ")
    match = _PATTERN.fullmatch(stripped)
    if match is None or match[2] not in UNITS_NS:
        raise UsageError(f"{text!r} is no duration; write {_suggestion(stripped)}")
    duration_ns = int(Decimal(match[1]) * UNITS_NS[match[2]])
    if duration_ns > DURATION_NS_MAX:
        raise UsageError(f"{text!r} is longer than the longest duration, 366d")
    return duration_ns


def _suggestion(text: str) -> str:
    """What may have been meant: a bare number with the unit that it lacks, else the form."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return f"{text}s, {text}ms or {text}m"
    return "a number and one of " + ", ".join(UNITS_NS) + ", as in 10s or 500ms"
