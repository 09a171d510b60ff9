"""The functions that stand around traced ones: one for each kind, so that it stays of its kind."""

import functools
import inspect
import time
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from rnts.trace import Run

F = TypeVar("F", bound=Callable[..., Any])
End = Callable[[int, BaseException | None], None]  # of when it began, and what was raised


def wrap(function: F, run: Run, errors: bool) -> F:
    """The function's stand-in, which is of the same kind and reports to `run`."""

    def end(start_ns: int, error: BaseException | None) -> None:
        run.end(start_ns, error if errors else None)

    if inspect.isasyncgenfunction(function):
        wrapper = _of_async_generator(function, end)
    elif inspect.iscoroutinefunction(function):
        wrapper = _of_coroutine(function, end)
    elif inspect.isgeneratorfunction(function):
        wrapper = _stepping(function, end)
        if function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:
            wrapper = types.coroutine(wrapper)  # as what it stands for, it can be awaited
    else:
        wrapper = _of_function(function, run, end)
    return functools.wraps(function)(wrapper)  # type: ignore[return-value]


def _of_function(function: Callable[..., Any], run: Run, end: End) -> Callable[..., Any]:
    """What is reported of a call that returns is written out here: this is the hot path."""
    perf_counter_ns = time.perf_counter_ns

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        start_ns = perf_counter_ns()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end(start_ns, error)
            raise
        run.neuron.finish(start_ns)
        return result

    return wrapper


def _of_coroutine(function: Callable[..., Any], end: End) -> Callable[..., Any]:
    timed = types.coroutine(_stepping(function, end, is_hidden=True))

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await timed(*args, **kwargs)

    return wrapper


def _of_async_generator(function: Callable[..., Any], end: End) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        perf_counter_ns, ran_ns = time.perf_counter_ns, 0

        def add(start_ns: int, _: BaseException | None) -> None:
            nonlocal ran_ns
            ran_ns += perf_counter_ns() - start_ns

        timed = types.coroutine(_stepping(_same, add, is_hidden=True))
        advance, value = generator.asend, None
        while True:
            try:
                item = await timed(advance(value))
            except StopAsyncIteration:
                end(perf_counter_ns() - ran_ns, None)
                return
            except BaseException as error:
                end(perf_counter_ns() - ran_ns, error)
                value = None  # else frame and error would hold each other
                raise
            try:
                value = yield item
                advance = generator.asend
            except BaseException as error:  # noqa: BLE001 - handed on
                advance, value = generator.athrow, _without_last_frame(error)

    return wrapper


def _same(step: Awaitable[Any]) -> Any:
    return step


def _stepping(
    function: Callable[..., Any], end: End, is_hidden: bool = False
) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function that drives what `function` returns, and adds up how long it ran.

    All that has `send` and `throw` can be driven: generators, coroutines, steps of asynchronous
    generators. With `is_hidden` no frame of it stays in the traceback of what is raised.
    """
    perf_counter_ns = time.perf_counter_ns

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = function(*args, **kwargs)
        advance, value, ran_ns = steps.send, None, 0
        while True:
            start_ns = perf_counter_ns()
            try:
                item = advance(value)
            except StopIteration as stop:
                end(start_ns - ran_ns, None)  # as if all its steps had been one, just now
                return stop.value
            except BaseException as error:
                end(start_ns - ran_ns, error)
                value = None  # else frame and error would hold each other
                if is_hidden:
                    _without_last_frame(error)
                raise
            ran_ns += perf_counter_ns() - start_ns
            try:
                value = yield item
                advance = steps.send
            except BaseException as error:  # noqa: BLE001 - handed on
                # GeneratorExit, too: what is closed may run on for a while.
                advance, value = steps.throw, _without_last_frame(error)

    return wrapper


def _without_last_frame(error: BaseException) -> Any:
    """The error, as it was before it was caught where it is now."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
    return error
