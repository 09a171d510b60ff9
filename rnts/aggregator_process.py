"""The aggregator as a process: built from settings, run until it is told to stop."""

import logging
import re
import time
from pathlib import Path

from rnts.aggregator import Aggregator
from rnts.keeper import Keeper
from rnts.links.choice import aggregator_link
from rnts.links.options import LinkOptions
from rnts.process import StopEvent
from rnts.runtime import default_endpoint, make_runtime_folder, state_folder
from rnts.settings import Settings
from rnts.tuned import settle_tuned, take_place
from rnts.turns import Turns
from rnts.warmup import load_kernels
from rnts.windows import Windows

_MS = 1_000_000

log = logging.getLogger("rnts")


def ledger_path(settings: Settings) -> Path | None:
    """The file of the ledger; None where it is off.

    Left to us each address has its own: two aggregators of one user must not fence one another.
    """
    chosen, address = settings.aggregator.ledger, settings.aggregator.address
    if chosen == "off":
        return None
    if chosen != "auto":
        return Path(chosen)
    place = "local" if address is None else re.sub(r"[^A-Za-z0-9.]+", "-", address)
    return Path(state_folder(), f"ledger-{place}.sqlite")


def make_windows(settings: Settings) -> Windows:
    """The windows that an aggregator of these settings has."""
    return Windows(
        window_ns=settings.telemetry.aggregation.window_ms * _MS,
        percentiles=settings.telemetry.aggregation.percentiles,
        max_neurons=settings.aggregator.max_neurons,
        max_groups=settings.aggregator.max_groups,
        retire_after_ns=settings.aggregator.retire_after_s * 1_000_000_000,
        unsealed=settings.aggregator.seal_after,
    )


def run_aggregator(settings: Settings, stop: StopEvent) -> None:
    """Run the aggregator until told to stop."""
    take_place("aggregate")
    load_kernels()
    make_runtime_folder()
    endpoint = settings.aggregator.address or default_endpoint()
    windows = make_windows(settings)
    path, keeper = ledger_path(settings), None
    if path is not None:
        keeper = Keeper(path, settings.aggregator.ledger_bytes_max, time.time_ns())
    options = LinkOptions.of(settings.telemetry.transport)
    # The link first: who has the address has the ledger.
    link = aggregator_link(endpoint, options, default_endpoint())
    grace_ns = settings.aggregator.grace_ms * _MS
    try:
        aggregator = Aggregator(endpoint, windows, grace_ns, link, keeper)
    except BaseException:
        link.close()
        raise
    log.info("aggregator listens at %s, ledger %s", endpoint, path or "off")
    settle_tuned()

    def summary() -> str:
        agents, neurons = len(aggregator.receiver.sessions), windows.population.known
        return f"listens at {endpoint}; {agents} agents, {neurons} neurons, ledger {path or 'off'}"

    aggregator.run(Turns(stop, stop.manager, summary))
