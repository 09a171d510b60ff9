"""Rows of the table of sources for lanes that an agent takes over, or lets go of."""

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import (
    COLUMN,
    LANE_DROPS,
    SOURCE_BASELINE,
    SOURCE_COLUMNS,
    SOURCE_FINAL,
    SOURCE_QUARANTINED,
)
from rnts.kernels import lane as kernel
from rnts.kernels import reports

_COUNTERS = 2 + len(LANE_DROPS)  # attempts, sampled_out, each drop: as they stand in the lane
_COUNTED_COLUMNS = [COLUMN[name] for name in ("sampled_out", *LANE_DROPS)]
_TAKEN_COLUMNS = [COLUMN["delivered"], COLUMN["corrupt"]]


def never_reported(lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counters of lanes of which nothing was reported yet."""
    return np.full((len(lanes), _COUNTERS), -1, np.int64)


def believed(baselines: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Counters of lanes of which only a baseline was told: they must not fall below it."""
    reported = np.full((len(baselines), _COUNTERS), -1, np.int64)
    reported[:, 1:] = [row[_COUNTED_COLUMNS] for row in baselines]
    return reported


def baseline_rows(lanes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of what was settled before this agent took the lanes over.

    A lane from which no agent ever took a record has no history: what it dropped meanwhile counts.
    One whose counters cannot be becomes sick.
    """
    well, rows = lanes.copy(), np.zeros((len(lanes), len(SOURCE_COLUMNS)), np.int64)
    well[:, kernel.SICK] = 0
    reports.report_lanes(well, never_reported(lanes), rows)
    lanes[:, kernel.SICK] = np.maximum(lanes[:, kernel.SICK], well[:, kernel.SICK])
    rows[np.ix_(rows[:, COLUMN["delivered"]] == 0, _COUNTED_COLUMNS)] = 0
    rows[:, COLUMN["attempts"]] = _settled(rows)
    rows[:, COLUMN["in_frame"]] = 0
    rows[:, COLUMN["flags"]] = SOURCE_BASELINE
    return list(rows)


def last_rows(lanes: NDArray[np.int64], reported: NDArray[np.int64]) -> NDArray[np.int64]:
    """Final rows: what was attempted and is neither delivered nor dropped was torn by death.

    Of a sick lane it is quarantined; where not even its counters can be, those in `reported`, the
    last that were believed, are taken.
    """
    well, known = lanes.copy(), reported.copy()
    well[:, kernel.SICK] = 0
    known[:, 0] = -1  # so that each lane has a row
    rows = np.zeros((len(lanes), len(SOURCE_COLUMNS)), np.int64)
    reports.report_lanes(well, known, rows)
    attempts = rows[:, COLUMN["attempts"]]
    is_sick = (
        (lanes[:, kernel.SICK] != 0) | (well[:, kernel.SICK] != 0) | (attempts < reported[:, 0])
    )
    rows[:, COLUMN["attempts"]] = np.maximum(attempts, reported[:, 0])
    rows[:, COLUMN["torn"]] = rows[:, COLUMN["attempts"]] - _settled(rows)
    rows[:, COLUMN["flags"]] = SOURCE_FINAL | np.where(is_sick, SOURCE_QUARANTINED, 0)
    return rows


def _settled(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """What was sampled out, dropped or taken, of each row."""
    settled: NDArray[np.int64] = rows[:, [*_COUNTED_COLUMNS, *_TAKEN_COLUMNS]].sum(axis=1)
    return settled
