"""One stream processor as its parent sees it: a process, what waits for it, and its budget.

In Python nothing stops a function that hangs, so each processor has a process that can be killed.
Its budget is of CPU time for each batch; of wall time it may take ten times as much, since a busy
machine is no fault of its own. Who overruns is cut off for good, so is who raises too often in a
row, or dies too often. What is not processed for that is counted.
"""

import contextlib
import json
import logging
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rnts.processors.batch import Batch

WAITING_MAX = 64  # batches that wait for one processor; what is more is `behind`
RAISED_MAX = 5  # batches in a row
DEATHS_MAX = 3
WALL_BUDGETS = 10
STATE_NS = 5_000_000_000  # how much of what it has learned a processor's death costs
_LOOK_S, _JOIN_S = 0.1, 5.0
START_NS_MAX = 120_000_000_000  # to import, and to compile where that was not done before
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

log = logging.getLogger("rnts.process")


class _Since(NamedTuple):
    """When a process began with what it is at, be it to start or to process a batch."""

    steady_ns: int
    cpu_ns: int
    is_start: bool


def key_of(spec: str, options: dict[str, Any]) -> str:
    """Under what a processor's state is kept: two of one class may differ by their options."""
    return ",".join((spec, *(f"{name}={json.dumps(options[name])}" for name in sorted(options))))


