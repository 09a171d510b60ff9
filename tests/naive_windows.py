"""The windows once more, slow and obvious: dictionaries, lists, sorting, and whole numbers."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM, SUM
from rnts.model import EVENTS, FIELD, METRICS, Kind
from rnts.records import Records
from rnts.text import join_strings

OVERFLOW = "overflow"
LATENCY = "latency_ns"


@dataclass(frozen=True)
class Item:
    """One record: the fields that it sets by their names, and its strings."""

    neuron_id: int
    time_ns: int
    kind: Kind = Kind.SAMPLE
    values: dict[str, float] = field(default_factory=dict)
    text: tuple[str, ...] = ()


def to_records(items: list[Item]) -> Records:
    """The items as a decoder would hand them on; cells without a bit in the mask hold garbage."""
    texts = [join_strings(*item.text) if item.text else b"" for item in items]
    records = Records.allocate(max(1, sum(map(len, texts))))
    position = 0
    for index, (item, text) in enumerate(zip(items, texts, strict=True)):
        records.ids[index] = item.neuron_id
        records.times_ns[index] = item.time_ns
        records.kinds[index] = item.kind
        records.values[index] = -7 - index
        for name, value in item.values.items():
            place = FIELD[name]
            records.masks[index] |= place.mask
            word = np.float64(value) if place.storage.is_float else np.uint64(value)
            records.values[index, place.bit] = word.view(np.int64)
        records.text[position : position + len(text)] = np.frombuffer(text, np.uint8)
        records.text_offsets[index] = position
        position += len(text)
        records.text_offsets[index + 1] = position
    records.count = len(items)
    return records


def moments_of(row: np.ndarray, column: int) -> tuple[float, ...]:
    """Count, sum, minimum and maximum of a column in a row of moments of the real ones."""
    return tuple(row[part + column].item() for part in (COUNT, SUM, MINIMUM, MAXIMUM))


def magnitude_of(value: float) -> int:
    """The i with 2^(i/64) < value <= 2^((i+1)/64), by whole numbers: 2^i < value^64 <= 2^(i+1)."""
    power = Fraction(value) ** 64
    i = power.numerator.bit_length() - power.denominator.bit_length()
    while Fraction(2) ** i >= power:
        i -= 1
    while Fraction(2) ** (i + 1) < power:
        i += 1
    return i


def percentile(weighted: list[tuple[float, float]], p: float) -> float:
    """Nearest rank: the first value at which the weights so far reach p % of all."""
    weighted = sorted(weighted)
    rank = Fraction(str(p)) * sum(Fraction(weight) for _, weight in weighted) / 100
    reached = Fraction(0)
    for value, weight in weighted:
        reached += Fraction(weight)
        if reached >= rank:
            return value
    return weighted[-1][0]


@dataclass
class Column:
    """The values of one metric with their weights."""

    weighted: list[tuple[float, float]] = field(default_factory=list)

    def moments(self) -> tuple[float, float, float, float]:
        """Count, sum, minimum and maximum."""
        values = [value for value, _ in self.weighted]
        if not values:
            return 0.0, 0.0, math.inf, -math.inf
        count = math.fsum(weight for _, weight in self.weighted)
        total = math.fsum(value * weight for value, weight in self.weighted)
        return count, total, min(values), max(values)


@dataclass
class Window:
    """What one window holds: by neuron and by group, metric after metric."""

    records: Counter = field(default_factory=Counter)  # by owner
    errors: Counter = field(default_factory=Counter)  # by owner
    groups: dict = field(default_factory=dict)  # owner -> group, at its first record here
    by_owner: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Column)))
    by_group: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Column)))


class NaiveWindows:
    """Folds items; keeps every window for ever."""

    def __init__(self, window_ns: int, max_neurons: int, max_groups: int, ahead_ns: int) -> None:
        self.window_ns, self.ahead_ns = window_ns, ahead_ns
        self.max_neurons, self.max_groups = max_neurons, max_groups
        self.boundary = 0
        self.windows: dict[int, Window] = {}
        self.known: list[int] = []
        self.names: dict[int, tuple[str, ...]] = {}
        self.group_of: dict[int, str] = {}
        self.group_names = ["default", "other"]
        self.last: dict[tuple[int, str], int] = {}
        self.sampled: dict[int, int] = {}
        self.health: dict[int, tuple[int, int]] = {}  # id -> (time, state)
        self.links: dict[tuple[int, int], list[int]] = {}
        self.events: Counter = Counter()
        self.refused = 0

    def fold(self, items: list[Item], now_ns: int) -> Counter:
        """Fold a batch; counts what became of its records."""
        fates: Counter = Counter()
        for item in items:
            if item.kind is Kind.NAME:
                self._name(item)
        for item in items:
            window = item.time_ns // self.window_ns
            if item.kind is Kind.NAME:
                continue
            if item.time_ns > now_ns + self.ahead_ns:
                fates["future"] += 1
            elif window < self.boundary:
                fates["late"] += 1
            else:
                fates["aggregated"] += 1
                if window not in self.windows:
                    self.boundary = max(self.boundary, window - 2)
                    self.windows[window] = Window()
                self._enter(item, self.windows[window], now_ns)
        return fates

    def _owner(self, neuron_id: int) -> int | str:
        if neuron_id not in self.known:
            if len(self.known) == self.max_neurons:
                return OVERFLOW
            self.known.append(neuron_id)
        return neuron_id

    def _name(self, item: Item) -> None:
        if self._owner(item.neuron_id) == OVERFLOW:
            return
        self.names[item.neuron_id] = item.text
        group = item.text[1] or "default"
        if group not in self.group_names:
            if len(self.group_names) < self.max_groups + 2:
                self.group_names.append(group)
            else:
                group = "other"
        self.group_of[item.neuron_id] = group

    def _enter(self, item: Item, window: Window, now_ns: int) -> None:
        owner = self._owner(item.neuron_id)
        here = "other" if owner == OVERFLOW else self.group_of.get(item.neuron_id, "default")
        group = window.groups.setdefault(owner, here)
        window.records[owner] += 1
        if item.kind is Kind.SAMPLE:
            for name, value, weight in self._observe(item, owner, now_ns):
                window.by_owner[owner][name].weighted.append((value, weight))
                window.by_group[group][name].weighted.append((value, weight))
        elif item.kind is Kind.EVENT:
            name = EVENTS[int(item.values["event_type"])].name
            self.events[name] += 1
            window.errors[owner] += name == "ErrorOccurred"
        else:
            pair = (item.neuron_id, int(item.values["link_peer_id"]))
            link = self.links.setdefault(pair, [0, 0])
            link[0] += int(item.values.get("link_messages", 0))
            link[1] += int(item.values.get("link_bytes", 0))

    def _observe(self, item: Item, owner: int | str, now_ns: int) -> list[tuple[str, float, float]]:
        """Name, value and weight of what a sample says; notes last values and health."""
        said = [(LATENCY, float(now_ns - item.time_ns), 1.0)]
        weight = item.values.get("weight", 1.0)
        if not 0 < weight < math.inf:
            weight, self.refused = 1.0, self.refused + 1
        newest = item.time_ns >= self.sampled.get(item.neuron_id, 0)
        for metric in METRICS:
            if metric.name not in item.values:
                continue
            value, key = item.values[metric.name], (item.neuron_id, metric.name)
            if metric.role == "counter":
                if owner != OVERFLOW and newest and key in self.last:
                    before = self.last[key]
                    said.append(
                        (metric.name, float(value - before if value >= before else value), 1.0)
                    )
            elif metric.storage.is_float and not abs(value) < 1e250:
                self.refused += 1
            else:
                said.append((metric.name, float(value), weight))
            if newest or key not in self.last:
                self.last[key] = value
        if newest:
            self.sampled[item.neuron_id] = item.time_ns
        if "health" in item.values and item.time_ns >= self.health.get(item.neuron_id, (0, 3))[0]:
            self.health[item.neuron_id] = (item.time_ns, int(item.values["health"]))
        return said
