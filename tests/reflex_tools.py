"""A town of neurons: windows with their engine, and a clock that tests move."""

from typing import Any

from naive_reflex import MS, Labels
from naive_windows import Item, to_records

from rnts.model import EVENT, Kind
from rnts.reflex.engine import Engine
from rnts.rules.condition import parse_condition
from rnts.windows import Windows

START = 1_790_000_000_000 * MS
ERROR, DEACTIVATED = EVENT["ErrorOccurred"].code, EVENT["Deactivated"].code
HEALTHY, CRITICAL = 0, 2


class Town:
    """Windows with their engine, and a clock that is moved by hand."""

    def __init__(self, max_neurons: int = 2_000, **others: Any) -> None:
        self.windows = Windows(1_000 * MS, (50,), max_neurons=max_neurons, **others)
        # To this clock nothing takes time, so that looks at all are due when they are.
        self.engine = Engine(self.windows.population, clock_ns=lambda: 0)
        self.windows.reflex = self.engine
        self.steady_ns = 1_000 * MS

    @property
    def now_ns(self) -> int:
        """The time of the clock."""
        return START + self.steady_ns

    def watch(self, text: str, **others: Any) -> None:
        """Register a condition under its own text."""
        self.engine.register(text, parse_condition(text), **others)

    def step(self, gap_ms: float, *items: Item) -> None:
        """Let time pass, and a batch come."""
        self.steady_ns += int(gap_ms * MS)
        self.engine.arrive(self.now_ns, self.steady_ns)
        if items:
            self.windows.fold(to_records(list(items)), self.now_ns)
        self.engine.evaluate(self.now_ns, self.steady_ns)

    def sample(self, neuron_id: int, **values: float) -> Item:
        """A sample of now."""
        return Item(neuron_id, self.now_ns, Kind.SAMPLE, values)

    def event(self, neuron_id: int, code: int) -> Item:
        """An event of now."""
        return Item(neuron_id, self.now_ns, Kind.EVENT, {"event_type": code}, ("", ""))

    def name(self, neuron_id: int, name: str, group: str = "", host: str = "") -> Item:
        """A neuron's name."""
        return Item(neuron_id, self.now_ns, Kind.NAME, {}, (name, group, "", host))

    def news(self, key: str) -> list[tuple[Labels, float, float]]:
        """What is new: labels, truth and value."""
        update = self.engine.take(key, self.now_ns)
        return [(one.labels, one.truth, one.value) for one in update.changes] if update else []

    def gone(self, key: str) -> tuple[Labels, ...]:
        """Who is no more."""
        update = self.engine.take(key, self.now_ns)
        return update.gone if update else ()


def neuron(name: str, group: str = "default", host: str = "") -> Labels:
    """The labels of a neuron."""
    return (("group", group), ("host", host), ("neuron", name))
