"""Conditions in words, for people and for `--json`."""

from typing import Any

from rnts.durations import UNITS_NS
from rnts.rules.condition import Condition, Reading
from rnts.rules.vocabulary import COUNTS, quantile_of

_SCOPES = {
    "neuron": "each neuron",
    "group": "each group",
    "host": "each host",
    "all": "all neurons together",
}
_FUNCTIONS = {
    "last": "last value of {metric}",
    "mean": "mean of {metric}",
    "min": "least {metric}",
    "max": "greatest {metric}",
    "rate": "increase of {metric} a second",
    "count": "reports of {metric}",
    "delta": "change of {metric}",
    "absent": "whether {metric} is absent",
    "health": "health as it last said itself",
    "health_or_unknown": "health as it last said itself, or that it never did",
}


def duration_in_words(duration_ns: int) -> str:
    """A length of time in the largest unit of which it is a whole number."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if duration_ns and duration_ns % UNITS_NS[unit] == 0:
            return f"{duration_ns // UNITS_NS[unit]}{unit}"
    return f"{duration_ns}ns"


def reading_in_words(reading: Reading) -> str:
    """What is read, and over how long."""
    function = reading.function
    if count := COUNTS.get(function):
        said = count.meaning
    elif (quantile := quantile_of(function)) is not None:
        said = f"{float(quantile):g} % percentile of {reading.metric}"
    else:
        said = _FUNCTIONS[function].format(metric=reading.metric)
    return f"{said}, {_window(reading)}"


def _window(reading: Reading) -> str:
    return f"over {duration_in_words(reading.window_ns)}" if reading.window_ns else "now"


def scope_in_words(condition: Condition) -> str:
    """Of whom it is asked, and whether that was said."""
    origin = "as by says" if condition.scope_is_given else "inferred"
    return f"{condition.scope}: {_SCOPES[condition.scope]} ({origin})"


def document(condition: Condition) -> dict[str, Any]:
    """A condition as programs read it."""
    return {
        "condition": condition.text,
        "scope": condition.scope,
        "scope_inferred": not condition.scope_is_given,
        "for_ns": condition.for_ns,
        "readings": [
            {**reading._asdict(), "words": reading_in_words(reading)}
            for reading in condition.readings
        ],
    }
