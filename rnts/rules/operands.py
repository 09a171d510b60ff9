"""Checks what a condition reads: names, functions, windows, and what can be asked of whom."""

from rnts.model import Field
from rnts.rules import vocabulary
from rnts.rules.hints import unknown_function, unknown_metric, unknown_name
from rnts.rules.nodes import (
    NUMBER,
    OF_ANY,
    OF_NEURONS,
    OF_SEVERAL,
    STATE,
    TRUTH,
    Faults,
    Need,
    Node,
    scaled,
)
from rnts.rules.reader import Term

PANE_NS = 10_000_000  # windows are whole numbers of these
WINDOW_NS_MAX = 3_600 * 1_000_000_000
# The window of a name without `over`. It is no setting: a rule means the same wherever it stands.
WINDOW_NS_DEFAULT = 1_000_000_000
# The metric of which a percentile is kept for each neuron.
_DURATION = "processing_time_ns"


class Operands:
    """Turns names, calls and windows into readings; faults are collected."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def of(self, term: Term, window_ns: int | None = None) -> Node:
        """The reading of a name, a call, or one of them with a window."""
        if term.operation == "over":
            return self._over(term, window_ns)
        if term.operation == "call":
            return self._call(term, window_ns)
        return self._name(term, window_ns)

    def _over(self, term: Term, window_ns: int | None) -> Node:
        inner, length = term.parts
        if window_ns is not None:
            return self._faults.wrong(inner.position, "over stands twice")
        if inner.operation not in ("name", "call", "over"):
            message = "over belongs to one name or function, not to a calculation"
            return self._faults.wrong(term.position, message)
        assert isinstance(length.value, int)
        return self._window_fault(length) or self.of(inner, length.value)

    def _window_fault(self, length: Term) -> Node | None:
        assert isinstance(length.value, int)
        if PANE_NS <= length.value <= WINDOW_NS_MAX and length.value % PANE_NS == 0:
            return None
        message = "a window is 10ms to 1h long, and a whole number of 10ms"
        return self._faults.wrong(length.position, message)

    def _name(self, term: Term, window_ns: int | None) -> Node:
        name = str(term.value)
        if metric := vocabulary.METRIC_NAMES.get(name):
            if window_ns is not None:
                message = (
                    f"{name} alone is the last value of a neuron and has no window; "
                    f"write {self._windowed_example(name, metric.field)} over …"
                )
                return self._faults.wrong(term.position, message)
            return self._of_metric("last", name, term.position, 0, OF_NEURONS)
        if name in vocabulary.HEALTH:
            if window_ns is not None:
                message = f"{name} is about now and has no window; for says how long it must hold"
                return self._faults.wrong(term.position, message)
            need = Need("health_or_unknown", "", 0, OF_NEURONS, term.position, name)
            return Node("reading", STATE, term.position, need=need)
        if name in vocabulary.COUNTS or name == vocabulary.ERROR_RATE_PERCENT:
            return self._count(name, term.position, window_ns)
        if (form := vocabulary.form_of(name)) and form[1] in vocabulary.METRIC_NAMES:
            return self._function(*form, term.position, window_ns, name)
        return self._faults.wrong(term.position, unknown_name(name, form))

    @staticmethod
    def _windowed_example(name: str, field: Field) -> str:
        return f"{'rate' if field.role == 'counter' else 'max'}({name})"

    def _count(self, name: str, position: int, window_ns: int | None) -> Node:
        percent = name == vocabulary.ERROR_RATE_PERCENT
        plain = "error_rate" if percent else name
        count = vocabulary.COUNTS[plain]
        if window_ns is not None and not count.windowed:
            message = f"{name} is about now and has no window; for says how long it must hold"
            return self._faults.wrong(position, message)
        window_ns = (window_ns or WINDOW_NS_DEFAULT) if count.windowed else 0
        reach = OF_SEVERAL if count.of_several else OF_ANY
        need = Need(plain, "", window_ns, reach, position, name)
        reading = Node("reading", NUMBER, position, need=need)
        return scaled(reading, 100.0, 1.0, vocabulary.PERCENT) if percent else reading

    def _call(self, term: Term, window_ns: int | None) -> Node:
        name, arguments = str(term.value), list(term.parts)
        if vocabulary.function_of(name) is None:
            return self._faults.wrong(term.position, unknown_function(name))
        if name == "absent" and len(arguments) == 2 and arguments[1].operation == "duration":
            if window_ns is not None:
                return self._faults.wrong(term.position, "the window of absent stands twice")
            length = arguments.pop()
            if wrong := self._window_fault(length):
                return wrong
            assert isinstance(length.value, int)
            window_ns = length.value
        if [part.operation for part in arguments] == ["name", "duration"]:
            message = f"a window is written behind it: {name}({arguments[0].value}) over …"
            return self._faults.wrong(arguments[1].position, message)
        if len(arguments) != 1 or arguments[0].operation != "name":
            example = "absent(activation_count, 5s)" if name == "absent" else f"{name}(queue_depth)"
            message = f"{name} takes the name of one metric, as in {example}"
            return self._faults.wrong(term.position, message)
        metric = str(arguments[0].value)
        position = arguments[0].position
        if metric not in vocabulary.METRIC_NAMES:
            return self._faults.wrong(position, unknown_metric(name, metric))
        return self._function(name, metric, term.position, window_ns, f"{name}({metric})")

    def _function(
        self, name: str, metric: str, position: int, window_ns: int | None, written: str
    ) -> Node:
        found = vocabulary.function_of(name)
        if found is None:  # p0 and p00, which only the form of a name lets through
            message = "a percentile is above 0 and below 100"
            return self._faults.wrong(position, message)
        canonical, function = found
        field = vocabulary.METRIC_NAMES[metric].field
        if field.role not in function.roles:
            message = f"{name} cannot be asked of {metric}: {function.instead}"
            return self._faults.wrong(position, message)
        reach = OF_ANY
        if name == "delta" and field.role != "counter":
            reach = OF_NEURONS
        elif function is vocabulary.PERCENTILES and field.name != _DURATION:
            reach = OF_SEVERAL
        window_ns = window_ns or WINDOW_NS_DEFAULT
        if function.keeps_unit:
            return self._of_metric(canonical, metric, position, window_ns, reach, written)
        need = Need(canonical, field.name, window_ns, reach, position, written)
        kind = TRUTH if name == "absent" else NUMBER
        return Node("reading", kind, position, need=need)

    def _of_metric(
        self, function: str, name: str, position: int, window_ns: int, reach: str, written: str = ""
    ) -> Node:
        metric = vocabulary.METRIC_NAMES[name]
        need = Need(function, metric.field.name, window_ns, reach, position, written or name)
        reading = Node("reading", NUMBER, position, need=need)
        unit = f"{metric.unit} a second" if function == "rate" and metric.unit else metric.unit
        return scaled(reading, metric.times, metric.per, unit)
