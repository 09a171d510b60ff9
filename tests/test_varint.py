"""Varints: golden bytes, round trips by shape, truncation at every byte, what is refused."""

import naive_parts as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnts.kernels.varint import REFUSED, VARINT_BYTES_MAX, get_integers, put_integers

INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = [0, -1, 1, 63, -64, 64, -65, 2**31, -(2**31), 2**63 - 1, -(2**63)]


def put(values: list[int]) -> bytes:
    """The bytes of some integers."""
    out = np.zeros(VARINT_BYTES_MAX * len(values) + 3, np.uint8)
    end = put_integers(np.array(values, np.int64), out, 3)
    assert not out[:3].any()
    assert not out[end:].any()
    return out[3:end].tobytes()


def get(data: bytes, count: int) -> tuple[int, list[int]]:
    """The position after `count` integers, and them."""
    values = np.zeros(count, np.int64)
    end = get_integers(np.frombuffer(data, np.uint8).copy(), 0, len(data), values)
    return end, values.tolist()


@pytest.mark.parametrize(
    ("value", "golden"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (64, "80 01"),
        (-65, "81 01"),
        (150, "ac 02"),
        (2**63 - 1, "fe ff ff ff ff ff ff ff ff 01"),
        (-(2**63), "ff ff ff ff ff ff ff ff ff 01"),
    ],
)
def test_golden_bytes(value: int, golden: str) -> None:
    """The bytes of a number are these for good."""
    assert put([value]).hex(" ") == golden


@given(st.lists(INT64 | st.sampled_from(EDGES), max_size=40))
def test_integers_come_back_and_agree_with_the_naive_writer(values: list[int]) -> None:
    """Any integers come back, and their bytes are those of the naive writer."""
    data = put(values)

    assert data == b"".join(naive.varint(naive.zigzag(value)) for value in values)
    assert get(data, len(values)) == (len(data), values)


def test_truncation_at_every_byte_is_refused() -> None:
    """Whatever is missing, nothing is made up for it."""
    data = put(EDGES)

    for size in range(len(data)):
        assert get(data[:size], len(EDGES))[0] == REFUSED


@pytest.mark.parametrize(
    "data",
    [
        "80 00",
        "ff 80 00",
        "ff ff ff ff ff ff ff ff ff 02",
        "80 80 80 80 80 80 80 80 80 80 01",
        "ff",
    ],
)
def test_second_spellings_and_overflow_are_refused(data: str) -> None:
    """A number has one spelling, and none has more than 64 bits."""
    assert get(bytes.fromhex(data), 1)[0] == REFUSED


def test_every_room_that_is_too_small_is_refused() -> None:
    """Nothing is written beyond the buffer."""
    values = np.array(EDGES, np.int64)
    size = len(put(EDGES))

    for room in range(size):
        assert put_integers(values, np.zeros(room, np.uint8), 0) == REFUSED
    assert put_integers(values, np.zeros(size, np.uint8), 0) == size


def test_reading_stops_at_the_end_that_is_given() -> None:
    """Bytes behind the end are not taken for a part of a number."""
    data = np.frombuffer(put([300, 300]), np.uint8).copy()

    assert get_integers(data, 0, 3, np.zeros(2, np.int64)) == REFUSED
