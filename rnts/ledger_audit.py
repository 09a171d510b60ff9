"""The deep audit: whether a ledger tells one story from its first record to its last.

Offline, over the file alone: numbers without gaps, digests that follow one another, epochs that
only rise, ranges of each sender that neither overlap nor leave anything out, and statistics whose
sums are what the books count.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnts.digest import Digest
from rnts.kernels.held import COUNT
from rnts.kernels.neurons import COLUMNS, VALUES
from rnts.kernels.panes import GROUP_RECORDS
from rnts.ledger import Ledger, chained
from rnts.ledger_record import CLOSE, EPOCH, LedgerRecord, Standing, unpack_record

_PROBLEMS_MAX = 100  # that are told one by one


@dataclass
class DeepAudit:
    """What was found in one log; `problems` is empty where all of it holds."""

    log: str
    records: int = 0
    first: int = 0  # number of the oldest record
    epochs: int = 0
    windows: int = 0
    revisions: int = 0
    senders: int = 0
    frames: int = 0  # whose ranges were checked
    folded: int = 0  # records in closed windows since the log began
    without_statistics: int = 0  # windows of which only counts were kept
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The audit as JSON shows it."""
        return {**vars(self), "sound": not self.problems}


class _Checker:
    """Goes through the records of one log in their order."""

    def __init__(self, audit: DeepAudit) -> None:
        self._audit = audit
        self._before: LedgerRecord | None = None
        self._standings: dict[tuple[int, int], Standing] = {}
        self._revisions: dict[int, tuple[int, int]] = {}  # of a window: newest, and its records

    def problem(self, seq: int, text: str) -> None:
        if len(self._audit.problems) < _PROBLEMS_MAX:
            self._audit.problems.append(f"record {seq}: {text}")

    def take(self, seq: int, record: LedgerRecord) -> None:
        """Check one record against those before it."""
        audit, before = self._audit, self._before
        audit.records += 1
        audit.folded = record.counts["aggregated"]
        audit.epochs += record.kind == EPOCH
        if before is None:
            if not record.is_checkpoint:
                self.problem(seq, "the log begins with it, and it is no checkpoint")
        else:
            self._follow(seq, record, before)
        added = self._digests(seq, record)
        records = self._senders(seq, record)
        if before is not None:
            moved = record.counts["aggregated"] - before.counts["aggregated"]
            unlisted = record.counts.get("unlisted", 0) - before.counts.get("unlisted", 0)
            if moved != added + unlisted:
                self.problem(
                    seq, f"{moved} records were counted, and {added + unlisted} are in its windows"
                )
            if moved != records:
                self.problem(seq, f"{moved} records were counted, and senders tell of {records}")
        self._before = record

    def _follow(self, seq: int, record: LedgerRecord, before: LedgerRecord) -> None:
        """Epochs rise by one with each owner; windows begin where the last ones ended."""
        if record.kind == EPOCH and record.epoch != before.epoch + 1:
            self.problem(seq, f"epoch {record.epoch} follows epoch {before.epoch}")
        if record.kind == CLOSE and (record.epoch, record.owner) != (before.epoch, before.owner):
            self.problem(seq, f"it is of epoch {record.epoch} amid epoch {before.epoch}")
        if record.kind == CLOSE and record.first != before.end:
            self.problem(seq, f"its windows begin at {record.first}, and not at {before.end}")
        for fate, count in before.counts.items():
            if record.counts.get(fate, 0) < count:
                self.problem(seq, f"the count of {fate} fell from {count}")

    def _digests(self, seq: int, record: LedgerRecord) -> int:
        """Check each window's statistics; returns the records that they add."""
        added = 0
        for digest in record.digests:
            added += digest.added
            told = digest.revision, digest.records
            newest, records = self._revisions.get(digest.window, (-1, 0))
            self._audit.windows += newest < 0
            if record.is_checkpoint and not digest.added:  # it was told before
                if self._before is not None and told != (max(newest, 0), records):
                    self.problem(seq, f"window {digest.window}: told again, it is another")
                self._revisions[digest.window] = told
                continue
            self._audit.revisions += digest.revision > 0
            if digest.revision <= newest or digest.records != records + digest.added:
                self.problem(seq, f"window {digest.window}: revision {digest.revision} of "
                             f"{digest.records} records follows {newest} of {records}")  # fmt: skip
            if not digest.groups:
                self._audit.without_statistics += digest.records > 0
            elif why := wrong_sums(digest):
                self.problem(seq, f"window {digest.window}: {why}")
            self._revisions[digest.window] = told
        for window in [w for w in self._revisions if w < record.sealed_before]:
            del self._revisions[window]
        return added

    def _senders(self, seq: int, record: LedgerRecord) -> int:
        """Check that each sender's range follows its last one; returns the records they add."""
        added = 0
        for s in record.standings:
            life = (s.agent_id, s.incarnation)
            before = self._standings.get(life)
            who = f"agent {s.agent_id:x} of {s.incarnation}"
            if before is not None:
                added += s.records - before.records
                if s.first != before.upto + 1:
                    self.problem(seq, f"{who}: frames from {s.first} follow those to {before.upto}")
                if s.committed < before.committed or s.upto < before.upto:
                    self.problem(seq, f"{who}: it went back to {s.upto}")
            else:
                self._audit.senders += 1
                added += s.records
            if s.committed > s.upto + 1 or s.pending < 0:
                self.problem(seq, f"{who}: committed to {s.committed} of {s.upto}")
            self._audit.frames += s.upto - s.first + 1
            self._standings[life] = s
        for agent_id, incarnation in record.forgotten:
            self._standings.pop((agent_id, incarnation), None)
        return added


