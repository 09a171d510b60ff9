"""`rnts aggregate`: fold what agents deliver into windows and serve snapshots."""

from typing import Annotated

import typer

from rnts.commands._options import Config, Insecure


def aggregate(
    bind: Annotated[
        str | None, typer.Option(help="Address to listen at: ipc:///path or tcp://host:port.")
    ] = None,
    insecure: Insecure = False,
    config: Config = None,
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
