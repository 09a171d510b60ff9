"""How certain values of standing expressions are: buckets hold the truth, intervals are those of
snapshots, and what is not known is not claimed."""

import math
import random
from typing import Any

import numpy as np
import pytest
from naive_reflex import MS
from naive_windows import percentile
from reflex_tools import Town, neuron
from test_sampling_errors import SECOND, START, metrics_of, records_of

from rnts.kernels import sliding_state as words
from rnts.reflex.change import Certainty, Change
from rnts.reflex.engine import Engine
from rnts.rules.condition import parse_condition, parse_quantity
from rnts.windows import Windows


def watched(*texts: str, **others: Any) -> Town:
    """A town in which these are asked."""
    town = Town(**others)
    for text in texts:
        town.engine.register(text, parse_quantity(text))
    return town


def told(town: Town, text: str) -> list[Change]:
    """All that is told of an expression."""
    return list(town.engine.full(text, town.now_ns).changes)


def certainty(town: Town, text: str) -> Certainty:
    """How certain the one value is that is told."""
    (change,) = told(town, text)
    assert change.certainty is not None
    return change.certainty


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("p50(processing_time_ns) by neuron", 1),
        ("p99(processing_time_ms) by neuron", 10**6),
        ("p99_processing_time_us by group", 10**3),
        ("p90(memory_kb) by host", 1024),
        ("p10(signal_strength)", 1),
        ("p99_9(cache_hit_rate_percent) by all", 0.01),
    ],
)
def test_a_bucket_holds_the_exact_percentile(text: str, unit: float) -> None:
    """The nearest rank of what was said lies between the edges, in the unit that was asked for."""
    metric = next(name for name in (
        "processing_time_ns", "memory_bytes", "signal_strength", "cache_hit_rate",
    ) if name.split("_")[0] in text)  # fmt: skip
    source = random.Random(text)
    for count in (1, 2, 7, 200):
        town = watched(text)
        values = [
            source.gauss(0, 60) if metric == "signal_strength"
            else source.random() if metric == "cache_hit_rate"
            else int(source.lognormvariate(14, 2))
            for _ in range(count)
        ]  # fmt: skip
        town.step(1, *[town.sample(1, **{metric: value}) for value in values])
        rank = float(parse_quantity(text).readings[0].function[1:].replace("_", "."))
        exact = percentile([(value, 1.0) for value in values], rank) / unit
        (change,) = told(town, text)
        found = certainty(town, text)
        assert found.lower is not None and found.upper is not None
        slack = abs(exact) * 1e-12
        assert found.lower - slack <= exact <= found.upper + slack
        assert found.lower <= change.value <= found.upper
        assert found[2:] == (None, None, None)


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        *((f"processing_time_{unit}", "processing_time_ns") for unit in ("ns", "us", "ms", "s")),
        *((f"memory_{unit}", "memory_bytes") for unit in ("bytes", "kb", "mb")),
        ("cache_hit_rate_percent", "cache_hit_rate"),
    ],
)
def test_a_value_on_an_edge_lies_in_the_bucket_below(metric: str, unit: str) -> None:
    """Edges that a sample can be are powers of two, and come back from each unit as they were."""
    texts = [f"p50({metric}) by group"]
    if metric.startswith("processing"):
        texts.append(f"p50({metric}) by neuron")
    town = watched(*texts)
    powers = range(-6, 1) if unit == "cache_hit_rate" else range(6, 36)
    for power in powers:
        town.step(2_000, town.sample(1, **{unit: 2.0**power if power < 0 else 2**power}))
        for text in texts:
            (change,) = told(town, text)
            assert change.certainty is not None and change.certainty.lower is not None
            assert change.certainty.upper == pytest.approx(change.value, rel=1e-12)
            step = 2 ** (-1 / 4) if "neuron" in text else 2 ** (-1 / 64)
            assert change.certainty.lower == pytest.approx(change.value * step, rel=1e-9)


def test_nothing_is_promised_where_snapshots_promise_nothing() -> None:
    """Zero is exact; beside it, and beyond the ends of a histogram, there is no bound."""
    small, full = "p50(processing_time_ns) by neuron", "p50(signal_strength) by group"
    town = watched(small, full)
    for duration, strength in ((10, 2.0**-17), (60 * 10**9, -(2.0**49))):
        town.step(2_000, town.sample(1, processing_time_ns=duration, signal_strength=strength))
        assert [told(town, text)[0].certainty for text in (small, full)] == [None, None]
    town.step(2_000, town.sample(1, signal_strength=0.0))
    assert certainty(town, full)[:2] == (0.0, 0.0)
    town.step(2_000, town.sample(1, signal_strength=-1.5))
    lower, upper = certainty(town, full)[:2]
    assert lower is not None and upper is not None and lower <= -1.5 <= upper < 0


