"""`@rnts.trace` of what runs in steps: coroutines, generators and asynchronous generators."""

import asyncio
import gc
import traceback
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from trace_tools import Watched, told

import rnts


def activation(number: int, ran_ns: int) -> dict[str, int]:
    """What one run reports."""
    return {"activation_count": number, "processing_time_ns": ran_ns}


def test_a_coroutine_is_timed_while_it_runs(process: Watched, clock: SimpleNamespace) -> None:
    """What it waits for others is not its time; coroutines that overlap do not mix."""

    @rnts.trace
    async def work(first: int, second: int) -> int:
        clock.now_ns += first
        await asyncio.sleep(0)
        clock.now_ns += second
        return first + second

    async def main() -> list[int]:
        return await asyncio.gather(work(10, 1), work(20, 2))

    assert asyncio.run(main()) == [11, 22]
    assert process.samples() == [activation(1, 11), activation(2, 22)]


def test_an_error_of_a_coroutine_passes_and_is_told(process: Watched) -> None:
    """With one frame more, and as what it was raised as, whether in the first step or later."""

    @rnts.trace
    async def fail(waits: int) -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise ValueError("no")

    async def main() -> None:
        for waits in (0, 2):
            with pytest.raises(ValueError, match="no") as caught:
                await fail(waits)
            frames = traceback.extract_tb(caught.value.__traceback__)
            assert [frame.name for frame in frames] == ["main", "wrapper", "fail"]

    asyncio.run(main())
    events = [told(seen) for seen in process.take() if seen.strings]
    assert events == [("ErrorOccurred", ["ValueError", "no"])] * 2


def test_a_cancelled_coroutine_is_no_error(process: Watched, clock: SimpleNamespace) -> None:
    """It may clean up, which is its time, and counts as an activation."""

    @rnts.trace
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            clock.now_ns += 7

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert [told(seen) for seen in process.take()] == [activation(1, 7)]


def test_a_coroutine_may_overcome_what_is_thrown(process: Watched) -> None:
    """A time-out within the traced function works as it does without."""

    @rnts.trace
    async def patient() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    assert asyncio.run(patient()) == "late"
    assert [told(seen)["activation_count"] for seen in process.take()] == [1]


def test_a_generator_gets_and_gives_what_it_did(process: Watched, clock: SimpleNamespace) -> None:
    """Values sent and thrown in reach it, and its result comes out; its steps are added up."""

    @rnts.trace
    def echo() -> Generator[Any, Any, str]:
        got: Any = "begin"
        while got is not None:
            clock.now_ns += 5
            try:
                got = yield got
            except KeyError as error:
                got = error
        return "end"

    running = echo()
    thrown = KeyError("k")
    assert (next(running), running.send(1), running.throw(thrown)) == ("begin", 1, thrown)
    clock.now_ns += 1000  # its consumer's time
    with pytest.raises(StopIteration) as stopped:
        running.send(None)
    assert stopped.value.value == "end"
    assert process.samples() == [activation(1, 15)]


@pytest.mark.parametrize("end", ["close", "forget", "error", "never begun"])
def test_a_generator_may_end_early(process: Watched, clock: SimpleNamespace, end: str) -> None:
    """Closed or forgotten it has run and made no error; never begun it has not run."""
    cleaned = []

    @rnts.trace
    def work() -> Iterator[int]:
        try:
            clock.now_ns += 3
            yield 1
            raise ValueError("no")
        finally:
            cleaned.append(end)

    running: Any = work()
    if end != "never begun":
        assert next(running) == 1
    if end == "close":
        running.close()
    elif end == "error":
        with pytest.raises(ValueError, match="no") as caught:
            next(running)
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert [frame.name for frame in frames][1:] == ["wrapper", "work"]
    del running
    gc.collect()
    expected: list[Any] = [] if end == "never begun" else [activation(1, 3)]
    if end == "error":
        expected.append(("ErrorOccurred", ["ValueError", "no"]))
    assert [told(seen) for seen in process.take()] == expected
    assert cleaned == ([] if end == "never begun" else [end])


def test_a_generator_that_will_not_close_is_told_so(process: Watched) -> None:
    """As without tracing, ignoring the end is a RuntimeError."""

    @rnts.trace
    def stubborn() -> Iterator[int]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2

    running: Any = stubborn()
    next(running)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        running.close()


def test_an_asynchronous_generator_is_one_activation(
    process: Watched, clock: SimpleNamespace
) -> None:
    """From its first step to its end; waiting, and what its consumer does, is not its time."""

    @rnts.trace
    async def count(end: int) -> AsyncIterator[Any]:
        for i in range(end):
            clock.now_ns += 2
            await asyncio.sleep(0)
            try:
                got = yield i
            except KeyError:
                got = "thrown"
            if got:
                yield got

    async def main() -> list[Any]:
        seen = []
        async for i in count(3):
            clock.now_ns += 1000
            seen.append(i)
        running: Any = count(9)
        seen += [await running.__anext__(), await running.asend("sent"), await running.__anext__()]
        seen.append(await running.athrow(KeyError()))
        await running.aclose()
        return seen

    assert asyncio.run(main()) == [0, 1, 2, 0, "sent", 1, "thrown"]
    assert process.samples() == [activation(1, 6), activation(2, 4)]


def test_an_error_of_an_asynchronous_generator_passes_and_is_told(process: Watched) -> None:
    """With one frame more."""

    @rnts.trace
    async def fail() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        raise ValueError("no")

    async def main() -> None:
        with pytest.raises(ValueError, match="no") as caught:
            async for _ in fail():
                pass
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert [frame.name for frame in frames] == ["main", "wrapper", "fail"]

    asyncio.run(main())
    sample, event = process.take()
    assert sample.values["activation_count"] == 1
    assert told(event) == ("ErrorOccurred", ["ValueError", "no"])


def test_an_asynchronous_generator_that_is_left_is_closed(process: Watched) -> None:
    """Who leaves its loop early leaves nothing behind: the event loop closes it at its end."""
    cleaned = []

    @rnts.trace
    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            cleaned.append(True)

    async def main() -> None:
        async for _ in endless():
            break

    asyncio.run(main())
    assert cleaned == [True]
    assert [told(seen)["activation_count"] for seen in process.take()] == [1]


def test_errors_are_freed_with_their_last_reference(process: Watched) -> None:
    """Tracing makes no circle of frame and error that waits for the collector of garbage."""

    class LocalError(Exception):
        pass

    @rnts.trace
    def fail() -> Iterator[int]:
        yield 1

    def throw() -> "weakref.ref[LocalError]":
        running: Any = fail()
        next(running)
        try:
            running.throw(LocalError())
        except LocalError as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        assert throw()() is None
    finally:
        gc.enable()
