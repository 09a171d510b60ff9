"""Series as a test writes them: `1+1x3 _x2 5` is 1, 2, 3, 4, nothing twice, and 5.

`AxN` is A and N times A again, `A+BxN` and `A-BxN` grow and fall by B, `_` is no report and `_xN`
as many of them: as in promtool. States of health are words, `critical` or `criticalxN`.
"""

import re

from rnts.nearest import suggest
from rnts.rules.vocabulary import STATES

POINTS_MAX = 100_000  # of one series
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_VALUES = re.compile(
    rf"(?P<first>-?{_NUMBER})(?:(?P<step>[+-]{_NUMBER})(?=x))?(?:x(?P<times>\d{{1,9}}))?"
)
_NOTHING = re.compile(r"_(?:x(?P<times>\d{1,9}))?")
_STATE = re.compile(r"(?P<state>[a-z]+?)(?:x(?P<times>\d{1,9}))?")
_EXAMPLE = "write numbers as in 1 2x3 1+1x10, _ for none"

Values = list[float | None]


class NotationError(ValueError):
    """What is wrong, with the character at which it stands."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


def read_series(text: str, is_health: bool) -> Values:
    """The values, None where nothing is reported; raises NotationError."""
    values: Values = []
    for match in re.finditer(r"\S+", text):
        read = _states if is_health else _numbers
        try:
            values += read(match[0])
        except ValueError as error:
            raise NotationError(match.start(), str(error)) from None
        if len(values) > POINTS_MAX:
            raise NotationError(match.start(), f"a series has at most {POINTS_MAX:,} values")
    return values


def _times(match: re.Match[str]) -> int:
    """How often it is said again."""
    times = int(match["times"] or 0)
    if times > POINTS_MAX:
        raise ValueError(f"a series has at most {POINTS_MAX:,} values")
    return times


def _nothing(word: str) -> Values | None:
    if match := _NOTHING.fullmatch(word):
        return [None] * (_times(match) if match["times"] else 1)
    return None


def _numbers(word: str) -> Values:
    if (nothing := _nothing(word)) is not None:
        return nothing
    match = _VALUES.fullmatch(word)
    if match is None:
        raise ValueError(f"{word[:40]!r} is no value; {_EXAMPLE}")
    first, step = float(match["first"]), float(match["step"] or 0)
    return [first + step * number for number in range(_times(match) + 1)]


def _states(word: str) -> Values:
    if (nothing := _nothing(word)) is not None:
        return nothing
    match = _STATE.fullmatch(word)
    if match is None:
        raise ValueError(f"{word[:40]!r} is no state; write critical, or criticalx10")
    if match["state"] not in STATES:
        raise ValueError(f"{match['state'][:40]!r} is no state{suggest(match['state'], STATES)}")
    return [STATES[match["state"]]] * (_times(match) + 1)
