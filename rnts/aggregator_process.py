"""The aggregator as a process: built from settings, run until it is told to stop."""

import logging

from rnts.aggregator import Aggregator
from rnts.links.choice import aggregator_link
from rnts.links.options import LinkOptions
from rnts.process import StopEvent, settle
from rnts.runtime import default_endpoint, make_runtime_folder
from rnts.settings import Settings
from rnts.warmup import load_kernels
from rnts.windows import Windows

_MS = 1_000_000

log = logging.getLogger("rnts")


def run_aggregator(settings: Settings, stop: StopEvent) -> None:
    """Run the aggregator until told to stop."""
    settings.require_built("aggregate")
    load_kernels()
    make_runtime_folder()
    endpoint = settings.aggregator.address or default_endpoint()
    windows = Windows(
        window_ns=settings.telemetry.aggregation.window_ms * _MS,
        percentiles=settings.telemetry.aggregation.percentiles,
        max_neurons=settings.aggregator.max_neurons,
        max_groups=settings.aggregator.max_groups,
        retire_after_ns=settings.aggregator.retire_after_s * 1_000_000_000,
    )
    options = LinkOptions.of(settings.telemetry.transport)
    link = aggregator_link(endpoint, options, default_endpoint())
    aggregator = Aggregator(endpoint, windows, settings.aggregator.grace_ms * _MS, link)
    log.info("aggregator listens at %s", endpoint)
    settle()
    aggregator.run(stop)
