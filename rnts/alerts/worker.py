"""The threads of one action: it is tried until it works, is given up, or its circuit opens."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rnts.alerts.action import Action, ActionError, Policy
from rnts.alerts.breaker import Breaker
from rnts.alerts.notification import Notification

log = logging.getLogger("rnts.alerts")


class Worker:
    """Carries out one action; `on_failed` hears of each try that failed, in any thread."""

    def __init__(
        self,
        name: str,
        action: Action,
        policy: Policy,
        threads: int,
        end: threading.Event,
        on_failed: Callable[[], None],
    ) -> None:
        self.name, self.action, self.policy = name, action, policy
        self.breaker = Breaker(policy.failures_max, policy.open_ns)
        self.waiting = 0  # notifications that are under way, retries included
        self.worked_ns: int | None = None
        self._end, self._on_failed = end, on_failed
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"rnts-action-{name}")

    def is_cooling(self, now_ns: int) -> bool:
        """Whether it worked so recently that only what is critical passes."""
        return self.worked_ns is not None and now_ns < self.worked_ns + self.policy.cooldown_ns

    def begin(self, carry: Callable[["Worker", Notification], None], about: Notification) -> None:
        """Have a thread of its own call `carry`."""
        self._executor.submit(carry, self, about)

    def retire(self) -> None:
        """Take nothing new; what was taken over is carried out."""
        self._executor.shutdown(wait=False)

    def close(self) -> None:
        """Let what runs end, within its time-out; what waits is not begun."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def carry_out(self, notification: Notification) -> str | None:
        """What became of it; None: it was left for the next start."""
        try:
            return self._try(notification)
        except Exception:  # an action of somebody else's, which must not end in silence
            log.exception("the action %s failed", self.name)
            self.breaker.fail(time.monotonic_ns())
            return "failed"

    def _try(self, notification: Notification) -> str | None:
        policy, wait_ns = self.policy, self.policy.back_off_ns
        for attempt in range(1, policy.attempts + 1):
            if not self.breaker.may_try(time.monotonic_ns()):
                return "circuit_open"
            try:
                self.action.run(notification)
            except ActionError as error:
                self._on_failed()
                said = self.name, attempt, policy.attempts, error
                log.warning("%s, try %d of %d: %s", *said)
                if error.is_final:
                    self.breaker.fail(time.monotonic_ns())
                    return "refused"
                if attempt == policy.attempts:
                    break
                if self._end.wait(min(wait_ns, policy.back_off_ns_max) / 1e9):
                    return None
                wait_ns *= 2
            else:
                self.breaker.succeed()
                self.worked_ns = time.monotonic_ns()
                return "carried_out"
        self.breaker.fail(time.monotonic_ns())
        return "gave_up"
