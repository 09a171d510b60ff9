"""What snapshots and audits say is true: known records in a window, and processes that stall."""

import math
import subprocess
import sys
import time

import pytest
from capture_tools import read_lane
from process_tools import (
    Document,
    accounting,
    audit,
    end,
    neuron,
    program,
    road,
    settled,
    snapshot,
    stalled,
    until,
)

from rnts.accounting import DROPS
from rnts.neuron import Neuron
from rnts.producer import Producer

SECOND_NS = 1_000_000_000
# Group, name, and what the neuron reports: skewed, constant, and one single value.
POPULATION = {
    ("front", "front-1"): [1000 + i * i * i for i in range(300)],
    ("front", "front-2"): [5_000_000] * 50,
    ("back", "back-1"): [17],
}


def test_a_window_tells_exactly_what_was_recorded() -> None:
    """Count, mean, extremes and, within their bound, percentiles: of all, by group, by neuron."""
    with program() as producer, road():
        neurons = {
            key: producer.neuron(name, group=group) for key in POPULATION for group, name in [key]
        }
        document, views = until(lambda: window_of_known_records(neurons))
    everything = [value for values in POPULATION.values() for value in values]
    assert document["window"]["complete"] is True
    assert document["window"]["records"] == len(everything)
    assert document["neurons"]["active"] == 3
    assert_true(document["metrics"]["processing_time_ns"], everything)
    for group in ("front", "back"):
        values = [v for key, values in POPULATION.items() if key[0] == group for v in values]
        assert document["groups"][group]["records"] == len(values)
        assert_true(document["groups"][group]["metrics"]["processing_time_ns"], values)
    for (_, name), values in POPULATION.items():
        assert views[name]["records"] == len(values)
        assert_true(views[name]["metrics"]["processing_time_ns"], values)


def window_of_known_records(
    neurons: dict[tuple[str, str], Neuron],
) -> tuple[Document, dict[str, Document]] | None:
    """Fill the window of this second and read it once it is closed; None if that came too late.

    Only the newest closed window can be asked for, and it is that for a second: on a machine that
    stalls for longer, or where this second was nearly over, the next one is tried.
    """
    start_ns = time.time_ns() // SECOND_NS * SECOND_NS
    for key, values in POPULATION.items():
        for i, value in enumerate(values):
            at_ns = start_ns + i * SECOND_NS // len(values)
            assert neurons[key].record(processing_time_ns=value, timestamp_ns=at_ns)
    if time.time_ns() >= start_ns + SECOND_NS:
        return None
    document = until(lambda: window_since(snapshot(), start_ns))
    views = {name: neuron(name) for _, name in POPULATION}
    all_of_it = [document["window"], *(view.get("window") for view in views.values())]
    is_it = all(window is not None and window["start_ns"] == start_ns for window in all_of_it)
    return (document, views) if is_it and document["window"]["complete"] else None


def window_since(document: Document, start_ns: int) -> Document | None:
    """The snapshot if its window is the one from `start_ns` on, or a later one."""
    window = document.get("window")
    return document if window and window["start_ns"] >= start_ns else None


def assert_true(metric: Document, values: list[int]) -> None:
    """The statistics are those of `values`, percentiles by nearest rank and within their bound."""
    assert metric["count"] == len(values)
    assert metric["min"] == min(values)
    assert metric["max"] == max(values)
    assert metric["mean"] == pytest.approx(sum(values) / len(values), rel=1e-12)
    bound = metric["relative_error"]
    assert 0 < bound < 0.1
    ordered = sorted(values)
    for percentile, told in metric["percentiles"].items():
        exact = ordered[math.ceil(float(percentile) / 100 * len(values)) - 1]
        assert abs(told - exact) <= bound * exact * (1 + 1e-9), percentile


def occupied(producer: Producer) -> int:
    """Slots of the program's only lane that the agent has not taken."""
    segment = producer.segment()
    assert segment is not None
    lane = read_lane(segment)
    return lane.tail - lane.head


