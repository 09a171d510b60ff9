"""Carries notifications to actions: two threads each, retries, a circuit breaker and a cooldown.

`submit` never waits. What an action can do without waiting is done in it: to wake a thread, which
then waits for its turn at Python, takes up to 5 ms. What is not carried out is counted under a
name: `pool_full`, `cooled_down`, `circuit_open`, `gave_up`, `refused`, `no_action`;
`attempts_failed` counts tries, `put_off` what is critical and will be tried again. An action may be
carried out twice (its process may die before it hears the answer): the idempotency key is the same
then.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping

from rnts.alerts.action import Action, Policy
from rnts.alerts.notification import RESOLVED_KIND, Notification
from rnts.alerts.worker import Worker

WORKERS = 2  # threads of each action, so that a slow one keeps no other waiting
WAITING_MAX = 1_000  # notifications of an action that are under way, retries included
PUT_OFF_MAX = 1_000  # critical ones that wait for their action to work again
KEYS_MAX = 10_000  # that are remembered as carried out
_PASSING = ("pool_full", "circuit_open", "gave_up")
Actions = Mapping[str, tuple[Action, Policy]]

log = logging.getLogger("rnts.alerts")


class ActionPool:
    """Carries out what receivers are told; `routes` names the action of each receiver.

    A receiver without a route has the action of its own name.
    """

    def __init__(
        self,
        actions: Actions,
        routes: Mapping[str, str] | None = None,
        is_dry_run: bool = False,
        workers: int = WORKERS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.is_dry_run = is_dry_run
        self._threads, self._waiting_max = workers, waiting_max
        self._end, self._lock = threading.Event(), threading.Lock()
        self._put_off: deque[tuple[int, Notification]] = deque()
        self._done: deque[Notification] = deque()
        self._keys: dict[tuple[str, str], None] = {}  # carried out, the oldest first
        self._workers: dict[str, Worker] = {}
        self._retired: list[Worker] = []
        self._routes: dict[str, str] = {}
        self.reload(actions, routes)

    def reload(self, actions: Actions, routes: Mapping[str, str] | None = None) -> None:
        """Go over to other actions; the same objects go on as they are, with what they know."""
        before, self._routes = self._workers, dict(routes or {})
        self._workers = {}
        for name, (action, policy) in actions.items():
            worker = before.get(name)
            if worker is None or worker.action is not action or worker.policy != policy:
                worker = Worker(
                    name, action, policy, self._threads, self._end, self._count_failed_try
                )
            self._workers[name] = worker
        for worker in before.values():
            if worker not in self._workers.values():
                worker.retire()
                self._retired.append(worker)

    def submit(self, notification: Notification) -> None:
        """Take over one notification, or count why not; returns at once."""
        worker = self._worker(notification)
        reason = self._refuse(notification, worker)
        if worker is None or reason is not None:
            self._finish(notification, worker, reason or "no_action")
            return
        outcome = worker.try_once(notification) if worker.is_immediate else None
        if outcome is not None:
            self._finish_try(worker, notification, outcome)
            return
        with self._lock:
            worker.waiting += 1
        worker.begin(self._carry, notification, int(worker.is_immediate))

    def take_done(self) -> list[Notification]:
        """Those that were carried out, or given up and counted, since the last call."""
        if self._put_off:
            self._submit_again()
        return [self._done.popleft() for _ in range(len(self._done))]

    def _submit_again(self) -> None:
        """Try what was put off, where it is due."""
        now_ns = time.monotonic_ns()
        with self._lock:
            due = [each for each in self._put_off if each[0] <= now_ns]
            self._put_off = deque(each for each in self._put_off if each[0] > now_ns)
        for _, notification in due:
            self.submit(notification)

    def conditions(self) -> list[str]:
        """Names of the actions that are not tried at the moment, since they failed."""
        now_ns = time.monotonic_ns()
        return [name for name, each in self._workers.items() if not each.breaker.is_closed(now_ns)]

    def close(self) -> None:
        """Let running actions end, each within its time-out; what waits is not begun."""
        self._end.set()
        for worker in (*self._workers.values(), *self._retired):
            worker.close()

    def _worker(self, notification: Notification) -> Worker | None:
        receiver = notification.receiver
        return self._workers.get(self._routes.get(receiver, receiver))

    def _refuse(self, notification: Notification, worker: Worker | None) -> str | None:
        """Why it is not even begun, or None."""
        if worker is None:
            return "no_action"
        if self._end.is_set():
            return "closed"
        if (worker.name, notification.key) in self._keys:
            return "already_done"
        if self.is_dry_run:
            log.info("dry run: would %s", worker.action.describe(notification))
            return "dry_run"
        if worker.waiting >= self._waiting_max:
            return "pool_full"
        may_be_dropped = not notification.is_critical and RESOLVED_KIND not in notification.counts
        is_cooling = may_be_dropped and worker.is_cooling(time.monotonic_ns())
        return "cooled_down" if is_cooling else None

    def _carry(self, worker: Worker, notification: Notification, failed: int) -> None:
        """Try until it works, or is given up; runs in a thread of the action."""
        outcome = worker.carry_out(notification, failed)
        with self._lock:
            worker.waiting -= 1
        if outcome is not None:
            self._finish_try(worker, notification, outcome)

    def _finish_try(self, worker: Worker, notification: Notification, outcome: str) -> None:
        if outcome == "carried_out":
            with self._lock:
                self._keys[(worker.name, notification.key)] = None
                while len(self._keys) > KEYS_MAX:
                    del self._keys[next(iter(self._keys))]
        self._finish(notification, worker, outcome)

    def _count_failed_try(self) -> None:
        with self._lock:
            self.counts["attempts_failed"] += 1

    def _finish(self, notification: Notification, worker: Worker | None, reason: str) -> None:
        """Count what became of it; what is critical is put off where it can still work."""
        with self._lock:
            is_passing = notification.is_critical and reason in _PASSING
            if worker is not None and is_passing and len(self._put_off) < PUT_OFF_MAX:
                self.counts["put_off"] += 1
                due_ns = time.monotonic_ns() + worker.policy.open_ns
                self._put_off.append((due_ns, notification))
                return
            self.counts[reason] += 1
        self._done.append(notification)
