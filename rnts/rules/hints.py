"""What to write instead of a name that is none: what is near, and what others call otherwise."""

from collections.abc import Iterable

from rnts.nearest import suggest
from rnts.rules import vocabulary

# What other languages call it.
_OF_OTHERS = {
    "avg": "mean", "average": "mean", "median": "p50", "percentile": "p99", "quantile": "p99",
    "increase": "delta", "difference": "delta", "diff": "delta", "minimum": "min",
    "maximum": "max", "peak": "max", "missing": "absent", "num": "count",
}  # fmt: skip
_LABELS = ("group", "host", "role")


def unknown_function(name: str) -> str:
    """What to say of a function that there is not."""
    if meant := _meant_function(name):
        return f"unknown function {name[:80]}; did you mean {meant}?"
    if name.lower() in ("sum", "total"):
        return (
            f"unknown function {name}; rate(…) and delta(…) of a counter are sums over its neurons"
        )
    if name[:1] in ("p", "P") and name[1:].isdecimal():
        return "a percentile is above 0 and below 100"
    return f"unknown function {name[:80]}{suggest(name[:80], vocabulary.known_functions())}"


def unknown_metric(function: str, name: str) -> str:
    """What to say of what is no metric, where a function is asked of it."""
    if name in vocabulary.known_names():
        count = vocabulary.COUNTS.get(name)
        example = f", as in {name} over 5s" if count and count.windowed else ""
        return f"{function} is of a metric, and {name} is none; it stands alone{example}"
    if said := _without_unit(name):
        return said
    if name.lower() in (names := _names_of(function)):
        return f"unknown metric {name[:80]}; did you mean {name.lower()}?"
    return f"unknown metric {name[:80]}{suggest(name[:80], names)}"


def unknown_name(name: str, form: tuple[str, str] | None) -> str:
    """What to say of a name that there is not; `form`: as what function of what it can be read."""
    if said := _without_unit(form[1] if form else name):
        return said
    if form and vocabulary.function_of(form[0]):
        near = (f"{form[0]}_{metric}" for metric in _names_of(form[0]))
        return f"unknown name {name[:80]}{suggest(name[:80], near)}"
    if name in ("True", "False", "None"):
        return f"{name} has no meaning in a condition; a comparison says what must hold"
    if name in vocabulary.STATES:
        return f"unknown name {name}; a state is a text: health_status == '{name}'"
    if name in _LABELS:
        return (
            f"{name} has no value: a condition is asked of each by itself, "
            "as by group or by host says, and never of one by its name"
        )
    if vocabulary.function_of(name):
        example = "queue_depth" if name != "rate" else "messages_sent"
        return f"{name} is a function of a metric, as in {name}({example})"
    if meant := _meant_name(name):
        return f"unknown name {name[:80]}; did you mean {meant}?"
    return f"unknown name {name[:80]}{suggest(name[:80], vocabulary.known_names())}"


def _names_of(function: str) -> Iterable[str]:
    """The metrics of which a function can be asked."""
    found = vocabulary.function_of(function)
    return [
        name
        for name, metric in vocabulary.METRIC_NAMES.items()
        if found is None or metric.field.role in found[1].roles
    ]


def _meant_function(name: str) -> str:
    """The function that is meant by a name of others, or in capitals; "" if that is not it."""
    lower = name.lower()
    meant = _OF_OTHERS.get(lower, lower)
    return meant if meant != name and vocabulary.function_of(meant) else ""


def _meant_name(name: str) -> str:
    """The name that is meant by one in capitals, or with a function as others call it."""
    lower = name.lower()
    first, _, rest = lower.partition("_")
    meant = f"{_OF_OTHERS[first]}_{rest}" if first in _OF_OTHERS else lower
    form = vocabulary.form_of(meant)
    is_form = form is not None and form[1] in vocabulary.METRIC_NAMES
    return meant if meant != name and (is_form or meant in vocabulary.known_names()) else ""


def _without_unit(name: str) -> str:
    """What to say about a metric whose unit is missing; "" if that is not it."""
    suffixes = (*vocabulary.TIMES, *vocabulary.SIZES, vocabulary.PERCENT)
    named = [f"{name}_{suffix}" for suffix in suffixes]
    if full := [each for each in named if each in vocabulary.METRIC_NAMES]:
        return f"{name} has no unit; write {' or '.join(full)}"
    return ""