def sampled(seed: int) -> tuple[Any, Any, Any]:
    """Ids, values, weights: of classes at several rates, of which one is kept whole."""
    source = np.random.default_rng(seed)
    ids = source.integers(1, 9, 3_000)
    values = np.exp(source.normal(7, 1.2, ids.size) + np.where(ids % 3 == 0, 4.0, 0.0))
    rates = np.array([1.0, 0.3, 0.05])[ids % 3]
    kept = source.random(ids.size) < rates
    return ids, values.astype(np.int64), np.where(kept, 1 / rates, 0.0)


@pytest.mark.parametrize("scope", ["group", "host", "all"])
def test_intervals_are_those_of_snapshots(scope: str) -> None:
    """Of the same samples the sliding and the tumbling window say the same."""
    ranks = (50.0, 90.0, 99.0)
    windows = Windows(SECOND, ranks)
    texts = {rank: f"p{rank:g}(queue_depth) over 5s by {scope}" for rank in ranks}
    count = f"count(queue_depth) over 5s by {scope}"
    for text in (*texts.values(), count):
        windows.reflex.register(text, parse_quantity(text))
    windows.reflex.arrive(START, SECOND)
    windows.fold(records_of(*sampled(3)), START + SECOND // 2)
    windows.reflex.evaluate(START, SECOND)
    windows.advance(START + SECOND, complete=True)
    said = metrics_of(windows)["queue_depth"]
    for rank, text in texts.items():
        (change,) = windows.reflex.full(text, START).changes
        assert change.certainty is not None
        assert change.value == said["percentiles"][f"{rank:g}"]
        interval = said["sampling"]["intervals"][f"{rank:g}"]
        assert change.certainty[3:] == pytest.approx(interval, rel=1e-9)
        effective = said["sampling"]["effective_samples"]
        assert change.certainty.effective_samples == pytest.approx(effective, rel=1e-3)
    (change,) = windows.reflex.full(count, START).changes
    assert change.certainty is not None and change.certainty[:2] == (None, None)
    error = said["sampling"]["count_error"]
    assert change.certainty.low == pytest.approx(change.value - error, rel=1e-2)
    assert change.certainty.high == pytest.approx(change.value + error, rel=1e-2)


def test_what_has_left_the_window_leaves_nothing_uncertain() -> None:
    """Sliding is recomputed: with samples that are over, and without them, the same is told."""
    texts = ("p50(queue_depth) over 200ms by group", "count(queue_depth) over 200ms")
    pair = [watched(*texts), watched(*texts)]
    source = random.Random(5)
    before = [(source.randrange(1, 4_000), source.choice([3.7, 10.3])) for _ in range(200)]
    after = [(source.randrange(1, 4_000), source.choice([1.0, 2.3])) for _ in range(200)]
    for town, batches in zip(pair, ([before, after], [[], after]), strict=True):
        for batch in batches:
            town.step(500, *[town.sample(1, queue_depth=v, weight=w) for v, w in batch])
    for text in texts:
        first, second = (told(town, text)[0] for town in pair)
        assert first.value == second.value
        assert first.certainty == second.certainty is not None
        assert first.certainty is not None and first.certainty.low is not None
    for town in pair:
        town.step(500, town.sample(1, queue_depth=3))
        assert certainty(town, texts[0])[2:] == (None, None, None)
        assert told(town, texts[1])[0].certainty is None


def test_where_few_samples_lie_beyond_no_interval_is_claimed() -> None:
    """As in snapshots; that samples were left out is told all the same."""
    text = "p99(queue_depth) by group"
    town = watched(text)
    town.step(1, *[town.sample(1, queue_depth=one, weight=10.0) for one in range(1, 41)])
    found = certainty(town, text)
    assert found.effective_samples == pytest.approx(40 * 10 / 9, rel=1e-3)
    assert found[3:] == (None, None)


def test_of_one_neuron_it_is_told_that_samples_were_left_out() -> None:
    """Its small histogram has no excess by bucket: so many effective samples, and no interval."""
    text = "p50(processing_time_ms) by neuron"
    town = watched(text)
    slow = [town.sample(1, processing_time_ns=10**6 * one, weight=4.0) for one in range(1, 101)]
    town.step(1, *slow, town.sample(2, processing_time_ns=10**6))
    found = {change.labels: change.certainty for change in told(town, text)}
    sampled_one, whole = found[neuron("1")], found[neuron("2")]
    assert sampled_one is not None and whole is not None
    assert sampled_one.effective_samples == pytest.approx(400**2 / (100 * 12), rel=1e-6)
    assert sampled_one[3:] == (None, None) and sampled_one.lower is not None
    assert whole[2:] == (None, None, None)


def test_where_all_is_kept_no_memory_is_touched() -> None:
    """The cells that would say what was left out are still the zeros that they began as."""
    text = "p99(queue_depth) by group"
    town = watched(text)
    for _ in range(50):
        town.step(20, *[town.sample(1, queue_depth=one) for one in range(20)])
        told(town, text)
    _, plan, cells = town.engine.arrays[:3]
    for statistic in (words.EXCESS, words.EXCESSES):
        (row,) = (plan[:, words.STATISTIC] == statistic).nonzero()[0]
        first, width = plan[row, words.CELLS], plan[row, words.WIDTH]
        assert not cells[first : first + 4 * width].any()


@pytest.mark.parametrize(
    "text",
    [
        "mean(queue_depth) by group",
        "p50(queue_depth) - p10(queue_depth)",
        "2 * p50(queue_depth)",
        "p50(queue_depth) * 2 by group",
        "rate(activation_count)",
        "count(activation_count)",
        "queue_depth",
        "errors",
    ],
)
def test_what_is_no_such_statistic_tells_nothing(text: str) -> None:
    """Where nothing is known nothing is claimed, also not of what was computed from percentiles."""
    town = watched(text)
    for count in (1, 2):
        town.step(10, town.sample(1, queue_depth=5, activation_count=count, weight=3.0))
    assert [change.certainty for change in told(town, text)] == [None]


def test_certainty_rides_along_with_values() -> None:
    """It is told with each value that is told, and is no news by itself."""
    text = "p50(queue_depth) over 10s by group"
    town = watched(text)
    town.step(1, *[town.sample(1, queue_depth=9, weight=2.0) for _ in range(10)])
    update = town.engine.take(text, town.now_ns)
    assert update is not None and update.changes[0].certainty is not None
    town.step(1, *[town.sample(1, queue_depth=9, weight=2.0) for _ in range(10)])
    assert town.engine.take(text, town.now_ns) is None
    town.step(1, *[town.sample(1, queue_depth=4, weight=2.0) for _ in range(30)])
    update = town.engine.take(text, town.now_ns)
    assert update is not None and update.changes[0].certainty is not None
    assert update.changes[0].certainty.effective_samples == pytest.approx(100, rel=1e-6)


def test_a_condition_tells_how_certain_what_it_shows_is() -> None:
    """In the unit that is shown, beside the truth."""
    text = "p99_processing_time_ms > 100 by group"
    town = Town()
    town.engine.register(text, parse_condition(text))
    town.step(1, *[town.sample(1, processing_time_ns=101 * MS) for _ in range(5)])
    update = town.engine.take(text, town.now_ns)
    assert update is not None
    (change,) = update.changes
    assert change.truth == 1 and change.certainty is not None
    lower, upper = change.certainty[:2]
    assert lower is not None and upper is not None and lower < 101 <= upper < lower * 1.011


def test_intervals_take_no_memory_from_what_is_needed() -> None:
    """Half as much lies beside it for them; beyond that percentiles go without, and say so."""
    town = Town()
    least = town.windows.population.health.shape[0] * 17 * 8_192
    town.engine = Engine(town.windows.population, memory_bytes_max=4 * least)
    town.windows.reflex = town.engine
    texts = [f"p50({metric}) by group" for metric in (
        "queue_depth", "signal_strength", "cache_hit_rate",
    )]  # fmt: skip
    for text in texts:
        town.engine.register(text, parse_quantity(text))
    said = {"queue_depth": 5, "signal_strength": 5.0, "cache_hit_rate": 0.5}
    town.step(1, *[town.sample(1, **said, weight=2.0) for _ in range(100)])
    found = [certainty(town, text) for text in texts]
    assert [one.effective_samples for one in found] == pytest.approx([200.0] * 3)
    assert [one.low is not None for one in found] == [True, True, False]
    for text in texts:
        town.engine.remove(text)
    assert town.engine.memory_bytes == 0
    town.engine.register(texts[2], parse_quantity(texts[2]))
    town.step(1, *[town.sample(1, **said, weight=2.0) for _ in range(100)])
    assert certainty(town, texts[2]).low is not None


def test_a_weight_beyond_reason_leaves_no_uncertainty_behind() -> None:
    """What it left is taken away with it, and was infinite nowhere."""
    text = "p50(queue_depth) over 50ms by all"
    town = watched(text)
    town.step(10, town.sample(1, queue_depth=7, weight=1e30))
    assert all(math.isfinite(one) for one in certainty(town, text) if one is not None)
    for _ in range(10):
        town.step(20, *[town.sample(1, queue_depth=900, weight=2.0) for _ in range(40)])
    found = certainty(town, text)
    assert found.effective_samples is not None and found.low is not None
    assert found.effective_samples < 1_000 and found.low == found.high