def final_audit(attempts: int) -> Document:
    """What `rnts audit` says once every one of so many records has come to its end."""
    until(lambda: settled(accounting()) >= attempts)
    code, books = until(
        lambda: (found := audit()) and not any(found[1]["in_flight"].values()) and found
    )
    assert (code, books["balanced"], books["problems"]) == (0, True, [])
    assert books["emitted"] == attempts
    assert set(books["dropped"]) <= set(DROPS)
    return books


@pytest.mark.parametrize("grace_ms", [500, 60_000])
def test_a_stalled_agent_loses_what_is_named(grace_ms: int) -> None:
    """Beyond its lane a program's records are `lane_full`; what was in it is late to no window.

    Within the grace windows wait for the agent, and beyond it only those close that hold something.
    """
    with program() as producer, road(RNTS_AGGREGATOR__GRACE_MS=str(grace_ms)) as processes:
        worker = producer.neuron("worker")
        assert worker.record(queue_depth=0)
        until(lambda: settled(accounting()) == 1)
        before = accounting()["dropped"]
        with stalled(processes["agent"].pid):
            kept = sum(worker.record(queue_depth=i) for i in range(20_000))
            code, books = audit("--no-wait")
            assert (code, books["in_flight"]["in_lanes"]) == (0, kept)
            if grace_ms == 500:
                after_ns = time.time_ns()
                until(lambda: window_since(snapshot(), after_ns))
        books = final_audit(20_001)
    assert 0 < kept < 20_000
    assert books["dropped"] == {"lane_full": 20_000 - kept, **before}
    assert books["aggregated"] == 20_001 - sum(books["dropped"].values())


@pytest.mark.parametrize("memory", ["enough", "little", "spooled"])
def test_a_stalled_aggregator_loses_only_what_the_agent_cannot_keep(memory: str) -> None:
    """The agent keeps what it drains, in memory and on disk; beyond it is `backlog_full`, not late.

    It is held for longer than the grace: silence that is the aggregator's own must not count.
    """
    settings = {"RNTS_AGGREGATOR__GRACE_MS": "1000"}
    if memory != "enough":
        settings["RNTS_AGENT__RETAINED_BYTES_MAX"] = "65536"
    if memory == "little":
        settings["RNTS_AGENT__SPOOL__BYTES_MAX"] = "0"
    with program() as producer, road(**settings) as processes:
        worker = producer.neuron("worker")
        attempts, began_ns = 0, time.time_ns()
        with stalled(processes["aggregate"].pid):
            for _ in range(10):
                until(lambda: occupied(producer) == 0)
                attempts += 8000
                assert all(worker.record(processing_time_ns=i * i) for i in range(8000))
            until(lambda: occupied(producer) == 0 and time.time_ns() > began_ns + 2 * SECOND_NS)
        books = final_audit(attempts)
    assert set(books["dropped"]) == ({"backlog_full"} if memory == "little" else set())


STORM = """
import itertools, sys, time
import rnts
neuron = rnts.neuron("storm")
for i in itertools.count(1):
    neuron.record(activation_count=i)
    if i % 100 == 0:
        time.sleep(0.001)
"""


def test_a_stalled_program_holds_up_nobody() -> None:
    """While it is stopped windows close, and the audit balances; so it does after its end."""
    storm = [sys.executable, "-c", STORM]
    with program() as producer, road():
        process = subprocess.Popen(storm, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until(lambda: accounting()["aggregated"] > 1000)
            with stalled(process.pid):
                after_ns = time.time_ns()
                assert producer.neuron("worker").record(queue_depth=1)
                document = until(lambda: window_since(snapshot(), after_ns))
                assert document["window"]["complete"] is True
                code, books = audit()
                assert (code, books["balanced"]) == (0, True)
            before = books["aggregated"]
            until(lambda: accounting()["aggregated"] > before)
            process.kill()
            process.wait()
            until(lambda: snapshot()["agents"][0]["segments"] == 1)
            books = final_audit(accounting()["emitted"])
            assert set(books["dropped"]) <= {"torn", "late", "lane_full"}
        finally:
            end(process)
