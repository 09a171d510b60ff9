"""The agent: drains the lanes of this machine's programs into frames and delivers them.

One thread does everything that has a deadline. A pass takes all that is there; a frame is cut when
it holds `batch_size` records, or when none was cut for `batch_timeout`, or, empty, as a heartbeat
every 200 ms, in silence after the end of each window: it carries the watermark, the time before
which nothing is still to come.
"""

import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnts.clock_watch import ClockWatch, read_clocks
from rnts.collector import Collector
from rnts.cutting import Cutting
from rnts.delivery import parse_message
from rnts.frame import FrameEncoder
from rnts.handover import Handover
from rnts.lane_rates import LaneRates
from rnts.links.choice import agent_link
from rnts.links.options import LinkOptions
from rnts.lives import Lives
from rnts.process import Stop, own_usage
from rnts.rhythm import Rhythm
from rnts.runtime import boot_id, runtime_folder, segment_folders
from rnts.sampling import STEP_NS, Backlog, Load, Rates, SamplingOptions
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
    # How far a metric's values may be off when they arrive; 0 is without loss. What is not named
    # here is as the model says.
    error_max: Mapping[str, float] = field(default_factory=dict)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    is_woken: bool = False  # programs wake the agent when they end a silence


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
        steps = {name: 2 * error for name, error in options.error_max.items()}
        encoder = FrameEncoder(self.agent_id, self.incarnation, options.compression, steps)
        bytes_max = options.limits.retained_bytes_max
        self._cutting = Cutting(
            self._collector, self._handover, encoder, self._meta, bytes_max, options.window_ns
        )
        self._sender = Sender(
            self.agent_id, self.incarnation, options.limits,
            self._cutting.hello_frame, self._cutting.hole_frame,
            jitter=jitter, spool=self._spooling.begin(self.incarnation, self._spool_state),
        )  # fmt: skip
        self._lives = Lives(self._sender, self._spooling.former)
        self._link = agent_link(options.link)
        self._endpoint_index = 0
        self._rhythm = Rhythm(options.window_ns, options.is_woken)
        self._clocks = ClockWatch()
        self._rates = Rates(options.sampling, self.incarnation)
        self._lane_rates, self._backlog = LaneRates(self._collector), Backlog()
        self._rates_ns, self._cpu_ns = 0, time.process_time_ns()

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
            self._cutting.discover()
        if now_ns - self._rates_ns >= STEP_NS:
            self._set_rates(now_ns)
        took, options = self._cutting.drain(), self._options
        is_due = self._cutting.is_due(now_ns, options.batch_size, options.batch_timeout_ns)
        if is_due or self._rhythm.is_heartbeat_due(now_ns):
            self._cut(now_ns)
        self._deliver(now_ns)
        if not self._lives.is_ready:
            self._rhythm.stir(now_ns)  # so that an answer to HELLO is not slept over
        self._rhythm.rest(now_ns, took, bool(self._cutting.filled), self._collector.wait)

    def _set_rates(self, now_ns: int) -> None:
        """Have programs keep as many samples as can be carried."""
        passed_ns, cpu_ns = now_ns - self._rates_ns, time.process_time_ns()
        waiting = len(self._sender.retained.waiting)
        backlog = self._backlog.share(waiting, self._sender.received)
        used = (cpu_ns - self._cpu_ns) / passed_ns
        self._rates.step(Load(used, self._lane_rates.fill(), backlog))
        self._rates_ns, self._cpu_ns = now_ns, cpu_ns
        self._lane_rates.tell(*self._rates.words(now_ns))

    def _cut(self, now_ns: int, is_last: bool = False) -> None:
        """Make a frame of what was drained."""
        has_status = is_last or self._rhythm.is_due("status", now_ns)
        self._cutting.cut(self._sender, has_status, now_ns)
        self._rhythm.on_frame(now_ns, time.time_ns())

    def _deliver(self, now_ns: int) -> None:
        """Take answers in, send what is due, go over to the next endpoint from a silent one."""
        for parts in self._link.receive():
            message = parse_message(parts[0]) if len(parts) == 1 else None
            if message is not None and self._lives.on_message(message, now_ns):
                log.info("aggregator found at %s", self._endpoint)
                self._cutting.start_over()
        if self._sender.wants_names:
            self._sender.wants_names = False
            self._cutting.start_over()
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

    def _spool_state(self) -> State:
        """Where this life stands, for the one that finds its spool."""
        rows = self._handover.baselines.table().tobytes()
        return State(self.agent_id, self.incarnation, self._handover.committed, rows)

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
            "error_max": dict(self._options.error_max),
            "sampling": self._sampling(),
            **self._clocks.look(read_clocks()),
            "host_source": self._host_report(),
        }

    def _sampling(self) -> dict[str, Any] | None:
        """Which share of the samples is kept; None where all are."""
        document, without = self._rates.document(), self._lane_rates.without_memory
        return {**document, "lanes_without_memory": without} if document else None

    def summary(self) -> str:
        """How it is, in one line."""
        _, records = self._sender.backlog()
        # A sender takes a link that takes nothing from it for one that will soon do so again.
        is_heard = self._lives.is_ready and not self._backlog.is_stuck
        link = "delivers to" if is_heard else "looks for an aggregator at"
        lanes, segments = len(self._collector.lanes), len(self._collector.segments)
        return (
            f"{link} {self._endpoint}; {lanes} lanes, {segments} segments, {records} records wait"
        )

    def _finish(self) -> None:
        """Deliver what was recorded before the end."""
        deadline_ns = time.monotonic_ns() + _DRAIN_AT_END_NS
        self._collector.discover()
        while self._cutting.drain() and time.monotonic_ns() < deadline_ns:
            self._cut(time.monotonic_ns())
        self._cut(time.monotonic_ns(), is_last=True)
        while not self._lives.is_drained and time.monotonic_ns() < deadline_ns:
            self._deliver(time.monotonic_ns())
            self._link.wait(5)
        self._handover.end(self._sender)
        # What is folded lies in windows that are open: its aggregator, too, may end before they do.
        if self._sender.has_uncommitted:
            self._sender.retained.spill_all(self._sender.received)
        is_left = not self._sender.is_drained and self._spooling.has_all
        if not is_left:  # else windows wait for the next agent, as far as they wait for anybody
            self._link.send(self._sender.bye())
        _, records = self._sender.backlog()
        if records:  # and not only its last words
            kept = "; the next agent delivers them" if is_left else ""
            log.warning("ended without an answer to %d records%s", records, kept)
