"""One recorded life, told again to an aggregator by an agent that never was."""

import json
import os
from collections import Counter

import numpy as np

from rnts.delivery import Message
from rnts.errors import FrameError
from rnts.frame import FrameEncoder
from rnts.handover import Baselines, lost_rows
from rnts.process import own_usage
from rnts.recordings.opened import Opened
from rnts.recordings.retelling import Identity, farewell, record_count, retell
from rnts.sender import Limits, Sender

RETAINED_BYTES_MAX = 256 << 20  # frames that wait until their windows are closed
_TIMEOUT_NS, _RETRY_COUNT = 1_000_000_000, 3
_NOTHING = np.zeros((0, 16), np.int64)


class Telling:
    """The sender of one life, and what of it could not be told."""

    def __init__(self, teller: Identity, skipped: "Counter[str]") -> None:
        self.teller = teller
        self._skipped = skipped
        self._baselines = Baselines()
        self._baselines.add(teller.baseline()[0])
        self._encoder = FrameEncoder(teller.agent_id, teller.incarnation, "none")
        limits = Limits(RETAINED_BYTES_MAX, _TIMEOUT_NS, _RETRY_COUNT)
        self.sender = Sender(
            teller.agent_id, teller.incarnation, limits, self._make_hello, self._make_hole
        )
        self._is_broken = True  # only a keyframe can follow
        self.frames = self.records = 0

    @property
    def under_way(self) -> int:
        """Entries that were offered and are not known to be folded."""
        return self.sender.next_number - self.sender.received

    def offer(self, opened: Opened, shift_ns: int) -> None:
        """Take over one frame of the recording."""
        payload, header, retained = opened.record.payload, opened.header, self.sender.retained
        if self._is_broken and not header.is_keyframe:
            self._skipped["memory"] += 1
            return
        records = record_count(opened.frame.sources)
        number = self.sender.next_number
        # A recording has its keyframes where it has them, whatever the aggregator wishes.
        retained.wants_keyframe = False
        try:
            frame = retell(payload, header, self.teller, number, records, shift_ns)
        except FrameError as error:
            self._skipped[error.reason] += 1
            self._is_broken = True
            return
        self._offer(frame, records, header.is_keyframe)
        self._is_broken = retained.wants_keyframe  # it had to give up the group to make room
        self.frames += 1
        self.records += records

    def end(self) -> None:
        """Nothing of this life follows."""
        self._offer(farewell(self.teller, self.sender.next_number), 0, is_keyframe=False)

    def _offer(self, frame: bytes, records: int, is_keyframe: bool) -> None:
        key = int(self.teller.baseline()[0, 0])
        self.sender.offer(frame, {key: records} if records else {}, is_keyframe)

    def on_message(self, message: Message, now_ns: int) -> None:
        """Take in an answer, if it is for this life."""
        self.sender.on_message(message, now_ns)
        credited = self.sender.retained.committed_counts
        while credited:
            self._baselines.credit(credited.popleft())

    def _make_hello(self) -> bytes:
        about = {"host": os.uname().nodename, **own_usage(), "replays": True}
        return self._encoder.encode(
            _NOTHING, sequence=0, watermark_ns=0, sources=self._baselines.table(),
            meta=json.dumps(about).encode(),
        )  # fmt: skip

    def _make_hole(self, counts: dict[int, int]) -> bytes:
        return self._encoder.encode(_NOTHING, sequence=0, watermark_ns=0, sources=lost_rows(counts))
