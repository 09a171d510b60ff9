"""Histograms keep the error that they promise, and merging them is adding."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import magnitude_of, percentile
from numpy.typing import NDArray

from rnts.kernels import durations, histogram

PERCENTILES = np.array([0.1, 1, 10, 25, 50, 75, 90, 95, 99, 99.9])
SMALLEST, LARGEST = 2.0**histogram.EXPONENT_MIN, 2.0**histogram.EXPONENT_MAX

in_range = st.floats(SMALLEST, LARGEST, exclude_min=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
# Sums of these weights are exact, so that ranks do not depend on the order of additions.
weights = st.sampled_from([0.25, 0.5, 1.0, 2.0, 20.0])
weighted_values = st.lists(st.tuples(in_range | in_range.map(lambda x: -x), weights), min_size=1)

DISTRIBUTIONS = {
    "lognormal": lambda r, n: np.exp(r.normal(10.5, 0.6, n)),
    "wide lognormal": lambda r, n: np.exp(r.normal(0, 2.0, n)),
    "exponential": lambda r, n: r.exponential(1e6, n),
    "uniform": lambda r, n: r.uniform(1, 2, n),
    "pareto": lambda r, n: 1 + r.pareto(1.2, n),
    "normal of both signs": lambda r, n: r.normal(0, 1e3, n),
    "negative": lambda r, n: -np.exp(r.normal(4, 0.1, n)),
    "counts with zeros": lambda r, n: r.poisson(2, n).astype(float),
    "constant": lambda r, n: np.full(n, 12345.6),
    "two values": lambda r, n: r.choice([1.0, 1e9], n),
    "powers of two": lambda r, n: 2.0 ** r.integers(-15, 48, n),
    "durations": lambda r, n: np.floor(r.gamma(3, 1e6, n)),
    "weibull": lambda r, n: 1e3 * (1e-4 + r.weibull(0.5, n)),
    "student": lambda r, n: r.standard_t(2, n),
    "two modes": lambda r, n: np.exp(r.normal(np.where(r.random(n) < 0.9, 7, 16), 0.3)),
    "one outlier": lambda r, n: np.where(np.arange(n) == n // 2, 1e14, r.uniform(10, 11, n)),
    "shares": lambda r, n: r.beta(0.5, 0.5, n).clip(1e-4),
    "zipf": lambda r, n: r.zipf(1.6, n).clip(1, 2**47).astype(float),
    "sawtooth": lambda r, n: 1.0 + np.arange(n) % 97,
    "bounds of buckets": lambda r, n: 2.0 ** (r.integers(0, 2_000, n) / 64),
}


def nearest_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exact percentiles: the value whose rank is p % of the count, rounded up."""
    ranks = [ceil(Fraction(str(p)) * values.size / 100) for p in PERCENTILES]
    return np.sort(values)[np.array(ranks) - 1]


def filled(values: NDArray[np.float64], shares: NDArray[np.float64] | None = None) -> NDArray:
    """A histogram of these values."""
    buckets = np.zeros(histogram.BUCKETS)
    assert (
        histogram.insert(buckets, values, np.ones(values.size) if shares is None else shares) == 0
    )
    return buckets


def estimates(buckets: NDArray, values: NDArray) -> tuple[NDArray, int]:
    """The percentiles that a histogram of these values gives, and whether it vouches for them."""
    found = np.zeros(PERCENTILES.size)
    bounded = histogram.quantiles(buckets, PERCENTILES, values.min(), values.max(), found)
    return found, bounded


def test_there_are_twenty_distributions() -> None:
    """Of one mode and more, light and heavy tails, both signs, whole numbers, ties and bounds."""
    assert len(DISTRIBUTIONS) == 20


@pytest.mark.parametrize("count", [1, 2, 10, 1_000, 50_000])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_percentiles_are_within_the_documented_error_of_the_exact_ones(
    name: str, count: int
) -> None:
    """Each percentile is off by at most RELATIVE_ERROR of the nearest-rank percentile."""
    values = DISTRIBUTIONS[name](np.random.default_rng(count), count)
    exact = nearest_ranks(values)

    found, bounded = estimates(filled(values), values)

    assert bounded == 1
    allowed = histogram.RELATIVE_ERROR * np.abs(exact) * (1 + 1e-12)
    assert (np.abs(found - exact) <= allowed).all()


@given(weighted_values)
def test_weighted_percentiles_are_within_the_documented_error(
    pairs: list[tuple[float, float]],
) -> None:
    """A weight counts as so many values."""
    values, shares = (np.array(column) for column in zip(*pairs, strict=True))

    found, bounded = estimates(filled(values, shares), values)

    assert bounded == 1
    for p, value in zip(PERCENTILES, found, strict=True):
        exact = percentile(pairs, p)
        assert abs(value - exact) <= histogram.RELATIVE_ERROR * abs(exact) * (1 + 1e-12)


