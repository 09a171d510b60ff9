"""Standing expressions agree with a naive evaluator that looks through all that ever arrived."""

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive_reflex import MS, Labels, NaiveReflex
from naive_windows import Item, to_records

from rnts.kernels import durations, histogram
from rnts.kernels.process_ids import PROCESS_BITS_BELOW, PROCESS_MARK
from rnts.model import EVENT, Kind
from rnts.reflex.change import Update
from rnts.reflex.engine import Engine
from rnts.rules.condition import Reading, parse_quantity
from rnts.windows import Windows

START = 1_790_000_000_000 * MS
NEURONS_MAX = 3  # of four that speak, so that one has no row of its own

SEVERAL = (
    "rate(activation_count) over 50ms", "rate(bytes_transmitted)", "delta(activation_count)",
    "mean(queue_depth) over 50ms", "mean(signal_strength)", "min(signal_strength) over 100ms",
    "max(queue_depth) over 1s", "count(queue_depth) over 100ms", "count(activation_count) over 3s",
    "absent(activation_count, 50ms)", "absent(signal_strength, 1s)", "error_rate over 100ms",
    "error_rate over 3s", "errors over 100ms", "records over 1s",
    "p50(processing_time_ns) over 50ms", "p99(processing_time_ns) over 1s",
)  # fmt: skip
OF_MANY = (
    "p90(signal_strength) over 100ms", "affected_neurons over 100ms", "active_neurons over 50ms",
    "active_neurons over 1s", "neurons", "degraded_neurons", "critical_neurons",
)  # fmt: skip
OF_NEURONS = (
    "queue_depth", "activation_count", "signal_strength", "health_status",
    "delta(queue_depth) over 50ms", "delta(signal_strength) over 1s",
)  # fmt: skip
TEXTS = (
    *(f"{text} by {scope}" for text in SEVERAL for scope in ("neuron", "group", "host", "all")),
    *(f"{text} by {scope}" for text in OF_MANY for scope in ("group", "host", "all")),
    *(f"{text} by neuron" for text in OF_NEURONS),
)

PROCESS = PROCESS_MARK << PROCESS_BITS_BELOW | 4  # which is only looked at, and cannot fail
neurons = st.sampled_from([1, 2, 3, PROCESS])
ages_ns = st.sampled_from([0, 0, 0, 1, 3 * MS, 400 * MS, 5_000 * MS, 5_001 * MS, 6_000 * MS])
values = st.fixed_dictionaries(
    {},
    optional={
        "activation_count": st.sampled_from([0, 1, 2, 5, 1000]),
        "bytes_transmitted": st.sampled_from([0, 4096, 2**40]),
        "processing_time_ns": st.sampled_from([1_000, 1_500, 2_000, 10**6, 10**9]),
        "queue_depth": st.integers(0, 5),
        "signal_strength": st.sampled_from([0.0, -0.5, 1.0, 3.25, -60.0, math.nan, math.inf]),
        "weight": st.sampled_from([0.5, 1.0, 20.0, 0.0, math.nan]),
        "health": st.integers(0, 3),
    },
)
kinds = st.sampled_from([EVENT["ErrorOccurred"].code] * 4 + [EVENT["Deactivated"].code, 0])
names = st.tuples(st.just(""), st.sampled_from(["", "a", "b"]), st.just(""), st.sampled_from("xy"))
samples = st.tuples(neurons, ages_ns, st.just(Kind.SAMPLE), values, st.just(()))
others = st.one_of(
    st.tuples(
        neurons, ages_ns, st.just(Kind.EVENT), kinds.map(lambda code: {"event_type": code}),
        st.just(("", "")),
    ),
    st.tuples(neurons, ages_ns, st.just(Kind.LINK), st.just({"link_peer_id": 9}), st.just(())),
    st.tuples(neurons, st.just(0), st.just(Kind.NAME), st.just({}), names),
)  # fmt: skip
gaps_ns = st.sampled_from([0, MS, 7 * MS, 10 * MS, 14 * MS, 60 * MS, 300 * MS, 1_100 * MS])
steps = st.tuples(gaps_ns, st.lists(samples | others, max_size=6))


def item_of(drawn: Any, now_ns: int) -> Item:
    """A record, as it was drawn, at a time before now."""
    neuron_id, age_ns, kind, said, text = drawn
    if kind is Kind.NAME:
        text = (f"n{neuron_id}", *text[1:])
    return Item(neuron_id, now_ns - age_ns, kind, said, text)


class Client:
    """Puts together what it is told, as a viewer does."""

    def __init__(self) -> None:
        self.known: dict[Labels, float] = {}

    def hear(self, update: Update | None) -> None:
        """Take in what is new."""
        if update is None:
            return
        for labels in update.gone:
            self.known.pop(labels, None)
        for change in update.changes:
            self.known[change.labels] = change.value
            if math.isnan(change.value):
                del self.known[change.labels]


class Both:
    """The engine and the naive one, with the same expressions."""

    def __init__(self, texts: tuple[str, ...] = TEXTS) -> None:
        self.windows = Windows(10_000 * MS, (50,), max_neurons=NEURONS_MAX, max_groups=8)
        self.engine: Engine = self.windows.reflex
        self.naive = NaiveReflex(NEURONS_MAX)
        self.steady_ns = 0
        self.readings: dict[str, Reading] = {}
        self.clients = {text: Client() for text in texts}
        for text in texts:
            condition = parse_quantity(text)
            (self.readings[text],) = condition.readings
            for key in (text, (text, "full")):
                self.engine.register(key, condition, is_condition=False)

    def step(self, gap_ns: int, drawn: list[Any]) -> None:
        """Let time pass, have a batch arrive, and evaluate."""
        self.steady_ns += gap_ns
        now_ns = START + self.steady_ns
        items = [item_of(one, now_ns) for one in drawn]
        self.engine.arrive(now_ns, self.steady_ns)
        self.windows.fold(to_records(items), now_ns)
        self.engine.look_at_all()
        self.engine.evaluate(now_ns, self.steady_ns)
        self.naive.arrive(items, now_ns, self.steady_ns)

    def compare(self) -> None:
        """Each expression is of each entity what it is by the naive one, and so for its client."""
        now_ns = START + self.steady_ns
        for text, reading in self.readings.items():
            expected = pytest.approx(self.naive.read(reading), **tolerance(reading))
            full = self.engine.full((text, "full"), now_ns)
            found = {change.labels: change.value for change in full.changes}
            assert found == expected, text
            self.clients[text].hear(self.engine.take(text, now_ns))
            assert self.clients[text].known == found, text


def tolerance(reading: Reading) -> dict[str, float]:
    """How far a reading may be off: percentiles by their documented bound."""
    if not reading.function.startswith("p"):
        return {"rel": 1e-12, "abs": 0.0}
    kernel = durations if reading.scope == "neuron" else histogram
    return {"rel": kernel.RELATIVE_ERROR * 1.001, "abs": 0.0}


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(steps, min_size=1, max_size=8))
@example([(0, [(1, 0, Kind.SAMPLE, {"activation_count": 1}, ())]), (60 * MS, [])])
def test_every_reading_is_what_a_naive_evaluator_finds(history: list[Any]) -> None:
    """Samples, events, links, weights, silence, names, departures: at each step, in each scope."""
    both = Both()
    for gap_ns, drawn in history:
        both.step(gap_ns, drawn)
        both.compare()
    assert both.engine.stale == both.naive.stale
