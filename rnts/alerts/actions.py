"""Carries notifications to actions: two threads each, retries, a circuit breaker and a cooldown.

`submit` never waits. What is not carried out is counted under a name: `pool_full`, `cooled_down`,
`circuit_open`, `gave_up`, `refused`, `no_action`; `attempts_failed` counts tries, `put_off` what is
critical and will be tried again. An action may be carried out twice (its process may die before it
hears the answer): the idempotency key is the same then.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from rnts.alerts.breaker import Breaker
from rnts.alerts.notification import Notification
from rnts.alerts.rule import SECOND_NS

WORKERS = 2  # of each action, so that a slow one keeps no other waiting
WAITING_MAX = 1_000  # notifications of an action that are under way, retries included
PUT_OFF_MAX = 1_000  # critical ones that wait for their action to work again
KEYS_MAX = 10_000  # that are remembered as carried out
_PASSING = ("pool_full", "circuit_open", "gave_up")

log = logging.getLogger("rnts.alerts")


class ActionError(Exception):
    """An action failed; `is_final`: to try again would not help."""

    def __init__(self, message: str, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Action(Protocol):
    """One thing that can be done about an alert; it bounds its own time."""

    def run(self, notification: Notification) -> None:
        """Do it; raises ActionError where it failed."""

    def describe(self, notification: Notification) -> str:
        """What `run` would do, in words."""

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True)
class Policy:
    """How hard an action is tried.

    attempts: in all; the wait between two doubles from `back_off_ns`, up to `back_off_ns_max`.
    cooldown_ns: after one that worked, for which further ones are dropped unless critical.
    failures_max: notifications in a row after whose failure none is tried for `open_ns`.
    """

    attempts: int = 4
    back_off_ns: int = SECOND_NS // 2
    back_off_ns_max: int = 30 * SECOND_NS
    cooldown_ns: int = 0
    failures_max: int = 5
    open_ns: int = 60 * SECOND_NS


class ActionPool:
    """Carries out what receivers are told, each by the action of its name."""

    def __init__(
        self,
        actions: Mapping[str, tuple[Action, Policy]],
        is_dry_run: bool = False,
        workers: int = WORKERS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.is_dry_run = is_dry_run
        self._actions = dict(actions)
        self._breakers = {
            name: Breaker(policy.failures_max, policy.open_ns)
            for name, (_, policy) in self._actions.items()
        }
        self._waiting_max = waiting_max
        self._pools = {
            name: ThreadPoolExecutor(workers, thread_name_prefix=f"rnts-action-{name}")
            for name in self._actions
        }
        self._end, self._lock = threading.Event(), threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._put_off: deque[tuple[int, Notification]] = deque()
        self._done: deque[Notification] = deque()
        self._worked_ns: dict[str, int] = {}
        self._keys: dict[tuple[str, str], None] = {}  # carried out, the oldest first

    def submit(self, notification: Notification) -> None:
        """Take over one notification, or count why not; returns at once."""
        reason = self._refuse(notification)
        if reason is not None:
            self._finish(notification, reason)
            return
        with self._lock:
            self._waiting[notification.receiver] += 1
        self._pools[notification.receiver].submit(self._carry, notification)

    def take_done(self) -> list[Notification]:
        """Those that were carried out, or given up and counted, since the last call."""
        now_ns = time.monotonic_ns()
        with self._lock:
            due = [each for each in self._put_off if each[0] <= now_ns]
            self._put_off = deque(each for each in self._put_off if each[0] > now_ns)
        for _, notification in due:
            self.submit(notification)
        return [self._done.popleft() for _ in range(len(self._done))]

    def conditions(self) -> list[str]:
        """Names of the actions that are not tried at the moment, since they failed."""
        now_ns = time.monotonic_ns()
        return [name for name, each in self._breakers.items() if not each.is_closed(now_ns)]

    def close(self) -> None:
        """Let running actions end, each within its time-out; what waits is not begun."""
        self._end.set()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        for action, _ in self._actions.values():
            action.close()

    def _refuse(self, notification: Notification) -> str | None:
        """Why it is not even begun, or None."""
        if notification.receiver not in self._actions:
            return "no_action"
        if self._end.is_set():
            return "closed"
        if (notification.receiver, notification.key) in self._keys:
            return "already_done"
        if self.is_dry_run:
            action, _ = self._actions[notification.receiver]
            log.info("dry run: would %s", action.describe(notification))
            return "dry_run"
        if self._waiting[notification.receiver] >= self._waiting_max:
            return "pool_full"
        return self._cooled_down(notification)

    def _cooled_down(self, notification: Notification) -> str | None:
        _, policy = self._actions[notification.receiver]
        worked_ns = self._worked_ns.get(notification.receiver)
        if notification.is_critical or not policy.cooldown_ns or worked_ns is None:
            return None
        is_cooling = time.monotonic_ns() < worked_ns + policy.cooldown_ns
        return "cooled_down" if is_cooling else None

    def _carry(self, notification: Notification) -> None:
        """Try until it works, or is given up; runs in the pool."""
        try:
            outcome = self._try(notification)
        except Exception:  # an action of somebody else's, which must not end in silence
            log.exception("the action %s failed", notification.receiver)
            outcome = "failed"
        with self._lock:
            self._waiting[notification.receiver] -= 1
        if outcome is not None:
            self._finish(notification, outcome)

    def _try(self, notification: Notification) -> str | None:
        """What became of it; None: it was left for the next start."""
        name = notification.receiver
        (action, policy), breaker = self._actions[name], self._breakers[name]
        wait_ns = policy.back_off_ns
        for attempt in range(1, policy.attempts + 1):
            if not breaker.may_try(time.monotonic_ns()):
                return "circuit_open"
            try:
                action.run(notification)
            except ActionError as error:
                self._count("attempts_failed")
                log.warning("%s, try %d of %d: %s", name, attempt, policy.attempts, error)
                if error.is_final:
                    breaker.fail(time.monotonic_ns())
                    return "refused"
                if attempt == policy.attempts:
                    break
                if self._end.wait(min(wait_ns, policy.back_off_ns_max) / 1e9):
                    return None
                wait_ns *= 2
            else:
                breaker.succeed()
                self._note_worked(notification)
                return "carried_out"
        breaker.fail(time.monotonic_ns())
        return "gave_up"

    def _note_worked(self, notification: Notification) -> None:
        with self._lock:
            self._worked_ns[notification.receiver] = time.monotonic_ns()
            self._keys[(notification.receiver, notification.key)] = None
            while len(self._keys) > KEYS_MAX:
                del self._keys[next(iter(self._keys))]

    def _count(self, reason: str) -> None:
        with self._lock:
            self.counts[reason] += 1

    def _finish(self, notification: Notification, reason: str) -> None:
        """Count what became of it; what is critical is put off where it can still work."""
        if notification.is_critical and reason in _PASSING:
            _, policy = self._actions[notification.receiver]
            with self._lock:
                if len(self._put_off) < PUT_OFF_MAX:
                    self.counts["put_off"] += 1
                    self._put_off.append((time.monotonic_ns() + policy.open_ns, notification))
                    return
        self._count(reason)
        self._done.append(notification)