def test_rounding_does_not_move_a_rank() -> None:
    """99.9 % of 335,550,000 values are 335,214,450, and not one more as in floating point."""
    buckets = filled(np.array([1.0, 1000.0]), np.array([335_214_450.0, 335_550.0]))
    found = np.zeros(1)

    histogram.quantiles(buckets, np.array([99.9]), 1.0, 1000.0, found)

    assert found[0] == 1.0


@given(in_range)
def test_a_bucket_excludes_its_lower_bound_and_includes_its_upper(value: float) -> None:
    """The mapping is OpenTelemetry's, to the last bit: base^i < value <= base^(i+1)."""
    first = magnitude_of(SMALLEST * (1 + 2**-52))

    bucket = histogram.bucket_of(value)

    assert bucket - histogram.ZERO - 2 == magnitude_of(value) - first
    assert histogram.bucket_of(-value) == 2 * histogram.ZERO - bucket


def test_boundaries_are_exact_at_every_bucket_of_an_octave() -> None:
    """The largest double that is no more than 2^(k/64) is below the boundary, the next above."""
    for k, mantissa in enumerate(histogram.boundary_mantissas()[1:], 1):
        at_boundary = np.ldexp(float((1 << 52) + mantissa), -52)
        above = np.nextafter(at_boundary, np.inf)

        assert magnitude_of(at_boundary) == k - 1
        assert histogram.bucket_of(above) == histogram.bucket_of(at_boundary) + 1


@given(st.lists(numbers, min_size=2))
def test_buckets_stand_in_the_order_of_their_values(values: list[float]) -> None:
    """A greater value never has a lower bucket, of whatever sign and size."""
    buckets = [histogram.bucket_of(value) for value in sorted(values)]

    assert buckets == sorted(buckets)
    assert buckets[0] >= 0
    assert buckets[-1] < histogram.BUCKETS


@pytest.mark.parametrize(
    ("value", "bucket", "bounded"),
    [
        (0.0, histogram.ZERO, 1),
        (-0.0, histogram.ZERO, 1),
        (SMALLEST, histogram.ZERO + 1, 0),
        (-5e-324, histogram.ZERO - 1, 0),
        (LARGEST, histogram.BUCKETS - 2, 1),
        (np.nextafter(LARGEST, np.inf), histogram.BUCKETS - 1, 0),
        (-1.7e308, 0, 0),
    ],
)
def test_no_bound_is_claimed_beyond_the_range(value: float, bucket: int, bounded: int) -> None:
    """Values too small or too large are counted at the ends; zero is exact."""
    assert histogram.bucket_of(value) == bucket
    found, is_bounded = estimates(filled(np.array([value])), np.array([value]))
    assert is_bounded == bounded
    assert (found == value).all()  # clamped to the extremes, which are exact


@given(weighted_values, weighted_values)
def test_merged_equals_added_and_subtracted_equals_never_added(
    one: list[tuple[float, float]], other: list[tuple[float, float]]
) -> None:
    """Merging is inserting everything into one; removing it again leaves what was there."""
    first, second, both = (
        filled(*(np.array(column) for column in zip(*pairs, strict=True)))
        for pairs in (one, other, one + other)
    )
    merged = first.copy()

    histogram.merge(merged, second)
    assert (merged == both).all()

    histogram.subtract(merged, second)
    assert (merged == first).all()


def test_what_is_not_finite_is_refused_and_counted() -> None:
    """NaN and infinities enter no bucket."""
    buckets = np.zeros(histogram.BUCKETS)

    refused = histogram.insert(buckets, np.array([np.nan, np.inf, 3.0, -np.inf]), np.ones(4))

    assert refused == 3
    assert buckets.sum() == 1


def coarse(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The small histogram of these durations."""
    buckets = np.zeros(durations.BUCKETS, np.float32)
    for value in values:
        buckets[durations.coarse_of(histogram.bucket_of(value))] += 1
    return buckets


@given(st.lists(st.integers(0, 2**40), min_size=1))
def test_the_small_histogram_keeps_its_own_bound_and_says_where_it_has_none(
    values: list[int],
) -> None:
    """Within 16 ns and 48 s a percentile is within 8.6 %; beyond it is not vouched for."""
    array = np.array(values, float)
    found = np.zeros(PERCENTILES.size)
    exact = nearest_ranks(array)

    bounded = durations.quantiles(coarse(array), PERCENTILES, array.min(), array.max(), found)

    assert bounded == ((exact > 16) & (exact <= 2**35.5)).all()
    if bounded:
        assert (np.abs(found - exact) <= durations.RELATIVE_ERROR * exact * (1 + 1e-12)).all()
    assert (array.min() <= found).all() and (found <= array.max()).all()
