"""The snapshot document of one neuron: who it is, what it did, and how it is found."""

import pytest
from naive_windows import Item, to_records
from snapshot_tools import BIG, SECOND, START, neuron_of, population

from rnts.kernels import durations
from rnts.windows import Windows


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
