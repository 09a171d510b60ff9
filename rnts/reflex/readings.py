"""What each reading of docs/rules.md is computed from: series that slide, rows, and counts."""

from typing import TYPE_CHECKING, NamedTuple

from rnts.kernels import sliding_readings as kernel
from rnts.kernels import sliding_state as words
from rnts.model import METRICS
from rnts.reflex.store import (
    PANES_OF_CHANGES,
    PANES_OF_DURATIONS,
    PANES_OF_HISTOGRAMS,
    PANES_OF_MANY,
    PANES_OF_NEURONS,
    DistinctKey,
    SeriesKey,
    Store,
)
from rnts.rules.vocabulary import quantile_of

if TYPE_CHECKING:
    from rnts.rules.condition import Condition, Reading
    from rnts.rules.nodes import Node

SCOPES = ("neuron", "group", "host", "all")
_COLUMNS = {metric.name: column for column, metric in enumerate(METRICS)}
_ACTIVATIONS = _COLUMNS["activation_count"]
IS_COUNTER = {metric.name: metric.role == "counter" for metric in METRICS}
_DISTINCT = {
    "neurons": words.KNOWN,
    "degraded_neurons": words.DEGRADED,
    "critical_neurons": words.CRITICAL,
    "affected_neurons": words.AFFECTED,
    "active_neurons": words.ACTIVE,
}
_OF_ROWS = {
    "last": kernel.LAST_VALUE,
    "health": kernel.SAID_HEALTH,
    "health_or_unknown": kernel.HEALTH_STATE,
}
_OF_STATE = {"degraded_neurons": 1, "critical_neurons": 2}


class Source(NamedTuple):
    """Where a reading comes from: its words for the kernel, and what it keeps of the store."""

    words: tuple[int, ...]
    percentile: float
    keys: tuple[SeriesKey | DistinctKey, ...]


class Worst(NamedTuple):
    """What says which neurons have most of an expression: a series of theirs, or a state."""

    series: int
    state: int
    keys: tuple[SeriesKey, ...]


def take(reading: "Reading", store: Store) -> Source:
    """Keep what a reading needs from now on; raises ValueError if there is no room for it."""
    scope = SCOPES.index(reading.scope)
    column = _COLUMNS.get(reading.metric, 0)
    function, needed, percentile = needs_of(reading)
    keys, indices = _take_together(needed, store)
    places = (*indices, 0, 0, 0, 0)[:4]
    first_pane = store.first_whole_pane(keys)
    words_of = (function, scope, column, *places, reading.window_ns, first_pane)
    return Source(words_of, percentile, keys)


def _take_together(
    keys: tuple[SeriesKey | DistinctKey, ...], store: Store
) -> tuple[tuple[SeriesKey | DistinctKey, ...], list[int]]:
    """The keys that are kept, and their rows: series that began together, if there is room."""
    series = [key for key in keys if isinstance(key, SeriesKey)]
    if len(series) == len(keys) > 1:
        together = tuple(store.from_one_time(series))
        try:
            return together, take_all(together, store)
        except ValueError:
            if together == keys:
                raise
    return keys, take_all(keys, store)


def take_all(keys: tuple[SeriesKey | DistinctKey, ...], store: Store) -> list[int]:
    """The rows of all of these, or none of them."""
    taken: list[int] = []
    try:
        for key in keys:
            taken.append(store.keep(key))
    except ValueError:
        for key in keys[: len(taken)]:
            store.drop(key)
        raise
    return taken


