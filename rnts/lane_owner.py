"""Gives a thread's lane back when the thread ends and its locals are cleared."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from rnts.producer import Producer
    from rnts.writer import LaneWriter


class LaneOwner:
    """What a thread holds together with its writer; not in a child, where the lane is not its."""

    def __init__(self, producer: Producer, writer: LaneWriter) -> None:
        self._producer, self._writer = producer, writer
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._process == os.getpid():
            self._producer.idle_writers.append(self._writer)
