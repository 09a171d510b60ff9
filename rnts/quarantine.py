"""Which lanes are put aside for good, and why: their programs wrote what cannot be."""

import logging
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import COLUMN, SICK
from rnts.attached import AttachedSegment
from rnts.bus_guard import BUS_GUARD
from rnts.kernels import lane as kernel

_REASONS = {number: reason for reason, number in SICK.items()}

log = logging.getLogger("rnts.collector")


class Quarantine:
    """Counts the lanes that an agent has put aside, and finds those of segments cut short."""

    def __init__(self) -> None:
        self.lanes: Counter[str] = Counter()  # by reason
        self._hits = BUS_GUARD.hits

    def find_truncated(
        self, segments: list[AttachedSegment], owners: list[AttachedSegment]
    ) -> NDArray[np.bool_] | None:
        """Which lanes lie in a segment that was cut short since the last call; None if none can."""
        if BUS_GUARD.hits == self._hits:
            return None
        self._hits = BUS_GUARD.hits
        hit = [segment for segment in segments if BUS_GUARD.was_hit(segment.address)]
        return np.array([owner in hit for owner in owners], bool)

    def put_aside(
        self,
        lanes: NDArray[np.int64],
        owners: list[AttachedSegment],
        rows: NDArray[np.int64],
    ) -> None:
        """Count these lanes, and mark them for the audit and for the next agent."""
        for lane, owner, row in zip(lanes, owners, rows, strict=True):
            why = _REASONS[int(lane[kernel.SICK])]
            self.lanes[why] += 1
            index = owner.quarantine(int(lane[kernel.CONTROL]))
            log.warning(
                "%s lane %d is put aside (%s); %d of its records are lost",
                owner.path, index, why, row[COLUMN["torn"]],
            )  # fmt: skip
