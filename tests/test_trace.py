"""`@rnts.trace`: what is traced stays what it was, and every call of it is an activation."""

import asyncio
import functools
import inspect
import os
import threading
import traceback
import types
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from capture_tools import run_python
from trace_tools import Watched, told

import rnts
from rnts import local_neuron


def test_every_call_is_an_activation(process: Watched, clock: SimpleNamespace) -> None:
    """Calls are counted from 1 and timed, and arguments and results pass as they are."""

    @rnts.trace
    def add(a: int, *more: int, scale: int = 1) -> int:
        clock.now_ns += 30
        return scale * sum((a, *more))

    assert (add(1), add(1, 2, 3), add(1, scale=5)) == (1, 6, 5)
    assert process.samples() == [
        {"activation_count": number, "processing_time_ns": 30} for number in (1, 2, 3)
    ]


def test_a_neuron_bears_the_functions_name(process: Watched) -> None:
    """Name, group and role are module.qualname, module and "function", or what is given."""

    @rnts.trace
    def plain() -> None: ...

    @rnts.trace(name="n", group="g", role="r")
    def named() -> None: ...

    plain()
    named()
    here = __name__
    qualname = f"{here}.test_a_neuron_bears_the_functions_name.<locals>.plain"
    assert list(local_neuron._made) == [(qualname, here, "function"), ("n", "g", "r")]


@pytest.mark.parametrize("module", ["__main__", "__mp_main__", None])
def test_functions_of_a_programs_own_file_bear_its_name(process: Watched, module: str) -> None:
    """Every program has a `__main__`, and a child of it calls that otherwise."""

    def work() -> None: ...

    work.__module__, work.__qualname__ = module, "work"
    rnts.trace(work)()
    program = local_neuron.program()
    assert list(local_neuron._made) == [(f"{program}.work", program, "function")]


def test_a_neuron_of_ones_own_is_traced_with(process: Watched, clock: SimpleNamespace) -> None:
    """`neuron.trace`, bare or with arguments, reports to that neuron, on one count with others."""
    neuron = process.producer.neuron("n", neuron_id=5)

    @neuron.trace
    def one() -> None:
        clock.now_ns += 1

    @neuron.trace(errors=False)
    def two() -> None:
        clock.now_ns += 2
        raise KeyError

    one()
    with pytest.raises(KeyError):
        two()
    with process.producer.neuron("n", neuron_id=5).activation():
        one()
    assert [(seen.neuron_id, told(seen)) for seen in process.take()] == [
        (5, {"activation_count": 1, "processing_time_ns": 1}),
        (5, {"activation_count": 2, "processing_time_ns": 2}),
        (5, {"activation_count": 3, "processing_time_ns": 1}),
        (5, {"activation_count": 4, "processing_time_ns": 1}),
    ]


@pytest.mark.parametrize("errors", [True, False])
def test_an_error_passes_and_is_told(process: Watched, errors: bool) -> None:
    """The same exception reaches the caller with one frame more; its type and text are reported."""
    thrown = ValueError("x" * 10_000)

    @rnts.trace(errors=errors)
    def fail() -> None:
        raise thrown

    with pytest.raises(ValueError, match="x") as caught:
        fail()
    assert caught.value is thrown
    assert caught.value.__context__ is None
    names = [frame.name for frame in traceback.extract_tb(thrown.__traceback__)]
    assert names == ["test_an_error_passes_and_is_told", "wrapper", "fail"]
    sample, *events = process.take()
    assert sample.values["activation_count"] == 1
    assert [told(event) for event in events] == (
        [("ErrorOccurred", ["ValueError", "x" * 255])] if errors else []
    )


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_ways_to_end_are_no_errors(process: Watched, end: type[BaseException]) -> None:
    """What ends a program, a generator or a loop passes, and counts as an activation only."""

    @rnts.trace
    def leave() -> None:
        raise end

    with pytest.raises(end):
        leave()
    assert [seen["activation_count"] for seen in process.samples()] == [1]


