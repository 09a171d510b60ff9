"""The agent of the simulation: real senders, lives and spools over a disk in memory."""

from collections import Counter
from random import Random

import numpy as np
from simulation_aggregator import TICK_NS
from simulation_disk import MemoryFiles
from simulation_frames import PlayedEncoder, RealEncoder, Row

from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS
from rnts.handover import Baselines, lost_rows
from rnts.lives import Former, Lives
from rnts.sender import Limits, Sender
from rnts.spool import Spool
from rnts.spool_life import read_life
from rnts.spool_parts import Budget, SpoolLimits, State

MEMORY, DISK = (1_500, 5_000, 12_000), (3_000, 8_000, 50_000)  # bytes, by each agent's seed
GROUP_FRAMES_MAX = 6
_NO_ROWS = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)
_COUNTED = [COLUMN["attempts"], COLUMN["delivered"]]


def row_of(key: int, taken: int, in_frame: int, flags: int = 0) -> Row:
    """The row of a source of which so many records were taken, and none dropped."""
    row = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
    row[0, COLUMN["key"]], row[0, COLUMN["flags"]] = key, flags
    row[0, COLUMN["in_frame"]] = in_frame
    row[0, _COUNTED] = taken
    return row


class SimAgent:
    """A machine with one source: what it took outlives the agent, as the note in a lane does."""

    def __init__(
        self, agent_id: int, random: Random, skew: int, endpoints: int, now_ns: int, is_real: bool
    ) -> None:
        self.agent_id, self.random, self.skew_ns = agent_id, random, skew * TICK_NS
        self.times: list[int] = []  # of each record, by the clock of this machine
        self.taken = self.incarnation = self.endpoint = 0
        self.endpoints = endpoints
        self.make_encoder = RealEncoder if is_real else PlayedEncoder
        self.limits = Limits(random.choice(MEMORY), timeout_ns=8 * TICK_NS, retry_count=2)
        self.spool_limits = SpoolLimits(random.choice(DISK), segment_bytes=1_400)
        self.disk: dict[int, MemoryFiles] = {}
        self.refusal = 0  # of the disk
        self.spooled: Counter[str] = Counter()
        self.now_ns = now_ns
        self.start()

    def start(self) -> None:
        """The next life: what former ones have left is found first."""
        self.incarnation = max(self.now_ns, self.incarnation + 1)
        self.batch = self.taken
        self.baselines = Baselines()
        self.baselines.add(row_of(self.agent_id, self.taken, 0, SOURCE_BASELINE)[0])
        self.budget = Budget()
        former = []
        for life, files in sorted(self.disk.items()):
            found = self._former(life, files)
            if found:
                former.append(found)
        files = self.disk[self.incarnation] = MemoryFiles()
        files.refusal = self.refusal
        encoder = self.encoder = self.make_encoder(self.agent_id, self.incarnation)
        spool = Spool(files, self.spool_limits, self._state, self.budget, self._clock_s)  # type: ignore[arg-type]
        self.sender = Sender(
            self.agent_id, self.incarnation, self.limits,
            lambda: encoder.encode(0, [], 0, 0, 0, self.baselines.frame_table()),
            lambda counts: encoder.encode(0, [], 0, 0, 0, lost_rows(counts)),
            jitter=self.random.random, spool=spool,
        )  # fmt: skip
        self.spool = spool
        self.lives = Lives(self.sender, former)
        self.frames_in_group = self.newest = self.committed = 0
        self.lives.begin()

    def _clock_s(self) -> float:
        return self.now_ns / 1e9

    def _former(self, life: int, files: MemoryFiles) -> Former | None:
        """What it takes to deliver what a former life left; None where nothing can be read."""
        files.refusal = self.refusal
        found = read_life(files)  # type: ignore[arg-type]
        if found is None or not found.segments:
            del self.disk[life]
            return None
        self.spooled["lives"] += 1
        self.spooled["holes"] += found.holes
        self.spooled["unknown"] += found.unknown
        baselines, encoder = Baselines(), self.make_encoder(self.agent_id, life)
        for row in np.frombuffer(found.state.rows, np.int64).reshape(-1, len(SOURCE_COLUMNS)):
            baselines.add(row.copy())

        def describe() -> State:
            counts = sender.retained.committed_counts
            while counts:
                baselines.credit(counts.popleft())
            return State(self.agent_id, life, sender.committed, baselines.table().tobytes())

        def make_hello() -> bytes:
            describe()
            return encoder.encode(0, [], 0, 0, 0, baselines.frame_table())

        spool = Spool(files, self.spool_limits, describe, self.budget, self._clock_s)  # type: ignore[arg-type]
        spool.adopt(found.segments)
        sender = Sender(
            self.agent_id, life, self.limits, make_hello,
            lambda counts: encoder.encode(0, [], 0, 0, 0, lost_rows(counts)),
            jitter=self.random.random, spool=spool, entries=found.entries,
        )  # fmt: skip
        sender.retained.committed = found.state.committed
        return Former(sender, spool, found.state.committed)

    def _take_commits(self) -> bool:
        counts = self.sender.retained.committed_counts
        while counts:
            self.baselines.credit(counts.popleft())
        before, self.committed = self.committed, self.sender.committed
        return before != self.committed

    def _state(self) -> State:
        self._take_commits()
        rows = self.baselines.table().tobytes()
        return State(self.agent_id, self.incarnation, self.sender.committed, rows)

    def record(self, count: int) -> None:
        """The programs of this machine report."""
        self.times += [self.now_ns + self.skew_ns] * count

    def cut(self) -> None:
        """Drain, and make a frame of what came."""
        self.taken = len(self.times)
        number, retained = self.sender.next_number, self.sender.retained
        is_keyframe = retained.wants_keyframe or self.frames_in_group >= GROUP_FRAMES_MAX
        base = number if is_keyframe else retained.base
        self.frames_in_group = 1 if is_keyframe else self.frames_in_group + 1
        took, start = self.taken - self.batch, self.batch
        times, watermark_ns = self.times[start:], self.now_ns + self.skew_ns
        if took:
            table, pad = row_of(self.agent_id, self.taken, took), self.random.randrange(20, 90)
            counts, self.newest = {self.agent_id: took}, number
        else:
            table, pad, counts = _NO_ROWS, 0, {}
        self.batch = self.taken
        frame = self.encoder.encode(start, times, watermark_ns, base, number, table, pad)
        self.sender.offer(frame, counts, is_keyframe)

    def restart(self) -> None:
        """End, and leave to the next life all that is not committed."""
        self.sender.retained.spill_all(self.sender.received)
        self.start()

    def crash(self, torn: bool) -> None:
        """Lose what is in memory, and perhaps a part of what was written last."""
        for files in self.disk.values():
            if torn and files.content:
                name = self.random.choice(sorted(files.content))
                file = files.content[name]
                if self.random.random() < 0.5:
                    del file[len(file) - self.random.randrange(len(file) + 1) :]
                elif file:
                    file[self.random.randrange(len(file))] ^= 1 << self.random.randrange(8)
        self.start()

    def set_refusal(self, refusal: int) -> None:
        """Let the disk refuse, or take again."""
        self.refusal = refusal
        for files in self.disk.values():
            files.refusal = refusal

    def step(self) -> list[list[bytes]]:
        """What the agent sends now."""
        if self._take_commits():
            self.spool.mark()
        if self.lives.is_suspect:
            self.endpoint = (self.endpoint + 1) % self.endpoints
            self.lives.begin()
        return self.lives.step(self.now_ns)

    @property
    def is_done(self) -> bool:
        """Whether all that was taken is in closed windows, or told as lost."""
        is_heard = self.lives.speaker is self.sender and self.sender.committed > self.newest
        return is_heard and self.taken == len(self.times) and not self.lives.former
