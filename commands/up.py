"""`rnts up`: the whole system on this machine, with a live screen."""

from typing import Annotated

import typer

from rnts.commands._options import Config, Insecure, Rules


def up(
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End by itself, 10s after it is up.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No screen; print one snapshot at the end.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Add a population to look at.")] = False,
    neurons: Annotated[int, typer.Option(help="Neurons of the demo.")] = 1000,
    fault: Annotated[
        str | None, typer.Option(help="Fault of the demo: kill, storm, silence or slow.")
    ] = None,
    at: Annotated[str, typer.Option(metavar="TIME", help="When the fault begins.")] = "10s",
    host: Annotated[
        bool | None, typer.Option("--host/--no-host", help="Watch this machine's processes.")
    ] = None,
    rules: Rules = None,
    insecure: Insecure = False,
    config: Config = None,
) -> None:
    """Run agent, aggregator and alerts; restart what dies, show the population until Ctrl-C."""
    from rnts.durations import parse_duration_ns
    from rnts.errors import UsageError
    from rnts.links.options import LinkOptions, own_endpoint
    from rnts.process import claim_role, stop_event
    from rnts.settings import load, load_file, with_alerts_of

    if fault is not None and not demo:
        raise UsageError("--fault is a fault of the demo; give --demo too")
    stop = stop_event()
    duration_s = parse_duration_ns(duration) / 1e9 if duration else None
    encryption = "off" if insecure else None
    settings = load(config, {"agent.host": host, "telemetry.transport.encryption": encryption})
    if rules:
        settings = with_alerts_of(settings, load_file(rules))
    link = LinkOptions.of(settings.telemetry.transport)
    endpoint = own_endpoint(settings)
    guard = claim_role("rnts up")
    from rnts.commands._live import run_live
    from rnts.commands.warmup import compile_if_cold

    compile_if_cold()
    demo_arguments = ["demo", "--neurons", str(neurons)]
    demo_arguments += ["--fault", fault, "--at", at] if fault else []
    common = ["--config", str(config)] if config else []
    host_flag = [] if host is None else ["--host" if host else "--no-host"]
    to_own = [] if settings.telemetry.transport.endpoints else ["--endpoint", endpoint]
    open_flag, has_rules = ["--insecure"] if insecure else [], bool(settings.all_rules)
    alert = ["alert", "--connect", endpoint, *open_flag, *common]
    alert += ["--rules", str(rules)] if rules else []
    children = {
        "aggregator": ["aggregate", *open_flag, *common],
        "agent": ["agent", *host_flag, *to_own, *common],
        **({"demo": demo_arguments} if demo else {}),
        **({"alert": alert} if has_rules else {}),
    }
    folder = None
    if has_rules:
        from rnts.alerts.plan import memory_folder

        folder = memory_folder(settings)
    with guard:
        raise typer.Exit(run_live(children, endpoint, link, stop, duration_s, as_json, folder))
