"""The settings of what floats may lose on their way, by metric."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from rnts.model import METRICS
from rnts.settings_fields import Section, setting

LOSSLESS = "lossless"
# Far inside what the wire's grids can be, and no limit to what anybody measures.
ERROR_MIN, ERROR_MAX = 1e-15, 1e15
_WHOLE = frozenset(f.name for f in METRICS if not f.storage.is_float)


def _check_error(value: Any) -> Any:
    """A bound that can be kept, or the word for none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == LOSSLESS or (is_number and ERROR_MIN <= value <= ERROR_MAX):
        return value
    raise PydanticCustomError("float_type", "neither lossless nor such a number")


def _error(unit: str = "") -> Any:
    return setting(
        f"largest error on the wire{unit}; lossless is none",
        "lossless or a number from 1.0e-15 to 1.0e+15",
    )


Error = Annotated[float | Literal["lossless"], BeforeValidator(_check_error)]


class FloatErrors(Section):
    """How far values of a metric may be off when they arrive; whole numbers never are."""

    cpu_usage_percent: Error = _error(", in percent")
    gpu_usage_percent: Error = _error(", in percent")
    cache_hit_rate: Error = _error()
    signal_strength: Error = _error()
    noise_ratio: Error = _error()
    activation_potential: Error = _error()

    no_settings: ClassVar[Mapping[str, str]] = dict.fromkeys(
        _WHOLE, "values are whole numbers, which always arrive exact; leave it out, or say lossless"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_whole(cls, values: Any) -> Any:
        """That a whole number arrives without loss may be said, too."""
        if not isinstance(values, dict):
            return values
        return {k: v for k, v in values.items() if k not in _WHOLE or v != LOSSLESS}

    @property
    def errors(self) -> dict[str, float]:
        """The largest error of each metric; 0 where there is none."""
        found = self.model_dump()
        return {name: 0.0 if error == LOSSLESS else error for name, error in found.items()}
