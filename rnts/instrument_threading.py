"""Threads that start and end, how many there are, and what they fail with.

Each kind of thread is a neuron: names that Python numbers by itself (`Thread-7 (work)`,
`ThreadPoolExecutor-0_1`) are of one kind, since a program that starts a thread for each request
would have names without end. It is `Activated` by each thread that starts, and `Deactivated` when
the last of its kind has ended. Nothing is polled: what happens is reported when it happens.

The place is `Thread._bootstrap_inner`, which is private and the only one around both the work and
the excepthook; around `run` the farewell would come before the error.
"""

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from rnts.events import Activated, Deactivated, ErrorOccurred
from rnts.instrument_patch import Patch
from rnts.local_neuron import local_neuron, program
from rnts.neuron import Neuron
from rnts.trace import details_of

NAME, ROLE = "threads", "threads"
_NUMBERED = re.compile(r"Thread-\d+ \((?P<target>.*)\)|(?P<kind>Thread|ThreadPoolExecutor)-[\d_]+")


class ThreadingWatch:
    """Reports what becomes of threads that start from now on."""

    def __init__(self) -> None:
        self._alive: Counter[str] = Counter()  # threads of each kind
        self._started = 0
        self._lock = threading.RLock()  # so that what is counted last is reported last
        self._patches = (
            Patch(threading.Thread, "_bootstrap_inner", self._make_bootstrap),
            Patch(threading, "excepthook", self._make_excepthook),
        )

    def close(self) -> None:
        """Report no more."""
        for patch in self._patches:
            patch.undo()

    def after_fork_in_child(self) -> None:
        """Only the thread that forked is left."""
        self._alive.clear()
        self._started = 0
        self._lock = threading.RLock()

    def _make_bootstrap(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        @functools.wraps(original)
        def _bootstrap_inner(thread: threading.Thread) -> None:
            if not patch.is_on:
                return original(thread)
            kind = kind_of(thread.name)
            self._begin(kind, thread.name)
            try:
                original(thread)
            finally:
                if patch.is_on:
                    self._end(kind)

        return _bootstrap_inner

    def _make_excepthook(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        @functools.wraps(original)
        def excepthook(args: Any) -> Any:
            # The hook is told of SystemExit, too, and says nothing about it.
            if patch.is_on and not issubclass(args.exc_type, SystemExit):
                details = details_of(args.exc_value) if args.exc_value is not None else ""
                thread = args.thread or threading.current_thread()
                event = ErrorOccurred(args.exc_type.__qualname__, details)
                _neuron_of(kind_of(thread.name)).event(event)
            return original(args)

        return excepthook

    def _begin(self, kind: str, name: str) -> None:
        with self._lock:
            self._alive[kind] += 1
            self._started += 1
            neuron = _neuron_of(kind)
            neuron.event(Activated(1.0, name))
            number, time_ns, _ = next(neuron.ticks())
            neuron.record(number, connection_count=self._alive[kind], timestamp_ns=time_ns)
            self._report_count()

    def _end(self, kind: str) -> None:
        with self._lock:
            self._alive[kind] -= 1
            neuron = _neuron_of(kind)
            if self._alive[kind] > 0:
                neuron.record(connection_count=self._alive[kind])
            else:
                del self._alive[kind]
                neuron.event(Deactivated("the last thread of its kind has ended"))
            self._report_count()

    def _report_count(self) -> None:
        neuron = local_neuron(NAME, program(), ROLE)
        neuron.record(self._started, connection_count=threading.active_count())


def _neuron_of(kind: str) -> Neuron:
    return local_neuron(f"{NAME}/{kind}", program(), "thread")


def kind_of(name: str) -> str:
    """A thread's name, without the number that Python has given it."""
    numbered = _NUMBERED.fullmatch(name)
    return (numbered["target"] or numbered["kind"]) if numbered else name