class Worker:
    """A processor in a process. `on_alert` is called from a thread of this worker."""

    def __init__(
        self, spec: str, options: dict[str, Any], budget_ns: int,
        on_alert: Callable[[dict[str, Any]], None], state: bytes = b"",
    ) -> None:  # fmt: skip
        self.spec, self.name, self.priority = spec, spec, 0
        self.key = key_of(spec, options)
        self.counts: Counter[str] = Counter()
        self.cut_off = ""  # why it is given no more batches
        self.state = state  # what it has learned, as it last said
        self._options, self._budget_ns, self._on_alert = options, budget_ns, on_alert
        self._waiting: queue.Queue[Batch | None] = queue.Queue(WAITING_MAX)
        self._raised_in_row = 0
        self._has_ended = False
        self._asked_ns = time.monotonic_ns()
        self._since: _Since | None = None  # what it is at
        self.is_ready = threading.Event()
        self._start()

    def _start(self) -> None:
        """Start the process; it ends with the thread that calls this."""
        ours, theirs = socket.socketpair()
        descriptor = theirs.fileno()
        arguments = [str(descriptor), str(os.getpid()), self.spec]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rnts.processors.child", *arguments],
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a processor prints is talk
            )
        self._connection = Connection(ours.detach())
        self.is_ready.clear()
        self._since = _Since(time.monotonic_ns(), 0, True)
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"rnts-{self.spec}", daemon=True)
        self._thread.start()

    def offer(self, batch: Batch) -> None:
        """Give it a batch, without waiting."""
        if self.cut_off:
            self._skip("cut_off", batch)
            return
        try:
            self._waiting.put_nowait(batch)
        except queue.Full:
            self._skip("behind", batch)

    def ask_state(self, now_ns: int) -> None:
        """Have it say what it has learned, when it is done with what waits."""
        self._asked_ns = now_ns
        if not self.cut_off:
            with contextlib.suppress(queue.Full):  # then it is asked the next time
                self._waiting.put_nowait(None)

    def _skip(self, reason: str, batch: Batch | None) -> None:
        if batch is None:
            return
        self.counts[f"batches_{reason}"] += 1
        self.counts[f"records_{reason}"] += len(batch)

    def _serve(self) -> None:
        """The thread: hands over one batch after the other, and takes the answers."""
        gone = self._gone
        try:
            self._greet()
            while not (gone.is_set() or self.cut_off):
                with contextlib.suppress(queue.Empty):
                    self._hand_over(self._waiting.get(timeout=_LOOK_S))
        except (EOFError, OSError, ValueError):  # its process has gone; `watch` sees to it
            gone.set()
        finally:
            self._connection.close()

    def _hand_over(self, batch: Batch | None) -> None:
        try:
            self._since = _Since(time.monotonic_ns(), self._cpu_ns(), False)
            if batch is None:
                self._connection.send_bytes(b"")
                self.state = self._connection.recv_bytes()
            else:
                self._connection.send_bytes(pickle.dumps(batch, protocol=5))
                self._take_answer(batch)
        except BaseException:
            self._skip("unprocessed", batch)
            raise
        finally:
            self._since = None
            self._waiting.task_done()

    def _greet(self) -> None:
        self._connection.send_bytes(json.dumps(self._options).encode())
        self._connection.send_bytes(self.state)
        said = json.loads(self._connection.recv_bytes())
        self._since = None
        if "failed" in said:
            self._cut(f"it cannot be made: {said['failed']}")
        else:
            self.name, self.priority = said["ready"], int(said["priority"])
        self.is_ready.set()

    def _take_answer(self, batch: Batch) -> None:
        answer = json.loads(self._connection.recv_bytes())
        self.counts["batches"] += 1
        self.counts["records"] += len(batch)
        self.counts["alerts_dropped"] += answer["dropped"]
        for alert in answer["alerts"]:
            self._on_alert({"processor": self.name, **alert})
        if answer["raised"] is None:
            self._raised_in_row = 0
            return
        self.counts["raised"] += 1
        self._raised_in_row += 1
        log.warning("processor %s raised:\n%s", self.name, answer["raised"])
        if self._raised_in_row >= RAISED_MAX:
            self._cut(f"it raised {RAISED_MAX} times in a row")

    def watch(self, now_ns: int) -> None:
        """Cut off who overruns, start again who died; to be called by the thread that made it."""
        if self.cut_off:
            self.end()
        elif self._process.poll() is not None:
            self._on_death()
        elif self._is_over(now_ns):
            self.counts["overran"] += 1
            self._cut(f"it took more than its budget of {self._budget_ns // 1_000_000} ms")
            self.end()
        elif now_ns - self._asked_ns >= STATE_NS:
            self.ask_state(now_ns)

    def _is_over(self, now_ns: int) -> bool:
        since = self._since
        if since is None:
            return False
        wall_ns, cpu_ns = now_ns - since.steady_ns, self._cpu_ns() - since.cpu_ns
        if since.is_start:
            return wall_ns > START_NS_MAX
        return cpu_ns > self._budget_ns or wall_ns > WALL_BUDGETS * self._budget_ns

    def _cpu_ns(self) -> int:
        """CPU time of the process so far."""
        try:
            with open(f"/proc/{self._process.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // _TICKS_PER_S

    def _on_death(self) -> None:
        self._gone.set()
        self._thread.join(timeout=_JOIN_S)
        if self.cut_off:  # it failed to start, and has said why
            return
        self.counts["died"] += 1
        if self.counts["died"] > DEATHS_MAX:
            self._cut(f"its process died {DEATHS_MAX + 1} times")
            return
        log.warning("the process of processor %s died, and is started again", self.name)
        self._start()

    def _cut(self, reason: str) -> None:
        self.cut_off = reason
        log.error("processor %s is cut off: %s", self.name, reason)

    def end(self) -> None:
        """End the process, whatever it does; once is enough."""
        if self._has_ended:
            return
        self._has_ended = True
        self._gone.set()
        self._process.kill()
        self._process.wait()
        self._thread.join(timeout=_JOIN_S)
        while not self._waiting.empty():
            self._skip("cut_off" if self.cut_off else "unprocessed", self._waiting.get_nowait())
            self._waiting.task_done()

    def is_idle(self) -> bool:
        """Whether all that was offered is processed, or never will be."""
        return bool(self.cut_off) or self._waiting.unfinished_tasks == 0

    def has_room(self) -> bool:
        """Whether it can be given many more batches."""
        return bool(self.cut_off) or self._waiting.unfinished_tasks < WAITING_MAX // 2

    def document(self) -> dict[str, Any]:
        """What became of it."""
        return {"name": self.name, "cut_off": self.cut_off or None, **self.counts}
