"""The parts of benchmarks: their sandbox, the climb to the highest rate, times and tables."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from rnts.audit import Audit
from rnts.commands import _bench_table
from rnts.errors import RntsError
from rnts.perf import pipeline
from rnts.perf.pipeline import Step
from rnts.perf.sandbox import cpu_ns, memory_bytes, sandbox
from rnts.perf.timing import call_times_ns
from rnts.runtime import SHARED_MEMORY

RATE = 1_000_000


def sustained(rate: int = RATE, **others: Any) -> Step:
    """A step of one second that the road carried, but for `others`."""
    seen = {"attempted": rate, "taken": rate, "seconds": 1.0, "frames": 10, "frame_bytes": rate}
    cpu_ns = {"producer": 10**8, "agent": 2 * 10**8, "aggregator": 3 * 10**8}
    return Step(rate, **{**seen, "cpu_ns": cpu_ns, **others})


@pytest.mark.parametrize(
    "others",
    [
        {"taken": RATE - 1},
        {"dropped": {"late": 1}},
        {"in_flight": RATE // 10 + 1},
        {"attempted": RATE * 9 // 10, "taken": RATE * 9 // 10},
    ],
    ids=["not taken", "lost later", "piled up", "not offered"],
)
def test_a_rate_is_not_sustained(others: dict[str, Any]) -> None:
    """One lost record, a pile on its way, or producers that fall short: each rules a rate out."""
    assert sustained().is_sustained
    assert not sustained(**others).is_sustained


class MadeUpRoad:
    """A road that carries rates up to a limit, and fails in tries that are named."""

    def __init__(self, limit: int, bad_tries: tuple[int, ...] = ()) -> None:
        self.limit, self.bad_tries = limit, bad_tries
        self.offered: list[int] = []

    def run(self, rate: int, seconds: float) -> Step:
        """One step."""
        self.offered.append(rate)
        is_lost = rate > self.limit or len(self.offered) in self.bad_tries
        return sustained(rate, taken=rate - is_lost)


def test_the_climb_ends_at_the_first_rate_that_fails_each_time() -> None:
    """A rate is tried again before it is given up, and none above it is offered."""
    road: Any = MadeUpRoad(limit=2)
    steps = pipeline.climb(road, (1, 2, 3, 4), 1.0)

    assert road.offered == [1, 2, 3, 3, 3]
    assert [step.is_sustained for step in steps] == [True, True, False]


def test_a_rate_that_succeeds_when_tried_again_is_sustained() -> None:
    """What other programs did to one try does not end the climb."""
    road: Any = MadeUpRoad(limit=2, bad_tries=(2,))
    steps = pipeline.climb(road, (1, 2), 1.0)

    assert road.offered == [1, 2, 2]
    assert [step.is_sustained for step in steps] == [True, True]


def test_figures_are_those_of_the_highest_sustained_rate() -> None:
    """Costs, latency and losses are of that step; the one beyond it shows what broke."""
    window = {"percentiles": {"50": 10.0, "99": 20.0, "99.9": 30.0}}
    best = sustained(2 * RATE, latencies={1: window})
    last = sustained(3 * RATE, taken=3 * RATE - 7, dropped={"lane_full": 5, "late": 2})
    steps = [sustained(latencies={2: window}), best, last]
    found = pipeline.figures(steps, Audit())

    assert found["records_per_second"] == 2 * RATE
    assert found["bytes_per_record"] == 1
    assert found["agent_cpu_seconds_per_million"] == pytest.approx(0.1)
    assert (found["latency_ns_p50"], found["latency_ns_p999"]) == (10, 30)
    assert found["latency_at_1m_ns_p99"] == 20
    assert (found["lost"], found["balanced"]) == (0, True)
    assert found["overload_records_per_second"] == 3 * RATE
    assert (found["overload_lost"], found["overload_lost_lane_full"]) == (7, 5)


def test_where_no_rate_is_sustained_the_losses_are_told() -> None:
    """The first step stands for the benchmark, with what it lost."""
    found = pipeline.figures([sustained(taken=RATE - 9)], Audit(problems=["a gap"]))

    assert (found["lost"], found["balanced"]) == (9, False)
    assert found["records_per_second"] == RATE - 9


def test_sandbox_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder, processes and environment are as before, also after an error; no setting leaks in."""
    monkeypatch.setenv("RNTS_AGENT__HOST", "false")
    monkeypatch.setenv("RNTS_DISABLE", "1")
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), sandbox() as box:
        assert os.environ["RNTS_RUNTIME_DIR"] == str(box.folder)
        assert not {"RNTS_AGENT__HOST", "RNTS_DISABLE"} & os.environ.keys()
        child = box.start("this", NAME="value")
        assert child.stdout is not None
        assert "Zen" in child.stdout.read()
        waiting = box.start("code")
        1 / 0  # noqa: B018

    assert dict(os.environ) == before
    assert not box.folder.exists()
    assert None not in (child.returncode, waiting.returncode)


