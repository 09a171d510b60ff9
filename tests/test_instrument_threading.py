"""Instrumented threads: each kind is a neuron that comes and goes, and one neuron counts all."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from trace_tools import Watched, watched_process

import rnts
from rnts import local_neuron
from rnts.instrument_threading import kind_of

LAST = ("Deactivated", ["the last thread of its kind has ended"])


@pytest.fixture
def process(process: Watched) -> Iterator[Watched]:
    """This process, with a producer of the test's own and its threads instrumented."""
    with rnts.instrument("threading"):
        yield process


def run(thread: threading.Thread) -> None:
    """Start it, and wait for its end."""
    thread.start()
    thread.join()


def test_a_thread_comes_and_goes(process: Watched) -> None:
    """Its beginning and its end are events of a neuron of its name."""
    run(threading.Thread(target=int, name="worker"))
    assert process.of("threads/worker") == [
        ("Activated", ["worker"]),
        {"activation_count": 1, "connection_count": 1},
        LAST,
    ]


def test_threads_are_counted(process: Watched) -> None:
    """Each beginning and end says how many were started, and how many there are."""
    others = threading.active_count()
    end = threading.Event()
    first = threading.Thread(target=end.wait)
    first.start()
    run(threading.Thread(target=int))
    end.set()
    first.join()
    expected = [(1, 1), (2, 2), (2, 1), (2, 0)]
    assert process.of("threads") == [
        {"activation_count": started, "connection_count": others + alive}
        for started, alive in expected
    ]


def test_a_kind_stays_until_its_last_thread_ends(process: Watched) -> None:
    """Threads that Python numbers share a neuron, which leaves with the last of them."""
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    barrier.wait()
    for thread in threads:
        thread.join()
    told = process.of("threads/work")
    assert [seen[0] for seen in told if isinstance(seen, tuple)] == [
        "Activated",
        "Activated",
        "Deactivated",
    ]
    counts = [seen["connection_count"] for seen in told if isinstance(seen, dict)]
    assert counts == [1, 2, 1]
    assert told[-1] == LAST


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Thread-1", "Thread"),
        ("Thread-12 (work)", "work"),
        ("Thread-3 (<lambda>)", "<lambda>"),
        ("ThreadPoolExecutor-0_11", "ThreadPoolExecutor"),
        ("worker-3", "worker-3"),
        ("MainThread", "MainThread"),
        ("Thread-x", "Thread-x"),
        ("", ""),
    ],
)
def test_numbers_of_pythons_own_are_no_part_of_a_kind(name: str, kind: str) -> None:
    """A name that somebody gave is kept as it is."""
    assert kind_of(name) == kind


def test_many_threads_are_few_neurons(process: Watched) -> None:
    """A thread a request, and pools that come and go, make no names without end."""
    for _ in range(20):
        run(threading.Thread(target=int))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(int, range(4)))
    names = {name for name, _, _ in local_neuron._made}
    assert names == {"threads", "threads/int", "threads/ThreadPoolExecutor"}


def test_what_a_thread_fails_with_is_told_before_it_leaves(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook that was there still gets all that it got; SystemExit is a way to end."""
    caught: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", caught.append)

    def fail() -> None:
        raise ValueError("no")

    with (
        watched_process(runtime_folder, monkeypatch) as process,
        rnts.instrument("threading"),
    ):
        run(threading.Thread(target=fail))
        run(threading.Thread(target=sys.exit, name="leaves"))
        assert [args.exc_type for args in caught] == [ValueError, SystemExit]
        told = process.take()
    errors = [seen.strings for seen in told if seen.values.get("event_type") == 5]
    assert errors == [["ValueError", "no"]]
    ends = [seen.values.get("event_type") for seen in told if seen.neuron_id == told[0].neuron_id]
    assert ends == [0, None, 5, 1]


def test_a_thread_that_outlives_the_instrumentation_says_no_more(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `close` nothing is reported, also of threads that were seen to begin."""
    end = threading.Event()
    with watched_process(runtime_folder, monkeypatch) as process:
        with rnts.instrument("threading"):
            thread = threading.Thread(target=end.wait, name="worker")
            thread.start()
        end.set()
        thread.join()
        assert [told for told in process.of("threads/worker") if isinstance(told, tuple)] == [
            ("Activated", ["worker"])
        ]
