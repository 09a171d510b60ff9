"""What lanes are told of sampling, and how full they were meanwhile."""

import numpy as np

from rnts.collector import Collector
from rnts.kernels import lane as kernel
from rnts.kernels.sampling import set_rates


class LaneRates:
    """All lanes of a collector. `without_memory` keep everything: there is none for their table."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.without_memory = 0

    def fill(self) -> float:
        """How full the fullest lane was found since the last call, as a share of its slots."""
        lanes = self._collector.lanes
        if not len(lanes):
            return 0.0
        fullest = float((lanes[:, kernel.PEAK] / (lanes[:, kernel.MASK] + 1)).max())
        lanes[:, kernel.PEAK] = 0
        return fullest

    def tell(self, rates: list[int], switch: int) -> None:
        """Tell lanes which samples to keep: a word for each class, and the switch."""
        lanes, owners = self._collector.lanes, self._collector.owners
        able = np.array([not switch or owner.reserve_table() for owner in owners], bool)
        self.without_memory = int((~able).sum())
        well = lanes[able & (lanes[:, kernel.SICK] == 0), kernel.CONTROL]
        set_rates(np.ascontiguousarray(well), np.array(rates, np.int64), switch)
