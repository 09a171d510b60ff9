"""How many samples programs keep: the agent's rates, by importance and by what it can carry.

Sampling happens in the programs, before a record is written (`kernels/sampling.py`); here it is
decided how much. A rate is the base rate times the weight of a class of importance times a level.
The level falls by a factor where the agent is above a high mark (of a core, of the lanes, of what
waits to be delivered) and rises by a smaller one where it was below all low marks for a while:
so a flood costs accuracy, not the machine, and what is between the marks changes nothing.
"""

import struct
from typing import Any, NamedTuple

from rnts.plain_sampling import EPOCH_BITS, EPOCHS, IMPORTANCE

STEP_NS = 100_000_000
BACKLOG_FRAMES = 1_024
RATE_MIN = 1 / 1024  # less would weigh single records so much that figures jump
_EPOCH_NS = 1_000_000_000
_GENERATIONS = 1_024
_FALL, _FALL_FAST, _RISE = 0.7, 0.3, 1.15
_CALM_STEPS = 5  # below all low marks before the level rises
_AWAY_STEPS = 10  # without a frame that is taken, after which nobody seems to take any
_WHOLE = 1 << 32


class Load(NamedTuple):
    """What the agent carries; each share is of what there is at most.

    cpu:      of a core, by the agent itself
    fill:     of the fullest lane, since the step before
    backlog:  frames that wait to be sent, of `BACKLOG_FRAMES`; see `Backlog`
    """

    cpu: float
    fill: float
    backlog: float


HIGH, FAST, LOW = Load(0.35, 0.25, 0.25), Load(2.0, 0.75, 0.75), Load(0.2, 0.05, 0.05)


class Backlog:
    """What waits to be sent though somebody takes it.

    While no aggregator does, frames without a record pile up as well, and memory and spool are for
    all of them: no rate would make that less. What has waited since then gets less by itself.
    """

    def __init__(self) -> None:
        self._inherited = self._received = self._steps = 0

    def share(self, waiting: int, received: int) -> float:
        """Of `BACKLOG_FRAMES`, given the frames that wait now, and before which all are taken."""
        self._steps = 0 if received != self._received else self._steps + 1
        self._received = received
        is_taken = self._steps < _AWAY_STEPS
        self._inherited = min(self._inherited, waiting) if is_taken else waiting
        return (waiting - self._inherited) / BACKLOG_FRAMES

    @property
    def is_stuck(self) -> bool:
        """Whether frames wait, and none of them is taken."""
        return self._inherited > 0 and self._steps >= _AWAY_STEPS


class SamplingOptions(NamedTuple):
    """What the settings say; weights by class of importance, see `IMPORTANCE`."""

    base_rate: float = 1.0
    is_adaptive: bool = False
    weights: tuple[float, ...] = (1.0, 0.8, 0.1)

    @property
    def is_wanted(self) -> bool:
        """Whether anything may ever be left out."""
        return self.is_adaptive or self.base_rate < 1


class Rates:
    """The rates as time goes on; `words` is what lanes are told of them."""

    def __init__(self, options: SamplingOptions, generation: int) -> None:
        """`generation`: any number, another one in each life of an agent if that can be."""
        self.options = options
        lightest = options.base_rate * max(RATE_MIN, min(options.weights))
        self._level_max = 1 / lightest if options.is_adaptive else 1.0
        self.level = self._level_max
        self._generation = generation % (_GENERATIONS - 1)
        self._calm = 0
        self._was_on = False

    def step(self, load: Load) -> None:
        """Take in what was carried since the step before."""
        if not self.options.is_adaptive:
            return
        if any(x >= mark for x, mark in zip(load, HIGH, strict=True)):
            is_fast = any(x >= mark for x, mark in zip(load, FAST, strict=True))
            # From where all is kept a step down must be felt at once.
            heaviest = self.options.base_rate * max(self.options.weights)
            start = min(self.level, 1 / (heaviest or 1.0)) if is_fast else self.level
            self.level = max(start * (_FALL_FAST if is_fast else _FALL), RATE_MIN)
            self._calm = 0
        elif all(x < mark for x, mark in zip(load, LOW, strict=True)):
            self._calm += 1
            if self._calm >= _CALM_STEPS:
                self.level = min(self.level * _RISE, self._level_max)
        else:
            self._calm = 0

    @property
    def by_class(self) -> tuple[float, ...]:
        """The rate of each class."""
        if not self.options.is_wanted:
            return tuple(1.0 for _ in self.options.weights)
        scale = self.options.base_rate * self.level
        return tuple(min(1.0, max(RATE_MIN, scale * weight)) for weight in self.options.weights)

    def words(self, now_ns: int) -> tuple[list[int], int]:
        """(a word for each class, the switch) as the layout has them, at a steady time."""
        rates = self.by_class
        is_on = any(rate < 1 for rate in rates)
        if is_on and not self._was_on:
            self._generation = self._generation % (_GENERATIONS - 1) + 1
        self._was_on = is_on
        epoch = now_ns // _EPOCH_NS % EPOCHS
        switch = self._generation << EPOCH_BITS | epoch if is_on else 0
        return [_word(rate) for rate in rates], switch

    def document(self) -> dict[str, Any] | None:
        """What the agent says of it; None where nothing is ever left out."""
        if not self.options.is_wanted:
            return None
        rates = dict(zip(IMPORTANCE, (round(rate, 6) for rate in self.by_class), strict=True))
        return {"adaptive": self.options.is_adaptive, "rates": rates}


def _word(rate: float) -> int:
    """A rate as a lane has it: the threshold of a random word, and above it bits of the weight."""
    if rate >= 1:
        return 0
    threshold = max(1, min(round(rate * _WHOLE), _WHOLE - 1))
    [bits] = struct.unpack("<I", struct.pack("<f", _WHOLE / threshold))
    word: int = threshold | bits << 32
    return word
