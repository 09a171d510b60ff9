"""The agent: drains the lanes of this machine's programs into frames and delivers them.

One thread does everything that has a deadline. A pass takes all that is there; a frame is cut when
it holds `batch_size` records, when its oldest record has waited `batch_timeout`, or, empty, as a
heartbeat every 200 ms, in silence after the end of each window: it carries the watermark, the time
before which nothing is still to come.
"""

import contextlib
import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.clock_watch import ClockWatch, read_clocks
from rnts.collector import Collector
from rnts.delivery import parse_message
from rnts.frame import SLOTS_PER_FRAME_MAX, FrameEncoder
from rnts.handover import Handover, lost_rows, record_counts
from rnts.links.choice import agent_link
from rnts.links.options import LinkOptions
from rnts.lives import Lives
from rnts.names import NameFeed
from rnts.process import Stop, own_usage
from rnts.rhythm import WATERMARK_SLACK_NS, Rhythm
from rnts.runtime import LANE_SLOTS_NAME, boot_id, runtime_folder, segment_folders
from rnts.sender import Limits, Sender
from rnts.spool_parts import State
from rnts.spooling import Spooling, SpoolOptions

_DRAIN_AT_END_NS = 2_000_000_000

log = logging.getLogger("rnts.agent")


def agent_id() -> int:
    """The id of this user's agent on this machine, the same for each of its lives."""
    place = f"{boot_id()}/{os.uname().nodename}/{Path(runtime_folder())}".encode()
    return int.from_bytes(hashlib.blake2b(place, digest_size=8).digest(), "little") | 1


@dataclass(frozen=True)
class AgentOptions:
    """What the settings say to the agent; times in nanoseconds."""

    endpoints: list[str]
    batch_size: int
    batch_timeout_ns: int
    window_ns: int  # of the aggregator, which closes one when the watermark has passed its end
    compression: str
    segments_folder: Path | None  # None: where the programs of this user put them
    limits: Limits
    spool: SpoolOptions | None = None  # None: what memory does not hold is lost
    link: LinkOptions = field(default_factory=LinkOptions)


