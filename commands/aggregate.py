"""`rnts aggregate`: fold what agents deliver into windows and serve snapshots."""

from pathlib import Path
from typing import Annotated

import typer


def aggregate(
    bind: Annotated[
        str | None, typer.Option(help="Address to listen at: ipc:///path or tcp://host:port.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without encryption.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read this file, none of the usual places.")
    ] = None,
) -> None:
    """Take in frames, fold them into windows, and answer `rnts status` and other viewers."""
    from rnts.process import stop_event
    from rnts.settings import load
    from rnts.warmup import prefer_objects

    stop = stop_event()
    encryption = "off" if insecure else None
    settings = load(config, {"aggregator.bind": bind, "telemetry.transport.encryption": encryption})
    prefer_objects()
    from rnts.aggregator_process import run_aggregator

    run_aggregator(settings, stop)
    raise typer.Exit(stop.exit_code)
