"""Records of `logging` from a level on, as `ErrorOccurred`.

Not by a handler on the root logger: with one, `logging.basicConfig` does nothing and warnings of a
program without handlers are no longer shown; `dictConfig` would remove it; and loggers that do not
propagate would not be heard. `Logger.callHandlers` is what each record passes that is not filtered.
"""

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

from rnts.events import ErrorOccurred
from rnts.instrument_patch import Patch
from rnts.local_neuron import local_neuron, program
from rnts.trace import details_of

NAME, ROLE = "logging", "log"
_OURS = "rnts"  # what we log ourselves is left out, or reporting it could go on for ever


class LoggingWatch:
    """Reports what is logged with at least the level of this number."""

    def __init__(self, log_level: int) -> None:
        self._level = log_level
        self._busy = threading.local()
        self._patch = Patch(logging.Logger, "callHandlers", self._make)

    def close(self) -> None:
        """Report no more."""
        self._patch.undo()

    def after_fork_in_child(self) -> None:
        """Nothing here is a process's own."""

    def _make(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        @functools.wraps(original)
        def callHandlers(logger: logging.Logger, record: logging.LogRecord) -> Any:
            if patch.is_on:
                self._look_at(record)
            return original(logger, record)

        return callHandlers

    def _look_at(self, record: logging.LogRecord) -> None:
        try:
            is_ours = record.name == _OURS or record.name.startswith(_OURS + ".")
            if is_ours or record.levelno < self._level:
                return
            event = ErrorOccurred(_error_type(record), self._details(record))
        except Exception as error:  # noqa: BLE001 - records made by hand may lack anything
            event = ErrorOccurred("LogRecord", f"it cannot be read: {details_of(error)}")
        neuron = local_neuron(NAME, program(), ROLE)
        number, time_ns, _ = next(neuron.ticks())
        neuron.record(number, timestamp_ns=time_ns)
        neuron.event(event)

    def _details(self, record: logging.LogRecord) -> str:
        """The message; without its arguments if one of them logs while it is made text of."""
        if getattr(self._busy, "value", False):
            return _raw_message(record)
        self._busy.value = True
        try:
            return record.getMessage()[:255]
        except Exception as error:  # noqa: BLE001 - a wrong call of logging, or an argument's class
            return f"{_raw_message(record)} ({details_of(error)})"
        finally:
            self._busy.value = False


def _raw_message(record: logging.LogRecord) -> str:
    """The message without its arguments, or what it is."""
    return record.msg[:200] if isinstance(record.msg, str) else type(record.msg).__name__


def level_number(level: int | str) -> int:
    """The number of a level; raises TypeError or ValueError where there is none."""
    if isinstance(level, bool) or not isinstance(level, int | str):
        raise TypeError(f"log_level must be a number or a name of logging, not {level!r}")
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise ValueError(f"log_level must be one of {', '.join(known)}, not {level!r}")
    return known[level.upper()]


def _error_type(record: logging.LogRecord) -> str:
    """The class of the exception that is logged, or else who logs."""
    raised = record.exc_info[0] if record.exc_info else None
    return raised.__qualname__ if raised else record.name
