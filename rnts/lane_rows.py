"""Rows of the table of sources for lanes that an agent takes over, or lets go of."""

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, LANE_DROPS, SOURCE_BASELINE, SOURCE_COLUMNS, SOURCE_FINAL
from rnts.kernels import reports

_COUNTERS = 2 + len(LANE_DROPS)  # attempts, sampled_out, each drop: as they stand in the lane
_COUNTED_COLUMNS = [COLUMN[name] for name in ("sampled_out", *LANE_DROPS)]
_TAKEN_COLUMNS = [COLUMN["delivered"], COLUMN["corrupt"]]


def never_reported(lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counters of lanes of which nothing was reported yet."""
    return np.full((len(lanes), _COUNTERS), -1, np.int64)


def _rows_of(lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of these lanes as they stand, int64[lanes, len(SOURCE_COLUMNS)]."""
    rows = np.zeros((len(lanes), len(SOURCE_COLUMNS)), np.int64)
    reports.report_lanes(np.array(lanes, np.int64, order="C"), never_reported(lanes), rows)
    return rows


def baseline_rows(lanes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of what was settled before this agent took the lanes over.

    A lane from which no agent ever took a record has no history: what it dropped meanwhile counts.
    """
    rows = _rows_of(lanes)
    rows[np.ix_(rows[:, COLUMN["delivered"]] == 0, _COUNTED_COLUMNS)] = 0
    rows[:, COLUMN["attempts"]] = _settled(rows)
    rows[:, COLUMN["in_frame"]] = 0
    rows[:, COLUMN["flags"]] = SOURCE_BASELINE
    return list(rows)


def last_rows(lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Final rows: what was attempted and is neither delivered nor dropped was torn by death."""
    rows = _rows_of(lanes)
    rows[:, COLUMN["torn"]] = rows[:, COLUMN["attempts"]] - _settled(rows)
    rows[:, COLUMN["flags"]] = SOURCE_FINAL
    return rows


def _settled(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """What was sampled out, dropped or taken, of each row."""
    settled: NDArray[np.int64] = rows[:, [*_COUNTED_COLUMNS, *_TAKEN_COLUMNS]].sum(axis=1)
    return settled
