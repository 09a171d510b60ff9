"""`rnts agent`: collect on this machine and deliver to an aggregator."""

from typing import Annotated

import typer

from rnts.commands._options import Config


def agent(
    endpoint: Annotated[
        list[str] | None,
        typer.Option(help="Aggregator to send to; give it again for others to fall back on."),
    ] = None,
    host: Annotated[
        bool | None, typer.Option("--host/--no-host", help="Watch this machine's processes.")
    ] = None,
    config: Config = None,
) -> None:
    """Drain this user's instrumented programs (root: everyone's) and deliver to an aggregator."""
    from rnts.process import stop_event
    from rnts.settings import load
    from rnts.warmup import prefer_objects

    stop = stop_event()
    flags = {"agent.host": host, "telemetry.transport.endpoints": endpoint or None}
    settings = load(config, flags)
    prefer_objects()
    from rnts.agent_process import run_agent

    run_agent(settings, stop)
    raise typer.Exit(stop.exit_code)