class Agent:
    """One agent; `status` gives what it says about itself in its frames."""

    def __init__(self, options: AgentOptions, host_report: Callable[[], dict[str, Any]]) -> None:
        self.agent_id = agent_id()
        self._options = options
        jitter = random.Random(time.time_ns()).random
        self._spooling = Spooling(self.agent_id, options.spool, options.limits, jitter)
        self.incarnation = self._spooling.next_incarnation(time.time_ns())
        self._host_report = host_report
        folder = options.segments_folder
        self._handover = Handover()
        self._collector = Collector(
            segment_folders if folder is None else lambda: [folder], self._handover.keep_file
        )
        self._names = NameFeed(self._collector)
        self._encoder = FrameEncoder(self.agent_id, self.incarnation, options.compression)
        self._sender = Sender(
            self.agent_id, self.incarnation, options.limits, self._hello_frame, self._hole_frame,
            jitter=jitter, spool=self._spooling.begin(self.incarnation, self._spool_state),
        )  # fmt: skip
        self._lives = Lives(self._sender, self._spooling.former)
        self._link = agent_link(options.link)
        self._endpoint_index = 0
        self._slots = np.zeros((SLOTS_PER_FRAME_MAX, 16), np.int64)
        self._filled = 0
        self._oldest_ns = 0  # steady time since which the batch has held something
        self._watermark_ns = self._looked_ns = 0
        self._rhythm = Rhythm(options.window_ns)
        self._clocks = ClockWatch()

    def run(self, stop: Stop, before_end: Callable[[], None]) -> None:
        """Work until `stop` is set, call `before_end`, then deliver what is there: 2 s at most."""
        try:
            self._connect(0)
            while not stop.is_set():
                self._pass(time.monotonic_ns())
            before_end()
            self._finish()
        finally:
            self._link.close()
            self._collector.close()
            self._spooling.end()

    def _pass(self, now_ns: int) -> None:
        """Drain, cut and deliver what is due, then sleep as long as nothing is."""
        if self._rhythm.is_due("discover", now_ns):
            self._looked_ns = time.time_ns()  # lanes that are not found hold nothing older
            self._collector.discover()
        took = self._drain()
        if self._filled and not self._oldest_ns:
            self._oldest_ns = now_ns
        is_full = self._filled >= self._options.batch_size
        is_old = self._filled and now_ns - self._oldest_ns >= self._options.batch_timeout_ns
        if is_full or is_old or self._rhythm.is_heartbeat_due(now_ns) or self._names.has_more:
            self._cut(now_ns)
        self._deliver(now_ns)
        if not self._lives.is_ready:
            self._rhythm.stir(now_ns)  # so that an answer to HELLO is not slept over
        self._rhythm.rest(now_ns, took, bool(self._filled), self._collector.wait)

    def _drain(self) -> int:
        """Take what all lanes hold, as far as the batch has room; how many slots came."""
        before = self._filled
        lanes = max(1, len(self._collector.lanes))
        per_lane = max(64, (len(self._slots) - before) // lanes)
        started_ns = time.time_ns()
        while True:
            filled = self._collector.drain(self._slots, self._filled, per_lane)
            took, self._filled = filled - self._filled, filled
            if took < per_lane:  # so no lane had more than it was allowed to give
                self._watermark_ns = min(started_ns - WATERMARK_SLACK_NS, self._looked_ns)
                break
            if filled > len(self._slots) - per_lane:
                break
        return self._filled - before

    def _cut(self, now_ns: int, is_last: bool = False) -> None:
        """Encode the batch with its accounts and hand the frame to the sender."""
        # Names first: what follows may let go of the segment that has them.
        names = self._names.next_slots(len(self._slots) - self._filled)
        number = self._sender.next_number
        table = self._handover.rows_to_report(self._collector, number)
        slots = self._slots[: self._filled]
        if len(names):
            slots = np.concatenate((names, slots))
        meta = b""
        if is_last or self._rhythm.is_due("status", now_ns):
            self._collector.mark_seen()
            with contextlib.suppress(OSError):  # programs look at the time of this file, too
                os.utime(Path(runtime_folder(), LANE_SLOTS_NAME))
            meta = self._meta()
        bytes_max = self._options.limits.retained_bytes_max
        is_keyframe = self._sender.retained.wants_keyframe
        frame = self._encoder.encode(
            slots, sequence=number, watermark_ns=self._watermark_ns, sources=table, meta=meta,
            is_keyframe=is_keyframe or self._encoder.is_group_large(bytes_max),
        )  # fmt: skip
        self._sender.offer(frame, record_counts(table), self._encoder.base == number)
        self._filled = 0
        self._oldest_ns = 0
        self._rhythm.on_frame(now_ns, time.time_ns())

    def _deliver(self, now_ns: int) -> None:
        """Take answers in, send what is due, go over to the next endpoint from a silent one."""
        for parts in self._link.receive():
            message = parse_message(parts[0]) if len(parts) == 1 else None
            if message is not None and self._lives.on_message(message, now_ns):
                log.info("aggregator found at %s", self._endpoint)
                self._names.start_over()
        if self._handover.take_commits(self._sender):
            self._spooling.mark()
        for parts in self._lives.step(now_ns):
            if not self._link.send(parts):
                header = parse_message(parts[0])
                assert header is not None
                self._lives.unsend(header)
                break
        if self._lives.is_suspect:
            self._connect(self._endpoint_index + 1)

    def _connect(self, index: int) -> None:
        """Turn to an endpoint of the list; around its end begins again."""
        self._endpoint_index = index % len(self._options.endpoints)
        self._endpoint = self._options.endpoints[self._endpoint_index]
        self._link.connect(self._endpoint)
        self._lives.begin()

    def _hello_frame(self) -> bytes:
        return self._encode_empty(self._handover.baselines.frame_table(), self._meta())

    def _spool_state(self) -> State:
        """Where this life stands, for the one that finds its spool."""
        rows = self._handover.baselines.table().tobytes()
        return State(self.agent_id, self.incarnation, self._handover.committed, rows)

    def _hole_frame(self, counts: dict[int, int]) -> bytes:
        """A frame that declares the records of frames that were given up."""
        return self._encode_empty(lost_rows(counts), b"")

    def _encode_empty(self, table: NDArray[np.int64], meta: bytes) -> bytes:
        return self._encoder.encode(
            self._slots[:0], sequence=0, watermark_ns=0, sources=table, meta=meta
        )

    def _meta(self) -> bytes:
        # When it is sent, as long as nothing waits: by that aggregators judge this clock.
        return json.dumps({**self.status(), "sent_ns": time.time_ns()}).encode()

    def status(self) -> dict[str, Any]:
        """What the agent says about itself; shown in snapshots under `agents`."""
        frames, records = self._sender.backlog()
        return {
            "host": os.uname().nodename,
            **own_usage(),
            "endpoint": self._endpoint,
            "link": self._link.counters(),
            "segments": len(self._collector.segments),
            "lanes": len(self._collector.lanes),
            "segments_refused": dict(self._collector.refused),
            "lanes_quarantined": dict(self._collector.quarantine.lanes),
            "backlog_frames": frames,
            "backlog_records": records,
            "retained_bytes": self._sender.retained_bytes,
            "spool": self._spooling.status(),
            **self._clocks.look(read_clocks()),
            "host_source": self._host_report(),
        }

    def _finish(self) -> None:
        """Deliver what was recorded before the end."""
        deadline_ns = time.monotonic_ns() + _DRAIN_AT_END_NS
        self._collector.discover()
        while self._drain() and time.monotonic_ns() < deadline_ns:
            self._cut(time.monotonic_ns())
        self._cut(time.monotonic_ns(), is_last=True)
        while not self._lives.is_drained and time.monotonic_ns() < deadline_ns:
            self._deliver(time.monotonic_ns())
            self._link.wait(5)
        self._link.send(self._sender.bye())
        if not self._sender.is_drained:
            _, records = self._sender.backlog()
            self._sender.retained.spill_all(self._sender.received)
            kept = "; the next agent delivers them" if self._spooling.has_all else ""
            log.warning("ended without an answer to %d records%s", records, kept)
