"""The aggregator's books as a ledger keeps them: what has changed since the last record, or all."""

from collections.abc import Iterable

import numpy as np

from rnts.accounting import DROPS, SOURCE_COLUMNS
from rnts.accounts import Accounts
from rnts.ledger_record import BookChanges
from rnts.source_account import Source

_MOST = (1 << 63) - 1
_GAPS = (None, "aggregator_died", "bad_frame", "agent_died", "backlog_full")
_OWN = ("key", "agent", "incarnation", "gap", "position", "committed", "received", "unexplained")
_BASES = tuple(f"base {name}" for name in SOURCE_COLUMNS)
_NOWS = tuple(f"now {name}" for name in SOURCE_COLUMNS)
_LOSSES = tuple(f"lost {name}" for name in DROPS)
_COLUMNS = (*_OWN, *_BASES, *_NOWS, *_LOSSES)


def take_changes(accounts: Accounts, everything: bool) -> BookChanges:
    """What has changed since the last call, or all there is; a copy that nobody changes."""
    keys = list(accounts.living) if everything else sorted(accounts.changed)
    living = [(key, accounts.living[key]) for key in keys if key in accounts.living]
    rows = np.zeros((len(living), len(_COLUMNS)), np.int64)
    for row, (key, source) in zip(rows, living, strict=True):
        words = [
            *_own_words(key, source),
            *source.base.tolist(),
            *source.now.tolist(),
            *(source.lost.get(reason, 0) for reason in DROPS),
        ]
        try:
            row[:] = words
        except OverflowError:  # its agent has claimed the most for long; it is unbalanced anyway
            row[:] = [max(-_MOST, min(word, _MOST)) for word in words]
    ended = list(accounts.retired) if everything else list(accounts.ended)
    accounts.changed.clear()
    accounts.ended.clear()
    about = {
        "columns": _COLUMNS,
        "sums": dict(accounts.sums),
        "dropped": dict(accounts.dropped),
        "first_lives": list(accounts.first_lives.items()),
        "damaged": sorted(accounts.damaged),
    }
    return BookChanges(rows, ended, about)


def restore(accounts: Accounts, changes: Iterable[BookChanges]) -> None:
    """Bring empty books to where these changes, from a checkpoint on, lead.

    Columns go by their names: what this version does not know is left out, what an older one did
    not have is 0. Raises ValueError for rows that are no books.
    """
    for rows, ended, about in changes:
        columns = {name: index for index, name in enumerate(about["columns"])}
        if not set(_OWN) <= set(columns) or rows.shape[1:] != (len(columns),):
            raise ValueError("these are no books")
        place = [columns.get(name, -1) for name in _COLUMNS]
        padded = np.column_stack((rows, np.zeros(len(rows), np.int64)))
        for words in padded[:, place]:
            accounts.living[int(words[0])] = _source(words)
        for key in ended:
            accounts.living.pop(key, None)
            accounts.remember_retired(key)
        accounts.sums.update(about["sums"])
        accounts.dropped.update(about["dropped"])
        accounts.first_lives.update(about["first_lives"])
        accounts.damaged = {(agent, life) for agent, life in about["damaged"]}


def _own_words(key: int, source: Source) -> list[int]:
    agent_id, incarnation = source.agent
    return [
        key,
        agent_id - (agent_id >> 63 << 64),  # as a signed word
        incarnation,
        _GAPS.index(source.gap_reason),
        source.position,
        source.committed,
        source.received,
        source.unexplained,
    ]


def _source(words: np.ndarray) -> Source:
    """One source out of its row."""
    _, agent_id, incarnation, gap, position, committed, received, unexplained = words[
        : len(_OWN)
    ].tolist()
    start, width = len(_OWN), len(SOURCE_COLUMNS)
    lost = words[start + 2 * width :].tolist()
    return Source(
        agent=(agent_id % 2**64, incarnation),
        base=words[start : start + width].copy(),
        now=words[start + width : start + 2 * width].copy(),
        position=position,
        gap_reason=_GAPS[gap],
        committed=committed,
        received=received,
        lost={reason: n for reason, n in zip(DROPS, lost, strict=True) if n},
        unexplained=unexplained,
    )
