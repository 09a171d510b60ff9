"""Hands batches to all stream processors by their priority, and collects what they find.

Nothing here waits for a processor: each has a bounded queue and a process of its own.
"""

import queue
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rnts.errors import UsageError
from rnts.processors.batch import Batch
from rnts.processors.worker import Worker, key_of

PROCESSORS_MAX = 16
ALERTS_WAITING_MAX = 1_000


class Dispatcher:
    """All processors: `specs` are what they are made of, with the options of each."""

    def __init__(
        self,
        specs: Iterable[tuple[str, dict[str, Any]]],
        budget_ns: int,
        states: Mapping[str, bytes] | None = None,
    ) -> None:
        """`states`: what processors have learned before, by their `Worker.key`.

        Raises UsageError for more than `PROCESSORS_MAX` of them.
        """
        specs = list(specs)
        if len(specs) > PROCESSORS_MAX:
            raise UsageError(f"at most {PROCESSORS_MAX} processors, and these are {len(specs)}")
        self._alerts: queue.Queue[dict[str, Any]] = queue.Queue(ALERTS_WAITING_MAX)
        self.alerts_dropped = 0
        known = states or {}
        self.workers = [
            Worker(
                spec, options, budget_ns, self._take_alert, known.get(key_of(spec, options), b"")
            )
            for spec, options in specs
        ]

    def wait_until_ready(self, is_over: Callable[[], bool]) -> None:
        """Wait for all processors to be made; `is_over` says when not to wait any longer."""
        for worker in self.workers:
            while not (worker.is_ready.wait(0.05) or worker.cut_off or is_over()):
                worker.watch(time.monotonic_ns())
        self.workers.sort(key=lambda worker: worker.priority)

    def _take_alert(self, alert: dict[str, Any]) -> None:
        try:
            self._alerts.put_nowait(alert)
        except queue.Full:
            self.alerts_dropped += 1

    def offer(self, batch: Batch) -> None:
        """Hand a batch to all, the most important first."""
        for worker in self.workers:
            worker.offer(batch)

    def watch(self, now_ns: int) -> None:
        """Cut off who overruns, and start again who died."""
        for worker in self.workers:
            worker.watch(now_ns)

    def alerts(self) -> Iterable[dict[str, Any]]:
        """What was found since the last call."""
        while not self._alerts.empty():
            yield self._alerts.get_nowait()

    def is_idle(self) -> bool:
        """Whether all that was offered is processed."""
        return all(worker.is_idle() for worker in self.workers)

    def has_room(self) -> bool:
        """Whether every processor can be given many more batches."""
        return all(worker.has_room() for worker in self.workers)

    def is_of_use(self) -> bool:
        """Whether there is a processor that is not cut off."""
        return any(not worker.cut_off for worker in self.workers)

    def ask_states(self) -> None:
        """Have all say what they have learned; `is_idle` when they have."""
        for worker in self.workers:
            worker.ask_state(time.monotonic_ns())

    def end(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.end()

    def document(self) -> dict[str, Any]:
        """What became of all of them."""
        return {
            "version": 1,
            "alerts_dropped": self.alerts_dropped,
            "processors": [worker.document() for worker in self.workers],
        }
