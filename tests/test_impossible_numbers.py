"""Well-formed messages with numbers that no agent has: counted, shown, and the end of nothing."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_tools import sample, to_slots

from rnts.accounting import COLUMN, COUNT_MAX, SOURCE_COLUMNS, SOURCE_LOST
from rnts.accounts import Accounts
from rnts.aggregator import Aggregator
from rnts.books import restore, take_changes
from rnts.delivery import NUMBER_MAX, Message, Type, parse_message
from rnts.frame import FrameEncoder
from rnts.keeper import Keeper
from rnts.kernels import reports
from rnts.warmup import load_kernels
from rnts.windows import Windows

SECOND = 1_000_000_000
START_NS = 1_790_000_000 * SECOND
AGENT, LIFE, KEY = 7, 5, 42
# Around all that a number may be taken for: a count, a time, a word with and without a sign.
EDGES = (
    0,
    1,
    64,
    COUNT_MAX - 1,
    COUNT_MAX,
    NUMBER_MAX - 1,
    NUMBER_MAX,
    2**63 - 1,
    2**63,
    2**64 - 1,
)


@dataclass
class PlainLink:
    """A link whose messages a test puts in."""

    endpoint: str = ""
    inbox: list[tuple[Any, list[bytes]]] = field(default_factory=list)
    sent: list[list[bytes]] = field(default_factory=list)

    def receive(self, timeout_ms: int) -> list[tuple[Any, list[bytes]]]:
        """What has come."""
        came, self.inbox = self.inbox, []
        return came

    def may_speak(self, peer: Any, agent_id: int | None) -> bool:
        """Everybody may."""
        return True

    def send(self, peer: Any, parts: list[bytes]) -> None:
        """Keep an answer."""
        self.sent.append(parts)

    def counters(self) -> dict[str, int]:
        """Nothing happens to connections."""
        return {}

    def close(self) -> None:
        """There is nothing to let go of."""


def made(keeper: Keeper | None = None) -> tuple[Aggregator, PlainLink]:
    """An aggregator with its link."""
    load_kernels()
    link = PlainLink()
    return Aggregator("", Windows(SECOND, (50,), 100), SECOND, link, keeper), link


def frame(
    rows: np.ndarray, agent: int = AGENT, life: int = LIFE, watermark_ns: int = 0, meta: bytes = b""
) -> bytes:
    """A keyframe with one sample."""
    records = to_slots([sample(9, START_NS, queue_depth=1)])
    encoder = FrameEncoder(agent, life)
    return encoder.encode(records, sequence=1, watermark_ns=watermark_ns, sources=rows, meta=meta)


def table(**columns: int) -> np.ndarray:
    """A table of one source."""
    rows = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
    for name, value in {"key": KEY, **columns}.items():
        rows[0, COLUMN[name]] = value
    return rows


@pytest.mark.parametrize("name", ["incarnation", "first", "last", "committed"])
def test_a_number_that_no_agent_has_makes_no_message(name: str) -> None:
    """What is added to numbers of agents must fit into a message; viewers choose any of theirs."""
    numbers = {"incarnation": 1, "first": 1, "last": 1, name: NUMBER_MAX}
    for kind in (Type.HELLO, Type.ENTRY, Type.BYE):
        assert parse_message(Message(kind, AGENT, **numbers).pack()) is None
        largest = Message(kind, AGENT, **{**numbers, name: NUMBER_MAX - 1})
        assert parse_message(largest.pack()) == largest
    assert parse_message(Message(Type.HEARD, AGENT, **numbers).pack()) is not None


def test_the_most_that_can_be_counted_is_one_number() -> None:
    """Agents tell no more than the aggregator believes."""
    assert COUNT_MAX == reports.COUNT_MAX


@pytest.mark.parametrize("name", SOURCE_COLUMNS[COLUMN["in_frame"] :])
@pytest.mark.parametrize("value", [-1, COUNT_MAX, 2**63 - 1])
def test_a_row_that_counts_what_nobody_can_enters_no_sum(name: str, value: int) -> None:
    """It is shown, the other rows of its frame count, and the books stay readable."""
    accounts = Accounts()
    other = table(key=KEY + 1, attempts=3, delivered=3, in_frame=3)
    accounts.enter((AGENT, LIFE), np.concatenate((table(**{name: value}), other)))
    document = accounts.document(3, 0, 0)
    assert not document["balanced"]
    assert (document["emitted"], document["aggregated"]) == (3, 3)
    assert set(accounts.living) == {KEY + 1}


def test_claims_that_add_up_beyond_a_word_are_kept_at_the_most() -> None:
    """However long an agent claims the most that one row can, its books can be written and read."""
    accounts = Accounts()
    most = table(in_frame=COUNT_MAX - 1, flags=SOURCE_LOST)
    for _ in range(300):
        accounts.enter((AGENT, LIFE), most)
    changes = take_changes(accounts, everything=True)
    again = Accounts()
    restore(again, [changes])
    assert not again.document(0, 0, 0)["balanced"]
    assert again.living[KEY].position == 2**63 - 1


def test_a_time_beyond_all_clocks_is_no_offset() -> None:
    """What an agent says of itself may hold any number; the snapshot is told all the same."""
    aggregator, link = made()
    meta = json.dumps({"sent_ns": 10**400, "backlog_frames": 0}).encode()
    hello = Message(Type.HELLO, AGENT, LIFE, 1).pack()
    link.inbox.append((1, [hello, frame(table(), meta=meta)]))
    aggregator.step(0)
    (agent,) = aggregator.snapshot()["agents"]
    assert agent["clock_offset_ns"] is None and agent["backlog_frames"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_no_numbers_end_an_aggregator(seed: int, tmp_path: Path) -> None:
    """Edges in every place of messages, tables and watermarks: it answers, and keeps its ledger."""
    chance = random.Random(seed)
    keeper = Keeper(tmp_path / "ledger", 1 << 20, 1)
    aggregator, link = made(keeper)

    def mostly(number: int) -> int:
        return number if chance.random() < 0.9 else chance.choice(EDGES)

    try:
        for _ in range(200):
            agent, life = chance.randrange(8), mostly(LIFE)
            columns = {name: mostly(1) % 2**63 for name in SOURCE_COLUMNS}
            payload = frame(table(**columns), agent, life, mostly(START_NS) % 2**63)
            session = aggregator.receiver.sessions.get(agent)
            first = mostly(session.expected if session else 1) % 2**64
            kind = chance.choice([Type.HELLO, Type.ENTRY, Type.ENTRY, Type.BYE])
            message = Message(kind, agent, life, first, mostly(first), mostly(0))
            link.inbox.append((1, [message.pack(), payload]))
            aggregator.step(0)
        aggregator.commits.finish(aggregator._coverage)
        assert keeper.document(aggregator.state)["condition"] is None
        assert json.dumps(aggregator.snapshot()) and link.sent
        assert aggregator.refused["message"] and aggregator.hearing.frames
    finally:
        keeper.close()
