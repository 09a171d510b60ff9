"""What tests of tracing and instrumentation share: a process of the test's own, and its clock."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from capture_tools import Seen, Taker, producing

from rnts import local_neuron, trace_wrappers
from rnts.model import EVENT, Kind
from rnts.producer import Producer
from rnts.segment import Segment

CODES = {event.code: event.name for event in EVENT.values()}


class Watched:
    """A producer that stands for this process's, and who takes what it records."""

    def __init__(self, producer: Producer, segment: Segment, folder: Path) -> None:
        self.producer = producer
        self.segment = segment
        self.taker = Taker(folder)

    def take(self) -> list[Seen]:
        """All records since the last call, in the order of their times."""
        return sorted(self.taker.take(), key=lambda seen: seen.time_ns)

    def samples(self) -> list[dict[str, Any]]:
        """The values of the samples among them."""
        return [seen.values for seen in self.take() if seen.kind is Kind.SAMPLE]

    def of(self, name: str) -> list[Any]:
        """What the neuron of that name reported: an event as (its class, texts), else values."""
        wanted = {key: neuron for (key, _, _), neuron in local_neuron._made.items()}[name].id
        return [told(seen) for seen in self.take() if seen.neuron_id == wanted]


def told(seen: Seen) -> Any:
    """A record in short."""
    if seen.kind is Kind.EVENT:
        return CODES[int(seen.values["event_type"])], seen.strings
    return seen.values


@contextmanager
def watched_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Let this process's own neurons report to a producer of the test's own."""
    with producing(lanes=16, lane_slots=1024) as (producer, segment):
        monkeypatch.setattr(local_neuron, "PROCESS", producer)
        local_neuron._made.clear()
        sys.modules["rnts.trace"]._runs.clear()  # `rnts.trace` is the function
        yield Watched(producer, segment, folder)
        local_neuron._made.clear()


def standing_clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until the test moves it; for what is decorated from now on."""
    hands = SimpleNamespace(now_ns=1000)
    clocks = SimpleNamespace(perf_counter_ns=lambda: hands.now_ns, time_ns=lambda: hands.now_ns)
    for module in (trace_wrappers.__name__, "rnts.ticks", "rnts.neuron"):
        # Not by name: `rnts.neuron` is the function.
        monkeypatch.setattr(sys.modules[module], "time", clocks)
    return hands


def log_and_tell(folder: str) -> None:
    """Log an error in a child process, and leave in `folder` what that process has then told.

    It has the folder as its runtime folder. Its segment goes with it where no agent has seen it, so
    nobody else can look, and nor shall it take what is the parent's.
    """
    os.environ["RNTS_RUNTIME_DIR"] = folder
    logging.getLogger("child").error("failed")
    seen = Taker(Path(folder)).take()
    Path(folder, "heard").write_text(json.dumps([told(record) for record in seen]))
