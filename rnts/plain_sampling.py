"""Which samples plain Python leaves out: what `kernels/sampling.py` does, without compiled code.

It reads the same words of a lane and decides by the same rules; what it knows of neurons lies in a
dictionary instead of the table, and chance comes from `random`.
"""

from __future__ import annotations

from rnts import layout
from rnts.model import EVENT, FIELD, Kind

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
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


class _Known:
    """What is known of a neuron; `health` is None until it was told."""

    __slots__ = ("count", "epoch", "health", "is_busy", "trouble")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.health: int | None = None
        self.count = self.trouble = 0
        self.is_busy = False

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
        self._draw: Any = None

    @property
    def is_on(self) -> bool:
        """Whether samples may be left out."""
        return self._words[_SWITCH] != 0

    def _of(self, neuron_id: int) -> tuple[_Known, bool]:
        """What is known of a neuron, and whether it is new."""
        generation, epoch = divmod(self._words[_SWITCH], EPOCHS)
        if generation != self._generation or len(self._known) >= NEURONS_MAX:
            self._known.clear()
            self._generation = generation
        known = self._known.get(neuron_id)
        if known is None:
            known = self._known[neuron_id] = _Known(epoch)
            return known, True
        known.turn(epoch)
        return known, False

    def admit(self, neuron_id: int, importance: int, health: Any) -> float | None:
        """The weight of a sample that is kept; None for one that is to be left out."""
        known, is_new = self._of(neuron_id)
        known.count += 1
        if is_new or (health is not None and known.health != health):
            return 1.0
        if known.is_busy or known.count > BUSY_SAMPLES:
            importance = min(importance, HIGH_ACTIVITY)
        if known.trouble or known.health in _BAD:
            importance = CRITICAL_PATH
        threshold = self._words[importance] & 0xFFFFFFFF
        if not threshold:
            return 1.0
        if self._draw is None:
            from random import getrandbits  # who keeps everything is spared it

            self._draw = getrandbits
        return (1 << 32) / threshold if self._draw(32) < threshold else None

    def told(self, neuron_id: int, health: Any) -> None:
        """A sample with this health is on its way."""
        self._of(neuron_id)[0].health = health

    def note_error(self, neuron_id: int) -> None:
        """An error of a neuron was reported."""
        self._of(neuron_id)[0].trouble = TROUBLE_EPOCHS

    def note(self, values: tuple[Any, ...]) -> None:
        """Look at a record of any kind: (kind, mask, neuron, …), the type of an event last."""
        if values[0] == Kind.EVENT and values[-1] == _ERROR:
            self.note_error(values[2])

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
            if health is not None:
                self.told(row[1] & (1 << 64) - 1, health)
        rows = rows[kept]
        words = rows[:, _WEIGHT.word].view(np.float32).reshape(-1, 2)
        half = _WEIGHT.shift // 32
        has_own = rows[:, 0] >> 32 & _WEIGHT.mask != 0
        words[:, half] = np.where(has_own, words[:, half], 1.0) * np.array(weights, np.float32)
        rows[:, 0] |= _WEIGHT.mask << 32
        return rows

    def forget(self, rows: Any) -> None:
        """These rows were dropped: what they told of health is not known to anybody."""
        for neuron_id in rows[:, 1].tolist():
            self._of(neuron_id & (1 << 64) - 1)[0].health = None
