"""Histograms are read by those who know OpenTelemetry's and Prometheus' layouts, and not ours.

The readers here are written by the two specifications: an exponential histogram data point with
scale, offset and counts, and a native histogram with schema, spans and deltas.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
import pytest
from naive_windows import magnitude_of

from rnts.kernels import downscale, durations, histogram

SCALES = range(downscale.SCALE_MIN, histogram.SCALE + 1)
MAX_SIZE = 160  # buckets that OpenTelemetry's SDKs keep unless they are told otherwise


@dataclass
class Point:
    """An ExponentialHistogramDataPoint, without its times and attributes."""

    scale: int
    zero_count: float
    positive: tuple[int, list[float]]  # offset and counts
    negative: tuple[int, list[float]]

    def counted(self) -> dict[int, float]:
        """Counts by OpenTelemetry's index of a bucket of positive values."""
        offset, counts = self.positive
        return {offset + i: count for i, count in enumerate(counts) if count}


def point_of(buckets: np.ndarray, scale: int) -> Point:
    """What an exporter would send: the buckets from the first that is used to the last."""
    count = downscale.bucket_count(scale)
    sides = np.zeros(count), np.zeros(count)
    zero = downscale.downscale(buckets, scale, *sides)
    parts = []
    for side in sides:
        used = side.nonzero()[0]
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        parts.append((downscale.first_index(scale) + low, side[low:high].tolist()))
    return Point(scale, zero, *parts)


def map_to_index(value: float, scale: int) -> int:
    """OpenTelemetry's index: ceil(log_base(value)) - 1, with as many digits as that takes."""
    with localcontext() as context:
        context.prec = 60
        position = (Decimal(value).ln() / Decimal(2).ln()) * Decimal(2) ** scale
        nearest = position.to_integral_value()
        if abs(position - nearest) < Decimal(10) ** -50:  # the value is a bound, which is inside
            position = nearest
        return math.ceil(position) - 1


def filled(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A histogram of these."""
    buckets = np.zeros(histogram.BUCKETS)
    assert histogram.insert(buckets, values, weights) == 0
    return buckets


def drawn(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Values of both signs and many sizes, powers of two and zeros among them, and weights."""
    source = np.random.default_rng(seed)
    sizes = 2.0 ** source.uniform(-15.9, 47.9, count)
    sizes[: count // 4] = 2.0 ** source.integers(-15, 48, count // 4)
    values = sizes * source.choice([-1.0, 1.0, 1.0], count)
    values[-10:] = [0.0, -0.0, 1e-6, -1e-6, 2.0**-16, 2.0**48, 1.0, -1.0, 2.0, 4.0]
    return values, source.choice([0.25, 1.0, 20.0], count)


@pytest.mark.parametrize("scale", SCALES)
def test_each_value_is_where_opentelemetry_looks_for_it(scale: int) -> None:
    """At each scale the counts of all buckets are those of its own mapping, and zeros are apart."""
    values, weights = drawn(scale + 10)

    point = point_of(filled(values, weights), scale)

    for sign, (offset, counts) in ((1, point.positive), (-1, point.negative)):
        expected: dict[int, float] = {}
        for value, weight in zip(sign * values, weights, strict=True):
            if value > downscale.ZERO_THRESHOLD:
                index = map_to_index(value, scale)
                expected[index] = expected.get(index, 0.0) + weight
        assert {offset + i: count for i, count in enumerate(counts) if count} == expected
    is_zero = np.abs(values) <= downscale.ZERO_THRESHOLD
    assert point.zero_count == weights[is_zero].sum()
    assert sum(point.positive[1]) + sum(point.negative[1]) + point.zero_count == weights.sum()


def test_two_ways_to_map_a_value_agree() -> None:
    """Whole numbers and sixty digits say the same, so neither is wrong alone."""
    for value in np.abs(drawn(7)[0]):
        if value > downscale.ZERO_THRESHOLD:
            assert map_to_index(value, histogram.SCALE) == magnitude_of(value)


def test_the_buckets_of_an_sdk_hold_any_values_that_we_have() -> None:
    """Downscaled until 160 buckets are enough, as its SDKs do it, all of the counts are there."""
    values, weights = drawn(1)
    buckets = filled(np.abs(values), weights)
    for scale in reversed(SCALES):
        point = point_of(buckets, scale)
        if len(point.positive[1]) <= MAX_SIZE:
            break

    assert scale == 1  # 64 octaves in 160 buckets
    assert sum(point.positive[1]) + point.zero_count == weights.sum()


def to_native(point: Point) -> tuple[list[tuple[int, int]], list[int]]:
    """Spans (gap, length) and deltas of whole counts; Prometheus' index is that of upper bounds."""
    spans: list[tuple[int, int]] = []
    deltas, before, follows = [], 0, 0
    for index, count in sorted(point.counted().items()):
        gap = index + 1 - follows
        if spans and gap == 0:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((gap, 1))
        follows = index + 2
        deltas.append(round(count) - before)
        before = round(count)
    return spans, deltas


def read_native(schema: int, spans: list[tuple[int, int]], deltas: list[int]) -> dict[float, int]:
    """Counts by upper bounds, as Prometheus reads a native histogram."""
    found: dict[float, int] = {}
    index, count, left = 0, 0, iter(deltas)
    for gap, length in spans:
        index += gap
        for _ in range(length):
            count += next(left)
            found[2.0 ** (index * 2.0**-schema)] = count
            index += 1
    assert next(left, None) is None
    return found


@pytest.mark.parametrize("schema", SCALES)
def test_prometheus_finds_each_value_below_its_upper_bound(schema: int) -> None:
    """Cumulative counts at each bound are the numbers of values up to it."""
    values = np.abs(drawn(schema + 30)[0])
    values = values[values > downscale.ZERO_THRESHOLD]

    point = point_of(filled(values, np.ones(values.size)), schema)
    found = read_native(schema, *to_native(point))

    reached = 0
    for bound, count in sorted(found.items()):
        reached += count
        assert reached == (values <= bound * (1 + 1e-12)).sum()
    assert reached == values.size


def test_the_small_histogram_of_a_neuron_is_one_of_scale_2() -> None:
    """Between its ends it has the counts of our histogram, downscaled."""
    values = np.floor(2.0 ** np.random.default_rng(5).uniform(4.01, 35, 500))
    small = np.zeros(durations.BUCKETS)
    for value in values:
        small[durations.coarse_of(histogram.bucket_of(value))] += 1

    found = point_of(filled(values, np.ones(values.size)), durations.COARSE_SCALE).counted()

    first = durations.EXPONENT_FIRST << durations.COARSE_SCALE
    assert found == {first + i - 1: count for i, count in enumerate(small) if count}


def test_what_is_too_large_is_counted_at_the_end() -> None:
    """Beyond 2^48 there is one bucket more, at every scale, and nothing is lost."""
    values = np.array([1e15, -1e15, 2.0**48, -(2.0**48), 3.0])
    for scale in SCALES:
        point = point_of(filled(values, np.ones(5)), scale)
        last = downscale.first_index(scale) + downscale.bucket_count(scale) - 1
        assert point.counted()[last] == 1
        assert sum(point.positive[1]) == 3
        assert sum(point.negative[1]) == 2
