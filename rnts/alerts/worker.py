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

    def begin(
        self, carry: Callable[["Worker", Notification, int], None], about: Notification, failed: int
    ) -> None:
        """Have a thread of its own call `carry`."""
        self._executor.submit(carry, self, about, failed)

    def retire(self) -> None:
        """Take nothing new; what was taken over is carried out."""
        self._executor.shutdown(wait=False)

    def close(self) -> None:
        """Let what runs end, within its time-out; what waits is not begun."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    @property
    def is_immediate(self) -> bool:
        """Whether a try takes so little that whoever hands in a notification can make it."""
        return bool(getattr(self.action, "is_immediate", False))

    def carry_out(self, notification: Notification, failed: int = 0) -> str | None:
        """What became of it after so many tries that failed; None: it is for the next start."""
        attempts, back_off_ns = self.policy.attempts, self.policy.back_off_ns
        for attempt in range(failed + 1, attempts + 1):
            if attempt > 1:
                wait_ns = min(back_off_ns << (attempt - 2), self.policy.back_off_ns_max)
                if self._end.wait(wait_ns / 1e9):
                    return None
            if (outcome := self.try_once(notification, attempt)) is not None:
                return outcome
        self.breaker.fail(time.monotonic_ns())
        return "gave_up"

    def try_once(self, notification: Notification, attempt: int = 1) -> str | None:
        """What became of it; None: it failed, and may work another time."""
        if not self.breaker.may_try(time.monotonic_ns()):
            return "circuit_open"
        try:
            self.action.run(notification)
        except ActionError as error:
            self._on_failed()
            said = self.name, attempt, self.policy.attempts, error
            log.warning("%s, try %d of %d: %s", *said)
            if not error.is_final:
                return None
            self.breaker.fail(time.monotonic_ns())
            return "refused"
        except Exception:  # an action of somebody else's, which must not end in silence
            log.exception("the action %s failed", self.name)
            self.breaker.fail(time.monotonic_ns())
            return "failed"
        self.breaker.succeed()
        self.worked_ns = time.monotonic_ns()
        return "carried_out"
