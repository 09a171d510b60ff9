"""The ledger of the simulation: the real one over SQLite in memory, and what may go wrong in it."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from simulation_windows import Named, PlayedWindows, Told

from rnts.keeper import Keeper
from rnts.ledger import Conflict, Ledger, Unknown
from rnts.ledger_audit import audit_opened
from rnts.ledger_record import LedgerRecord
from rnts.ledger_resume import State
from rnts.ledger_writer import Appender
from rnts.source_account import DELIVERED

_PLACE = Path("ledger")  # which is no file


class Wrong(AssertionError):
    """An invariant does not hold."""


class MemoryLedger(Ledger):
    """One database for all aggregators; `told` has what each record says that was appended."""

    def __init__(self, chance: Callable[[str], bool], fired: "Counter[str]") -> None:
        self.told: list[Told] = []
        self.telling = Told()
        self.chance, self._fired = chance, fired
        super().__init__(_PLACE)

    def _open(self, is_reader: bool) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None)

    def close(self) -> None:
        """It outlives whoever uses it."""

    def end(self) -> None:
        """Let go of the memory."""
        super().close()

    def set_full(self, is_full: bool) -> None:
        """Let the disk have no page more, or room again."""
        pages = self._database.execute("pragma page_count").fetchone()[0]
        self._database.execute(f"pragma max_page_count = {pages if is_full else 1 << 20}")

    def append_if(
        self, log: str, expected: int, body: bytes, is_start: bool = False
    ) -> int | Conflict | Unknown:
        """Append as the real one, and sometimes do not tell that it was done."""
        answer = super().append_if(log, expected, body, is_start)
        if isinstance(answer, Unknown):
            self._fired[f"ledger {answer.condition}"] += 1
        if isinstance(answer, int):
            self.told.append(self.telling)
            if self.chance("lost append"):
                answer = Unknown("io", "the answer was lost")
        self.telling = Told()
        return answer


class PlayedAppender(Appender):
    """Writes when the world lets it, also between two looks of the aggregator at it."""

    @property
    def is_idle(self) -> bool:
        """Whether the next record can be taken."""
        assert isinstance(self._ledger, MemoryLedger)
        if self._job is not None and self._ledger.chance("quick ledger"):
            self.attempt()
        return super().is_idle

    def _append(self, record: LedgerRecord, body: bytes) -> bool:
        assert isinstance(self._ledger, MemoryLedger)
        assert isinstance(record.digests, Told)
        self._ledger.telling = record.digests
        return super()._append(record, body)

    @property
    def has_job(self) -> bool:
        """Whether a record is under way."""
        return self._job is not None


def make_keeper(ledger: MemoryLedger, owner: int) -> Keeper:
    """A keeper of this ledger."""
    return Keeper(_PLACE, 1 << 30, owner, lambda _: ledger, PlayedAppender)


def check_all(ledger: MemoryLedger, totals: dict[int, int], window_ns: int) -> dict[str, int]:
    """Each record is in one window or lost under one reason; how many there are of each fate.

    All is read from the ledger, as by an aggregator that starts: what is in windows by name, what
    is lost by its count.
    """
    for audit in audit_opened(ledger):
        if audit.problems:
            raise Wrong(f"the ledger is not sound: {audit.problems}")
    seen: dict[Named, str] = {}
    for told in ledger.told:
        windows = [named for records in told.windows.values() for named in records]
        for fate, named in (("aggregated", windows), ("late", told.late), ("future", told.future)):
            for record in named:
                # What was of the future is looked at again when it comes again, and not counted.
                if record in seen and not fate == seen[record] == "future":
                    raise Wrong(f"record {record} is {seen[record]} and {fate}")
                seen[record] = fate
    state = State(PlayedWindows(window_ns, 0))  # type: ignore[arg-type]
    make_keeper(ledger, 0).begin(state)
    account, fates = state.account(), Counter(seen.values())
    if not account["balanced"] or account["in_flight"]:
        raise Wrong(f"the books do not balance: {account}")
    for fate in ("aggregated", "late", "future"):
        if state.counts[fate] != fates[fate]:
            raise Wrong(f"{state.counts[fate]} records are {fate}, and {fates[fate]} are there")
    lost = {"aggregator_died": state.counts["died"]}
    for key, source in state.accounts.living.items():
        unheard = int(source.base[DELIVERED])
        for reason, count in (*source.lost.items(), ("unheard", unheard)):
            lost[reason] = lost.get(reason, 0) + count
        here = unheard + sum(source.lost.values()) + sum(agent == key for agent, _ in seen)
        if here > totals[key]:
            raise Wrong(f"agent {key}: of {totals[key]} records {here} are told of")
    declared = sum(lost.values())
    if declared + len(seen) != sum(totals.values()):
        raise Wrong(f"of {totals} records {len(seen)} are there, and {lost} are declared lost")
    return dict(fates + Counter(lost))