def wrong_sums(digest: Digest) -> str | None:
    """What does not add up within a window's statistics; None where all does."""
    records = int(digest.words[:, GROUP_RECORDS].sum())
    if records != digest.records:
        return f"its groups have {records} records, and it has {digest.records}"
    held = np.bincount(digest.cells, digest.counts, len(digest.groups) * COLUMNS)
    counts = digest.moments[:, COUNT : COUNT + COLUMNS].copy()
    counts[:, VALUES:] = 0  # of what samples weigh there is no histogram
    counts = counts.ravel()
    for cell in np.flatnonzero(~np.isclose(held, counts, rtol=1e-9)).tolist():
        group = digest.groups[cell // COLUMNS]
        return f"a histogram of group {group} holds {held[cell]:g} values of {counts[cell]:g}"
    return None if math.isfinite(float(held.sum())) else "its histograms are not finite"


def audit_ledger(path: Path) -> list[DeepAudit]:
    """Read all logs of a ledger and check them. Raises LedgerError where it cannot be read."""
    with Ledger(path, is_reader=True) as ledger:
        return audit_opened(ledger)


def audit_opened(ledger: Ledger) -> list[DeepAudit]:
    """The same of a ledger that is open."""
    damage = ledger.damage()
    audits = [_audit_log(ledger, name) for name in ledger.logs()]
    if damage:
        audits.insert(0, DeepAudit("file", problems=damage[:_PROBLEMS_MAX]))
    return audits


def _audit_log(ledger: Ledger, name: str) -> DeepAudit:
    audit = DeepAudit(name)
    checker = _Checker(audit)
    newest, digest = ledger.anchor(name)
    for stored in ledger.read(name):
        audit.first = audit.first or stored.seq
        if stored.seq != newest + 1:
            checker.problem(stored.seq, f"it follows number {newest}")
        if chained(digest, stored.body) != stored.digest:
            checker.problem(stored.seq, "it, or one before it, was changed after it was written")
        newest, digest = stored.seq, stored.digest
        try:
            checker.take(stored.seq, unpack_record(stored.body))
        except ValueError as error:
            checker.problem(stored.seq, str(error))
    return audit
