"""The names of conditions: metrics in their units, statistics of them, and counts of neurons."""

import re
from dataclasses import dataclass
from fractions import Fraction

from rnts.model import METRICS, Field, Health

# How often each suffix holds the unit of the model: _ms is 1,000,000 of the nanoseconds there.
TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
SIZES = {"bytes": 1, "kb": 1 << 10, "mb": 1 << 20}
PERCENT = "percent"
_SUFFIXES = {"ns": TIMES, "B": SIZES}

HEALTH = ("health_status", "health")  # the specification's name, and the model's
STATES = {state.name.lower(): float(state) for state in Health}

_PERCENTILE = re.compile(r"p([0-9]{1,2})(?:_([0-9]{1,3}))?")
_FORM = re.compile(r"(p[0-9]{1,2}(?:_[0-9]{1,3})?|mean|min|max|rate|count|delta)_(\w+)")


@dataclass(frozen=True)
class Metric:
    """A metric by one of its names: a number of the model times `times` / `per` is in `unit`."""

    field: Field
    unit: str
    times: float = 1.0
    per: float = 1.0


@dataclass(frozen=True)
class Function:
    """What is said of a metric over a window.

    roles:       of which metrics it can be asked
    instead:     what to ask of others
    keeps_unit:  whether its result has the metric's unit
    """

    roles: tuple[str, ...]
    instead: str = ""
    keeps_unit: bool = True


@dataclass(frozen=True)
class Count:
    """A number about the neurons of an entity that belongs to no metric.

    windowed:    whether it is about a window, and not about now
    of_several:  whether it says nothing about one neuron
    """

    meaning: str
    windowed: bool = True
    of_several: bool = False


_LEVELS = ("gauge", "ratio")
_OF_COUNTERS = "a counter only grows: ask rate(…) or delta(…) of it"
FUNCTIONS = {
    "mean": Function(_LEVELS, _OF_COUNTERS),
    "min": Function(_LEVELS, _OF_COUNTERS),
    "max": Function(_LEVELS, _OF_COUNTERS),
    "rate": Function(("counter",), "it is a level and no counter: ask mean(…) or delta(…) of it"),
    "count": Function((*_LEVELS, "counter"), keeps_unit=False),
    "delta": Function((*_LEVELS, "counter")),
    "absent": Function((*_LEVELS, "counter"), keeps_unit=False),
}
PERCENTILES = Function(_LEVELS, _OF_COUNTERS)
COUNTS = {
    "error_rate": Count("share of activations that failed"),
    "affected_neurons": Count("neurons with an error, or critical now", of_several=True),
    "errors": Count("ErrorOccurred events"),
    "records": Count("records of all kinds"),
    "active_neurons": Count("neurons with a record", of_several=True),
    "neurons": Count("neurons that are known", windowed=False, of_several=True),
    "degraded_neurons": Count("neurons that are degraded", windowed=False, of_several=True),
    "critical_neurons": Count("neurons that are critical", windowed=False, of_several=True),
}


def _metric_names() -> dict[str, Metric]:
    names = {}
    for field in METRICS:
        base = field.name
        for suffix, size in _SUFFIXES.get(field.unit, {}).items():
            base = field.name.removesuffix(f"_{'ns' if field.unit == 'ns' else 'bytes'}")
            names[f"{base}_{suffix}"] = Metric(field, suffix, per=float(size))
        if field.role == "ratio" and field.unit == "1":
            names[f"{base}_{PERCENT}"] = Metric(field, PERCENT, times=100.0)
        own = {"B": "bytes", "%": PERCENT, "1": ""}.get(field.unit, field.unit)
        names.setdefault(field.name, Metric(field, own))
    return names


METRIC_NAMES = _metric_names()
ERROR_RATE_PERCENT = f"error_rate_{PERCENT}"


def rank_of_state(state: float) -> float:
    """How bad a state is, for lists that have the worst first: unknown lies next to healthy."""
    return 0.5 if state == STATES["unknown"] else state


def function_of(name: str) -> tuple[str, Function] | None:
    """A function by its name, and the name as readings have it; None if there is none."""
    if found := FUNCTIONS.get(name):
        return name, found
    if quantile_of(name) is not None:
        whole, _, fraction = name[1:].partition("_")
        shown = f"{int(whole)}.{fraction or 0}"
        shown = shown.rstrip("0").rstrip(".").replace(".", "_")
        return f"p{shown}", PERCENTILES
    return None


def quantile_of(name: str) -> Fraction | None:
    """The percentile that a name such as p99_9 stands for, above 0 and below 100; else None."""
    if match := _PERCENTILE.fullmatch(name):
        percentile = Fraction(f"{match[1]}.{match[2] or 0}")
        return percentile if percentile > 0 else None
    return None


def form_of(name: str) -> tuple[str, str] | None:
    """Function and metric of a name such as p99_processing_time_ms; None if it is no such form."""
    match = _FORM.fullmatch(name)
    return (match[1], match[2]) if match else None


def known_names() -> tuple[str, ...]:
    """What a name alone can be; nearer ones to a mistake are suggested."""
    return (*METRIC_NAMES, *COUNTS, ERROR_RATE_PERCENT, *HEALTH)


def known_functions() -> tuple[str, ...]:
    """Functions, with those percentiles that are asked for most."""
    return ("p50", "p90", "p95", "p99", "p99_9", *FUNCTIONS)