def needs_of(
    reading: "Reading",
) -> tuple[int, tuple[SeriesKey | DistinctKey, ...], float]:
    """The kernel's function for a reading, what that is of, and the percentile."""
    name, window_ns = reading.function, reading.window_ns
    scope, column = SCOPES.index(reading.scope), _COLUMNS.get(reading.metric, 0)

    def series(statistic: int, of: int = column, panes: int = 0) -> SeriesKey:
        most = panes or (PANES_OF_NEURONS if scope == words.NEURON else PANES_OF_MANY)
        return SeriesKey(statistic, of, scope, window_ns, most)

    if name in _OF_ROWS:
        return _OF_ROWS[name], (), 0.0
    if name in _DISTINCT:
        return kernel.COUNTED_NEURONS, (DistinctKey(_DISTINCT[name], scope, window_ns),), 0.0
    if name in ("errors", "records"):
        return kernel.TOTAL, (series(getattr(words, name.upper()), 0),), 0.0
    if name == "error_rate":
        of_activations = (
            series(words.ERRORS, 0), series(words.OWN_SUM, _ACTIVATIONS),
            series(words.OWN_WEIGHT, _ACTIVATIONS), series(words.OWN_SAMPLES, 0),
        )  # fmt: skip
        return kernel.ERROR_SHARE, of_activations, 0.0
    if name == "absent":
        return kernel.ABSENT, (SeriesKey(words.LATEST, column, scope, 0, 0),), 0.0
    if name == "count":
        statistic = words.REPORTS if IS_COUNTER[reading.metric] else words.WEIGHT
        return kernel.TOTAL, (series(statistic),), 0.0
    if name in ("min", "max"):
        return kernel.EXTREME, (series(words.MINIMUM if name == "min" else words.MAXIMUM),), 0.0
    if name == "delta" and not IS_COUNTER[reading.metric]:
        return kernel.CHANGE, (series(words.LAST, panes=PANES_OF_CHANGES),), 0.0
    if (quantile := quantile_of(name)) is not None:
        is_small = scope == words.NEURON
        panes = PANES_OF_DURATIONS if is_small else PANES_OF_HISTOGRAMS
        parts = (words.DURATIONS if is_small else words.HISTOGRAM, words.MINIMUM, words.MAXIMUM)
        function = kernel.DURATION if is_small else kernel.PERCENTILE
        return function, tuple(series(part, panes=panes) for part in parts), float(quantile)
    functions = {"mean": kernel.MEAN, "rate": kernel.RATE, "delta": kernel.WHERE}
    return functions[name], (series(words.SUM), series(words.WEIGHT)), 0.0


def worst_of(condition: "Condition", store: Store) -> Worst | None:
    """What tells the worst neurons of a condition of several; None where nothing does.

    Where there is no memory for it the condition goes without.
    """
    told = tells_worst(condition)
    if not isinstance(told, SeriesKey):
        return None if told is None else Worst(0, told, ())
    try:
        return Worst(store.keep(told), -1, (told,))
    except ValueError:
        return None


def tells_worst(condition: "Condition") -> SeriesKey | int | None:
    """What says who is worst of a condition of several: a series by neuron, or a state."""
    reading = _first_reading(condition.shown, condition)
    if condition.scope == "neuron" or reading is None:
        return None
    if state := _OF_STATE.get(reading.function):
        return state
    column, name = _COLUMNS.get(reading.metric, 0), reading.function
    is_percentile = quantile_of(name) is not None
    if name in ("errors", "error_rate", "affected_neurons"):
        statistic = words.ERRORS
    elif name in ("records", "active_neurons"):
        statistic = words.RECORDS
    elif name == "max":
        statistic = words.MAXIMUM
    elif name == "count":
        statistic = words.REPORTS if IS_COUNTER[reading.metric] else words.WEIGHT
    elif name in ("mean", "rate", "delta") or is_percentile:
        statistic = words.SUM
    else:
        return None
    return SeriesKey(statistic, column, words.NEURON, reading.window_ns, PANES_OF_NEURONS)


def _first_reading(node: "Node", condition: "Condition") -> "Reading | None":
    """The first reading of what is shown, in the order of the text."""
    if node.need is not None:
        return condition.reading(node.need)
    found = (_first_reading(part, condition) for part in node.parts)
    return next((reading for reading in found if reading is not None), None)
