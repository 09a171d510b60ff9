"""What an agent reports of lanes and segments: each change once, and never too few attempts."""

import numpy as np
import pytest

from rnts import layout
from rnts.accounting import COLUMN, LANE_DROPS, SOURCE_COLUMNS
from rnts.kernels import lane as kernel
from rnts.kernels import reports
from rnts.lane_rows import never_reported

KERNEL_COLUMNS = {
    "ROW_KEY": "key",
    "ROW_FLAGS": "flags",
    "ROW_IN_FRAME": "in_frame",
    "ROW_ATTEMPTS": "attempts",
    "ROW_SAMPLED_OUT": "sampled_out",
    "ROW_DELIVERED": "delivered",
    "ROW_DROPS": next(iter(LANE_DROPS)),
}
KERNEL_OFFSETS = {
    "HEADER_LANES_USED": layout.HEADER_LANES_USED,
    "HEADER_NAMES_BYTES": layout.HEADER_NAMES_BYTES,
    "HEADER_NO_LANE": layout.HEADER_NO_LANE,
}
COUNTED = (layout.LANE_ATTEMPTS, layout.LANE_SAMPLED_OUT, *layout.LANE_DROP.values())


def words(count: int) -> np.ndarray:
    """Zeroed memory at an address that stays."""
    return np.zeros(count // 8, np.int64)


@pytest.mark.parametrize("name", KERNEL_COLUMNS)
def test_kernels_know_the_table_of_sources(name: str) -> None:
    """The columns that the kernel fills are those of accounting, in its order."""
    assert getattr(reports, name) == COLUMN[KERNEL_COLUMNS[name]]
    first = COLUMN["delivered"] + 1
    assert list(SOURCE_COLUMNS[first:]) == [*LANE_DROPS, "corrupt", "torn"]


@pytest.mark.parametrize("name", KERNEL_OFFSETS)
def test_kernels_know_the_header(name: str) -> None:
    """Words of the header that the kernel looks at are where the layout says."""
    assert getattr(reports, name) == KERNEL_OFFSETS[name]


def test_every_counter_has_its_column() -> None:
    """Each of the producer's counters and of the agent's own comes out under its name."""
    control = words(layout.LANE_BYTES)
    for i, offset in enumerate(COUNTED):
        control[offset // 8] = 100 + i
    control[layout.LANE_ATTEMPTS // 8] = 10_000
    lanes = np.zeros((1, kernel.LANE_COLUMNS), np.int64)
    lanes[0, kernel.CONTROL] = control.ctypes.data
    own = {kernel.KEY: 7, kernel.TAKEN: 3, kernel.DELIVERED: 11, kernel.CORRUPT: 2}
    for column, value in own.items():
        lanes[0, column] = value
    rows = np.full((1, len(SOURCE_COLUMNS)), 99, np.int64)

    assert reports.report_lanes(lanes, never_reported(lanes), rows) == 1
    row = dict(zip(SOURCE_COLUMNS, rows[0].tolist(), strict=True))
    assert (row["key"], row["flags"], row["in_frame"]) == (7, 0, 3)
    assert (row["attempts"], row["sampled_out"], row["delivered"]) == (10_000, 101, 11)
    assert [row[reason] for reason in LANE_DROPS] == [102 + i for i in range(len(LANE_DROPS))]
    assert (row["corrupt"], row["torn"]) == (2, 0)
    assert lanes[0, kernel.TAKEN] == 0


@pytest.mark.parametrize("offset", COUNTED)
def test_a_lane_is_told_of_when_a_counter_moves(offset: int) -> None:
    """Of three lanes only the one that moved has a row, once; also where no record was taken."""
    controls = [words(layout.LANE_BYTES) for _ in range(3)]
    lanes = np.zeros((3, kernel.LANE_COLUMNS), np.int64)
    lanes[:, kernel.CONTROL] = [control.ctypes.data for control in controls]
    lanes[:, kernel.KEY] = [1, 2, 3]
    reported, rows = never_reported(lanes), np.zeros((3, len(SOURCE_COLUMNS)), np.int64)
    assert reports.report_lanes(lanes, reported, rows) == 3
    assert reports.report_lanes(lanes, reported, rows) == 0

    controls[1][layout.LANE_ATTEMPTS // 8] += offset != layout.LANE_ATTEMPTS
    controls[1][offset // 8] += 1
    assert reports.report_lanes(lanes, reported, rows) == 1
    assert rows[0, COLUMN["key"]] == 2
    assert reports.report_lanes(lanes, reported, rows) == 0


@pytest.mark.parametrize("name", KERNEL_OFFSETS)
def test_a_segment_is_marked_until_it_is_looked_after(name: str) -> None:
    """A change of any watched word marks its segment and no other; the mark stays until taken."""
    headers = [words(layout.HEADER_BYTES) for _ in range(2)]
    watch = np.zeros((2, reports.WATCH_COLUMNS), np.int64)
    watch[:, reports.HEADER] = [header.ctypes.data for header in headers]
    assert reports.look_at_segments(watch) == 0

    headers[1][KERNEL_OFFSETS[name] // 8] = 5
    assert reports.look_at_segments(watch) == 1
    assert reports.look_at_segments(watch) == 1
    assert watch[:, reports.MOVED].tolist() == [0, 1]
    watch[:, reports.MOVED] = 0
    assert reports.look_at_segments(watch) == 0