def test_an_error_without_words_is_told_all_the_same(process: Watched) -> None:
    """An exception whose text cannot be had does not get another one in its way."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @rnts.trace
    def fail() -> None:
        raise MuteError

    with pytest.raises(MuteError):
        fail()
    (event,) = [told(seen) for seen in process.take() if seen.strings]
    assert event[1][0].endswith("MuteError")
    assert event[1][1] == "its text cannot be told: RuntimeError"


def test_what_is_traced_stays_of_its_kind(process: Watched) -> None:
    """Name, documentation, signature and kind are those of the function."""

    def plain(a: int) -> None:
        """Documentation."""

    async def coroutine(a: int) -> None: ...

    def generator(a: int) -> Iterator[int]:
        yield a

    async def async_generator(a: int) -> AsyncIterator[int]:
        yield a

    checks = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.isfunction,
    )
    for function in (plain, coroutine, generator, async_generator):
        traced: Any = rnts.trace(function)
        assert [check(traced) for check in checks] == [check(function) for check in checks]
        assert inspect.signature(traced) == inspect.signature(function)
        assert (traced.__doc__, traced.__qualname__) == (function.__doc__, function.__qualname__)
        assert traced.__wrapped__ is function


def test_methods_are_traced(process: Watched) -> None:
    """Methods, static and class methods and properties are, below their own decorators."""

    class Parser:
        @rnts.trace
        def method(self) -> object:
            return self

        @staticmethod
        @rnts.trace
        def static() -> int:
            return 1

        @classmethod
        @rnts.trace
        def of_class(cls) -> type:
            return cls

        @property
        @rnts.trace
        def value(self) -> int:
            return 2

    parser = Parser()
    assert parser.method() is parser
    assert (parser.static(), Parser.static(), Parser.of_class(), parser.value) == (
        1,
        1,
        Parser,
        2,
    )
    assert [seen["activation_count"] for seen in process.samples()] == [1, 1, 2, 1, 1]


MISUSE: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: rnts.trace(staticmethod(len)), TypeError, "@staticmethod must stand above @rnts"),
    (lambda: rnts.trace(classmethod(len)), TypeError, "@classmethod must stand above @rnts"),
    (lambda: rnts.trace(property(len)), TypeError, "@property must stand above @rnts"),
    (lambda: rnts.trace(dict), TypeError, "trace the methods of dict"),
    (lambda: rnts.trace("name"), TypeError, "takes a function, not 'name'"),  # type: ignore[type-var]
    (lambda: rnts.trace(functools.partial(len)), TypeError, "has no name of its own"),
    (lambda: rnts.trace(name=5), TypeError, "name of a neuron must be a str"),  # type: ignore[call-overload]
    (lambda: rnts.trace(errors=1)(len), TypeError, "errors of rnts.trace must be True or"),  # type: ignore[call-overload]
    (lambda: rnts.trace(nmae="n"), TypeError, "nmae"),  # type: ignore[call-overload]
    (lambda: rnts.trace(name=""), ValueError, "must not be empty"),
    (lambda: rnts.trace(name="x" * 256), ValueError, "at most 255 bytes"),
]


@pytest.mark.parametrize(("misuse", "error", "says"), MISUSE, ids=[says for _, _, says in MISUSE])
def test_misuse_is_told_at_decoration(
    misuse: Callable[[], Any], error: type[Exception], says: str
) -> None:
    """What can never work raises before anything runs, and says what to do."""
    with pytest.raises(error, match=says):
        misuse()


def test_other_callables_have_a_name_given(process: Watched) -> None:
    """A partial function, an object that can be called and a builtin are traced by a name."""
    assert rnts.trace(name="p")(functools.partial(max, 3))(5) == 5
    assert rnts.trace(len)("abc") == 3
    assert len(process.samples()) == 2


def test_recursion_counts_each_call(process: Watched, clock: SimpleNamespace) -> None:
    """A call within a call is one of its own, and its time is part of the outer one's."""

    @rnts.trace
    def down(depth: int) -> None:
        clock.now_ns += 10
        if depth:
            down(depth - 1)

    down(2)
    assert process.samples() == [
        {"activation_count": number, "processing_time_ns": 10 * number} for number in (1, 2, 3)
    ]


