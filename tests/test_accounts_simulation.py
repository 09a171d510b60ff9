"""Programs, agents and aggregators that die in any order, and books that tell the truth of it."""

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from capture_tools import producing, read_lane
from hypothesis import example, given
from hypothesis import strategies as st

from rnts import layout
from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS, SOURCE_FINAL, SOURCE_LOST
from rnts.accounts import Accounts
from rnts.collector import Collector
from rnts.delivery import Type, parse_message
from rnts.handover import Handover, lost_rows, record_counts
from rnts.neuron import Neuron
from rnts.receiver import Receiver, Verdict
from rnts.segment import Segment
from rnts.sender import Limits, Sender

NOBODY = 1 << 22
AGENT = 7


class World:
    """Real lanes, collectors, senders and books; only network and processes are played.

    `fate` says of each frame, by incarnation and number, what became of its records.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.programs: list[tuple[Neuron, Segment]] = []
        self.ended: list[Segment] = []
        self.start_program()
        self.now = self.incarnation = self.receiver_id = 0
        self.is_linked, self.to_damage = True, False
        self.frames: dict[tuple[int, int], int] = {}
        self.settling: set[tuple[int, int]] = set()  # frames with last rows
        self.fate: dict[tuple[int, int], str] = {}
        self.truth = dict.fromkeys(("lane_full", "invalid", "torn", "agent_died"), 0)
        self.is_exact = True  # nothing has happened that the books cannot know
        self.start_agent()
        self.start_aggregator()

    def start_program(self) -> None:
        """A program with a lane of 16 slots."""
        producer, segment = self.stack.enter_context(producing(lanes=1, lane_slots=16))
        # All are this process; a real one never has its name again.
        path = segment.path.with_name(f"{len(self.programs) + len(self.ended)}-0-0.seg")
        segment.place = str(segment.path.rename(path))
        neuron = producer.neuron("n")
        neuron.record(queue_depth=0)
        self.programs.append((neuron, segment))

    def end_program(self, index: int, torn: bool) -> None:
        """Kill one, perhaps in the middle of a record."""
        if len(self.programs) < 2:
            return
        _, segment = self.programs.pop(index % len(self.programs))
        segment.words[(layout.lane_offset(0) + layout.LANE_ATTEMPTS) // 8] += torn
        segment.words[layout.HEADER_PID // 8] = NOBODY
        self.truth["torn"] += torn
        self.ended.append(segment)
        for attached in self.collector.segments:
            if attached.path == segment.path and attached.death_descriptor >= 0:
                os.close(attached.death_descriptor)
                attached.death_descriptor = -1
                self.collector._unwatched += 1  # as of one that was dead on arrival

    def start_agent(self) -> None:
        """The next life of the agent."""
        self.incarnation += 1
        folder = self.programs[0][1].path.parent
        self.handover = Handover()
        self.collector = Collector(lambda: [folder], self.handover.keep_file)
        self.room, self.filled = np.zeros((4096, 16), np.int64), 0
        limits = Limits(retained_bytes_max=700, timeout_ns=10, retry_count=3)
        self.sender = Sender(AGENT, self.incarnation, limits, self.hello, self.hole)

    def start_aggregator(self) -> None:
        """The next life of the aggregator."""
        self.receiver_id += 1
        self.receiver, self.accounts = Receiver(self.receiver_id), Accounts()
        self.folded = self.window = 0
        self.sender.lose_connection()

    def hello(self) -> bytes:
        """The frame of a HELLO."""
        return pack(0, self.handover.baselines.frame_table())

    def hole(self, counts: dict[int, int]) -> bytes:
        """The frame that declares what was given up."""
        return pack(0, lost_rows(counts))

    def drain(self) -> None:
        """Take all that the lanes hold into the batch."""
        self.collector.discover()
        self.filled = self.collector.drain(self.room, self.filled, 1 << 20)

    def cut(self) -> None:
        """Make a frame of the batch."""
        number = self.sender.next_number
        table = self.handover.rows_to_report(self.collector, number)
        self.frames[self.incarnation, number] = self.filled
        if (table[:, COLUMN["flags"]] & SOURCE_FINAL).any():
            self.settling.add((self.incarnation, number))
        self.sender.offer(pack(self.filled, table), record_counts(table))
        self.filled = 0

    def deliver(self) -> None:
        """Let both ends talk until they are done, if there is a way."""
        self.now += 100
        for _ in range(100):
            messages = self.sender.step(self.now)
            for header, payload in messages if self.is_linked else []:
                self.arrive(header, payload)
            if not messages or not self.is_linked:
                break
        self.handover.take_commits(self.sender)

    def arrive(self, header: bytes, payload: bytes) -> None:
        """Take a message in as the aggregator does, and its answer as the agent does."""
        message = parse_message(header)
        assert message is not None
        count, table = unpack(payload)
        agent = (message.speaker, message.incarnation)
        if message.type is Type.HELLO:
            is_new, answer = self.receiver.on_hello(message, None, self.now)
            if is_new:
                self.accounts.begin_session(agent, table)
        else:
            verdict, answer = self.receiver.on_entry(message, None, self.now)
            if verdict is Verdict.FOLD:
                is_hole = bool((table[:, COLUMN["flags"]] & SOURCE_LOST).any())
                self.fold(agent, range(message.first, message.last + 1), count, table, is_hole)
                self.receiver.folded(message, self.window)
                self.window += 1
                answer = self.receiver.acknowledge(AGENT)
            elif verdict is Verdict.PRIME:  # it is what later frames go on from, and was counted
                self.receiver.primed(message)
                answer = self.receiver.acknowledge(AGENT)
        if answer is not None:
            self.sender.on_message(answer, self.now)

    def fold(
        self, agent: tuple[int, int], numbers: range, count: int, table: Any, is_hole: bool
    ) -> None:
        """Enter a frame, or give it up as damaged."""
        fate = "backlog_full" if is_hole else "bad_frame" if self.to_damage else "aggregated"
        if fate == "bad_frame":
            self.to_damage = False
            self.accounts.skip_frame(agent)
        else:
            self.accounts.enter(agent, table)
            self.folded += count
        for frame in ((agent[1], number) for number in numbers):
            self.fate[frame] = fate
            # What only the last row of a source tells is lost with it.
            self.is_exact &= fate == "aggregated" or frame not in self.settling

    def commit(self) -> None:
        """Close all windows."""
        answer = self.receiver.commit(AGENT, self.window) if self.receiver.sessions else None
        if answer is not None and self.is_linked:
            self.receiver.written(AGENT)
            self.sender.on_message(answer, self.now)
            self.handover.take_commits(self.sender)

    def kill_agent(self) -> None:
        """Lose what is in the agent's memory, and start another one."""
        mine = {number for life, number in self.frames if life == self.incarnation}
        unfolded = [n for n in mine if (self.incarnation, n) not in self.fate]
        lost = self.filled + sum(self.frames.pop((self.incarnation, n)) for n in unfolded)
        self.truth["agent_died"] += lost
        # Who was never heard is not missed.
        session = self.receiver.sessions.get(AGENT)
        is_met = session is not None and session.incarnation == self.incarnation
        self.is_exact &= is_met
        self.collector.close()
        self.start_agent()

    def kill_aggregator(self) -> None:
        """Lose open windows, and start another one."""
        self.is_exact = False  # what had ended before is in no HELLO
        self.start_aggregator()

    def account(self) -> dict[str, Any]:
        """The books as they stand; they balance at every moment."""
        document = self.accounts.document(self.folded, 0, 0)
        assert document["balanced"], document
        return document


