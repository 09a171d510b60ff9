"""The agent as a process: built from settings, with the host source, run until stopped."""

import logging
import threading
from pathlib import Path
from typing import Any

from rnts.agent import Agent, AgentOptions
from rnts.host import HostSource
from rnts.links.options import LinkOptions
from rnts.process import StopEvent, claim_role, sleep_precisely
from rnts.producer import PROCESS
from rnts.runtime import LANE_SLOTS_NAME, default_endpoint, make_runtime_folder
from rnts.sampling import SamplingOptions
from rnts.sender import Limits
from rnts.settings import Settings
from rnts.settings_models import Sampling
from rnts.settings_spool import SpoolSettings
from rnts.spool_folder import default_folder
from rnts.spool_parts import SpoolLimits
from rnts.spooling import SpoolOptions
from rnts.tuned import settle_tuned, take_place
from rnts.turns import Turns
from rnts.warmup import load_kernels

_MS = 1_000_000

log = logging.getLogger("rnts")


def run_agent(settings: Settings, stop: StopEvent) -> None:
    """Run the agent until told to stop."""
    take_place("agent")
    load_kernels()
    folder = Path(make_runtime_folder())
    guard = claim_role("agent", folder)
    collection, transport = settings.telemetry.collection, settings.telemetry.transport
    try:
        (folder / LANE_SLOTS_NAME).write_text(str(collection.lane_slots))
    except OSError as error:  # what is drained makes room; programs take their own default
        log.warning("%s has no room for what the agent asks programs for: %s", folder, error)
    options = AgentOptions(
        endpoints=list(transport.addresses) or [default_endpoint()],
        batch_size=collection.batch_size,
        batch_timeout_ns=collection.batch_timeout_ms * _MS,
        window_ns=settings.telemetry.aggregation.window_ms * _MS,
        compression=collection.compression,
        error_max=collection.error_max.errors,
        segments_folder=Path(settings.agent.segments_dir) if settings.agent.segments_dir else None,
        limits=Limits(
            retained_bytes_max=settings.agent.retained_bytes_max,
            timeout_ns=transport.timeout_ms * _MS,
            retry_count=transport.retry_count,
        ),
        spool=spool_options(settings.agent.spool),
        link=LinkOptions.of(transport),
        sampling=sampling_options(settings.telemetry.sampling),
        is_woken=collection.wake_agent,
    )
    host = HostThread(settings.agent.host_interval_ms / 1000) if settings.agent.host else None
    agent = Agent(options, host.report if host else dict)
    if host:
        host.start()
    log.info("agent works in %s, sends to %s", folder, ", ".join(options.endpoints))
    settle_tuned()
    sleep_precisely()
    try:
        turns = Turns(stop, stop.manager, agent.summary)
        agent.run(turns, before_end=host.stop if host else lambda: None)
    finally:
        if host:
            host.stop()
        PROCESS.close(unlink=True)
        (folder / LANE_SLOTS_NAME).unlink(missing_ok=True)
        guard.close()


def spool_options(spool: SpoolSettings) -> SpoolOptions | None:
    """What the settings say of the spool; None where it is off."""
    if not spool.bytes_max:
        return None
    limits = SpoolLimits(spool.bytes_max, spool.segment_bytes, spool.sync)
    return SpoolOptions(default_folder(spool.folder), limits)


def sampling_options(sampling: Sampling) -> SamplingOptions:
    """What the settings say of sampling."""
    weights = sampling.importance_weights
    by_class = weights.critical_path, weights.high_activity, weights.normal
    return SamplingOptions(sampling.base_rate, sampling.adaptive, by_class)


class HostThread:
    """The host source in a thread of the agent: an instrumented program like any other."""

    def __init__(self, interval_s: float) -> None:
        self._source = HostSource(PROCESS, interval_s=interval_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rnts-host", daemon=True)

    def _run(self) -> None:
        try:
            self._source.run(self._stop)
        except Exception:
            log.exception("the host source has ended; programs are watched as before")

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no more; returns when the last pass has ended."""
        self._stop.set()
        self._thread.join(timeout=1)

    def report(self) -> dict[str, Any]:
        """What the source says about itself."""
        report = self._source.report
        counters = {"skipped": dict(report.skipped), "sweeps_failed": dict(report.sweeps_failed)}
        return {**vars(report), **counters}
