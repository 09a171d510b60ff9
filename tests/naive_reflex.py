"""Windows that slide once more, slow and obvious: each time all that ever arrived."""

import math
from dataclasses import dataclass, field
from typing import Any

from naive_windows import OVERFLOW, Item, NaiveWindows, Window, percentile

from rnts.kernels.process_ids import PROCESS_BITS_BELOW, PROCESS_MARK
from rnts.model import EVENTS, FIELD, Kind
from rnts.rules.condition import Reading
from rnts.rules.vocabulary import quantile_of

MS = 1_000_000
BACKLOG_NS = 5_000 * MS
Labels = tuple[tuple[str, str], ...]
_STATES = {"degraded_neurons": 1, "critical_neurons": 2}


@dataclass
class Seen:
    """A record that has arrived: of whom it was then, and what it said."""

    at_ns: int
    owner: int | str
    group: str
    host: str
    kind: Kind
    weight: float
    is_error: bool
    said: dict[str, tuple[float, float]]  # metric -> (value, weight that applies to it)
    reported: set[str]
    can_fail: bool  # not of a process that is only looked at
    of_neuron: bool = True  # False once its neuron has left


@dataclass
class NaiveReflex(NaiveWindows):
    """Keeps every record; `look` is what an evaluation sees of neurons that come and go."""

    max_neurons: int
    max_groups: int = 8
    window_ns: int = 10_000 * MS
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.window_ns, self.max_neurons, self.max_groups, self.window_ns)
        self.steady_ns = 0
        self.latest: dict[int, int] = {}
        self.left: set[int] = set()
        self.since: dict[Any, int] = {}  # neuron, ("group", name), ("host", name), "all"
        self.stale = 0
        self._said: list[tuple[str, float, float]] = []

    def arrive(self, items: list[Item], now_ns: int, steady_ns: int) -> None:
        """Fold a batch, look at everybody."""
        self.steady_ns = steady_ns
        before = len(self.seen)
        self.fold(items, now_ns)
        taken = [item for item in items if item.kind is not Kind.NAME]
        assert len(self.seen) - before <= len(taken)
        for item in taken:
            is_known = self._owner(item.neuron_id) != OVERFLOW and self._is_taken(item)
            if is_known and item.time_ns > self.latest.get(item.neuron_id, 0):
                self.latest[item.neuron_id] = item.time_ns
                self.left.discard(item.neuron_id)
        for item in taken:
            says = item.kind is Kind.EVENT and EVENTS[int(item.values["event_type"])].name
            is_newest = item.time_ns >= self.latest.get(item.neuron_id, 0)
            if says == "Deactivated" and self._is_taken(item) and is_newest:
                self.left.add(item.neuron_id)
        self._look()

    def _is_taken(self, item: Item) -> bool:
        return item.time_ns // self.window_ns >= self.boundary

    def _look(self) -> None:
        """Whoever is there now is known since then; whoever left is forgotten."""
        for one in self.seen:
            if one.owner in self.left:
                one.of_neuron = False
        there: set[Any] = {"all"} if self.members("all", "") else set()
        for neuron_id in self.present():
            there |= {neuron_id, ("group", self.group(neuron_id)), ("host", self.host(neuron_id))}
        if any(one.owner == OVERFLOW for one in self.seen):
            there |= {"all", ("group", "other"), ("host", "")}
        self.since = {key: self.since.get(key, max(self.steady_ns, 1)) for key in there}

    def present(self) -> list[int]:
        """Neurons that are known and have not left."""
        return [one for one in self.known if one not in self.left]

    def group(self, neuron_id: int) -> str:
        """The group that a neuron counts for now."""
        return self.group_of.get(neuron_id, "default")

    def host(self, neuron_id: int) -> str:
        """The host that a neuron counts for now."""
        return self.names.get(neuron_id, ("", "", "", ""))[3]

    def _observe(self, item: Item, owner: int | str, now_ns: int) -> list[tuple[str, float, float]]:
        self._said = super()._observe(item, owner, now_ns)
        return self._said

    def _enter(self, item: Item, window: Window, now_ns: int) -> None:
        self._said = []
        super()._enter(item, window, now_ns)
        if item.time_ns < now_ns - BACKLOG_NS:
            self.stale += 1
            return
        owner = self._owner(item.neuron_id)
        weight = item.values.get("weight", 1.0)
        weight = weight if 0 < weight < math.inf else 1.0
        said = {name: (value, share) for name, value, share in self._said}
        counters = {
            name
            for name in item.values
            if item.kind is Kind.SAMPLE and FIELD[name].role == "counter"
        }
        is_event = item.kind is Kind.EVENT
        self.seen.append(
            Seen(
                at_ns=self.steady_ns,
                owner=owner,
                group="other" if owner == OVERFLOW else self.group(item.neuron_id),
                host="" if owner == OVERFLOW else self.host(item.neuron_id),
                kind=item.kind,
                weight=weight,
                is_error=is_event
                and EVENTS[int(item.values["event_type"])].name == "ErrorOccurred",
                said=said,
                reported={*said} | counters,
                can_fail=item.neuron_id >> PROCESS_BITS_BELOW != PROCESS_MARK,
            )
        )

    def members(self, scope: str, name: Any) -> list[int]:
        """The neurons of an entity."""
        return [
            one
            for one in self.present()
            if scope == "all" or {"group": self.group, "host": self.host}[scope](one) == name
        ]

    def entities(self, scope: str) -> dict[Labels, Any]:
        """The entities that exist: labels -> name or id."""
        if scope == "all":
            return {(): ""}
        if scope == "neuron":
            return {
                (
                    ("group", self.group(one)),
                    ("host", self.host(one)),
                    ("neuron", self.names.get(one, ("",))[0] or str(one)),
                ): one
                for one in self.present()
            }
        names = sorted(key[1] for key in self.since if isinstance(key, tuple) and key[0] == scope)
        return {((scope, name),): name for name in names}

    def read(self, reading: Reading) -> dict[Labels, float]:
        """What a reading is of each entity of which it is known."""
        found = {
            labels: self._one(reading, entity)
            for labels, entity in self.entities(reading.scope).items()
        }
        return {labels: value for labels, value in found.items() if value is not None}

    def _is_of(self, one: Seen, scope: str, entity: Any) -> bool:
        if scope == "neuron":
            return one.owner == entity and one.of_neuron
        return scope == "all" or getattr(one, scope) == entity

    def _one(self, reading: Reading, entity: Any) -> float | None:
        name, metric, window_ns, scope = reading
        mine = [one for one in self.seen if self._is_of(one, scope, entity)]
        if name == "last":
            raw = self.last.get((entity, metric))
            usable = raw is not None and abs(raw) < 1e250
            return float(raw) if raw is not None and usable else None
        if name in ("health", "health_or_unknown"):
            if name == "health" and entity not in self.health:
                return None
            return float(self.health.get(entity, (0, 3))[1])
        if name == "absent":
            return self._absent(mine, reading, entity)
        if name.endswith("neurons"):
            return float(self._neurons(name, self.members(scope, entity), window_ns))
        parts = 6 if scope == "neuron" else 62
        if quantile_of(name):
            parts = 7 if scope == "neuron" else 15
        is_change = name == "delta" and FIELD[metric].role != "counter"
        parts = 5 if is_change else parts
        pane_ns = max(10 * MS, -(-window_ns // parts))
        begin_ns = (self.steady_ns // pane_ns - -(-window_ns // pane_ns)) * pane_ns
        inside = [one for one in mine if one.at_ns >= begin_ns]
        if is_change:
            last = [one.said[metric][0] for one in inside if metric in one.said]
            before = [
                one.said[metric][0] for one in mine if one.at_ns < begin_ns and metric in one.said
            ]
            return last[-1] - before[-1] if last and before else None
        if name == "rate":
            increase = _increase(inside, metric)
            since_ns = self.since.get(entity, 0) if scope == "neuron" else 0
            covered_ns = max(self.steady_ns - max(begin_ns, since_ns, 0), pane_ns)
            return None if increase is None else increase * 1e9 / covered_ns
        return _of_window(name, metric, inside)

    def _absent(self, mine: list[Seen], reading: Reading, entity: Any) -> float | None:
        begin_ns = self.steady_ns - reading.window_ns
        if any(one.at_ns > begin_ns and reading.metric in one.reported for one in mine):
            return 0.0
        key = {"neuron": entity, "all": "all"}.get(reading.scope, (reading.scope, entity))
        since_ns = self.since.get(key)
        return 1.0 if since_ns is not None and since_ns <= begin_ns else None

    def _neurons(self, name: str, members: list[int], window_ns: int) -> int:
        if name == "neurons":
            return len(members)
        if state := _STATES.get(name):
            return sum(self.health.get(one, (0, 3))[1] == state for one in members)
        begin_ns = self.steady_ns - window_ns
        recent = [one for one in self.seen if one.at_ns > begin_ns and one.of_neuron]
        if name == "active_neurons":
            return len({one.owner for one in recent} & {*members})
        critical = {one for one in members if self.health.get(one, (0, 3))[1] == 2}
        return len(critical | ({one.owner for one in recent if one.is_error} & {*members}))


def _increase(inside: list[Seen], metric: str) -> float | None:
    told = [one.said[metric][0] for one in inside if metric in one.said]
    return math.fsum(told) if told else None


def _of_window(name: str, metric: str, inside: list[Seen]) -> float | None:
    """Functions of what lies in a window."""
    if name == "records":
        return float(len(inside))
    errors = float(sum(one.is_error for one in inside))
    if name == "errors":
        return errors
    if name == "error_rate":
        own = [one for one in inside if one.can_fail]
        activations = _increase(own, "activation_count")
        if activations is None:
            activations = math.fsum(one.weight for one in own if one.kind is Kind.SAMPLE)
        return errors / max(errors, activations) if errors or activations else None
    if name == "count":
        return math.fsum(one.weight for one in inside if metric in one.reported)
    if name == "delta":
        return _increase(inside, metric)
    weighted = [one.said[metric] for one in inside if metric in one.said]
    if not weighted:
        return None
    if name == "mean":
        total = math.fsum(value * weight for value, weight in weighted)
        return total / math.fsum(weight for _, weight in weighted)
    if (quantile := quantile_of(name)) is not None:
        return percentile(weighted, float(quantile))
    return {"min": min, "max": max}[name](value for value, _ in weighted)