def pack(count: int, table: Any) -> bytes:
    """A frame of the play: how many records, and the table of sources."""
    return struct.pack("<q", count) + table.tobytes()


def unpack(payload: bytes) -> tuple[int, Any]:
    """Undo `pack`."""
    rows = np.frombuffer(payload[8:], np.int64).reshape(-1, len(SOURCE_COLUMNS))
    return struct.unpack_from("<q", payload)[0], rows


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 3), st.integers(0, 20)),
        st.tuples(st.just("refuse"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.sampled_from(["drain", "cut", "deliver", "commit"])),
        st.tuples(st.sampled_from(["drain", "cut", "deliver", "commit"])),
        st.tuples(st.sampled_from(["start", "link", "damage", "kill agent"])),
        st.tuples(st.sampled_from(["kill aggregator", "pass", "pass"])),
        st.tuples(st.just("kill"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("outage"), st.integers(0, 3), st.integers(3, 12)),
    ),
    max_size=60,
)


def do(world: World, step: tuple[Any, ...]) -> None:
    """Let one thing happen."""
    what, *arguments = step
    if what in ("record", "refuse"):
        neuron, _ = world.programs[arguments[0] % len(world.programs)]
        for i in range(arguments[1]):
            _ = neuron.record(queue_depth=i) if what == "record" else neuron.event(None)
    elif what == "outage":
        world.is_linked = False
        for _ in range(arguments[1]):
            do(world, ("record", arguments[0], 2))
            do(world, ("pass",))
    elif what == "kill":
        world.end_program(*arguments)
    elif what == "link":
        world.is_linked = not world.is_linked
    elif what == "damage":
        world.to_damage = True
    elif what == "pass":
        world.drain()
        world.cut()
        world.deliver()
    else:
        names = {"start": "start_program"}
        getattr(world, names.get(what, what.replace(" ", "_")))()


