"""Which samples plain Python leaves out: what `kernels/sampling.py` does, without compiled code.

It reads the same words of a lane and decides by the same rules; what it knows of neurons lies in a
dictionary instead of the table, and chance comes from `random`.
"""

from __future__ import annotations

import math

from rnts import layout
from rnts.model import EVENT, FIELD, Kind

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from random import Random
    from typing import Any

CRITICAL_PATH, HIGH_ACTIVITY, NORMAL = range(3)
IMPORTANCE = {"critical_path": CRITICAL_PATH, "high_activity": HIGH_ACTIVITY, "normal": NORMAL}
EPOCHS, EPOCH_BITS = 64, 6
BUSY_SAMPLES, TROUBLE_EPOCHS = 100, 3
NEURONS_MAX = 65_536
_BAD = (1, 2)  # degraded, critical
_FIRST = layout.LANE_RATES // 8
_SWITCH = layout.LANE_SWITCH // 8 - _FIRST
_ERROR = EVENT["ErrorOccurred"].code
_HEALTH, _WEIGHT = FIELD["health"], FIELD["weight"]
_WEIGHT_MAX = float(2**128 - 2**104)  # the largest of a float32


class _Known:
    """What is known of a neuron; it is new until a sample, `health` None until that was told."""

    __slots__ = ("count", "epoch", "health", "is_busy", "is_new", "trouble")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.health: int | None = None
        self.count = self.trouble = 0
        self.is_busy, self.is_new = False, True

    def turn(self, epoch: int) -> None:
        """Go over to an epoch."""
        passed = (epoch - self.epoch) % EPOCHS
        if passed:
            self.is_busy = passed == 1 and self.count >= BUSY_SAMPLES
            self.trouble = max(0, self.trouble - passed)
            self.epoch, self.count = epoch, 0


class PlainSampler:
    """Decides for one lane; `words` are those of its block from the rates on."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._known: dict[int, _Known] = {}
        self._generation = -1
        self._random: Random | None = None

    @property
    def is_on(self) -> bool:
        """Whether samples may be left out."""
        return self._words[_SWITCH] != 0

    def _of(self, neuron_id: int) -> _Known:
        """What is known of a neuron."""
        generation, epoch = divmod(self._words[_SWITCH], EPOCHS)
        if generation != self._generation or len(self._known) >= NEURONS_MAX:
            self._known.clear()
            self._generation = generation
        known = self._known.get(neuron_id)
        if known is None:
            known = self._known[neuron_id] = _Known(epoch)
        known.turn(epoch)
        return known

    def admit(self, neuron_id: int, importance: int, health: Any) -> float | None:
        """The weight of a sample that is kept; None for one that is to be left out."""
        known = self._of(neuron_id)
        known.count += 1
        if known.is_new or (health is not None and known.health != health):
            return 1.0
        if known.is_busy or known.count > BUSY_SAMPLES:
            importance = min(importance, HIGH_ACTIVITY)
        if known.trouble or known.health in _BAD:
            importance = CRITICAL_PATH
        threshold = self._words[importance] & 0xFFFFFFFF
        if not threshold:
            return 1.0
        if self._random is None:
            from random import Random  # who keeps everything is spared it

            # Of its own: a program may seed that of the module, and then expects its numbers.
            self._random = Random()
        return (1 << 32) / threshold if self._random.getrandbits(32) < threshold else None

    def weigh(self, chance: float, own: Any) -> Any:
        """What a kept sample weighs that stands for `own` already; see `kernels/sampling.py`.

        One that is too large by itself stays so, and is refused as it is without sampling.
        """
        if own is None or not 0 < own < math.inf:
            return chance
        return min(chance * float(own), max(float(own), _WEIGHT_MAX))

    def told(self, neuron_id: int, health: Any = None) -> None:
        """A sample with this health is on its way."""
        known = self._of(neuron_id)
        known.is_new = False
        if health is not None:
            known.health = health

    def note_error(self, neuron_id: int) -> None:
        """An error of a neuron was reported."""
        self._of(neuron_id).trouble = TROUBLE_EPOCHS

    def note(self, values: tuple[Any, ...]) -> None:
        """Look at what is kept anyway: (kind, mask, neuron, …), health or type of event last."""
        kind, mask, neuron_id, *_, last = values
        if kind == Kind.EVENT and last == _ERROR:
            self.note_error(neuron_id)
        elif kind == Kind.SAMPLE:
            self.told(neuron_id, last if mask & _HEALTH.mask else None)

    def thin(self, rows: Any) -> Any:
        """The rows of int64[n, 16] that are kept, with their weights."""
        import numpy as np

        kept, weights = [], []
        for at, row in enumerate(rows.tolist()):
            mask = row[0] >> 32
            health = row[_HEALTH.word] >> _HEALTH.shift & 0xFF if mask & _HEALTH.mask else None
            weight = self.admit(row[1] & (1 << 64) - 1, NORMAL, health)
            if weight is None:
                continue
            kept.append(at)
            weights.append(weight)
            self.told(row[1] & (1 << 64) - 1, health)
        rows = rows[kept]
        words = rows[:, _WEIGHT.word].view(np.float32).reshape(-1, 2)
        half = _WEIGHT.shift // 32
        with np.errstate(all="ignore"):  # a program may have them raised
            own = words[:, half].astype(float)
            is_own = (rows[:, 0] >> 32 & _WEIGHT.mask != 0) & (own > 0) & (own <= _WEIGHT_MAX)
            words[:, half] = np.minimum(np.where(is_own, own, 1.0) * weights, _WEIGHT_MAX)
        rows[:, 0] |= _WEIGHT.mask << 32
        return rows

    def forget(self, rows: Any) -> None:
        """These rows were dropped: nobody knows what they told."""
        for neuron_id in rows[:, 1].tolist():
            known = self._of(neuron_id & (1 << 64) - 1)
            known.is_new, known.health = True, None
