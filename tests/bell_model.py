"""A model of the bell, explored through every interleaving: who records, and an agent that sleeps.

Stores of the producer go through a buffer (`tso`, which is x86-64) or happen at once (`sc`). The
agent's stores are seen before its next loads, as `order_all` has it. The kernel's wait compares the
word and lies down in one step, and a wake-up is seen by whoever lies there. One assumption is made
of the machine: what a processor has stored is seen by others within a step of the agent's waiting.
"""

from collections.abc import Iterator
from typing import NamedTuple

TAIL, BELL = "tail", "bell"


class Overslept(AssertionError):
    """A record lies there, nobody is going to ring, and the agent sleeps for good."""


class State(NamedTuple):
    """Everything there is; a producer that is done, or dead, does nothing more."""

    tail: int = 0
    bell: int = 0
    stored: tuple[tuple[str, int], ...] = ()  # by the producer, and not yet seen
    producer: str = "publish"
    agent: str = "lie down"
    looked: int = 0  # times that the agent has looked since it lay down


class Bell(NamedTuple):
    """What is explored: the machine, how the code was weakened, and whether producers die."""

    order: str = "sc"
    weakened: str = ""
    kills: bool = False

    def steps(self, s: State) -> Iterator[State]:
        """All that can happen next."""
        if s.stored:
            yield seen(s)
        if s.producer not in ("done", "dead"):
            yield self.produce(s)
            if self.kills:
                yield s._replace(
                    producer="dead"
                )  # what it did not ring for is found at the time-out
        yield from self.sleep(s)

    def store(self, s: State, word: str, value: int) -> State:
        """A store of the producer."""
        s = s._replace(stored=(*s.stored, (word, value)))
        return s if self.order == "tso" else seen(s)

    def produce(self, s: State) -> State:
        """One step of `publish` and `ring` in kernels/lane.py and kernels/bell.py."""
        if s.producer == "publish":
            return self.store(s, TAIL, 1)._replace(producer="look")
        if s.producer == "look":
            bell = dict(s.stored).get(BELL, s.bell)
            return s._replace(producer="silence" if bell else "done")
        if s.producer == "silence":
            after = "done" if self.weakened == "nobody wakes" else "wake"
            return self.store(s, BELL, 0)._replace(producer=after)
        while s.stored:  # a system call has all stores seen
            s = seen(s)
        is_asleep = s.agent.startswith("asleep")
        return s._replace(producer="done", agent="look" if is_asleep else s.agent)

    def sleep(self, s: State) -> Iterator[State]:
        """One step of `wait_for_records` in kernels/waiting.py."""
        if s.agent == "lie down":
            bell = 0 if self.weakened == "nobody is asked" else 1
            yield s._replace(bell=bell, agent="look")
        elif s.agent == "look":
            if self.weakened == "sleeps without a look" and s.looked == 0:
                yield s._replace(agent="wait", looked=1)
            elif s.tail:
                yield s._replace(agent="up")
            else:
                yield s._replace(agent="wait", looked=s.looked + 1)
        elif s.agent == "wait":
            is_long = s.looked > 1 or self.weakened == "one long sleep"
            if s.bell == 1 or self.weakened == "nobody is asked":
                yield s._replace(agent="asleep for long" if is_long else "asleep for a step")
            else:  # somebody has rung meanwhile
                yield s._replace(agent="look", looked=min(s.looked, 1))
        elif s.agent == "asleep for a step":
            while s.stored:  # which is what a step is long enough for
                s = seen(s)
            yield s._replace(agent="look")
        elif s.agent == "asleep for long" and s.producer == "done" and (s.tail or s.stored):
            raise Overslept(s)


def seen(s: State) -> State:
    """The oldest store of the producer reaches memory."""
    (word, value), *rest = s.stored
    return s._replace(**{word: value}, stored=tuple(rest))


def explore(bell: Bell) -> int:
    """Visit every state that can be reached; how many there are."""
    waiting, visited = [State()], {State()}
    while waiting:
        for after in bell.steps(waiting.pop()):
            if after not in visited:
                visited.add(after)
                waiting.append(after)
    return len(visited)
