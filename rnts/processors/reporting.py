"""Reports what stream processors find to an alert process, until it says that it remembers it.

Reporter (a machine without sockets and clocks) ─► {"type": "report", "source", "first", "alerts"}
                                                ◄─ {"source", "next"}
"""

import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnts.alerts.control import REPORT, control_endpoint
from rnts.links.zmq import AgentLink

WAITING_MAX = 1_000  # alerts that are not confirmed; beyond it the oldest are lost
AT_ONCE_MAX = 100
AGAIN_NS = 1_000_000_000
FINISH_NS_MAX = 2_000_000_000  # for what is not confirmed when the end has come
_WAIT_MS = 5


class Reporter:
    """Numbers alerts, says them again and again, and forgets those that are confirmed.

    counts: `reported`; `lost` for want of room; `refused` are answers that are no confirmation.
    """

    def __init__(self, source: str | None = None) -> None:
        self.source = source or secrets.token_hex(8)
        self.counts: Counter[str] = Counter()
        self._waiting: deque[dict[str, Any]] = deque()
        self._first = 1  # number of the oldest that waits
        self._due_ns = 0

    @property
    def waiting(self) -> int:
        """Alerts that are not confirmed."""
        return len(self._waiting)

    def offer(self, alert: dict[str, Any]) -> None:
        """Take over an alert; where there is no room the oldest makes some."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._first += 1
            self.counts["lost"] += 1
        self._waiting.append(alert)

    def outgoing(self, now_ns: int) -> bytes | None:
        """What is to be said now, if there is something."""
        if not self._waiting or now_ns < self._due_ns:
            return None
        self._due_ns = now_ns + AGAIN_NS
        alerts = [self._waiting[index] for index in range(min(len(self._waiting), AT_ONCE_MAX))]
        about = {"type": REPORT, "source": self.source, "first": self._first, "alerts": alerts}
        return json.dumps(about).encode()

    def on_answer(self, raw: bytes) -> None:
        """What the alert process says."""
        try:
            answer = json.loads(raw)
            due = int(answer["next"]) if answer["source"] == self.source else 0
        except (ValueError, KeyError, TypeError):
            self.counts["refused"] += 1
            return
        while self._waiting and self._first < due:
            self._waiting.popleft()
            self._first += 1
            self.counts["reported"] += 1
            self._due_ns = 0  # what follows need not wait


class Reporting:
    """A reporter at its link: to the alert process that remembers its alerts in a folder."""

    def __init__(self, folder: Path, reporter: Reporter | None = None) -> None:
        self.reporter = reporter or Reporter()
        self._link = AgentLink()
        self._link.connect(control_endpoint(folder))

    def poll(self) -> None:
        """Say what is due, and take in what was answered; never waits."""
        for answer, *_ in self._link.receive():
            self.reporter.on_answer(answer)
        request = self.reporter.outgoing(time.monotonic_ns())
        if request is not None:
            self._link.send([request])  # what does not go out is said again

    def finish(self, is_over: Callable[[], bool]) -> None:
        """Wait a moment for what is not confirmed."""
        until_ns = time.monotonic_ns() + FINISH_NS_MAX
        while self.reporter.waiting and time.monotonic_ns() < until_ns and not is_over():
            self.poll()
            self._link.wait(_WAIT_MS)
        self.poll()

    def document(self) -> dict[str, int]:
        """What became of the alerts."""
        return {**self.reporter.counts, "unconfirmed": self.reporter.waiting}

    def close(self) -> None:
        """Let go of the link."""
        self._link.close()
