"""What an agent has drained and not yet sent: fills a batch from all lanes, cuts it into frames."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnts.catching_up import CatchingUp
from rnts.collector import Collector
from rnts.frame import SLOTS_PER_FRAME_MAX, FrameEncoder
from rnts.handover import Handover, lost_rows, record_counts
from rnts.names import NameFeed
from rnts.rhythm import WATERMARK_SLACK_NS
from rnts.runtime import LANE_SLOTS_NAME, runtime_folder
from rnts.sender import Sender


class Cutting:
    """The batch of one agent, and the frames that come of it."""

    def __init__(
        self,
        collector: Collector,
        handover: Handover,
        encoder: FrameEncoder,
        meta: Callable[[], bytes],
        retained_bytes_max: int,
        window_ns: int,
    ) -> None:
        """`meta` is what the agent says about itself, `retained_bytes_max` its sender's limit."""
        self._collector, self._handover, self._encoder = collector, handover, encoder
        self._names = NameFeed(collector)
        self._meta = meta
        self._retained_bytes_max = retained_bytes_max
        self._slots = np.zeros((SLOTS_PER_FRAME_MAX, 16), np.int64)
        self.filled = 0
        self._order = CatchingUp(window_ns)
        self._cut_ns = 0  # steady time of the last frame
        self.watermark_ns = self._looked_ns = 0

    def discover(self) -> None:
        """Look for programs that have begun."""
        self._looked_ns = time.time_ns()  # lanes that are not found hold nothing older
        if self._collector.discover():
            self._order.begin()

    def start_over(self) -> None:
        """The next frames are for an aggregator that has heard no name yet."""
        self._names.start_over()

    def drain(self) -> int:
        """Take what all lanes hold, as far as the batch has room; how many slots came."""
        before = self.filled
        lanes = max(1, len(self._collector.lanes))
        per_lane = max(64, (len(self._slots) - before) // lanes)
        started_ns = time.time_ns()
        until_ns = self._order.until_ns(started_ns, self._collector.oldest_ns)
        while True:
            filled = self._collector.drain(self._slots, self.filled, per_lane, until_ns)
            took, self.filled = filled - self.filled, filled
            if took < per_lane:  # so no lane had more than it was allowed to give
                whole_ns = min(started_ns - WATERMARK_SLACK_NS, self._looked_ns, until_ns)
                self.watermark_ns = max(0, whole_ns)
                break
            if filled > len(self._slots) - per_lane:
                break
        return self.filled - before

    def is_due(self, now_ns: int, batch_size: int, batch_timeout_ns: int) -> bool:
        """Whether the batch is full, no frame was cut for a while, or names wait.

        So a record that ends a silence goes out at once, and what follows fills batches.
        """
        may_go = self.filled and now_ns - self._cut_ns >= batch_timeout_ns
        return bool(self.filled >= batch_size or may_go or self._names.has_more)

    def cut(self, sender: Sender, has_status: bool, now_ns: int) -> None:
        """Encode the batch with its accounts and hand the frame to the sender."""
        # Names first: what follows may let go of the segment that has them.
        names = self._names.next_slots(len(self._slots) - self.filled)
        number = sender.next_number
        table = self._handover.rows_to_report(self._collector, number)
        slots = self._slots[: self.filled]
        if len(names):
            slots = np.concatenate((names, slots))
        meta = b""
        if has_status:
            self._collector.mark_seen()
            with contextlib.suppress(OSError):  # programs look at the time of this file, too
                os.utime(Path(runtime_folder(), LANE_SLOTS_NAME))
            meta = self._meta()
        is_keyframe = sender.retained.wants_keyframe
        frame = self._encoder.encode(
            slots, sequence=number, watermark_ns=self.watermark_ns, sources=table, meta=meta,
            is_keyframe=is_keyframe or self._encoder.is_group_large(self._retained_bytes_max),
        )  # fmt: skip
        sender.offer(frame, record_counts(table), self._encoder.base == number)
        self.filled = 0
        self._cut_ns = now_ns

    def hello_frame(self) -> bytes:
        """A frame without records that says where each source stands."""
        return self._encode_empty(self._handover.baselines.frame_table(), self._meta())

    def hole_frame(self, counts: dict[int, int]) -> bytes:
        """A frame that declares the records of frames that were given up."""
        return self._encode_empty(lost_rows(counts), b"")

    def _encode_empty(self, table: NDArray[np.int64], meta: bytes) -> bytes:
        return self._encoder.encode(
            self._slots[:0], sequence=0, watermark_ns=0, sources=table, meta=meta
        )