@contextmanager
def played(steps: list[tuple[Any, ...]]) -> Iterator[World]:
    """The world after these steps, come to rest: all that is there is delivered."""
    with ExitStack() as stack:
        world = World(stack)
        stack.callback(lambda: world.collector.close())
        for step in steps:
            do(world, step)
            world.account()
        world.is_linked, world.to_damage = True, False
        for neuron, _ in world.programs:
            neuron.record(queue_depth=1)  # so that every living source has a last word
        for _ in range(3):
            do(world, ("pass",))
        assert world.sender.is_drained
        yield world


# A program dies, and then the agent that alone knew of its last records.
DIE_TOGETHER = [("start",), ("pass",), ("record", 0, 5), ("record", 1, 5), ("link",), ("drain",)]
DIE_TOGETHER += [("kill", 1, True), ("cut",), ("kill agent",)]


@given(steps=STEPS)
@example(steps=DIE_TOGETHER)
@example(steps=[("pass",), ("commit",), ("kill aggregator",)])  # what was counted comes once more
def test_books_tell_the_truth_whatever_dies(steps: list[tuple[Any, ...]]) -> None:
    """They balance after every step, and at rest each loss is what was lost, by its reason."""
    with played(steps) as world:
        document = world.account()
        lanes = [read_lane(s) for s in (*world.ended, *(s for _, s in world.programs))]
        attempts = sum(lane.attempts for lane in lanes)
        for reason in ("lane_full", "invalid"):
            world.truth[reason] = sum(lane.drops.get(reason, 0) for lane in lanes)
        for fate in ("backlog_full", "bad_frame", "aggregated"):
            world.truth[fate] = sum(n for k, n in world.frames.items() if world.fate[k] == fate)
        aggregated = world.truth.pop("aggregated")
        assert attempts == aggregated + sum(world.truth.values())
        assert document["in_flight"] == 0
        assert document["emitted"] <= attempts
        if world.receiver_id == 1:
            assert document["aggregated"] == aggregated
        if world.is_exact:
            assert document["emitted"] == attempts
            assert by_reason(document["dropped"], world) == by_reason(world.truth, world)


def by_reason(dropped: dict[str, int], world: World) -> dict[str, int]:
    """Drops that are not zero; a gap that an agent's death left can hide a damaged frame."""
    dropped = dict(dropped)
    if world.incarnation > 1:
        dropped["agent_died"] = dropped.get("agent_died", 0) + dropped.pop("bad_frame", 0)
    return {reason: count for reason, count in dropped.items() if count}


def test_a_baseline_is_the_first_word_on_a_source() -> None:
    """The rows of the play are those of the agent: an introduction, then what has moved."""
    with played([("record", 0, 3), ("drain",)]) as world:
        assert world.frames[1, 1] == 5
        assert world.handover.baselines.table()[:, COLUMN["flags"]].tolist() == [SOURCE_BASELINE]
