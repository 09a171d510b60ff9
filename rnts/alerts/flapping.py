"""Whether an alert flaps: it fires and resolves so often that each time is no news."""

from dataclasses import dataclass

from rnts.alerts.life import Life, Moment
from rnts.alerts.rule import SECOND_NS


@dataclass(frozen=True)
class Flapping:
    """Flips within the window at which it begins, and below which it ends."""

    window_ns: int = 600 * SECOND_NS
    begins_at: int = 6
    ends_below: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.ends_below <= self.begins_at:
            raise ValueError("flapping has to end below what it begins at, and above 0")

    def is_due(self, life: Life, at: Moment) -> bool:
        """Whether a flip is old enough to be forgotten."""
        return bool(life.flips) and life.flips[0] <= at.steady_ns - self.window_ns

    def look(self, life: Life, at: Moment) -> bool:
        """Forget old flips; whether the alert has begun or ceased to flap."""
        since_ns = at.steady_ns - self.window_ns
        # Where none is old they stay the same object, which those that are alike share.
        if life.flips and (life.flips[0] <= since_ns or len(life.flips) > self.begins_at):
            recent = tuple(flip for flip in life.flips if flip > since_ns)
            life.flips = recent[-self.begins_at :]  # more of them say no more
        was_flapping = life.is_flapping
        if was_flapping:
            life.is_flapping = len(life.flips) >= self.ends_below
        else:
            life.is_flapping = len(life.flips) >= self.begins_at
        if life.is_flapping != was_flapping:
            life.changed_ns = at.steady_ns
        return life.is_flapping != was_flapping
