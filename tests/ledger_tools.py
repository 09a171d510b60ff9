"""Aggregators without sockets that share a ledger: agents deliver, windows close, anyone dies."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from naive_windows import Item, to_records

from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS
from rnts.commits import Commits
from rnts.delivery import Message, Type
from rnts.digest import Digest
from rnts.intake import Intake
from rnts.keeper import LOG, Keeper
from rnts.ledger import Ledger
from rnts.ledger_record import unpack_record
from rnts.ledger_resume import State
from rnts.ledger_writer import Appender, LedgerWriter
from rnts.model import Kind
from rnts.panes import LATENCY_COLUMN
from rnts.receiver import Receiver, Verdict
from rnts.windows import Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
HELLO = Message(Type.HELLO, 1, START, 1)
NUMBER = START // SECOND  # of the window that begins at START


@dataclass
class Agent:
    """One life of an agent that keeps all of its frames, and one program of its."""

    agent_id: int
    incarnation: int = START
    frames: list[tuple[list[Item], int]] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    next: int = 1  # the number of the frame that it delivers next
    committed: int = 1
    delivered: int = 0

    def cut(self, items: list[Item], watermark_ns: int) -> None:
        """Make a frame with the row that accounts for it."""
        self.frames.append((items, watermark_ns))
        count = sum(item.kind is not Kind.NAME for item in items)
        self.delivered += count
        self.rows.append(self.row(count))

    def row(self, in_frame: int, flags: int = 0) -> np.ndarray:
        """The row of its program as it stands."""
        row = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
        key = self.agent_id * 100 + (self.incarnation - START) // SECOND
        row[0, COLUMN["key"]], row[0, COLUMN["flags"]] = key, flags
        row[0, COLUMN["in_frame"]] = in_frame
        row[0, COLUMN["attempts"]] = row[0, COLUMN["delivered"]] = self.delivered
        return row

    @property
    def watermark_ns(self) -> int:
        """Before it there is nothing in what it has not delivered."""
        return self.frames[self.next - 2][1] if self.next > 1 else 0


class Aggregate:
    """One aggregator's state with its keeper; dies without a word when it is let go of."""

    def __init__(
        self,
        path: Path | None,
        agents: list[Agent],
        unsealed: int = 2,
        make_writer: type[Appender] = LedgerWriter,
        **others: Any,
    ) -> None:
        self.agents = {agent.agent_id: agent for agent in agents}
        windows = Windows(SECOND, (50, 99), 200, unsealed=unsealed, **others)
        self.state, self.receiver = State(windows), Receiver(random.getrandbits(60))
        self.keeper = None
        if path is not None:
            owner = self.receiver.receiver_id
            self.keeper = Keeper(path, 1 << 30, owner, make_writer=make_writer)
        if self.keeper is not None:
            self.keeper.begin(self.state)
        self.intake = Intake(self.state)
        self.commits = Commits(self.state, self.receiver, self.keeper, self._send)
        self.now_ns = START
        for agent in agents:
            self.meet(agent)

    def _send(self, peer: int, message: Message) -> None:
        agent = self.agents[peer]
        agent.committed = max(agent.committed, message.first)

    def meet(self, agent: Agent) -> None:
        """HELLO: the agent delivers everything again."""
        self.agents[agent.agent_id] = agent
        message = Message(Type.HELLO, agent.agent_id, agent.incarnation, 1)
        self.receiver.on_hello(message, agent.agent_id, 0)
        base = agent.row(0, SOURCE_BASELINE)
        base[0, COLUMN["attempts"]] = base[0, COLUMN["delivered"]] = 0
        life = (agent.agent_id, agent.incarnation)
        self.intake.begin(life, HELLO, SimpleNamespace(sources=base), self.now_ns)  # type: ignore[arg-type]
        agent.next = 1

    def deliver(self, agent: Agent) -> bool:
        """Let an agent deliver its next frame; whether it had one."""
        if agent.next > len(agent.frames):
            return False
        items, _ = agent.frames[agent.next - 1]
        message = Message(Type.ENTRY, agent.agent_id, agent.incarnation, agent.next, agent.next)
        verdict, _ = self.receiver.on_entry(message, agent.agent_id, 0)
        assert verdict is Verdict.FOLD
        self.now_ns = max(self.now_ns, *(item.time_ns for item in items), START)
        frame: Any = SimpleNamespace(sources=agent.rows[agent.next - 1], records=to_records(items))
        life = (agent.agent_id, agent.incarnation)
        window = self.intake.fold(life, agent.next, frame, self.now_ns)
        self.receiver.folded(message, window)
        agent.next += 1
        return True

    def close(self, watermark_ns: int | None = None, is_written: bool = True) -> None:
        """Close what all agents have passed; wait until it is written, unless it is not to be."""
        if watermark_ns is None:
            watermark_ns = min(agent.watermark_ns for agent in self.agents.values())
        boundary = self.state.windows.advance(watermark_ns, complete=True)
        self.commits.close(boundary, lambda: {"heard": 1, "expected": 1})
        if is_written and self.keeper is not None:
            self.keeper.settle(10)
        self.commits.take_written()

    def die(self) -> None:
        """Let go of the file; nothing is written any more."""
        if self.keeper is not None:
            self.keeper.close()

    def account(self) -> dict[str, Any]:
        """The books, which balance at every moment."""
        account = self.state.account()
        assert account["balanced"], account
        return account


def digests_of(path: Path) -> dict[int, Digest]:
    """The newest digest of each window in a ledger."""
    newest: dict[int, Digest] = {}
    with Ledger(path, is_reader=True) as ledger:
        for stored in ledger.read(LOG):
            newest |= {digest.window: digest for digest in unpack_record(stored.body).digests}
    return newest


def described(digest: Digest) -> Any:
    """All that a window says by group but how long records took, which is another each time."""
    width = digest.moments.shape[1] // 4
    told = {}
    for index, name in enumerate(digest.groups):
        if not digest.words[index].any():
            continue
        mine = (digest.cells // width == index) & (digest.cells % width != LATENCY_COLUMN)
        moments = digest.moments[index].reshape(4, width).copy()
        moments[:, LATENCY_COLUMN] = 0
        cells = (digest.cells[mine] % width, digest.indices[mine], digest.counts[mine])
        told[name] = (
            digest.words[index].tolist(),
            moments.tolist(),
            [array.tolist() for array in cells],
        )
    return digest.records, digest.active, told
