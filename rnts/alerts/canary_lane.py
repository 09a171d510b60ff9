"""Where canaries are recorded: a segment of their own, with one small lane."""

import secrets
from typing import Protocol

from rnts.canary_ids import GROUP, NEURONS_MAX, first_id
from rnts.producer import Producer
from rnts.runtime import agent_seen_ns, runtime_folder

_LANE_SLOTS = 256  # more than are recorded before an agent that does not come is given up


class Lane(Protocol):
    """The neurons of one process' canaries, by their numbers.

    names: what they are called where they are told of, which is their ids.
    """

    names: frozenset[str]

    def record(self, number: int, depth: int) -> bool:
        """Have one say how deep its queue is; False where there is no room for it."""

    def agent_seen_ns(self) -> int:
        """When an agent was last here, since the epoch; 0 if never."""

    def close(self) -> None:
        """Record no more."""


class CanaryLane:
    """A lane of this process beside whatever else it reports; nothing here raises."""

    def __init__(self) -> None:
        self._producer = Producer(lanes=1, lane_slots=_LANE_SLOTS)
        self._producer.attach(jit=False)  # whatever is asked of programs: no Numba here
        first = first_id(secrets.randbits(32))
        self._neurons = [
            self._producer.neuron(
                f"{GROUP}-{number}",
                group=GROUP,
                neuron_id=first + number,
                importance="critical_path",
            )
            for number in range(NEURONS_MAX)
        ]
        self.names = frozenset(str(neuron.id) for neuron in self._neurons)

    def record(self, number: int, depth: int) -> bool:
        """Have one say how deep its queue is."""
        return bool(self._neurons[number].record(queue_depth=depth))

    def agent_seen_ns(self) -> int:
        """When an agent was last here; it says so about once a second."""
        segment = self._producer.segment()
        return 0 if segment is None else segment.agent_seen_ns()

    def close(self) -> None:
        """Leave what is in the lane to the agent; where that has ended nobody would fetch it."""
        self._producer.close(unlink=not agent_seen_ns(runtime_folder()))
