"""Runs of packed integers: golden bytes, round trips by shape, truncation, hostile widths."""

import naive_columns as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnts.kernels.bitpack import REFUSED, SPARE_BYTES, pack_run, unpack_run

COUNTS = (0, 1, 2, 63, 64, 65, 128, 200)


def pack(values: list[int]) -> bytes:
    """The bytes of a run."""
    out = np.zeros(9 * len(values) + 9, np.uint8)
    end = pack_run(np.array(values, np.uint64), out, 2)
    assert not out[:2].any()
    assert not out[end:].any()
    return out[2:end].tobytes()


def unpack(data: bytes, count: int, behind: int = 0xFF) -> tuple[int, list[int]]:
    """The position after a run of `count` values, and them."""
    values = np.zeros(count, np.uint64)
    spare = bytes((behind,)) * SPARE_BYTES
    end = unpack_run(np.frombuffer(data + spare, np.uint8).copy(), 0, len(data), values)
    return end, values.tolist()


@pytest.mark.parametrize(
    ("values", "golden"),
    [
        ([], ""),
        ([0], "00"),
        ([0] * 65, "00 00"),
        ([1, 0, 1], "01 05"),
        ([1, 2, 3], "02 39"),
        ([500, 0, 100], "09 f4 01 90 01"),
        ([2**64 - 1], "40 ff ff ff ff ff ff ff ff"),
        ([1, 2**63], "40 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80"),
        ([*range(64), 7], "06 " + "40 20 0c 44 61 1c 48 a2 2c 4c e3 3c 50 24 4d 54 65 5d "
         "58 a6 6d 5c e7 7d 60 28 8e 64 69 9e 68 aa ae 6c eb be 70 2c cf 74 6d df 78 ae ef 7c ef ff"
         " 03 07"),
    ],
)  # fmt: skip
def test_golden_bytes(values: list[int], golden: str) -> None:
    """The bytes of a run are these for good."""
    assert pack(values).hex(" ") == golden


@pytest.mark.parametrize("count", COUNTS)
def test_every_width_comes_back_and_agrees_with_the_naive_writer(count: int) -> None:
    """For each width from 0 to 64 and around each end of a block the run comes back."""
    random = np.random.default_rng(count)
    for width in range(65):
        top = 2**width - 1
        values = random.integers(0, top, count, dtype=np.uint64, endpoint=True).tolist()
        if values:
            values[-1] = top
        data = pack(values)

        assert data == naive.pack(values)
        assert unpack(data, count) == (len(data), values)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 255), max_size=150))
def test_any_values_come_back(values: list[int]) -> None:
    """Blocks of different widths follow each other without a gap."""
    data = pack(values)

    assert data == naive.pack(values)
    assert unpack(data, len(values)) == (len(data), values)


def test_what_lies_behind_the_end_is_never_looked_at() -> None:
    """Whole words are loaded, but the bits behind the run change nothing."""
    for width in (1, 7, 33, 56, 57, 63, 64):
        values = [2**width - 1, 0, 1] * 22
        data = pack(values)

        assert unpack(data, 66, behind=0x00) == unpack(data, 66, behind=0xFF) == (len(data), values)


def test_bits_that_are_left_over_are_ignored() -> None:
    """A reader does not care what a writer left in the last byte."""
    assert unpack(bytes.fromhex("02 f9"), 3) == (2, [1, 2, 3])


def test_truncation_at_every_byte_is_refused() -> None:
    """Whatever is missing, no value is made up for it."""
    data = pack([5] * 64 + [9, 300, 2**50])

    for size in range(len(data)):
        assert unpack(data[:size], 67)[0] == REFUSED


@pytest.mark.parametrize("width", [65, 127, 128, 255])
def test_widths_above_64_are_refused(width: int) -> None:
    """No value has more than 64 bits, however many bytes follow."""
    assert unpack(bytes((width,)) + bytes(300), 1) == (REFUSED, [0])


def test_every_room_that_is_too_small_is_refused() -> None:
    """Nothing is written beyond the buffer."""
    values = np.array([5] * 64 + [9, 300, 2**50], np.uint64)
    size = len(pack(values.tolist()))

    for room in range(size):
        assert pack_run(values, np.zeros(room, np.uint8), 0) == REFUSED
    assert pack_run(values, np.zeros(size, np.uint8), 0) == size


def test_a_buffer_without_spare_bytes_is_refused() -> None:
    """Reading whole words needs room behind the end, and does not happen without it."""
    data = np.frombuffer(pack([1, 2, 3]) + bytes(SPARE_BYTES), np.uint8).copy()

    assert unpack_run(data, 0, 2, np.zeros(3, np.uint64)) == 2
    assert unpack_run(data[:-1].copy(), 0, 2, np.zeros(3, np.uint64)) == REFUSED
    assert unpack_run(data, -1, 2, np.zeros(3, np.uint64)) == REFUSED
