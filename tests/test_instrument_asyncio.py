"""Instrumented event loops: how late they are, how many tasks they have, when they end."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from trace_tools import Watched

import rnts
from rnts import instrument_asyncio, instrumentation
from rnts.instrument_asyncio import LoopWatch

INTERVAL_S = 0.25
TICKS_MAX = 60_000  # so that a test that waits in vain ends


class StandingLoop:
    """An event loop of which the test says what time it is, and when it calls."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        self.due.append((when, callback))
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self) -> None:
        self.cancelled += 1

    def call(self, late_s: float) -> None:
        """Call what is due, so much too late."""
        when, callback = self.due.pop()
        self.now_s = when + late_s
        callback()


@pytest.fixture
def loop() -> StandingLoop:
    """A loop that stands still."""
    return StandingLoop()


@pytest.fixture
def watch(process: Watched, loop: Any) -> LoopWatch:
    """A watch on it, begun."""
    watch = LoopWatch(loop, INTERVAL_S)
    watch.start()
    return watch


def test_lateness_is_what_is_measured(
    process: Watched, loop: StandingLoop, watch: LoopWatch
) -> None:
    """Each interval says how late the loop came; the interval begins anew from there."""
    for late_s in (0.0, 0.05, -0.001, 2.0):
        loop.call(late_s)
        assert [when for when, _ in loop.due] == [loop.now_s + INTERVAL_S]
    first, *samples = process.of("asyncio/MainThread")
    assert first == ("Activated", ["StandingLoop"])
    late_ns = [sample["processing_time_ns"] for sample in samples]
    assert late_ns == pytest.approx([0, 50_000_000, 0, 2_000_000_000], abs=1000)


def test_a_loop_that_ends_leaves(process: Watched, loop: StandingLoop, watch: LoopWatch) -> None:
    """Its timer goes, its neuron says why, and a call that was on its way does nothing."""
    loop.call(0.0)
    watch.stop("the loop has stopped")
    assert loop.cancelled == 1
    loop.call(0.0)
    assert loop.due == []
    told = process.of("asyncio/MainThread")
    assert [seen for seen in told if isinstance(seen, tuple)] == [
        ("Activated", ["StandingLoop"]),
        ("Deactivated", ["the loop has stopped"]),
    ]


def test_a_loop_that_ran_for_less_than_an_interval_is_none(
    process: Watched, loop: StandingLoop, watch: LoopWatch
) -> None:
    """A program that runs a loop for each of its calls makes no events for them."""
    watch.stop("the loop has stopped")
    assert process.take() == []


def test_counting_tasks_does_not_become_the_load(
    process: Watched, loop: StandingLoop, watch: LoopWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it takes long it is done less often, so that it is a hundredth of the time at most."""
    clock = SimpleNamespace(now_ns=0)

    def slow_count(_: object) -> set[int]:
        clock.now_ns += 10_000_000
        return {1, 2, 3}

    monkeypatch.setattr(instrument_asyncio.asyncio, "all_tasks", slow_count)
    hands = SimpleNamespace(perf_counter_ns=lambda: clock.now_ns)
    monkeypatch.setattr(instrument_asyncio, "time", hands)
    for _ in range(9):
        loop.call(0.0)
        clock.now_ns += 250_000_000
    depths = [seen.get("queue_depth") for seen in process.samples()]
    assert depths == [3, None, None, None, 3, None, None, None, 3]


def test_tasks_that_are_made_meanwhile_are_no_error(
    process: Watched, loop: StandingLoop, watch: LoopWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they cannot be listed their number is absent."""

    def fail(_: object) -> set[int]:
        raise RuntimeError("Set changed size during iteration")

    monkeypatch.setattr(instrument_asyncio.asyncio, "all_tasks", fail)
    loop.call(0.0)
    assert [set(seen) for seen in process.samples()] == [{"processing_time_ns"}]


async def until_told(process: Watched) -> list[Any]:
    """Run until the loop's neuron has reported, and what it did."""
    for _ in range(TICKS_MAX):
        seen = process.take()
        if any("processing_time_ns" in record.values for record in seen):
            return seen
        await asyncio.sleep(0.001)
    raise AssertionError("the loop says nothing")


def in_thread(name: str, work: Callable[[], Any]) -> None:
    """Run it in a thread of that name, and wait for its end."""
    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join()


def test_loops_that_are_made_later_are_watched(process: Watched) -> None:
    """Each thread's loop is a neuron; the tasks are those that are not done."""

    async def main() -> None:
        tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
        seen = await until_told(process)
        assert [s.values["queue_depth"] for s in seen if "queue_depth" in s.values][-1] == 4
        for task in tasks:
            task.cancel()

    with rnts.instrument("asyncio", loop_interval_s=0.001):
        asyncio.run(main())
        assert process.of("asyncio/MainThread")[-1] == ("Deactivated", ["the loop has stopped"])
        in_thread("other", lambda: asyncio.run(until_told(process)))
        assert process.of("asyncio/other")[-1] == ("Deactivated", ["the loop has stopped"])
    assert instrumentation._active == {}


def test_the_loop_that_asks_for_it_is_watched(process: Watched) -> None:
    """Who instruments from a coroutine need not start its loop again, and can undo it there."""

    async def main() -> None:
        with rnts.instrument("asyncio", loop_interval_s=0.001):
            await until_told(process)
        assert process.of("asyncio/MainThread")[-1] == (
            "Deactivated",
            ["it is no longer watched"],
        )

    asyncio.run(main())


def test_a_loop_of_another_thread_is_let_go(process: Watched) -> None:
    """`close` reaches loops that run elsewhere; they run on."""
    instrumented = rnts.instrument("asyncio", loop_interval_s=0.001)
    closed = threading.Event()

    async def main() -> None:
        await until_told(process)
        in_thread("closer", instrumented.close)
        closed.set()
        for _ in range(TICKS_MAX):
            told = process.of("asyncio/runner")
            if ("Deactivated", ["it is no longer watched"]) in told:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the loop is still watched")

    in_thread("runner", lambda: asyncio.run(main()))
    assert closed.is_set()
    assert process.take() == []


def test_a_loop_goes_on_as_ever(process: Watched) -> None:
    """What it returns and raises passes, a closed or running one refuses, and it can run again."""
    with rnts.instrument("asyncio"):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(asyncio.sleep(0, "result")) == "result"

        async def fail() -> None:
            with pytest.raises(RuntimeError, match="already running"):
                loop.run_forever()
            raise KeyError("k")

        with pytest.raises(KeyError):
            loop.run_until_complete(fail())
        loop.close()
        with pytest.raises(RuntimeError, match="closed"):
            loop.run_forever()
