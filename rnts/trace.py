"""`@rnts.trace`: every call of a function is an activation of a neuron.

`processing_time_ns` is the time that the function's own code ran, what it called included. For a
plain function that is from call to return. A coroutine or a generator runs in steps: their times
are added up, and what it waits in between is not work. Its activation ends with its last step,
also if it is closed or cancelled; one that was never begun is none. Nested and overlapping calls
each count for themselves.

An exception passes as it is, with one frame more in its traceback, and is told as `ErrorOccurred`.
Only an `Exception` is an error: GeneratorExit, CancelledError, KeyboardInterrupt and SystemExit are
ways to end, and so are StopIteration and StopAsyncIteration.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rnts.events import ErrorOccurred, Event
from rnts.local_neuron import local_neuron, program, telemetry_is_on
from rnts.neuron import Neuron
from rnts.text import check_string

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

_DETAILS_LENGTH_MAX = 255  # characters; what is over 255 bytes is cut when it is written
_WRAPPED_WRONGLY = {staticmethod: "@staticmethod", classmethod: "@classmethod"}


class Run:
    """What runs of a function report to."""

    __slots__ = ("neuron",)

    def __init__(self, neuron: Neuron | _UnmadeNeuron) -> None:
        self.neuron = neuron

    def end(self, start_ns: int, error: BaseException | None = None) -> None:
        """Report a run that has ended, and the error that ended it."""
        self.neuron.finish(start_ns)
        if isinstance(error, Exception) and not isinstance(
            error, StopIteration | StopAsyncIteration
        ):
            self.neuron.event(ErrorOccurred(type(error).__qualname__, details_of(error)))


class LocalRun(Run):
    """Runs that report to a neuron of each process's own, which is made when the first one ends.

    So importing a module makes no segment, and neither does a fork.
    """

    __slots__ = ("_identity",)

    def __init__(self, name: str, group: str, role: str) -> None:
        self._identity = name, group, role
        super().__init__(_UnmadeNeuron(self))

    def make(self) -> Neuron:
        """Have the neuron made that this process is to have."""
        self.neuron = made = local_neuron(*self._identity)
        return made

    def start_over(self) -> None:
        """Have another neuron, in a child after a fork."""
        self.neuron = _UnmadeNeuron(self)


class _UnmadeNeuron:
    """Stands where a neuron will be, so that no run need ask whether it is made."""

    __slots__ = ("_run",)

    def __init__(self, run: LocalRun) -> None:
        self._run = run

    def finish(self, start_ns: int) -> bool:
        """See `Neuron.finish`."""
        return self._run.make().finish(start_ns)

    def event(self, event: Event) -> bool:
        """See `Neuron.event`."""
        return self._run.make().event(event)


_runs: dict[tuple[str, str, str], LocalRun] = {}  # functions that are made again go on counting


def _after_fork_in_child() -> None:
    for run in _runs.values():
        run.start_over()


os.register_at_fork(after_in_child=_after_fork_in_child)


if TYPE_CHECKING:

    @overload
    def trace(function: F, /) -> F: ...
    @overload
    def trace(
        *,
        name: str | None = None,
        group: str | None = None,
        role: str = "function",
        errors: bool = True,
    ) -> Callable[[F], F]: ...


def trace(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    group: str | None = None,
    role: str = "function",
    errors: bool = True,
) -> object:
    """Report every call of a function, coroutine function, generator or async generator.

    `name` is module.qualname and `group` the module unless given. Each process has its own neuron
    of that name; for one that you made yourself there is `Neuron.trace`. With `errors=False`
    exceptions are not told. With RNTS_DISABLE=1 the function is handed back as it is. Raises
    TypeError for what cannot be traced, ValueError for a name that no neuron can have.
    """
    for what, given in (("name", name), ("group", group), ("role", role)):
        if given is not None:
            check_string(what, given)
    if name == "":
        raise ValueError("the name of a neuron must not be empty")

    def find_run(traced: Callable[..., Any]) -> Run:
        module = _module_of(traced)
        key = name or f"{module}.{_qualified_name(traced)}", module if group is None else group
        return _runs.setdefault((*key, role), LocalRun(*key, role))

    return decorate(function, find_run, errors, telemetry_is_on(), "rnts.trace")


def decorate(
    function: Any,
    find_run: Callable[[Callable[..., Any]], Run],
    errors: bool,
    is_on: bool,
    decorator: str,
) -> Any:
    """Trace a function, or make the decorator that does; `decorator` is what the user wrote."""
    if not isinstance(errors, bool):
        raise TypeError(f"errors of {decorator} must be True or False, not {errors!r}")

    def decorated(traced: F) -> F:
        from rnts.trace_wrappers import wrap  # costs `inspect`, which who traces nothing need not

        _check_function(traced, decorator)
        run = find_run(traced)
        return wrap(traced, run, errors) if is_on else traced

    return decorated if function is None else decorated(function)


def details_of(error: BaseException) -> str:
    """What an exception says, shortened."""
    try:
        return str(error)[:_DETAILS_LENGTH_MAX]
    except Exception as trouble:  # noqa: BLE001 - its class is the application's
        return f"its text cannot be told: {type(trouble).__name__}"


def _check_function(traced: object, decorator: str) -> None:
    """Raise TypeError, with what to do, where `traced` is nothing that can be traced."""
    if wrong := _WRAPPED_WRONGLY.get(type(traced)):
        raise TypeError(f"{wrong} must stand above @{decorator}, not below it")
    if isinstance(traced, property):
        raise TypeError(f"@property must stand above @{decorator}, not below it")
    if isinstance(traced, type):
        raise TypeError(f"@{decorator} takes functions; trace the methods of {traced.__name__}")
    if not callable(traced):
        raise TypeError(
            f"@{decorator} takes a function, not {traced!r:.60}; what is no function is a keyword"
        )


def _module_of(traced: object) -> str:
    """Its module; for that of a program's own file, `__main__` in all, the program's name."""
    module = getattr(traced, "__module__", None)
    if not isinstance(module, str) or module in ("__main__", "__mp_main__"):
        return program()
    return module


def _qualified_name(traced: object) -> str:
    name = getattr(traced, "__qualname__", None)
    if not isinstance(name, str):
        raise TypeError(f"{traced!r:.60} has no name of its own; use rnts.trace(name=…)")
    return name
