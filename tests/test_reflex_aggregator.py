"""The aggregator evaluates standing expressions after each frame that it folds, and without any."""

import time
from typing import Any

import numpy as np
from wire_tools import sample, to_slots

from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS
from rnts.aggregator import Aggregator
from rnts.delivery import Message, Type
from rnts.frame import FrameEncoder
from rnts.rules.condition import parse_condition
from rnts.windows import Windows

AGENT, LIFE, SECOND = 7, 1_790_000_000_000_000_000, 1_000_000_000


class Wire:
    """A link on which one agent speaks, and nobody listens."""

    endpoint = "made up"

    def __init__(self) -> None:
        self.said: list[list[bytes]] = []
        self._encoder = FrameEncoder(AGENT, LIFE)
        self._delivered = 0

    def receive(self, timeout_ms: int) -> list[tuple[Any, list[bytes]]]:
        """One message a step."""
        return [(b"agent", self.said.pop(0))] if self.said else []

    def may_speak(self, peer: Any, agent_id: int | None) -> bool:
        """Everybody may."""
        return True

    def send(self, peer: Any, parts: list[bytes]) -> None:
        """Nobody hears it."""

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def close(self) -> None:
        """There is nothing to close."""

    def say(self, kind: Type, number: int, samples: list[Any]) -> None:
        """A message with a frame."""
        self._delivered += len(samples)
        row = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
        row[0, COLUMN["key"]], row[0, COLUMN["in_frame"]] = 42, len(samples)
        row[0, COLUMN["flags"]] = SOURCE_BASELINE if kind is Type.HELLO else 0
        row[0, COLUMN["attempts"]] = row[0, COLUMN["delivered"]] = self._delivered
        frame = self._encoder.encode(to_slots(samples), sequence=1, watermark_ns=0, sources=row)
        self.said.append([Message(kind, AGENT, LIFE, number, number).pack(), frame])


def test_what_a_frame_says_is_found_before_the_next_one_and_silence_on_ticks() -> None:
    """A flip that the next frame takes back is seen; a window that runs empty needs no frame."""
    wire = Wire()
    aggregator = Aggregator("made up", Windows(SECOND, (50,), 100), 2 * SECOND, link=wire)
    engine = aggregator.windows.reflex
    engine.register("last", parse_condition("queue_depth > 5"))
    engine.register("window", parse_condition("max(queue_depth) over 500ms > 5 by neuron"))
    wire.say(Type.HELLO, 1, [])
    aggregator.step(0)
    found = []
    for number, depth in enumerate((9, 1), 1):
        now_ns = time.time_ns()
        wire.say(Type.ENTRY, number, [sample(9, now_ns, queue_depth=depth)])
        aggregator.step(0)
        update = engine.take("last", now_ns)
        assert update is not None
        found += [(change.truth, change.value) for change in update.changes]
    assert found == [(1.0, 9.0), (0.0, 1.0)]

    for _ in range(10_000):
        aggregator.step(0)
        if engine.full("window", 0).changes[0].truth != 1.0:
            break
        time.sleep(0.001)
    assert np.isnan(engine.full("window", 0).changes[0].truth)
