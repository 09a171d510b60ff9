"""How an aggregator goes on from a ledger: from the newest checkpoint, record by record."""

import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from rnts.accounts import Accounts
from rnts.books import restore
from rnts.errors import LedgerError
from rnts.kernels.neurons import UNSEALED_MAX
from rnts.ledger import Ledger, Stored, chained
from rnts.ledger_record import LedgerRecord, unpack_record
from rnts.positions import Positions
from rnts.windows import Windows

_AHEAD_NS_MAX = 60_000_000_000  # a newest window further ahead was closed by a wrong clock

log = logging.getLogger("rnts.ledger")


@dataclass
class State:
    """What of an aggregator outlives it; `counts` are records by what became of them."""

    windows: Windows
    accounts: Accounts = field(default_factory=Accounts)
    positions: Positions = field(default_factory=Positions)
    counts: Counter[str] = field(default_factory=Counter)
    is_resumed: bool = False  # whether there was an aggregator before this one

    def account(self) -> dict[str, Any]:
        """What became of every record that agents told of."""
        counts = self.counts
        return self.accounts.document(
            counts["aggregated"], counts["late"], counts["future"], counts["died"],
            self.positions.pending,
        )  # fmt: skip


def read_records(ledger: Ledger, log_name: str) -> tuple[list[LedgerRecord], tuple[int, bytes]]:
    """The records from the newest checkpoint on; number and digest of the last.

    Only the last of them have digests of windows: of all that may still be revised. Raises
    LedgerError where one of them is damaged.
    """
    records: list[LedgerRecord] = []
    newest: deque[Stored] = deque(maxlen=UNSEALED_MAX + 1)  # all that closed what is not sealed
    head = ledger.anchor(log_name)
    for stored in ledger.read(log_name, max(1, ledger.newest_start(log_name))):
        if records and chained(head[1], stored.body) != stored.digest:
            raise LedgerError("corrupt", ledger.path, f"record {stored.seq} was changed")
        records.append(_unpacked(stored, ledger))
        head = stored.seq, stored.digest
        newest.append(stored)
    for place, stored in zip(range(-len(newest), 0), newest, strict=True):
        records[place] = _unpacked(stored, ledger, with_digests=True)
    return records, head


def _unpacked(stored: Stored, ledger: Ledger, with_digests: bool = False) -> LedgerRecord:
    try:
        return unpack_record(stored.body, with_digests)
    except ValueError as error:
        raise LedgerError("corrupt", ledger.path, f"record {stored.seq}: {error}") from error


def _renumbered(window: int, before_ns: int, now_ns: int) -> int:
    """The first window of the length of now that does not begin before one of another length."""
    return -(-window * before_ns // now_ns)


def resume(state: State, records: list[LedgerRecord], now_ns: int) -> None:
    """Bring a new state to where these records lead. Raises LedgerError where they cannot."""
    newest, windows = records[-1], state.windows
    # Another length of windows may be set by now: what is closed stays closed.
    boundary = _renumbered(newest.end, newest.window_ns, windows.window_ns)
    if boundary * windows.window_ns > now_ns + _AHEAD_NS_MAX:
        log.warning("the ledger's newest window lies in the future: windows begin anew")
        boundary = 0
    try:
        restore(state.accounts, [record.books for record in records])
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError("corrupt", "", f"its books: {error}") from error
    for record in records:
        standings = [
            s._replace(
                counted=[
                    (last, _renumbered(window, record.window_ns, windows.window_ns))
                    for last, window in s.counted
                ]
            )
            for s in record.standings
        ]
        state.positions.restore(standings, boundary)
        for agent_id, incarnation in record.forgotten:
            state.positions.of.pop((agent_id, incarnation), None)
    is_same = boundary == newest.end and newest.window_ns == windows.window_ns
    sealed_before = newest.sealed_before if is_same else boundary
    digests = {digest.window: digest for record in records for digest in record.digests}
    windows.resume(boundary, sealed_before)
    windows.digests.resume(range(windows.sealed_before, boundary), digests.values())
    counts = Counter(newest.counts)
    windows.digests.unlisted = counts.pop("unlisted", 0)
    state.counts.clear()
    state.counts.update(counts)
    state.is_resumed = True
