"""What tests of taps and recordings share: an aggregator without sockets, and recordings."""

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from wire_tools import NaiveRecord, sample, to_slots

from rnts.accounting import COLUMN, SOURCE_COLUMNS
from rnts.aggregator import Aggregator
from rnts.delivery import Message, Type
from rnts.frame import FrameEncoder
from rnts.model import METRICS, Kind
from rnts.recordings.writer import Writer
from rnts.tap_client import Tapped
from rnts.windows import Windows

SECOND = 1_000_000_000
START_NS = 1_790_000_000 * SECOND
AGENT, LIFE = 7, START_NS
METRIC_COUNT = len(METRICS)


class InProcess:
    """An aggregator, and a link of one peer to it, which are one object: no sockets, no waiting."""

    endpoint = ""

    def __init__(self, window_ns: int = SECOND, started_ns: int = 0) -> None:
        self._to_aggregator: deque[list[bytes]] = deque()
        self._to_peer: deque[list[bytes]] = deque()
        self.aggregator = Aggregator("", Windows(window_ns, (50, 99), 100), 2 * SECOND, self)
        self.sent: list[list[bytes]] = []

    # The agent's end.
    def connect(self, endpoint: str) -> None:
        """Nothing has to be connected."""

    def wait(self, timeout_ms: int) -> bool:
        """Let the aggregator work."""
        self.aggregator.step(0)
        return bool(self._to_peer)

    # Both ends: the aggregator calls with a time-out and with a peer.
    def send(self, *said: Any) -> bool:
        """A message, to the aggregator, or from it to the peer."""
        if len(said) == 1:
            self._to_aggregator.append(said[0])
            self.sent.append(said[0])
        else:
            self._to_peer.append(said[1])
        return True

    def receive(self, *timeout_ms: int) -> Any:
        """What has arrived at one of the ends."""
        if timeout_ms:
            found = [("peer", parts) for parts in self._to_aggregator]
            self._to_aggregator.clear()
            return found
        self.aggregator.step(0)
        heard = list(self._to_peer)
        self._to_peer.clear()
        return heard

    def may_speak(self, peer: Any, agent_id: int | None) -> bool:
        """Everybody may."""
        return True

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def close(self) -> None:
        """There is nothing to close."""


def row(in_frame: int, delivered: int, key: int = 42) -> np.ndarray:
    """The row of a source that has delivered so many records in all."""
    made = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
    made[0, COLUMN["key"]], made[0, COLUMN["in_frame"]] = key, in_frame
    made[0, COLUMN["attempts"]] = made[0, COLUMN["delivered"]] = delivered
    return made


def batches(count: int, step_ns: int = SECOND // 4) -> list[list[NaiveRecord]]:
    """Batches of samples of three neurons; what they report differs from one to the next."""
    made = []
    for number in range(count):
        at_ns = START_NS + number * step_ns
        made.append(
            [
                sample(
                    neuron, at_ns + neuron * 1_000, activation_count=number * neuron,
                    processing_time_ns=1_000 * neuron + number, cpu_usage_percent=42.3 + neuron,
                    signal_strength=0.37 * number, queue_depth=number % 5,
                )
                for neuron in (1, 2, 3)
            ]
        )  # fmt: skip
    return made


def name_of(neuron: int, name: str, group: str) -> NaiveRecord:
    """A record that names a neuron."""
    text = b"".join(bytes((len(part),)) + part.encode() for part in (name, group))
    return NaiveRecord(neuron, START_NS, int(Kind.NAME), 0, {}, text)


def frames(
    made: list[list[NaiveRecord]],
    *,
    agent: int = AGENT,
    keyframes: tuple[int, ...] = (1,),
    compression: str = "none",
    steps: dict[str, float] | None = None,
) -> list[bytes]:
    """The frames of a life, numbered from 1, each with a row that accounts for its samples."""
    encoder, delivered, found = FrameEncoder(agent, LIFE, compression, steps), 0, []
    for number, records in enumerate(made, 1):
        counted = sum(record.kind != Kind.NAME for record in records)
        delivered += counted
        newest_ns = max((record.time_ns for record in records), default=START_NS)
        found.append(
            encoder.encode(
                to_slots(records), sequence=number, watermark_ns=newest_ns,
                sources=row(counted, delivered, agent), is_keyframe=number in keyframes,
            )
        )  # fmt: skip
    return found


def entries(made: list[bytes], agent: int = AGENT, step_ns: int = SECOND // 4) -> list[Tapped]:
    """These frames as a tap hands them on."""
    return [
        Tapped(Message(Type.ENTRY, agent, LIFE, number, number), frame, START_NS + number * step_ns)
        for number, frame in enumerate(made, 1)
    ]


def record_to(path: Path, found: list[Any]) -> Writer:
    """A recording of these, ended in peace."""
    writer = Writer(path, START_NS)
    for each in found:
        writer.take(each)
    writer.close(START_NS)
    return writer
