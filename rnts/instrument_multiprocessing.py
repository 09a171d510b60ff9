"""Child processes of `multiprocessing`: that they start, how they end, and how many there are.

The end of a child is noticed where the program itself looks for it (`join`, `is_alive`, `exitcode`,
`active_children`, the start of another child, a pool that minds its workers): by a thread of ours
it could be noticed at once, but a program with threads must not fork, and Python warns of it.

A child inherits the instrumentation through a fork. Otherwise it travels with the process object,
and is applied when the child unpickles that.
"""

import functools
import signal
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from rnts.events import Activated, Deactivated, ErrorOccurred
from rnts.instrument_patch import Patch
from rnts.local_neuron import forget, local_neuron, program
from rnts.model import Health
from rnts.neuron import Neuron

NAME, ROLE = "multiprocessing", "processes"
_BAGGAGE = "_rnts_instrumentation"  # attribute of a process object while it is on its way


class MultiprocessingWatch:
    """Reports what becomes of children that start from now on.

    `baggage` is what makes a child apply the instrumentation when it is unpickled there.
    """

    def __init__(self, baggage: object) -> None:
        self._baggage = baggage
        self._lock = threading.RLock()  # so that what is counted last is reported last
        self._started = self._alive = 0
        self._patch = Patch(BaseProcess, "start", self._make)

    def close(self) -> None:
        """Report no more."""
        self._patch.undo()

    def after_fork_in_child(self) -> None:
        """The children of the parent are none of this process."""
        self._started = self._alive = 0
        self._lock = threading.RLock()

    def _make(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        @functools.wraps(original)
        def start(process: BaseProcess) -> Any:
            if not patch.is_on:
                return original(process)
            setattr(process, _BAGGAGE, self._baggage)
            try:
                original(process)
            finally:
                delattr(process, _BAGGAGE)
            self._begin(process.name, process.pid, process._popen)  # type: ignore[attr-defined]

        return start

    def _begin(self, name: str, pid: int | None, popen: Any) -> None:
        identity = f"{NAME}/{name}", program(), "process"
        neuron = local_neuron(*identity)

        def on_end(code: int, is_asked: bool) -> None:
            if self._patch.is_on:
                self._end(neuron, f"process {pid} {reason_of(code)}", code != 0 and not is_asked)
            forget(*identity)

        Child(popen, on_end)
        neuron.event(Activated(1.0, f"process {pid}"))
        self._report_count(1)

    def _end(self, neuron: Neuron, reason: str, has_failed: bool) -> None:
        if has_failed:
            # It does not leave: who looks at the population finds it among the sickest.
            neuron.event(ErrorOccurred("ChildProcessError", reason))
            neuron.health(Health.CRITICAL, reason)
        else:
            neuron.event(Deactivated(reason))
        self._report_count(-1)

    def _report_count(self, change: int) -> None:
        with self._lock:
            self._started += max(0, change)
            self._alive += change
            neuron = local_neuron(NAME, program(), ROLE)
            neuron.record(self._started, connection_count=self._alive)


class Child:
    """Calls `on_end(exit code, whether this process asked for it)` when the end is noticed, once.

    Whoever wants to know of a child's end comes by the `poll` of its Popen object, of whichever
    start method; `terminate` and `kill` are how this process asks a child to end, as a pool does.
    """

    def __init__(self, popen: Any, on_end: Callable[[int, bool], None]) -> None:
        self._original_poll = popen.poll
        self._on_end: Callable[[int, bool], None] | None = on_end
        self._is_asked = False
        popen.poll = self._poll
        for name in ("terminate", "kill"):
            setattr(popen, name, functools.partial(self._ask, getattr(popen, name)))

    def _poll(self, *args: Any, **kwargs: Any) -> int | None:
        code: int | None = self._original_poll(*args, **kwargs)
        if code is not None:
            on_end, self._on_end = self._on_end, None
            if on_end is not None:
                on_end(code, self._is_asked and code < 0)
        return code

    def _ask(self, original: Callable[[], None]) -> None:
        self._is_asked = True
        original()


def reason_of(code: int) -> str:
    """How a child ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
