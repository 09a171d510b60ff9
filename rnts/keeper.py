"""The keeper of the ledger: begins where the last aggregator stood, and writes down each close.

Only what is written is COMMITTED to agents. While the ledger cannot be written the aggregator goes
on in memory, agents keep their frames, and the snapshot says why.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnts.books import take_changes
from rnts.errors import FencedError, LedgerError
from rnts.ledger import Conflict, Ledger, Unknown, chained
from rnts.ledger_conditions import CONDITIONS
from rnts.ledger_record import CLOSE, EPOCH, LedgerRecord
from rnts.ledger_resume import State, read_records, resume
from rnts.ledger_writer import Appender, LedgerWriter

LOG = "windows"
_CHECKPOINT_EVERY = 128  # records; as many are read at most when an aggregator starts
_OPEN_TRIES, _OPEN_PAUSE_S = 20, 0.1  # for a ledger that another process holds for a moment
_RETRY_NS = 1_000_000_000  # until a ledger that could not be opened is tried again
_END_S = 2.0  # for the last record

MakeWriter = Callable[[Ledger, str, tuple[int, bytes], int, int], Appender]

log = logging.getLogger("rnts.ledger")


class Keeper:
    """Writes down the state of one aggregator; `owner` tells it from others."""

    def __init__(
        self,
        path: Path,
        bytes_max: int,
        owner: int,
        open_ledger: Callable[[Path], Ledger] = Ledger,
        make_writer: MakeWriter = LedgerWriter,
    ) -> None:
        self.path, self.owner = path, owner
        self._open_ledger, self._make_writer = open_ledger, make_writer
        self.epoch = 0
        self._bytes_max = bytes_max
        self._writer: Appender | None = None
        self._condition, self._detail = "", ""  # why there is no writer
        self._set_aside: str | None = None
        self._retry_ns = 0
        self._boundary = 0  # as of the newest record
        self._since_checkpoint = 0

    def begin(self, state: State) -> None:
        """Go on where the last owner of the ledger stood, and fence it off."""
        state.windows.digests.is_on = True
        for _ in range(_OPEN_TRIES):
            try:
                self._take_over(state)
                return
            except LedgerError as error:
                self._condition, self._detail = error.condition, str(error)
                is_aside = error.condition == "corrupt" and self._put_aside(error)
                if not is_aside and error.condition != "busy":
                    break
            time.sleep(_OPEN_PAUSE_S)
        advice = CONDITIONS[self._condition]
        log.warning("%s; %s; until then agents keep what they send", self._detail, advice)

    def _take_over(self, state: State) -> None:
        """Read, restore, and append an epoch. Raises LedgerError."""
        ledger = self._open_ledger(self.path)
        try:
            records, (newest, digest) = read_records(ledger, LOG)
            if records:
                resume(state, records, time.time_ns())
                self.epoch, self._boundary = records[-1].epoch, state.windows.boundary
            record = self._record(EPOCH, state, {})
            body = record.pack()
            answer = ledger.append_if(LOG, newest, body, is_start=True)
            if isinstance(answer, Conflict):
                raise FencedError(f"another aggregator has just taken over {self.path}")
            if isinstance(answer, Unknown):
                raise LedgerError(answer.condition, self.path, answer.detail)
        except BaseException:
            ledger.close()
            raise
        self._condition = self._detail = ""
        head = (answer, chained(digest, body))
        self._writer = self._make_writer(ledger, LOG, head, record.time_ns, self._bytes_max)

    def _put_aside(self, error: LedgerError) -> bool:
        """Move a damaged file out of the way, for a new one to be begun; whether that went."""
        place = f"{self.path}.damaged-{time.time_ns()}"
        try:
            for suffix in ("", "-wal", "-shm"):
                part = Path(f"{self.path}{suffix}")
                if part.exists():
                    part.rename(f"{place}{suffix}")
        except OSError as refusal:
            log.warning("%s; it cannot be moved away: %s", error, refusal.strerror)
            return False
        log.warning("%s; it is moved to %s, and a new one is begun", error, place)
        self._set_aside = place
        return True

    def is_due(self, boundary: int) -> bool:
        """Whether windows have closed that are not written, and the last record is.

        That it is has to be told first: else its news would pass for those of the next one.
        """
        writer = self._writer
        if writer is None or not writer.is_idle or writer.has_news:
            return False
        return boundary > self._boundary

    def write(self, state: State, coverage: dict[str, Any]) -> None:
        """Hand over what has changed since the last record."""
        assert self._writer is not None
        self._writer.submit(self._record(CLOSE, state, coverage))
        self._boundary = state.windows.boundary

    def _record(self, kind: str, state: State, coverage: dict[str, Any]) -> LedgerRecord:
        windows, positions = state.windows, state.positions
        positions.close(windows.boundary)
        everything = kind == EPOCH or self._since_checkpoint >= _CHECKPOINT_EVERY
        self._since_checkpoint = 0 if everything else self._since_checkpoint + 1
        self.epoch += kind == EPOCH
        durable = Counter(state.counts)
        durable["aggregated"] -= positions.open_records()
        durable["unlisted"] = windows.digests.unlisted
        forgotten, positions.forgotten = positions.forgotten, []
        return LedgerRecord(
            kind=kind,
            epoch=self.epoch,
            owner=self.owner,
            time_ns=time.time_ns(),
            window_ns=windows.window_ns,
            first=self._boundary,
            end=windows.boundary,
            sealed_before=windows.sealed_before,
            is_checkpoint=everything,
            counts=dict(durable),
            dropped=state.account()["dropped"],
            coverage=coverage,
            standings=positions.standings(everything),
            forgotten=forgotten,
            books=take_changes(state.accounts, everything),
            digests=windows.digests.fetch(everything),
        )

    def take_written(self) -> bool:
        """Whether the record that was handed over has been written since the last call.

        Raises FencedError where another aggregator has taken over, and LedgerError where a ledger
        that could not be opened now can: whoever starts again goes on from it.
        """
        writer = self._writer
        if writer is None:
            self._look_again()
            return False
        newest = writer.fenced_by
        if newest is not None and newest < writer.seq:
            raise LedgerError("replaced", self.path, f"it ends at {newest}, and not {writer.seq}")
        if newest is not None:
            raise FencedError(
                f"another aggregator has taken over the ledger {self.path}: record {newest} is not "
                "ours; this one counts no more. Two need a ledger each, or one of them has to go"
            )
        return writer.take_written()

    def _look_again(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._retry_ns:
            return
        self._retry_ns = now_ns + _RETRY_NS
        try:
            with self._open_ledger(self.path):
                pass
        except LedgerError as error:
            self._condition, self._detail = error.condition, str(error)
            return
        raise LedgerError("back", self.path, "it can be used again; start anew to go on from it")

    def settle(self, timeout_s: float = _END_S) -> bool:
        """Wait for the record under way; whether the next one could be taken."""
        if self._writer is None:
            return False
        if not self._writer.is_idle:
            self._writer.wait(timeout_s)
        return self._writer.is_idle

    def close(self) -> None:
        """Let go of the ledger."""
        if self._writer is not None:
            self._writer.close()

    def document(self, state: State) -> dict[str, Any]:
        """What the snapshot says of the ledger."""
        writer, digests = self._writer, state.windows.digests
        condition = (writer.condition if writer else self._condition) or None
        return {
            "path": str(self.path),
            "condition": condition,
            "advice": CONDITIONS[condition] if condition else None,
            "epoch": self.epoch,
            "records": writer.seq if writer else 0,
            "written_ns": writer.written_ns if writer else None,
            "compacted": writer.compacted if writer else 0,
            "windows_behind": max(0, state.windows.boundary - self._boundary) if condition else 0,
            "append_ms": writer.append_ms() if writer else [],
            "digests_dropped": digests.dropped,
            "set_aside": self._set_aside,
        }
