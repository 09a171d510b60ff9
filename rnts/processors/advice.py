"""How each metric is observed, the least change that matters, and what to look at then."""

import math
from typing import NamedTuple

from rnts.model import METRICS

RECORDS, ERRORS = "records", "errors"  # counted in each interval, beside the metrics
COUNTED = (RECORDS, ERRORS)


class Scale(NamedTuple):
    """A metric as it is observed: times and sizes by their logarithm, counts by their root.

    So what is usual varies about as much up as down, and a count as much where it is large.
    floor, relative_floor: the least spread that is believed in, as such and as a share.
    """

    metric: str
    column: int
    floor: float
    relative_floor: float
    is_logarithmic: bool = False


def _scales() -> tuple[Scale, ...]:
    scales = []
    for metric in METRICS:
        if metric.role == "counter":
            continue  # what a counter says depends on when it began
        is_logarithmic = metric.unit in ("ns", "B")
        whole = 0.5 if not metric.storage.is_float else metric.step or 0.01
        floor, share = (0.02, 0.0) if is_logarithmic else (whole, 0.01)
        scales.append(Scale(metric.name, metric.bit, floor, share, is_logarithmic))
    counted = [Scale(name, -1, 0.5, 0.0) for name in COUNTED]
    return (*scales, *counted)


SCALES = _scales()

_HIGH = {
    "processing_time_ns": ("look at queue_depth and cpu_usage_percent of the same neurons",
                           "compare with what was deployed or configured at that time"),
    "queue_depth": ("look at whether more arrives (records) or less is done (processing_time_ns)",
                    "add workers, or let senders wait"),
    "memory_bytes": ("look for what is kept and not let go of", "restart the largest"),
    "cpu_usage_percent": ("look at records: is it more work, or more for each?",),
    "noise_ratio": ("look at the sources of the signal",),
    RECORDS: ("look at who sends more than usual", "see `rnts status` for losses"),
    ERRORS: ("read the newest events: `rnts status`", "look at neurons that became critical"),
}  # fmt: skip
_LOW = {
    "cache_hit_rate": ("look at whether a cache was emptied, or what is asked for has changed",),
    RECORDS: ("did programs end, or hang?: `rnts status`", "look for silent agents"),
    "signal_strength": ("look at the sources of the signal",),
    "connection_count": ("look at whether peers are gone",),
}  # fmt: skip


def advice_for(metric: str, is_high: bool) -> tuple[str, ...]:
    """What to look at; something for every metric."""
    known = (_HIGH if is_high else _LOW).get(metric)
    return known or (f"look at {metric} of single neurons: `rnts status --neuron NAME`",)


def unscaled(scale: Scale, observed: float) -> float:
    """The value in the metric's unit."""
    if scale.metric in COUNTED:
        return observed * observed
    return math.expm1(observed) if scale.is_logarithmic else observed
