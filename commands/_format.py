"""Numbers, times and foreign text as people read them; none of it can steer a terminal."""

import math
import time
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

ABSENT = "-"  # stands where the document has no value; a zero would be a claim
_COUNTS = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
_TIMES = ((1.0, " ns"), (1e3, " µs"), (1e6, " ms"), (1e9, " s"))
_SIZES = tuple((1024.0**power, f" {unit}B") for power, unit in enumerate(["", "Ki", "Mi", "Gi"]))
_SIZES += ((1024.0**4, " TiB"),)
_LEVELS = "▁▂▃▄▅▆▇█"
# Characters whose width terminals disagree about, besides the categories in `visible`: variation
# selectors, halves of flags, skin tones. A line that is wider than we think would wrap.
_CONTESTED = (
    (0xFE00, 0xFE0F),
    (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF),
    (0xE0100, 0xE01EF),
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Me", "Zl", "Zp"})


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number; what another version of the document holds may be not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """A count or a plain number in three digits: 999, 1.23k, 12.3M."""
    return _scaled(value, _COUNTS)


def exact(value: Any) -> str:
    """A count in full, 1,234,567: for losses, where every record matters."""
    return f"{round(value):,}" if is_number(value) else ABSENT


def duration(value_ns: Any) -> str:
    """Nanoseconds in the unit that fits: 850 ns, 12.3 µs, 1.20 ms, 59.9 s, then `elapsed`."""
    if is_number(value_ns) and abs(value_ns) >= 60e9:
        return ("-" if value_ns < 0 else "") + elapsed(abs(value_ns) / 1e9)
    return _scaled(value_ns, _TIMES)


def size(value_bytes: Any) -> str:
    """Bytes in binary units: 512 B, 1.50 KiB, 12.3 MiB."""
    return _scaled(value_bytes, _SIZES)


def elapsed(value_s: Any) -> str:
    """Seconds as people say them: 7s, 1m 23s, 3h 07m, 2d 03h."""
    if not is_number(value_s):
        return ABSENT
    seconds = max(0, int(value_s))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h {seconds // 60 % 60:02}m"
    return f"{seconds // 86_400}d {seconds // 3600 % 24:02}h"


def age(time_ns: Any, now_ns: Any) -> str:
    """How long ago, in three cells: 0s, 59s, 12m, 3h, 2d."""
    if not (is_number(time_ns) and is_number(now_ns)):
        return ABSENT
    seconds = max(0, int((now_ns - time_ns) / 1e9))
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"


def percent(fraction: Any) -> str:
    """A fraction as per cent: 0.0054 is 0.54 %."""
    return f"{_digits(fraction * 100)} %" if is_number(fraction) else ABSENT


def quantity(value: Any, unit: str) -> str:
    """A metric's value in the unit that `rnts.model` gives it."""
    if unit == "ns":
        return duration(value)
    if unit == "B":
        return size(value)
    if unit == "%":
        return f"{_digits(value)} %" if is_number(value) else ABSENT
    return count(value)


def clock(time_ns: Any) -> str:
    """The local time of day, 14:03:59."""
    if not is_number(time_ns):
        return ABSENT
    try:
        return time.strftime("%H:%M:%S", time.localtime(time_ns / 1e9))
    except (OverflowError, ValueError, OSError):  # beyond what the C library can tell
        return ABSENT


def sparkline(values: Sequence[float | None]) -> str:
    """One bar a value, from zero to the greatest; absent ones are blank, only zero is lowest."""
    known = [value for value in values if value is not None]
    top = max(known, default=0.0)
    bars = []
    for value in values:
        if value is None:
            bars.append(" ")
        elif value <= 0 or top <= 0:
            bars.append(_LEVELS[0])
        else:
            bars.append(_LEVELS[max(1, round(value / top * (len(_LEVELS) - 1)))])
    return "".join(bars)


def visible(text: Any) -> str:
    """`text` with escapes for what could steer a terminal or has no certain width: \\x1b."""
    plain = str(text)
    return plain if plain.isascii() and plain.isprintable() else _composed(plain)


@lru_cache(maxsize=4096)  # the same names come back in every picture
def _composed(text: str) -> str:
    """The same for text that is not plain ASCII."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_escape(c) if _is_hidden(c) else c for c in composed)


def _escape(character: str) -> str:
    """The character in Python's notation."""
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _is_hidden(character: str) -> bool:
    """Whether the character must not reach a terminal as it is."""
    if unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return True
    return any(first <= ord(character) <= last for first, last in _CONTESTED)


def _scaled(value: Any, steps: Sequence[tuple[float, str]]) -> str:
    """`value` in the first of `steps` that shows it with at most three digits before the point."""
    if not is_number(value):
        return ABSENT
    factor, unit = next((step for step in steps if abs(value) / step[0] < 999.5), steps[-1])
    scaled = value / factor
    return (_digits(scaled) if factor > 1 else _small(value)) + unit


def _small(value: float) -> str:
    """A value below 1,000 in its own unit: whole numbers stay whole."""
    return str(int(value)) if value == int(value) else _digits(value)


def _digits(value: float) -> str:
    """Three digits; below a hundredth two digits and an exponent, so that it does not read as 0."""
    magnitude = abs(value)
    if 0 < magnitude < 0.00995:
        return f"{value:.1e}"
    if magnitude < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if magnitude < 99.95 else f"{value:,.0f}"
