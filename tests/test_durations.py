"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnts.durations import DURATION_NS_MAX, UNITS_NS, parse_duration_ns
from rnts.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10_000_000_000),
        ("500ms", 500_000_000),
        ("2m", 120_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (" 0S ", 0),
        ("7 ns", 7),
        ("3us", 3_000),
        ("3µs", 3_000),  # U+00B5, as keyboards have it
        ("3μs", 3_000),
        ("0.1s", 100_000_000),  # exact, though 0.1 is no binary fraction
        ("366d", DURATION_NS_MAX),
    ],
)
def test_durations_are_read(text: str, expected: int) -> None:
    """A number with a unit is so many nanoseconds, exactly."""
    assert parse_duration_ns(text) == expected


@given(st.integers(0, 31_000_000), st.sampled_from(["ns", "us", "ms", "s"]))
def test_whole_numbers_are_exact(number: int, unit: str) -> None:
    """Whole numbers of a unit are that many times the unit."""
    assert parse_duration_ns(f"{number}{unit}") == number * UNITS_NS[unit]


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1e3s", "1s2", "1 fortnight", "nans", "1.s", "٣s"]
)
def test_other_text_is_refused(text: str) -> None:
    """What is no duration is refused with the text and an example."""
    with pytest.raises(UsageError, match="as in 10s or 500ms"):
        parse_duration_ns(text)


def test_unit_is_not_guessed() -> None:
    """A bare number is refused with the ways to complete it."""
    with pytest.raises(UsageError, match="'10' is no duration; write 10s, 10ms or 10m"):
        parse_duration_ns("10")


def test_longest_duration_has_a_limit() -> None:
    """Beyond a year the text is refused, so that no sum of times overflows."""
    with pytest.raises(UsageError, match="longer than"):
        parse_duration_ns("367d")
