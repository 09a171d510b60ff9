"""The snapshot documents: their shape, their numbers, and what is absent from them."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from naive_windows import Item, to_records
from snapshot_tools import BIG, SECOND, START, document_of, neuron_of, population

from rnts.kernels import histogram
from rnts.model import METRIC_NAMES, Kind
from rnts.windows import Windows


def test_the_document_says_who_is_there_and_which_window_it_is_about() -> None:
    """Counts of neurons, the window, and what was passed in, under their keys."""
    document = document_of(population())

    assert document["version"] == 1
    assert document["time_ns"] == START + 3 * SECOND
    assert document["neurons"] == {
        "known": 3,
        "active": 3,
        "health": {"healthy": 1, "degraded": 0, "critical": 1, "unknown": 1},
    }
    assert document["window"] == {
        "start_ns": START,
        "end_ns": START + 2 * SECOND,
        "complete": True,
        "revision": 0,
        "records": 16,
    }
    assert document["records_per_second"] == 8.0
    assert document["accounting"] == {"balanced": True}
    assert document["agents"] == [{"pid": 5}]
    assert document["aggregator"] == {"pid": 6}


def test_a_metric_has_its_statistics_and_their_error() -> None:
    """Levels as they are; percentiles in the order of their ranks, within their bound."""
    metric = document_of(population())["metrics"]["processing_time_ns"]

    percentiles = metric.pop("percentiles")
    assert metric == {
        "count": 10,
        "mean": 5_500_000.0,
        "min": 1_000_000,
        "max": 10_000_000,
        "rate": 5.0,
        "relative_error": histogram.RELATIVE_ERROR,
    }
    assert list(percentiles) == ["50", "99.9"]
    assert percentiles["50"] == pytest.approx(5_000_000, rel=histogram.RELATIVE_ERROR)
    assert percentiles["99.9"] == pytest.approx(10_000_000, rel=histogram.RELATIVE_ERROR)


def test_statistics_of_a_counter_are_over_increases() -> None:
    """Ten readings, three apart, are nine increases of three; the rate is per second."""
    metric = document_of(population())["metrics"]["activation_count"]

    assert (metric["count"], metric["mean"], metric["min"], metric["max"]) == (9, 3.0, 3, 3)
    assert metric["rate"] == 13.5
    assert metric["percentiles"] == {"50": 3, "99.9": 3}


def test_small_percentiles_of_whole_numbers_are_exact() -> None:
    """A bucket below 64 holds one whole number, and that is what is shown; others stay floats."""
    metrics = document_of(population())["metrics"]

    assert metrics["queue_depth"]["percentiles"] == {"50": 1, "99.9": 2}
    assert isinstance(metrics["signal_strength"]["percentiles"]["50"], float)


def test_a_metric_that_nobody_reported_is_absent() -> None:
    """Absent, and not zero or null: in the whole, in groups, and for a neuron."""
    windows = population()
    document = document_of(windows)

    assert set(document["metrics"]) < set(METRIC_NAMES)
    assert "cache_hit_rate" not in document["metrics"]
    assert "cache_hit_rate" not in document["groups"]["ingest"]["metrics"]
    assert neuron_of(windows, "beta")["neuron"]["metrics"] == {}


def test_before_anything_is_closed_there_is_no_window() -> None:
    """Neurons that are known are shown; statistics are not made up."""
    windows = Windows(SECOND, [50])
    windows.fold(to_records([Item(1, START, values={"queue_depth": 1})]), START)

    document = document_of(windows)

    assert document["window"] is None
    assert document["records_per_second"] is None
    assert document["latency_ns"] is None
    assert document["metrics"] == {}
    assert document["neurons"]["known"] == 1
    assert document["groups"]["default"]["neurons"] == 1
    assert neuron_of(windows, "1")["neuron"]["window"] is None


def test_an_empty_window_is_shown_as_empty() -> None:
    """Silence is news: nobody active, no metric, the window complete."""
    windows = population()
    windows.advance(START + 10 * SECOND, complete=True)

    document = document_of(windows)

    assert document["window"]["records"] == document["neurons"]["active"] == 0
    assert document["window"]["end_ns"] == START + 10 * SECOND
    assert (document["metrics"], document["busiest"]) == ({}, [])
    assert [row["name"] for row in document["sickest"]] == ["beta"]


def test_no_error_is_claimed_where_a_percentile_is_out_of_range() -> None:
    """Beyond 2^48 the bound is null, the values are clamped to the extremes."""
    windows = Windows(SECOND, [50])
    windows.fold(to_records([Item(1, START, values={"memory_bytes": 2**60})]), START)
    windows.advance(START + SECOND, complete=True)

    metric = document_of(windows)["metrics"]["memory_bytes"]

    assert metric["relative_error"] is None
    assert metric["percentiles"] == {"50": float(2**60)}


def test_groups_have_counts_health_and_metrics_of_their_own() -> None:
    """A group that has neurons or records is listed under its name."""
    groups = document_of(population())["groups"]

    assert set(groups) == {"default", "ingest"}
    ingest = groups["ingest"]
    assert (ingest["neurons"], ingest["active"], ingest["records"]) == (2, 2, 13)
    assert ingest["health"] == {"healthy": 0, "degraded": 0, "critical": 1, "unknown": 1}
    assert ingest["metrics"]["processing_time_ns"]["count"] == 10
    assert groups["default"]["metrics"] == {}


def test_the_busiest_worked_longest_and_the_sickest_are_worst() -> None:
    """Time at work decides, then records; critical comes first, then errors."""
    document = document_of(population())

    assert document["busiest"] == [
        {
            "neuron_id": "1",
            "name": "alpha",
            "group": "ingest",
            "health": "unknown",
            "records": 12,
            "activation_count": 27,
            "processing_time_ns": 5_500_000.0,
            "busy_ratio": 0.0275,
        }
    ]
    assert [(row["neuron_id"], row["health"], row["reason"]) for row in document["sickest"]] == [
        ("2", "critical", "disk full"),
        (str(BIG), "healthy", None),
    ]
    assert [row["errors"] for row in document["sickest"]] == [0, 1]
    assert document["sickest"][0]["since_ns"] == START + 7


def test_a_neuron_that_is_gone_is_not_among_the_sickest() -> None:
    """Whoever left in a critical state is neither counted nor listed any more."""
    windows = population()
    sick = Item(5, START + 3 * SECOND, values={"health": 2})
    left = Item(2, START + 3 * SECOND, Kind.EVENT, {"event_type": 1}, ("killed",))
    windows.fold(to_records([sick, left]), START + 3 * SECOND)
    windows.advance(START + 4 * SECOND, complete=True)
    windows.advance(START + 6 * SECOND, complete=True)

    document = document_of(windows)

    assert document["neurons"]["health"]["critical"] == 1
    assert [row["neuron_id"] for row in document["sickest"]] == ["5"]


def test_where_nobody_says_how_long_it_worked_records_decide() -> None:
    """Ten neurons are listed at most, those with most records first; the overflow is none."""
    windows = Windows(SECOND, [50], max_neurons=12)
    items = [Item(n, START) for n in range(1, 40) for _ in range(n)]
    windows.fold(to_records(items), START)
    windows.advance(START + SECOND, complete=True)

    busiest = document_of(windows)["busiest"]

    assert [row["records"] for row in busiest] == list(range(12, 2, -1))
    assert "busy_ratio" not in busiest[0]


def test_events_are_counted_and_listed_with_their_own_fields() -> None:
    """The newest first; peers and neurons by their ids as text, and by name where they have one."""
    events = document_of(population())["events"]

    assert events["counts"] == {"ErrorOccurred": 1, "ConnectionLost": 1}
    assert events["recent"] == [
        {
            "time_ns": START + 30,
            "neuron_id": "1",
            "name": "alpha",
            "type": "ConnectionLost",
            "peer_id": str(BIG),
            "peer": None,
            "reason": "reset",
        },
        {
            "time_ns": START + 20,
            "neuron_id": str(BIG),
            "name": None,
            "type": "ErrorOccurred",
            "error_type": "Timeout",
            "details": "no answer",
        },
    ]


def test_links_go_by_names_where_there_are_any() -> None:
    """The links that carried most; a latency that was not reported is null."""
    links = document_of(population())["links"]

    assert links["count"] == 2
    assert links["top"][0] == {
        "source": "alpha",
        "target": "beta",
        "source_id": "1",
        "target_id": "2",
        "messages": 7,
        "bytes": 70,
        "latency_ns": None,
        "last_seen_ns": START + 40,
    }
    assert (links["top"][1]["source"], links["top"][1]["latency_ns"]) == (str(BIG), 900)


def test_the_latency_is_the_age_of_samples_when_they_were_folded() -> None:
    """Twelve samples, a millisecond old at most."""
    latency = document_of(population())["latency_ns"]

    assert latency["count"] == 12
    assert (latency["min"], latency["max"]) == (1_000_000 - 9, 1_000_000)
    assert latency["percentiles"]["50"] == pytest.approx(1e6, rel=histogram.RELATIVE_ERROR)


def test_the_document_counts_what_limits_left_out() -> None:
    """Each limit has its count under its own name."""
    windows = Windows(SECOND, [50], max_neurons=1)
    items = [
        Item(1, START, values={"signal_strength": math.nan}),
        Item(2, START),
        Item(3, START, Kind.NAME, text=("three", "", "", "")),
    ]
    windows.fold(to_records(items), START)

    assert document_of(windows)["limits"] == {
        "neurons_max": 1,
        "neurons_retired": 0,
        "groups_retired": 0,
        "hosts_retired": 0,
        "overflow_records": 2,
        "names_refused": 0,
        "link_records_refused": 0,
        "health_reasons_skipped": 0,
        "values_refused": 1,
        "stale_records": 0,
    }


def keys_of(document: Any) -> set[str]:
    """All keys of a document, but not those that are data: names, percentiles, types."""
    if isinstance(document, list):
        return set().union(*map(keys_of, document)) if document else set()
    if not isinstance(document, dict):
        return set()
    data = {"ingest", "default", "50", "99.9", "ErrorOccurred", "ConnectionLost", *METRIC_NAMES}
    below: set[str] = set().union(*map(keys_of, document.values()))
    return (set(document) - data) | below


def test_every_key_is_explained() -> None:
    """`docs/snapshot.md` names each key of both documents."""
    windows = population()
    text = (Path(__file__).parents[1] / "docs" / "snapshot.md").read_text()
    explained = set(re.findall(r"`([a-z_]+)`", text))
    document = document_of(windows) | {"agents": [], "aggregator": {}}  # others fill these in

    assert keys_of(document) | keys_of(neuron_of(windows, "alpha")) <= explained
