"""Runs of integers and of changes: golden bytes, round trips by shape, truncation, hostility."""

import random

import naive_parts as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnts.kernels.bitpack import REFUSED, SPARE_BYTES
from rnts.kernels.changes import put_changes, read_changes
from rnts.kernels.checksum import checksum
from rnts.kernels.runs import COMPACT, PLAIN, pack_run, unpack_run

COUNTS = (0, 1, 2, 63, 64, 65, 128, 200)


def pack(values: list[int]) -> bytes:
    """The bytes of a run."""
    out = np.zeros(9 * len(values) + 9, np.uint8)
    end = pack_run(np.array(values, np.uint64), 0, PLAIN, out, 2)
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
        ([0] * 9 + [5] + [0] * 54, "41 09 49 01"),
        ([0, 3] + [0] * 30 + [1] + [0] * 31, "42 08 c1 60"),
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


@pytest.mark.parametrize("form", [*range(97, 128), *range(162, 256)])
def test_unknown_forms_are_refused(form: int) -> None:
    """A block of a form that there is not is refused, however many bytes follow."""
    assert unpack(bytes((form,)) + bytes(300), 1) == (REFUSED, [0])


@pytest.mark.parametrize(
    "block",
    [
        "41 06 00",  # a width that has no value
        "41 41 " + "00 " * 9,  # and one above 64
        "42 08 01 01",  # two values in one place
        "42 08 02 01",  # places that fall
        "41 08 3f",  # a place behind the block
        "44 08 00 01 02 03",  # more values than the block has
    ],
)
def test_hostile_blocks_of_few_values_are_refused(block: str) -> None:
    """Places rise and lie in the block; widths are those of a place and a value."""
    assert unpack(bytes.fromhex(block), 3)[0] == REFUSED


def compact(values: list[int]) -> bytes:
    """The bytes of a run in which Rice blocks are tried."""
    out = np.zeros(9 * len(values) + 9, np.uint8)
    return out[: pack_run(np.array(values, np.uint64), 0, COMPACT, out, 0)].tobytes()


@pytest.mark.parametrize("scale", [1, 30, 1_000, 10**6, 2**30])
def test_rice_blocks_come_back_and_are_smaller(scale: int) -> None:
    """Values with a long tail take less, whatever their size, and both decoders read them."""
    values = np.random.default_rng(scale).exponential(scale, 1_000).astype(np.uint64).tolist()
    values[500] = 2**63 + 5  # in a block that has to be packed, or to escape
    data = compact(values)

    assert len(data) < len(pack(values))
    assert unpack(data, 1_000) == (len(data), values)
    assert naive.Reader(data).run(1_000) == values
    for size in range(0, len(data), 7):
        assert unpack(data[:size], 1_000)[0] == REFUSED


def test_rice_escapes_what_is_far_too_large() -> None:
    """24 ones and the whole value stand for one that would take more; it may have all 64 bits."""
    values = [3, 2**64 - 1, 1, 2**47, 0]
    bits, at = 0, 0
    for value in values:
        code, size = (value >> 1, 0) if value >> 1 < 24 else (0, -1)
        ones = (1 << code) - 1 if size == 0 else (1 << 24) - 1
        low = (value & 1) << (code + 1) if size == 0 else value << 24
        bits |= (ones | low) << at
        at += code + 2 if size == 0 else 88
    data = bytes((129,)) + bits.to_bytes((at + 7) // 8, "little")

    assert unpack(data, 5) == (len(data), values)
    assert naive.Reader(data).run(5) == values
    assert {unpack(data[:size], 5)[0] for size in range(len(data))} == {REFUSED}
    mixed = [1, 2, 0, 3] * 15 + [2**45] + [1, 0, 2]
    assert unpack(compact(mixed), 64) == (len(compact(mixed)), mixed)


INT64 = st.integers(-(2**63), 2**63 - 1)
# Narrow ones by themselves, too: one wide value hides how narrow ones are packed.
CHANGES = st.one_of(
    st.lists(INT64 | st.integers(-9, 9), max_size=150),
    st.lists(st.integers(-9, 9), max_size=150),
    st.lists(st.integers(-8000, 8000), max_size=150),
)


@given(CHANGES, st.integers(0, 63), st.booleans())
def test_any_changes_come_back(values: list[int], shift: int, are_positive: bool) -> None:
    """Signed changes of any size, and such as have zeros at their end or no sign at all."""
    wrapped = [(naive.signed(abs(v) if are_positive else v) << shift) for v in values]
    changes = [naive.signed(value) for value in wrapped]
    folded = np.array([naive.zigzag(value) for value in changes], np.uint64)
    out = np.zeros(9 * len(values) + 32, np.uint8)
    end = put_changes(folded, 0, PLAIN, out, 0)
    found = np.zeros(len(values), np.uint64)

    assert read_changes(out, 0, end, found) == end
    assert found.view(np.int64).tolist() == changes
    read, is_marked = naive.Reader(out[:end].tobytes()).changes(len(values))
    assert [naive.signed(value) for value in read] == changes
    assert not is_marked


@pytest.mark.parametrize(
    ("changes", "golden"),
    [
        ([], ""),
        ([5, 0, 3], "40 03 c5 00"),
        ([-1, 2], "00 03 21"),
        ([4096, -8192, 0], "0c 02 0e"),
        ([8192, 4096], "4c 02 06"),
        ([0, 0], "40 00"),
    ],
)
def test_golden_changes(changes: list[int], golden: str) -> None:
    """The bytes of changes are these for good: zeros at the end and missing signs cost nothing."""
    folded = np.array([naive.zigzag(value) for value in changes], np.uint64)
    out = np.zeros(64, np.uint8)

    assert out[: put_changes(folded, 0, PLAIN, out, 0)].tobytes().hex(" ") == golden


@pytest.mark.parametrize(
    ("data", "golden"),
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)],
)
def test_checksum_is_xxh64(data: bytes, golden: int) -> None:
    """The checksum is the published function, and so is the naive one."""
    padded = np.frombuffer(data + bytes(8), np.uint8).copy()

    assert int(checksum(padded, len(data))) == golden == naive.xxh64(data)


def test_checksums_of_all_lengths_agree() -> None:
    """Around every end of a stripe and a word both write the same."""
    noise = np.frombuffer(random.Random(5).randbytes(210), np.uint8).copy()

    for size in range(200):
        assert int(checksum(noise, size)) == naive.xxh64(noise[:size].tobytes())


def test_every_room_that_is_too_small_is_refused() -> None:
    """Nothing is written beyond the buffer."""
    values = np.array([5] * 64 + [9, 300, 2**50], np.uint64)
    size = len(pack(values.tolist()))

    for room in range(size):
        assert pack_run(values, 0, PLAIN, np.zeros(room, np.uint8), 0) == REFUSED
    assert pack_run(values, 0, PLAIN, np.zeros(size, np.uint8), 0) == size


def test_a_buffer_without_spare_bytes_is_refused() -> None:
    """Reading whole words needs room behind the end, and does not happen without it."""
    data = np.frombuffer(pack([1, 2, 3]) + bytes(SPARE_BYTES), np.uint8).copy()

    assert unpack_run(data, 0, 2, np.zeros(3, np.uint64)) == 2
    assert unpack_run(data[:-1].copy(), 0, 2, np.zeros(3, np.uint64)) == REFUSED
    assert unpack_run(data, -1, 2, np.zeros(3, np.uint64)) == REFUSED
