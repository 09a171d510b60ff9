"""Which libraries report, for how long, and in which processes."""

import os
import threading
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol

from rnts.instrument_logging import LoggingWatch, level_number
from rnts.instrumented import Instrumentation
from rnts.local_neuron import telemetry_is_on


class Watch(Protocol):
    """What lets one library report, from its construction on."""

    def close(self) -> None:
        """Take everything back."""

    def after_fork_in_child(self) -> None:
        """Forget what is the parent's."""


class Options(NamedTuple):
    """How to watch."""

    loop_interval_s: float
    log_level: int


def _asyncio(options: Options) -> Watch:
    from rnts.instrument_asyncio import AsyncioWatch

    return AsyncioWatch(options.loop_interval_s)


def _threading(_: Options) -> Watch:
    from rnts.instrument_threading import ThreadingWatch

    return ThreadingWatch()


def _multiprocessing(_: Options) -> Watch:
    from rnts.instrument_multiprocessing import MultiprocessingWatch

    return MultiprocessingWatch(_Baggage())


def _logging(options: Options) -> Watch:
    return LoggingWatch(options.log_level)


# Each is made by a function, since who does not ask for a library should not import it.
LIBRARIES: dict[str, Callable[[Options], Watch]] = {
    "asyncio": _asyncio,
    "threading": _threading,
    "multiprocessing": _multiprocessing,
    "logging": _logging,
}


class _Active:
    """A library that reports, and how many have asked for it."""

    def __init__(self, watch: Watch, options: Options) -> None:
        self.watch = watch
        self.options = options
        self.holders = 0


_active: dict[str, _Active] = {}
_lock = threading.RLock()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for active in _active.values():
        active.watch.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _hold(libraries: tuple[str, ...]) -> Instrumentation:
    """Ask for libraries that report."""
    for library in libraries:
        _active[library].holders += 1
    return Instrumentation(libraries, _release)


def _release(held: Instrumentation) -> None:
    """Let go of what was asked for; who was the last to ask ends it."""
    with _lock:
        libraries, held.is_open = held.libraries if held.is_open else (), False
        for library in libraries:
            active = _active[library]
            active.holders -= 1
            if not active.holders:
                del _active[library]
                active.watch.close()


def instrument(
    *libraries: str, loop_interval_s: float = 0.25, log_level: int | str = "ERROR"
) -> Instrumentation:
    """Let libraries report; see `rnts.instrument`.

    A library that reports already goes on as it was first asked to.
    """
    wanted = tuple(dict.fromkeys(map(_checked, libraries)))
    if not wanted:
        raise ValueError(f"name what is to be instrumented: any of {', '.join(LIBRARIES)}")
    if isinstance(loop_interval_s, bool) or not isinstance(loop_interval_s, int | float):
        raise TypeError(f"loop_interval_s must be a number of seconds, not {loop_interval_s!r}")
    if not 0.001 <= loop_interval_s <= 3600:
        raise ValueError(f"loop_interval_s must be in 0.001 … 3600, not {loop_interval_s}")
    options = Options(loop_interval_s, level_number(log_level))
    if not telemetry_is_on():
        return _hold(())
    with _lock:
        for library in wanted:
            if library not in _active:
                _active[library] = _Active(LIBRARIES[library](options), options)
        return _hold(wanted)


def _checked(library: object) -> str:
    """Raise TypeError or ValueError, with what is near, for what cannot be instrumented."""
    if not isinstance(library, str):
        raise TypeError(f"what is to be instrumented is a name, not {library!r:.60}")
    if library not in LIBRARIES:
        near = get_close_matches(library, LIBRARIES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it may be {', '.join(LIBRARIES)}"
        raise ValueError(f"{library!r} cannot be instrumented{hint}")
    return library


class _Baggage:
    """Is pickled as what is in force when a child starts, and applies that when it arrives."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _apply_in_child, tuple((name, active.options) for name, active in _active.items())


def _apply_in_child(*active: tuple[str, Options]) -> None:
    """Apply it for the life of this process."""
    for library, options in active:
        instrument(library, **options._asdict())