def test_sandbox_says_why_a_process_ended() -> None:
    """Waiting for something that cannot come any more ends with the dead process's words."""
    with sandbox() as box, pytest.raises(RntsError, match=r"no_such_module ended \(1\).*No module"):
        box.start("no_such_module")
        box.wait("it", lambda: False)


def test_cpu_time_and_memory_of_another_process_are_read() -> None:
    """The clock of a process is what the process itself says; its own pages are a part of all."""
    used_ns = time.process_time_ns()
    resident, private = memory_bytes(os.getpid())

    assert used_ns <= cpu_ns(os.getpid()) <= time.process_time_ns() + 10**9
    assert 0 < private < resident < 1 << 40


def test_contenders_take_turns() -> None:
    """Each round has a batch of every contender, tidied up after; the first one warms up."""
    calls: list[str] = []

    def contender(name: str) -> Any:
        return lambda: calls.append(name) or 2  # type: ignore[func-returns-value]

    times = call_times_ns({"a": contender("a"), "b": contender("b")}, 2, lambda: calls.append("-"))

    assert calls == ["a", "-", "b", "-"] * 3
    assert all(times[name] >= 0 for name in "ab")


def test_a_benchmark_that_is_stopped_stops_all_that_it_started() -> None:
    """Terminated in the middle, it ends its own processes and removes its folder."""
    command = [sys.executable, "-m", "rnts.perf", "pipeline", "--smoke"]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not list(Path(SHARED_MEMORY).glob(f"rnts-bench-{process.pid}-*/*.seg")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            select.select([], [], [], 0.01)
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()

        assert len(started) >= 3
        assert process.wait(20) == 143
        assert not psutil.wait_procs(started, timeout=10)[1]
        assert not list(Path(SHARED_MEMORY).glob(f"rnts-bench-{process.pid}-*"))


@pytest.mark.parametrize(
    ("figure", "value", "text"),
    [
        ("njit_ns", 12.34, "12.3 ns"),
        ("latency_ns_p99", 1_500_000, "1.50 ms"),
        ("help_ms", 103.2, "103 ms"),
        ("records_per_second", 2e6, "2.00M/s"),
        ("bytes_per_record", 23.72, "23.7 B"),
        ("agent_cpu_seconds_per_million", 0.2, "0.200 s"),
        ("core_percent", 5.081, "5.08 %"),
        ("agent_memory_mib", 159.6, "160 MiB"),
        ("balanced", False, "NO"),
        ("hash", "89ecf72f889685cd", "89ecf72f889685cd"),
        ("prometheus_counter_ns", None, "not installed"),
    ],
)
def test_values_are_shown_in_their_unit(figure: str, value: Any, text: str) -> None:
    """The unit in a figure's name is that in the table."""
    assert _bench_table.text_of(figure, value) == text


def test_ratio_is_to_the_reference_if_that_was_measured() -> None:
    """A reference that is absent, or no number, makes no ratio."""
    figures = {"call_ns": 30, "peer_ns": 20, "absent_ns": None}

    assert _bench_table.ratio_of("call_ns", figures, {"call_ns": "peer_ns"}) == "1.50"
    assert _bench_table.ratio_of("call_ns", figures, {"call_ns": "absent_ns"}) == ""
    assert _bench_table.ratio_of("call_ns", figures, {}) == ""


@pytest.mark.parametrize(
    ("worse_percent", "text"),
    [(12.34, "12.3 % worse"), (-4, "4.0 % better"), (0.01, "-"), (float("inf"), "worse")],
)
def test_change_is_shown_in_words(worse_percent: float, text: str) -> None:
    """The sign is a word, so that nobody has to know which way is better."""
    assert _bench_table.change_text(worse_percent) == text
