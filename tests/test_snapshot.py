"""The snapshot documents: their shape, their numbers, and what is absent from them."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from naive_windows import Item, to_records

from rnts.kernels import durations, histogram
from rnts.model import METRIC_NAMES, Kind
from rnts.snapshot import neuron_snapshot, snapshot
from rnts.windows import Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
BIG = 2**64 - 1  # an id that a JSON reader would round


def population() -> Windows:
    """Two named neurons and a nameless one, of which one is critical; one closed window of 2 s."""
    windows = Windows(2 * SECOND, [99.9, 50])
    items = [
        Item(1, START, Kind.NAME, text=("alpha", "ingest", "parser", "vm-7")),
        Item(2, START, Kind.NAME, text=("beta", "ingest", "writer", "vm-7")),
        Item(BIG, START, values={"health": 0}),
        Item(2, START + 7, values={"health": 2}, text=("disk full",)),
    ]
    for i in range(10):
        values = {
            "activation_count": 100 + 3 * i,
            "processing_time_ns": 1_000_000 * (i + 1),
            "queue_depth": i % 3,
            "signal_strength": -60.0 - i,
        }
        items.append(Item(1, START + i, values=values))
    items += [
        Item(BIG, START + 20, Kind.EVENT, {"event_type": 5}, ("Timeout", "no answer")),
        Item(1, START + 30, Kind.EVENT, {"event_type": 3, "event_peer_id": BIG}, ("reset",)),
        Item(1, START + 40, Kind.LINK, {"link_peer_id": 2, "link_messages": 7, "link_bytes": 70}),
        Item(BIG, START + 50, Kind.LINK, {"link_peer_id": 1, "link_latency_ns": 900}),
    ]
    windows.fold(to_records(items), START + 1_000_000)
    windows.advance(START + 2 * SECOND, complete=True)
    return windows


def document_of(windows: Windows) -> dict[str, Any]:
    """The snapshot as a reader of its JSON sees it."""
    document = snapshot(
        windows,
        time_ns=START + 3 * SECOND,
        accounting={"balanced": True},
        agents=[{"pid": 5}],
        aggregator={"pid": 6},
    )
    return json.loads(json.dumps(document, allow_nan=False))


def neuron_of(windows: Windows, wanted: str) -> dict[str, Any]:
    """The document of one neuron as a reader of its JSON sees it."""
    document = neuron_snapshot(windows, wanted, time_ns=START + 3 * SECOND)
    return json.loads(json.dumps(document, allow_nan=False))


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
    """The newest first; peers and neurons by their ids as text."""
    events = document_of(population())["events"]

    assert events["counts"] == {"ErrorOccurred": 1, "ConnectionLost": 1}
    assert events["recent"] == [
        {
            "time_ns": START + 30,
            "neuron_id": "1",
            "name": "alpha",
            "type": "ConnectionLost",
            "peer_id": str(BIG),
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
        "overflow_records": 2,
        "names_refused": 0,
        "link_records_refused": 0,
        "health_reasons_skipped": 0,
        "values_refused": 1,
    }


def test_one_neuron_in_full() -> None:
    """Who it is, how it is, its last values, its window, its links and its events."""
    reply = neuron_of(population(), "alpha")

    neuron = reply["neuron"]
    assert (reply["version"], reply["time_ns"]) == (1, START + 3 * SECOND)
    assert [neuron[key] for key in ("neuron_id", "name", "group", "role", "host")] == [
        "1",
        "alpha",
        "ingest",
        "parser",
        "vm-7",
    ]
    assert (neuron["health"], neuron["reason"], neuron["since_ns"]) == ("unknown", None, None)
    assert neuron["last_seen_ns"] == START + 40
    assert neuron["last"] == {
        "activation_count": 127,
        "processing_time_ns": 10_000_000,
        "queue_depth": 0,
        "signal_strength": -69.0,
    }
    assert (neuron["records"], neuron["errors"]) == (12, 0)
    assert neuron["window"]["end_ns"] == START + 2 * SECOND
    assert [link["target"] for link in neuron["links"]["out"]] == ["beta"]
    assert [link["source"] for link in neuron["links"]["in"]] == [str(BIG)]
    assert [event["type"] for event in neuron["events"]] == ["ConnectionLost"]


def test_a_neuron_has_percentiles_of_its_durations_with_their_own_bound() -> None:
    """8.6 % for the small histogram; the other metrics have none."""
    metrics = neuron_of(population(), "alpha")["neuron"]["metrics"]

    times = metrics["processing_time_ns"]
    assert times["relative_error"] == durations.RELATIVE_ERROR
    assert times["percentiles"]["50"] == pytest.approx(5e6, rel=durations.RELATIVE_ERROR)
    assert "percentiles" not in metrics["queue_depth"]
    assert metrics["activation_count"]["rate"] == 13.5


def test_weights_count_in_the_percentiles_of_a_neuron() -> None:
    """One sample that stands for nine is the median."""
    windows = Windows(SECOND, [50])
    slow = Item(1, START, values={"processing_time_ns": 9_000, "weight": 9})
    fast = [Item(1, START, values={"processing_time_ns": 100}) for _ in range(5)]
    windows.fold(to_records([slow, *fast]), START)
    windows.advance(START + SECOND, complete=True)

    times = neuron_of(windows, "1")["neuron"]["metrics"]["processing_time_ns"]

    assert times["count"] == 14
    assert times["percentiles"]["50"] == pytest.approx(9_000, rel=durations.RELATIVE_ERROR)


def test_a_neuron_is_found_by_id_and_an_unknown_one_gets_near_names() -> None:
    """Ids are decimal; a name that nobody has brings those like it."""
    windows = population()

    found = neuron_of(windows, str(BIG))["neuron"]
    assert (found["name"], found["group"], found["errors"]) == (None, "default", 1)
    assert neuron_of(windows, "alpa") == {
        "version": 1,
        "time_ns": START + 3 * SECOND,
        "neuron": None,
        "near": ["alpha"],
    }
    assert neuron_of(windows, "99")["neuron"] is None
    assert neuron_of(windows, str(2**64))["neuron"] is None


def test_the_window_of_a_neuron_is_gone_once_its_pane_is_used_again() -> None:
    """Two windows open behind the closed one take all panes but its own; a third takes that."""
    windows = Windows(SECOND, [50])
    windows.fold(to_records([Item(1, START)]), START)
    windows.advance(START + SECOND, complete=True)
    for i in (1, 2):
        windows.fold(to_records([Item(2, START + i * SECOND)]), START + i * SECOND)
    assert neuron_of(windows, "1")["neuron"]["records"] == 1

    windows.fold(to_records([Item(2, START + 3 * SECOND)]), START + 3 * SECOND)

    assert neuron_of(windows, "1")["neuron"]["window"] is None


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