def test_functions_made_anew_go_on_counting(process: Watched) -> None:
    """A function that is defined by each call of another is one neuron with one count."""

    def make() -> Callable[[], None]:
        @rnts.trace
        def made() -> None: ...

        return made

    for _ in range(3):
        make()()
    assert [seen["activation_count"] for seen in process.samples()] == [1, 2, 3]


def test_threads_count_together(process: Watched) -> None:
    """A function that many threads call has one count, which has every number once."""

    @rnts.trace
    def work() -> None: ...

    def calls() -> None:
        for _ in range(200):
            work()

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [seen["activation_count"] for seen in process.samples()] == list(range(1, 801))


def test_a_name_that_is_too_long_keeps_its_end(process: Watched) -> None:
    """Generated code may have names of any length; the end of one tells it from others."""

    def work() -> None: ...

    work.__qualname__ = "a" * 300 + "end"
    rnts.trace(work)()
    (neuron,) = local_neuron._made.values()
    assert neuron.name.startswith("…a")
    assert neuron.name.endswith("end")
    assert len(neuron.name.encode()) <= 255
    assert len(process.samples()) == 1


def test_a_module_that_is_only_imported_makes_no_segment(runtime_folder: Path) -> None:
    """Decorating costs nothing but the decoration, until the first call."""
    run = run_python("""
        import os, sys, rnts
        @rnts.trace
        def work(): pass
        print(os.listdir(os.environ["RNTS_RUNTIME_DIR"]))
        work()
        print(len(os.listdir(os.environ["RNTS_RUNTIME_DIR"])))
    """)
    assert run.stdout == "[]\n1\n", run.stderr


def test_a_child_after_a_fork_is_another_neuron(process: Watched) -> None:
    """It counts from 1 under the same name and another id; the parent's count goes on."""

    @rnts.trace
    def work() -> None: ...

    work()
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        process.producer.after_fork_in_child()  # as the process's own does
        work()
        (made,) = local_neuron._made.values()
        os.write(write_end, str(made.id).encode())
        os._exit(0)
    os.waitpid(child, 0)
    work()
    (neuron,) = local_neuron._made.values()
    other = int(os.read(read_end, 100))
    os.close(read_end)
    os.close(write_end)
    counts = [(seen.neuron_id, seen.values["activation_count"]) for seen in process.take()]
    assert counts == [(neuron.id, 1), (other, 1), (neuron.id, 2)]
    assert other != neuron.id


def test_disabled_telemetry_hands_the_function_back(runtime_folder: Path) -> None:
    """Under RNTS_DISABLE=1 what is traced is the function itself; misuse is misuse all the same."""
    run = run_python(
        """
        import rnts
        def work(): pass
        neuron = rnts.neuron("n")
        print(rnts.trace(work) is work, rnts.trace(name="n")(work) is work)
        print(neuron.trace(work) is work, neuron.trace(errors=False)(work) is work)
        print(rnts.instrument("threading", "asyncio"))
        try:
            rnts.trace(5)
        except TypeError as error:
            print(error)
        """,
        RNTS_DISABLE="1",
    )
    assert run.stderr == ""
    first, second, instrumented, told = run.stdout.splitlines()
    assert (first, second) == ("True True", "True True")
    assert instrumented == "<rnts.Instrumentation of nothing>"
    assert "takes a function" in told


def test_awaitable_generators_can_still_be_awaited(process: Watched) -> None:
    """What `types.coroutine` made stays awaitable."""

    @rnts.trace
    @types.coroutine
    def pause() -> Iterator[None]:
        yield

    async def main() -> None:
        await pause()

    asyncio.run(main())
    assert len(process.samples()) == 1
