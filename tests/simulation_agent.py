"""The agent of the simulation: real senders, lives and spools over a disk in memory."""

import struct
from collections import Counter
from random import Random

from simulation_parts import MemoryFiles, pack_frame

from rnts.lives import Former, Lives
from rnts.sender import Limits, Sender
from rnts.spool import Spool
from rnts.spool_life import read_life
from rnts.spool_parts import Budget, SpoolLimits, State

MEMORY, DISK = (700, 2_000, 5_000), (1_500, 4_000, 20_000)  # bytes, chosen by each agent's seed
GROUP_FRAMES_MAX = 6
_ROWS = struct.Struct("<QQ")


class SimAgent:
    """A machine with one source: what it took outlives the agent, as the note in a lane does."""

    def __init__(self, agent_id: int, random: Random, skew: int, endpoints: int) -> None:
        self.agent_id, self.random, self.skew = agent_id, random, skew
        self.times: list[int] = []  # of each record, by the clock of this machine
        self.taken = self.life = self.endpoint = 0
        self.endpoints = endpoints
        self.limits = Limits(random.choice(MEMORY), timeout_ns=8, retry_count=2)
        self.spool_limits = SpoolLimits(random.choice(DISK), segment_bytes=700)
        self.disk: dict[int, MemoryFiles] = {}
        self.refusal = 0  # of the disk
        self.spooled: Counter[str] = Counter()
        self.now = 0
        self.start()

    def start(self) -> None:
        """The next life: what former ones have left is found first."""
        self.life += 1
        self.base_taken = self.batch = self.taken
        self.credited = 0
        self.budget = Budget()
        former = []
        for life, files in sorted(self.disk.items()):
            found = self._former(life, files)
            if found:
                former.append(found)
        files = self.disk[self.life] = MemoryFiles()
        spool = Spool(files, self.spool_limits, self._state, self.budget, self._clock_s)  # type: ignore[arg-type]
        self.sender = Sender(
            self.agent_id, self.life, self.limits, self._hello, self._hole,
            jitter=self.random.random, spool=spool,
        )  # fmt: skip
        self.spool = spool
        self.lives = Lives(self.sender, former)
        self.frames_in_group = self.newest = 0
        self.lives.begin()

    def _clock_s(self) -> float:
        return self.now / 10

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
        taken, credited = _ROWS.unpack(found.state.rows)
        known = [taken, credited]

        def describe() -> State:
            counts = sender.retained.committed_counts
            while counts:
                known[1] += counts.popleft().get(self.agent_id, 0)
            return State(self.agent_id, life, sender.committed, _ROWS.pack(*known))

        spool = Spool(files, self.spool_limits, describe, self.budget, self._clock_s)  # type: ignore[arg-type]
        spool.adopt(found.segments)
        sender = Sender(
            self.agent_id, life, self.limits, lambda: describe().rows, self._hole,
            jitter=self.random.random, spool=spool, entries=found.entries,
        )  # fmt: skip
        sender.retained.committed = found.state.committed
        return Former(sender, spool, found.state.committed)

    def _take_commits(self) -> bool:
        before, counts = self.credited, self.sender.retained.committed_counts
        while counts:
            self.credited += counts.popleft().get(self.agent_id, 0)
        return before != self.credited

    def _state(self) -> State:
        self._take_commits()
        return State(self.agent_id, self.life, self.sender.committed, self._hello())

    def _hello(self) -> bytes:
        return _ROWS.pack(self.base_taken, self.credited)

    def _hole(self, counts: dict[int, int]) -> bytes:
        return struct.pack("<I", counts.get(self.agent_id, 0))

    def record(self, now: int, count: int) -> None:
        """The programs of this machine report."""
        self.times += [now + self.skew] * count

    def cut(self, now: int) -> None:
        """Drain, and make a frame of what came."""
        self.now = now
        self.taken = len(self.times)
        number, retained = self.sender.next_number, self.sender.retained
        is_keyframe = retained.wants_keyframe or self.frames_in_group >= GROUP_FRAMES_MAX
        base = number if is_keyframe else retained.base
        self.frames_in_group = 1 if is_keyframe else self.frames_in_group + 1
        pad = self.random.randrange(20, 90) if self.taken > self.batch else 0
        watermark = now + self.skew
        frame = pack_frame(self.batch, self.taken, watermark, base, number, pad)
        counts = {self.agent_id: self.taken - self.batch} if self.taken > self.batch else {}
        if self.taken > self.batch:
            self.newest = number
        self.batch = self.taken
        self.sender.offer(frame, counts, is_keyframe)

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

    def step(self, now: int) -> list[list[bytes]]:
        """What the agent sends now."""
        self.now = now
        if self._take_commits():
            self.spool.mark()
        if self.lives.is_suspect:
            self.endpoint = (self.endpoint + 1) % self.endpoints
            self.lives.begin()
        return self.lives.step(now)

    @property
    def is_done(self) -> bool:
        """Whether all that was taken is in closed windows, or told as lost."""
        is_heard = self.lives.speaker is self.sender and self.sender.committed > self.newest
        return is_heard and self.taken == len(self.times) and not self.lives.former
