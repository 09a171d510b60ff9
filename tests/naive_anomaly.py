"""The baseline of one series, slow and obvious: the oracle of `kernels/anomaly.py`."""

import math
from dataclasses import dataclass, field

from rnts.processors.baselines import CALM_COUNT, DRIFT, GUARD, WINSOR


@dataclass
class NaiveSeries:
    """One series; thresholds by observations learned from, the last for all above."""

    thresholds: list[float]
    shift: float
    correction: float
    warm_up: int
    memory: int
    count: int = 0
    mean: float = 0.0
    variance: float = 0.0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    level: float = 0.0
    anomalous_for: int = 0
    calm_for: int = 0

    def observe(self, value: float, floor: float) -> str:
        """What the value is: nothing, spike, rise or fall."""
        if math.isnan(value):
            return ""
        if self.count < self.warm_up:
            self._learn(value)
            return ""
        spread = max(math.sqrt(self.variance * self.correction), floor)
        score = (value - self.mean) / spread
        clipped = max(-WINSOR, min(WINSOR, score))
        self.level = 0.9 * self.level + 0.1 * clipped
        if self.anomalous_for:
            self._endure(score)
            return ""
        self.sums[0] = max(0.0, self.sums[0] + clipped - DRIFT)
        self.sums[1] = max(0.0, self.sums[1] - clipped - DRIFT)
        found = ""
        if abs(score) > self.thresholds[min(self.count, len(self.thresholds) - 1)]:
            found = "spike"
        elif max(self.sums) > self.shift:
            found = "rise" if self.sums[0] > self.shift else "fall"
        if found:
            self.anomalous_for, self.calm_for, self.sums = 1, 0, [0.0, 0.0]
        elif abs(score) <= GUARD:
            self._learn(value)
        return found

    def _learn(self, value: float) -> None:
        self.count += 1
        share = max(1 / self.count, 2 / (self.memory + 1))
        step = value - self.mean
        self.mean += share * step
        self.variance = (1 - share) * (self.variance + share * step * step)

    def _endure(self, score: float) -> None:
        self.anomalous_for += 1
        is_calm = abs(score) <= GUARD and abs(self.level) < DRIFT
        self.calm_for = self.calm_for + 1 if is_calm else 0
        if self.calm_for >= CALM_COUNT:
            self.anomalous_for, self.level = 0, 0.0
        elif self.anomalous_for > self.memory:
            self.count = self.anomalous_for = self.calm_for = 0
            self.mean = self.variance = self.level = 0.0
            self.sums = [0.0, 0.0]
