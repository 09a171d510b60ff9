"""How late the event loops are, and how many tasks they have.

A timer of the loop's own measures how much later than due it is called: that is how long anything
in this loop has to wait for its turn. The place is `BaseEventLoop.run_forever`, through which
`asyncio.run` and all others go: it finds loops that are made later, and knows when they end. An
event loop policy would do neither, and is deprecated. Loops that are not made from `BaseEventLoop`,
as those of uvloop, are not seen, and neither is one that already runs in another thread.
"""

import asyncio
import contextlib
import functools
import threading
import time
from asyncio import BaseEventLoop, TimerHandle
from collections.abc import Callable
from typing import Any

from rnts.events import Activated, Deactivated
from rnts.instrument_patch import Patch
from rnts.local_neuron import local_neuron, program
from rnts.neuron import Neuron

NAME, ROLE = "asyncio", "event loop"
_COUNTING_SHARE = 100  # counting tasks takes at most a hundredth of the time


class LoopWatch:
    """Watches one run of one event loop; all but the constructor happens in the loop's thread."""

    def __init__(self, loop: BaseEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._interval_s = interval_s
        self._neuron: Neuron | None = None  # made when the loop has run for an interval
        self._timer: TimerHandle | None = None
        self._due_s = 0.0
        self._count_again_ns = 0
        self._is_open = True

    def start(self) -> None:
        """Ask to be called."""
        if self._is_open:
            self._due_s = self._loop.time() + self._interval_s
            self._timer = self._loop.call_at(self._due_s, self._on_time)

    def abandon(self) -> None:
        """Measure no more."""
        self._is_open = False

    def stop(self, reason: str) -> None:
        """The loop no longer runs, or is no longer watched."""
        self.abandon()
        if self._timer is not None:
            self._timer.cancel()
        if self._neuron is not None:
            self._neuron.event(Deactivated(reason))
            self._neuron = None

    def _on_time(self) -> None:
        if not self._is_open:
            return
        late_ns = max(0, round((self._loop.time() - self._due_s) * 1e9))
        if self._neuron is None:
            name = threading.current_thread().name
            self._neuron = local_neuron(f"{NAME}/{name}", program(), ROLE)
            self._neuron.event(Activated(1.0, type(self._loop).__name__))
        self._neuron.record(processing_time_ns=late_ns, queue_depth=self._tasks())
        self.start()

    def _tasks(self) -> int | None:
        """Tasks that are not done; None where counting them is not worth its time just now."""
        start_ns = time.perf_counter_ns()
        if start_ns < self._count_again_ns:
            return None
        try:
            tasks = len(asyncio.all_tasks(self._loop))
        except RuntimeError:  # other threads make tasks faster than they can be listed
            return None
        took_ns = time.perf_counter_ns() - start_ns
        self._count_again_ns = start_ns + _COUNTING_SHARE * took_ns
        return tasks


class AsyncioWatch:
    """Watches every event loop that runs from now on, and the one that calls this."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._running: dict[BaseEventLoop, LoopWatch] = {}
        self._patch = Patch(BaseEventLoop, "run_forever", self._make)
        running = asyncio._get_running_loop()
        if isinstance(running, BaseEventLoop):
            self._watch(running)

    def close(self) -> None:
        """Watch no more."""
        self._patch.undo()
        reason = "it is no longer watched"
        for loop, watch in list(self._running.items()):
            if loop is asyncio._get_running_loop():
                watch.stop(reason)
            else:
                with contextlib.suppress(RuntimeError):  # it has just been closed
                    loop.call_soon_threadsafe(watch.stop, reason)
        self._running.clear()

    def after_fork_in_child(self) -> None:
        """The loops of the parent do not run here; one that forks itself is not watched on."""
        for watch in self._running.values():
            watch.abandon()
        self._running.clear()

    def _make(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        @functools.wraps(original)
        def run_forever(loop: BaseEventLoop) -> Any:
            if not patch.is_on or loop.is_running() or loop.is_closed():
                return original(loop)
            watch = self._watch(loop)
            try:
                return original(loop)
            finally:
                watch.stop("the loop has stopped")
                if self._running.get(loop) is watch:
                    del self._running[loop]

        return run_forever

    def _watch(self, loop: BaseEventLoop) -> LoopWatch:
        if loop in self._running:  # it was found at work, and nobody saw it end
            self._running.pop(loop).stop("the loop has stopped")
        watch = self._running[loop] = LoopWatch(loop, self._interval_s)
        watch.start()
        return watch
