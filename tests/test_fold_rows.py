"""The rows of the fold in vectors do, to the bit, what the formulas say one column at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnts.kernels import fold_rows, histogram
from rnts.kernels._jit import OBJECTS
from rnts.kernels.bucket_rows import bucket_row
from rnts.kernels.vectors import LANES

numba = pytest.importorskip("numba")
if OBJECTS is not None or numba.config.DISABLE_JIT:
    pytest.skip("what these do is LLVM's own language", allow_module_level=True)

_SPECIAL = [
    0.0, -0.0, 1.0, 2.0, -4.0, 1024.0, 5e-324, -5e-324, math.inf, -math.inf, math.nan,
    2.0**48, np.nextafter(2.0**48, 1e99), 2.0**-16, np.nextafter(2.0**-16, 0), 1e250, -1e250,
    np.nextafter(1e250, 0),
]  # fmt: skip
_FLOATS = st.one_of(st.sampled_from(_SPECIAL), st.floats(width=64))
_ROWS = arrays.arrays(np.float64, LANES, elements=_FLOATS)
_WORDS = arrays.arrays(np.int64, 2 * LANES, elements=st.integers(-(2**63), 2**63 - 1))
_MASKS = st.integers(0, 2**LANES - 1)


@numba.njit
def _buckets(values, buckets):
    return bucket_row(values, np.uint64(0), buckets, np.uint64(1))


@numba.njit
def _bucket(value):
    return histogram.bucket_of(value)


@numba.njit
def _observe(values, rows, observed, says, keeps, counters):
    cells = np.uint64(1), np.uint64(3), np.uint64(2)
    return fold_rows.observe_row(
        values, cells[0], rows, cells[1], observed, cells[2], says, keeps, counters
    )


@numba.njit
def _add(observed, weight, weighted, moments):
    fold_rows.add_row(observed, np.uint64(0), weight, weighted, moments, np.uint64(1))


@numba.njit
def _add_to_two(observed, weight, weighted, moments, others):
    one, two = np.uint64(1), np.uint64(3)
    fold_rows.add_rows(observed, np.uint64(0), weight, weighted, moments, one, others, two)


def _around_boundaries() -> np.ndarray:
    """Doubles beside each boundary of an octave, next to it and further and further away."""
    mantissas = np.array(histogram.boundary_mantissas(), np.int64) | 1023 << 52
    steps = np.array([0, *(sign << bit for bit in range(40) for sign in (1, -1))])
    near = (mantissas[:, None] + steps).ravel().view(np.float64)
    return np.concatenate([scale * near for scale in (2.0**-16, -1.0, 2.0**20, 2.0**47)])


def test_values_beside_a_boundary_fall_into_their_buckets() -> None:
    """Where the polynomial cannot tell on which side of a boundary a value is, it is looked up."""
    values = _around_boundaries()
    buckets = np.full(LANES + 2, -7, np.int32)

    for start in range(0, values.size - LANES + 1, LANES):
        row = values[start : start + LANES]
        assert _buckets(row, buckets) == (1 << LANES) - 1
        assert buckets[1 : LANES + 1].tolist() == [_bucket(value) for value in row]


@settings(max_examples=200, deadline=None)
@given(_ROWS)
def test_each_value_of_a_row_falls_into_its_bucket(values: np.ndarray) -> None:
    """Sixteen buckets at once are those that one value after the other has."""
    buckets = np.full(LANES + 2, -7, np.int32)
    mask = _buckets(values, buckets)
    assert mask == sum(1 << c for c in range(LANES) if not math.isnan(values[c]))
    for c in range(LANES):
        assert 0 <= buckets[1 + c] < histogram.BUCKETS
        if not math.isnan(values[c]):
            assert buckets[1 + c] == _bucket(values[c])
    assert buckets[0] == buckets[-1] == -7


def test_every_boundary_of_an_octave_is_kept() -> None:
    """A value on a boundary stays below it, the next double is above it, of either sign."""
    boundaries = np.array(histogram.boundary_mantissas()[:-1], np.int64) + (1023 << 52)
    values = boundaries.view(np.float64)
    values = np.concatenate([values, np.nextafter(values, 9), -values, np.nextafter(-values, -9)])
    buckets = np.zeros(LANES + 2, np.int32)
    for row in values.reshape(-1, LANES):
        _buckets(row, buckets)
        assert buckets[1:-1].tolist() == [_bucket(value) for value in row]


def _said(raw: int, before: int, column: int, is_counter: bool) -> float:
    """What a column is read as, and NaN for a float that is refused."""
    if column >= fold_rows.WHOLE_COLUMNS:
        number = float(np.array(raw).view(np.float64))
        return number if abs(number) < fold_rows.NUMBER_LIMIT else math.nan
    now, last = raw % 2**64, before % 2**64
    return float(now - last if is_counter and now >= last else now)


@settings(max_examples=200, deadline=None)
@given(_WORDS, _ROWS, _WORDS, _MASKS, _MASKS, _MASKS)
def test_a_record_is_read_as_its_columns_are(
    words: np.ndarray, numbers: np.ndarray, rows: np.ndarray, says: int, keeps: int, counters: int
) -> None:
    """Levels, increases and floats; what is not said is NaN; only what is kept is remembered."""
    values = np.concatenate([[0], words[:8], numbers[8:].view(np.int64), [0]])
    before, observed = rows.copy(), np.full(2 + LANES + 1, -7.0)
    refused = _observe(values, rows, observed, says, keeps, counters)
    expected_refused = 0
    for c in range(LANES):
        raw, last = int(values[1 + c]), int(before[3 + c])
        expected = _said(raw, last, c, bool(counters >> c & 1))
        is_said = bool(says >> c & 1)
        expected_refused += is_said and math.isnan(expected)
        np.testing.assert_equal(observed[2 + c], expected if is_said else math.nan)
        assert rows[3 + c] == (raw if keeps >> c & 1 else last)
    assert refused == expected_refused
    assert observed[:2].tolist() == [-7, -7] and observed[-1] == -7
    assert np.array_equal(rows[:3], before[:3]) and np.array_equal(rows[19:], before[19:])


_USABLE = st.floats(-1e200, 1e200) | st.just(math.nan)


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.float64, LANES, elements=_USABLE), st.floats(0.001, 1e6), _MASKS)
def test_a_row_is_added_to_moments(observed: np.ndarray, weight: float, weighted: int) -> None:
    """Weights, weighted sums and extremes grow, NaN changes nothing, nor anything beside them."""
    moments = np.tile(np.repeat([2.0, -5.0, 3.0, -3.0], LANES), 1)
    moments = np.concatenate([[9.0], moments, [9.0]])
    both = moments.copy(), np.concatenate([[8.0, 8.0], moments])
    _add(observed, weight, weighted, moments)
    _add_to_two(observed, weight, weighted, *both)
    assert both[0].tolist() == moments.tolist()
    assert both[1].tolist() == [8.0, 8.0, *moments.tolist()]
    for c in range(LANES):
        value = float(observed[c])
        count, total, least, most = 2.0, -5.0, 3.0, -3.0
        if not math.isnan(value):
            share = weight if weighted >> c & 1 else 1.0
            count, total = count + share, total + share * value
            least, most = min(least, value), max(most, value)
        assert moments[1:-1].reshape(4, LANES)[:, c].tolist() == [count, total, least, most]
    assert moments[0] == moments[-1] == 9
