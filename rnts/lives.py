"""The lives of one agent that have something to deliver: former ones from spools, then its own.

An agent that dies leaves a spool. Its next life delivers that first, as the life it was: so the
aggregator's books see each source go on where it stood, and what is missing when this life begins
to speak is just what was lost with the former one.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.delivery import Message, Type
from rnts.frame import FrameEncoder
from rnts.handover import Baselines, lost_rows
from rnts.sender import Limits, Sender
from rnts.spool import Spool
from rnts.spool_files import Files
from rnts.spool_life import Life
from rnts.spool_parts import Budget, SpoolLimits, State

_ASK_TIMEOUTS = 10  # how often it is asked whether what a former life sent is committed

log = logging.getLogger("rnts.agent")


@dataclass
class Former:
    """A life that is over: who delivers what it left, and the spool that has it."""

    sender: Sender
    spool: Spool
    marked: int = 1  # as committed, in the spool

    def end_if_committed(self) -> bool:
        """Remove the spool when all of it lies in closed windows; whether that is so."""
        if self.sender.committed < self.sender.next_number:
            return False
        self.spool.release(self.sender.next_number)
        self.spool.end()
        return True


def former_life(
    life: Life,
    files: Files,
    limits: Limits,
    spool_limits: SpoolLimits,
    budget: Budget,
    jitter: Callable[[], float],
) -> Former:
    """What it takes to deliver what a life has left."""
    agent_id, incarnation, committed, rows = life.state
    baselines = Baselines()
    for row in np.frombuffer(rows, np.int64).reshape(-1, len(SOURCE_COLUMNS)):
        baselines.add(row.copy())
    encoder = FrameEncoder(agent_id, incarnation, "none")

    def encode(table: NDArray[np.int64]) -> bytes:
        nothing = np.zeros((0, 16), np.int64)
        return encoder.encode(nothing, sequence=0, watermark_ns=0, sources=table, meta=b"")

    def describe() -> State:
        counts = sender.retained.committed_counts
        while counts:
            baselines.credit(counts.popleft())
        return State(agent_id, incarnation, sender.committed, baselines.table().tobytes())

    def make_hello() -> bytes:
        describe()
        return encode(baselines.frame_table())

    spool = Spool(files, spool_limits, describe, budget)
    spool.adopt(life.segments)
    sender = Sender(
        agent_id, incarnation, limits, make_hello, lambda counts: encode(lost_rows(counts)),
        jitter=jitter, spool=spool, entries=life.entries,
    )  # fmt: skip
    sender.retained.committed = committed
    return Former(sender, spool, committed)


class Lives:
    """One life speaks at a time: with each new session the oldest begins."""

    def __init__(self, own: Sender, former: list[Former]) -> None:
        self.own, self.former = own, former
        own.retained.give_up_older = self._give_up_older
        self._index = 0  # of the life that speaks; the own one is behind the former ones
        self._ask_due_ns = 0

    def _give_up_older(self) -> bool:
        """Let the oldest life go of its oldest group; the disk is for all lives together."""
        return any(f.sender.retained.give_up_oldest(f.sender.received) for f in self.former)

    @property
    def speaker(self) -> Sender:
        """The life that speaks."""
        return self.former[self._index].sender if self._index < len(self.former) else self.own

    @property
    def is_ready(self) -> bool:
        """Whether an aggregator answers."""
        return self.speaker.is_ready

    @property
    def is_suspect(self) -> bool:
        """Whether this endpoint was silent for all its tries."""
        return self.speaker.is_suspect

    @property
    def is_drained(self) -> bool:
        """Whether all that any life has left is folded."""
        return self.speaker is self.own and self.own.is_drained

    def begin(self) -> None:
        """There is no connection any more: the oldest life says HELLO first."""
        self._index = 0
        self.speaker.lose_connection()

    def step(self, now_ns: int) -> list[list[bytes]]:
        """What is due to be sent."""
        messages = []
        # What one aggregator has folded the next one may not know of.
        while self.speaker is not self.own and self.speaker.is_met and self.speaker.is_drained:
            messages.append(self.speaker.bye())
            self._index += 1
            self.speaker.lose_connection()
        was_ready = self.is_ready
        spoken = self.speaker.step(now_ns)
        is_lost = was_ready or self.speaker.is_repeating  # or the aggregator may be another now
        if is_lost and not self.is_ready and self._index:
            self.begin()
            spoken = self.speaker.step(now_ns)
        return [*messages, *spoken, *self._ask(now_ns)]

    def _ask(self, now_ns: int) -> list[list[bytes]]:
        """HELLOs of lives of which all is folded: the answer tells how much is committed."""
        if not self._index or not self.is_ready or now_ns < self._ask_due_ns:
            return []
        self._ask_due_ns = now_ns + _ASK_TIMEOUTS * self.own.limits.timeout_ns
        asking = [former.sender for former in self.former[: self._index]]
        return [parts for sender in asking for parts in (sender.hello(), sender.bye())]

    def unsend(self, message: Message) -> None:
        """The driver could not send this message of a life, nor any after it."""
        for sender in self._senders():
            if sender.incarnation == message.incarnation and message.type is not Type.BYE:
                sender.unsend(message.first)

    def on_message(self, message: Message, now_ns: int) -> bool:
        """Take in an answer; True if this life's own session began with a receiver new to it."""
        was_ready, is_new = self.is_ready, False
        for sender in self._senders():
            if sender.incarnation == message.incarnation:
                if sender is not self.own:
                    sender.on_message(message, now_ns)
                elif message.type is not Type.OVER:  # else another agent goes by this one's id
                    is_new = sender.on_message(message, now_ns)
        if was_ready and not self.is_ready:
            self.begin()
        self._end_former()
        return is_new

    def _senders(self) -> list[Sender]:
        return [*(former.sender for former in self.former), self.own]

    def _end_former(self) -> None:
        """Let go of lives of which all is committed."""
        for index, former in reversed(list(enumerate(self.former))):
            if former.end_if_committed():
                log.info("what a former life of the agent left is delivered")
                is_speaking = index == self._index
                del self.former[index]
                self._index -= index < self._index
                if is_speaking:
                    self.speaker.lose_connection()
            elif former.sender.committed > former.marked:
                former.marked = former.sender.committed
                former.spool.mark()
