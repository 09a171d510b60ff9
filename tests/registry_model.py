"""A model of a segment's life: made, claimed from, passed on, drained, reclaimed after death.

A process of two threads makes its segment and claims lanes; the second thread takes over what the
first one leaves, or claims a lane of its own. Agents find the file, take its lock, attach, drain,
tell an aggregator, and remove the file. The process dies at any step, agents are killed at any
step and followed by others. The stores of each thread go through a buffer, in the orders of
lane_model.py; what lies between two words of a lane (text, notes, agents killed while they drain)
is explored there, so that here a pass over one lane is one step and a position one word.

What the aggregator holds of a lane is the ghost `known`; a new agent's first row lets it declare
what its predecessor took and never delivered (`agent_died`), so that counts as known, too.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lane_model import Store, Violation, flush, load, write

CAPACITY, LANES = 2, 2
OWNER, MAGIC, USED, CONTROL = 0, 1, 2, 3
READY, ATTEMPTS, DROPS, TAIL, POSITION, SLOTS, LANE_WORDS = 0, 1, 2, 3, 4, 5, 5 + CAPACITY
FREE = -1
MAKE, CLAIM, RECORD = ("name", "owner", "magic"), ("claim", "ready", "used"), ("attempt", "write")
BUFFERS = ("first_stores", "second_stores")


class Writer(NamedTuple):
    """A lane as its owner knows it; it is passed on as it is."""

    lane: int
    tail: int = 0
    completed: int = 0
    drops: int = 0


class Agent(NamedTuple):
    """An agent: its next step, and how far it has drained each lane that it took in."""

    step: str = "look"
    positions: tuple[int, ...] = ()


class State(NamedTuple):
    """Everything there is."""

    memory: tuple[int, ...] = (0,) * (CONTROL + LANES * LANE_WORDS)
    file: str = "none"  # then "named", then "gone"
    is_alive: bool = True
    at: tuple[int, int] = (0, 0)  # of each thread: how many of its steps are done
    writers: tuple[Writer | None, Writer | None] = (None, None)
    idle: Writer | None = None  # what an ended thread left to the next one
    first_stores: tuple[Store, ...] = ()
    second_stores: tuple[Store, ...] = ()
    published: tuple[tuple[int, ...], ...] = ((),) * LANES
    agents: tuple[Agent, ...] = ()
    lock: int = FREE
    known: tuple[int, ...] = (0,) * LANES
    kills: int = 0


class Registry(NamedTuple):
    """What is explored: records of each thread, agents, their kills, memory order, weakness."""

    records: tuple[int, int] = (1, 0)
    order: str = "sc"
    weakened: str = ""
    agents: int = 1
    agent_kills: int = 1

    def start(self) -> State:
        """No segment yet."""
        return State(agents=(Agent(),) * self.agents)

    def script(self, thread: int) -> list[str]:
        """The steps of a thread."""
        record = RECORD
        if self.weakened == "counted after its first record" and not thread:
            return [*MAKE, "claim", "ready", "unlock", *RECORD, "published", "used", "end"]
        make, claim = list(MAKE), list(CLAIM)
        if self.weakened == "magic before the owner":
            make = ["name", "magic", "owner"]
        if self.weakened == "counted before it is ready":
            claim = ["claim", "used", "ready"]
        records = [*record, "published"] * self.records[thread]
        if not records:
            return []
        return [*([] if thread else make), *claim, "unlock", *records, "end"]

    def steps(self, s: State) -> Iterator[State]:
        """All that can happen next."""
        for buffer in BUFFERS:
            yield from flush(self.order, s, buffer)
        for thread in (0, 1):
            is_child = thread and self.weakened == "a child goes on in its parent's lane"
            if (s.is_alive or is_child) and s.at[thread] < len(self.script(thread)):
                yield from self.produce(s, thread)
        if s.is_alive:
            yield s._replace(is_alive=False)
        for i, agent in enumerate(s.agents):
            yield from self.drain(s, i, agent)
            if s.kills < self.agent_kills and agent.step != "look":
                # The kernel gives its lock back; what it had in memory is gone.
                yield become(s, i, Agent())._replace(
                    kills=s.kills + 1, lock=FREE if s.lock == i else s.lock
                )

    # The process

    def produce(self, s: State, thread: int) -> Iterator[State]:
        """One step of a thread; see rnts/segment.py, rnts/producer.py and rnts/writer.py."""
        step = self.script(thread)[s.at[thread]]
        after = advance(s, thread)
        if step == "name":
            yield after._replace(file="named")
        elif step == "owner":
            yield self.store(after, thread, OWNER, 1)
        elif step == "magic":
            yield self.store(after, thread, MAGIC, 1, self.weakened != "plain magic store")
        elif step == "claim":
            yield from self.claim(s, thread)
        elif step == "ready":
            yield self.store(after, thread, word(s.writers[thread], READY), 1)
        elif step == "used":
            used = load(s, BUFFERS[thread], USED) + 1
            yield self.store(after, thread, USED, used, self.weakened != "plain count of lanes")
        elif step == "unlock":
            if not getattr(s, BUFFERS[thread]):  # a lock that was given back lets all be seen
                yield after
        elif step == "end":
            yield from self.end(s, thread)
        else:
            yield self.record(s, thread, step)

    def claim(self, s: State, thread: int) -> Iterator[State]:
        """Get a lane: the first one, one that was left, or the next; nobody else is at it."""
        after = advance(s, thread)
        if thread == 0:
            yield give(after, 0, Writer(0))
            return
        done = self.script(0)[: s.at[0]]
        is_locked = "unlock" not in done
        if self.weakened == "claimed without a lock":
            is_locked = "magic" not in done
        if self.weakened == "a child goes on in its parent's lane":
            if not is_locked:
                yield give(advance(s, 1, 4), 1, s.writers[0] or s.idle)
        elif s.idle is not None:
            yield from self.take_over(s, s.idle)
        elif not is_locked:
            yield give(after, 1, Writer(load(s, BUFFERS[1], USED)))

    def take_over(self, s: State, left: Writer) -> Iterator[State]:
        """The second thread goes on where the first one stopped, past the making of a lane."""
        after = advance(s, 1, 4)._replace(idle=None)
        if self.weakened == "lane reset at reuse":
            for field in (ATTEMPTS, DROPS, TAIL, POSITION):
                after = self.store(after, 1, word(left, field), 0)
            left = Writer(left.lane)
        yield give(after, 1, left)

    def end(self, s: State, thread: int) -> Iterator[State]:
        """The thread ends, and leaves its lane to the next one."""
        is_synchronised = self.weakened != "passed on without a lock"
        if is_synchronised and getattr(s, BUFFERS[thread]):
            return
        after = advance(s, thread)
        yield give(after._replace(idle=s.writers[0]), 0, None) if thread == 0 else after

    def record(self, s: State, thread: int, step: str) -> State:
        """One step of a record; its number is that of the thread and of its place there."""
        writer = s.writers[thread]
        assert writer is not None
        head = load(s, BUFFERS[thread], word(writer, POSITION))
        number = 10 * (thread + 1) + s.at[thread]
        if step == "attempt":
            attempt = word(writer, ATTEMPTS), writer.completed + 1
            return self.store(advance(s, thread), thread, *attempt, release=True)
        if step == "write" and writer.tail - head >= CAPACITY:
            done = writer._replace(completed=writer.completed + 1, drops=writer.drops + 1)
            after = give(advance(s, thread, 2), thread, done)
            return self.store(after, thread, word(writer, DROPS), done.drops, True)
        if step == "write":
            slot = word(writer, SLOTS + writer.tail % CAPACITY)
            return self.store(advance(s, thread), thread, slot, number + 1)
        done = writer._replace(completed=writer.completed + 1, tail=writer.tail + 1)
        lane = (*s.published[writer.lane], number)
        published = replaced(s.published, writer.lane, lane)
        after = give(advance(s, thread)._replace(published=published), thread, done)
        return self.store(after, thread, word(writer, TAIL), done.tail, True)

    def store(self, s: State, thread: int, at: int, value: int, release: bool = False) -> State:
        """Put a store into a thread's buffer, or into memory where there are no buffers."""
        if self.order == "sc":
            after: State = write(s, at, value)
            return after
        buffer = BUFFERS[thread]
        return s._replace(**{buffer: (*getattr(s, buffer), (at, value, release))})

    # Agents

    def is_dead(self, s: State) -> bool:
        """What a pidfd says: with a process ends all that its stores were waiting for."""
        is_child = self.weakened == "a child goes on in its parent's lane"
        return not (s.is_alive or s.first_stores or (s.second_stores and not is_child))

    def drain(self, s: State, i: int, agent: Agent) -> Iterator[State]:
        """One step of an agent; see rnts/attached.py, rnts/collector.py and rnts/handover.py."""
        if agent.step == "look":
            if s.file == "named":
                yield become(s, i, Agent("lock"))
        elif agent.step == "lock":
            if self.weakened == "no lock" or s.lock in (FREE, i):
                yield become(s, i, agent._replace(step="magic"))._replace(lock=i)
            elif self.weakened == "position read before the lock":
                yield self.take_lanes(s, i, agent)
            else:
                yield become(s, i, Agent())
        elif agent.step in ("magic", "maker", "again", "owner"):
            yield from self.attach(s, i, agent)
        elif agent.step == "attached":
            yield from self.serve(s, i, agent)
        else:
            yield from self.reclaim(s, i, agent)

    def positions(self, s: State) -> tuple[int, ...]:
        """Where former agents stopped in the lanes that are in use."""
        for lane in range(s.memory[USED]):
            if not s.memory[word(lane, READY)]:
                raise Violation(f"lane {lane} is taken in before it is ready", s)
        return tuple(s.memory[word(lane, POSITION)] for lane in range(s.memory[USED]))

    def attach(self, s: State, i: int, agent: Agent) -> Iterator[State]:
        """Look at a file that may not be a segment yet, or never become one."""
        step, is_segment = agent.step, s.memory[MAGIC] == 1
        if step == "owner":
            if not s.memory[OWNER]:
                raise Violation("the owner is read before it is written", s)
            yield become(s, i, agent._replace(step="attached"))
        elif step == "maker":
            hurried = self.weakened == "unready file removed at once"
            unseen = self.weakened == "unready file not looked at again"
            if self.is_dead(s) or hurried:
                yield become(s, i, Agent("unfinished" if hurried or unseen else "again"))
            elif self.weakened == "unready file given up":
                yield become(s, i, Agent("refused"))._replace(lock=FREE)
            else:
                yield become(s, i, Agent())._replace(lock=FREE)
        elif is_segment:
            yield become(s, i, agent._replace(step="owner"))
        else:
            yield become(s, i, Agent("maker" if step == "magic" else "unfinished"))

    def serve(self, s: State, i: int, agent: Agent) -> Iterator[State]:
        """Take lanes in, drain them, deliver, look whether the owner is dead."""
        yield self.take_lanes(s, i, agent)
        for lane, position in enumerate(agent.positions):
            if s.memory[word(lane, TAIL)] != position:
                yield self.drain_lane(s, i, agent, lane)
        known = (*agent.positions, *s.known[len(agent.positions) :])
        yield s._replace(known=known)
        if self.is_dead(s) or self.weakened == "death by time-out":
            yield become(s, i, agent._replace(step="dead"))
        if self.weakened == "lanes looked at before the death" and self.is_drained(s, agent):
            yield become(s, i, agent._replace(step="drained"))

    def take_lanes(self, s: State, i: int, agent: Agent) -> State:
        """Take in the lanes that came into use."""
        new = self.positions(s)[len(agent.positions) :]
        if self.weakened == "begun where no agent was":
            new = (0,) * len(new)
        return become(s, i, agent._replace(positions=(*agent.positions, *new)))

    def drain_lane(self, s: State, i: int, agent: Agent, lane: int) -> State:
        """Take all records of one lane, and note that in the segment."""
        position, tail = agent.positions[lane], s.memory[word(lane, TAIL)]
        if s.memory[word(lane, POSITION)] != position:
            raise Violation("a record is delivered twice", s)
        for at in range(position, tail):
            value = s.memory[word(lane, SLOTS + at % CAPACITY)]
            if s.published[lane][at : at + 1] != (value,):
                raise Violation(f"position {at} gave {value}", s)
        after: State = write(s, word(lane, POSITION), tail)
        return become(after, i, agent._replace(positions=replaced(agent.positions, lane, tail)))

    def is_drained(self, s: State, agent: Agent) -> bool:
        """Whether the lanes that the agent knows hold nothing more."""
        return all(s.memory[word(n, TAIL)] == at for n, at in enumerate(agent.positions))

    def reclaim(self, s: State, i: int, agent: Agent) -> Iterator[State]:
        """From the owner's death to the end of the file; see `reap` in rnts/collector.py."""
        step = agent.step
        if step == "drained" and self.is_dead(s):
            yield become(s, i, agent._replace(step="row"))
        elif step == "dead":
            after = s
            if self.weakened != "new lanes not looked for after the death":
                after = self.take_lanes(s, i, agent)
            to = "row" if self.weakened == "reclaimed before the last drain" else "last"
            yield become(after, i, after.agents[i]._replace(step=to))
        elif step == "last":
            to = "row" if self.is_drained(s, agent) else "attached"
            yield become(s, i, agent._replace(step=to))
        elif step == "row":
            hurried = self.weakened == "removed before its last row is known"
            after = s._replace(lock=FREE if s.lock == i else s.lock)
            self.balance(s, agent)
            yield become(after, i, agent._replace(step="remove" if hurried else "told"))
        elif step == "told":
            known = (*agent.positions, *s.known[len(agent.positions) :])
            yield become(s, i, agent._replace(step="remove"))._replace(known=known)
        elif step in ("remove", "unfinished"):
            yield become(s, i, Agent())._replace(file="gone", lock=FREE if s.lock == i else s.lock)

    def balance(self, s: State, agent: Agent) -> None:
        """The last row of each lane: of a killed thread one record is torn, of others none."""
        for lane, delivered in enumerate(agent.positions):
            torn = s.memory[word(lane, ATTEMPTS)] - s.memory[word(lane, DROPS)] - delivered
            if torn not in (0, 1):
                raise Violation(f"{torn} records of lane {lane} are torn", s)

    def is_over(self, s: State) -> bool:
        """Whether the process is dead, its file gone and all agents wait; sums are right then."""
        if not self.is_dead(s) or s.file == "named":
            return False
        if any(agent.step != "look" for agent in s.agents):
            return False
        if s.known != tuple(len(records) for records in s.published):
            raise Violation(f"of {s.published} the books know {s.known}", s)
        return True


def word(lane: Writer | int | None, field: int) -> int:
    """Where a word of a lane lies."""
    assert lane is not None
    number = lane.lane if isinstance(lane, Writer) else lane
    return CONTROL + number * LANE_WORDS + field


def replaced(values: tuple, index: int, value: object) -> tuple:
    """The tuple with one entry changed."""
    return (*values[:index], value, *values[index + 1 :])


def advance(s: State, thread: int, steps: int = 1) -> State:
    """The thread is so many steps further."""
    return s._replace(at=replaced(s.at, thread, s.at[thread] + steps))


def give(s: State, thread: int, writer: Writer | None) -> State:
    """The thread has this lane."""
    return s._replace(writers=replaced(s.writers, thread, writer))


def become(s: State, i: int, agent: Agent) -> State:
    """Agent i is like this now."""
    return s._replace(agents=replaced(s.agents, i, agent))
