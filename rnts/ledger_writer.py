"""Writes records into the ledger from a thread of its own: the fold never waits for a disk.

There is one record under way at a time, and it stays until it is known to be written, or to be
refused because another aggregator has taken over. What closes meanwhile goes into the next one.
`Appender` is all of that without the thread.
"""

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path

from rnts.errors import LedgerError
from rnts.ledger import Conflict, Ledger, Unknown, chained
from rnts.ledger_conditions import CONDITIONS, condition_of
from rnts.ledger_record import LedgerRecord

_RETRY_S = 1.0
_TIMES_MAX = 256  # appends whose duration is remembered
_COMPACT_EVERY = 64  # records
# A test stalls the append with it: while a file of this name is there, FILE.reached says that the
# writer stands before its append.
STALL_VARIABLE = "RNTS_TEST_STALL_APPEND"

log = logging.getLogger("rnts.ledger")


class Appender:
    """The record under way, and what became of it; `attempt` may run in a thread of its own."""

    def __init__(
        self, ledger: Ledger, name: str, head: tuple[int, bytes], head_ns: int, bytes_max: int
    ) -> None:
        self.name = name
        self.seq, self._digest = head  # of the newest record that is ours
        self.written_ns = head_ns  # when that was made
        self.condition: str | None = None  # why the record under way is not written yet
        self.detail = ""
        self.fenced_by: int | None = None  # the newest record, which is somebody else's
        self.compacted = 0  # records removed
        self._ledger, self._bytes_max = ledger, bytes_max
        self._job: LedgerRecord | None = None
        self._body = b""  # of the record under way, once it is packed
        self._is_written = False
        self._times_ns: deque[int] = deque(maxlen=_TIMES_MAX)

    @property
    def is_idle(self) -> bool:
        """Whether the next record can be taken."""
        return self._job is None and self.fenced_by is None

    @property
    def has_news(self) -> bool:
        """Whether a record has been written of which `take_written` has not told yet."""
        return self._is_written

    def submit(self, record: LedgerRecord) -> None:
        """Take a record over; only while idle."""
        assert self.is_idle
        self._job = record

    def take_written(self) -> bool:
        """Whether the record that was submitted last has been written since the last call."""
        is_written, self._is_written = self._is_written, False
        return is_written

    def append_ms(self) -> list[float]:
        """Median and 99th percentile of an append; empty before the first."""
        times = sorted(self._times_ns)
        return [times[int(len(times) * rank)] / 1e6 for rank in (0.5, 0.99)] if times else []

    def wait(self, timeout_s: float) -> None:
        """Wait until the record under way is written or refused."""
        self.attempt()

    def close(self) -> None:
        """Let go of the ledger; a record under way may be written or not."""
        self._ledger.close()

    def attempt(self) -> bool:
        """Try once to write the record under way, if there is one; whether none is left."""
        record = self._job
        if record is not None:
            self._body = self._body or record.pack()
            if not self._append(record, self._body):
                return False
            self._body = b""
            self._job = None
        return True

    def _append(self, record: LedgerRecord, body: bytes) -> bool:
        """Try once; whether it is settled, one way or the other."""
        started_ns = time.monotonic_ns()
        try:
            answer = self._ledger.append_if(self.name, self.seq, body, record.is_checkpoint)
            if isinstance(answer, Unknown):
                answer = self._read_back(answer, body)
        except (sqlite3.Error, LedgerError) as error:
            answer = Unknown(condition_of(error, self._ledger.path), str(error))
        if isinstance(answer, Unknown):
            if self.condition != answer.condition:
                log.warning("the ledger cannot be written: %s (%s)", answer.detail, _advice(answer))
            self.condition, self.detail = answer.condition, answer.detail
            return False
        if isinstance(answer, Conflict):
            self.fenced_by = answer.newest
            return True
        if self.condition:
            log.warning("the ledger can be written again")
        self.condition, self.detail = None, ""
        self._times_ns.append(time.monotonic_ns() - started_ns)
        self._digest, self.seq = chained(self._digest, body), answer
        self.written_ns = record.time_ns
        self._is_written = True
        if answer % _COMPACT_EVERY == 0:
            self._compact()
        return True

    def _read_back(self, answer: Unknown, body: bytes) -> int | Conflict | Unknown:
        """Whether a record whose append failed is there all the same."""
        newest, digest = self._ledger.head(self.name)
        if newest == self.seq:
            return answer
        is_ours = newest == self.seq + 1 and digest == chained(self._digest, body)
        return newest if is_ours else Conflict(newest)

    def _compact(self) -> None:
        """Remove the oldest records if the log is longer than it may be."""
        try:
            self.compacted += self._ledger.compact(self.name, self._bytes_max)
        except sqlite3.Error as error:
            log.warning("the ledger cannot be compacted: %s", error)


class LedgerWriter(Appender):
    """The thread, and what it is told and says; all public methods are for the fold's thread."""

    def __init__(
        self, ledger: Ledger, name: str, head: tuple[int, bytes], head_ns: int, bytes_max: int
    ) -> None:
        super().__init__(ledger, name, head, head_ns, bytes_max)
        self._failure: BaseException | None = None  # of the thread: a fault of ours
        self._wake, self._end = threading.Event(), threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, record: LedgerRecord) -> None:
        """Take a record over; only while idle."""
        self._done.clear()
        super().submit(record)
        self._wake.set()

    def take_written(self) -> bool:
        """As of an `Appender`. Raises what has ended the thread: nothing would be written again."""
        if self._failure is not None:
            raise self._failure
        return super().take_written()

    def wait(self, timeout_s: float) -> None:
        """Wait until the record under way is written or refused."""
        self._done.wait(timeout_s)

    def close(self) -> None:
        """End the thread, whatever it is at; a record under way may be written or not."""
        self._end.set()
        self._wake.set()
        self._thread.join(_RETRY_S)
        if not self._thread.is_alive():
            super().close()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self._failure = error
            self._done.set()

    def _work(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._job is None:
                continue
            _stall()
            while not self._end.is_set() and not self.attempt():
                self._end.wait(_RETRY_S)
            self._done.set()


def _advice(answer: Unknown) -> str:
    return CONDITIONS.get(answer.condition, answer.condition)


def _stall() -> None:
    """Stand still where a test asks for it."""
    asked = os.environ.get(STALL_VARIABLE)
    if asked and os.path.exists(asked):
        Path(f"{asked}.reached").touch()
        while os.path.exists(asked):
            time.sleep(0.001)
