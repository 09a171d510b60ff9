"""`rnts alert`: run alert rules, look at alerts, and silence them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config, Insecure, Rules

if TYPE_CHECKING:
    from rnts.alert_process import Reader
    from rnts.settings import Settings

app = typer.Typer(help="Run alert rules; look at alerts, and silence them.")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback(invoke_without_command=True)
def alert(
    context: typer.Context,
    rules: Rules = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, do and remember nothing.")
    ] = False,
    connect: Annotated[
        str | None, typer.Option(metavar="ADDR", help="The aggregator's address.")
    ] = None,
    insecure: Insecure = False,
    config: Config = None,
) -> None:
    """Watch a population by rules, and act when they hold; SIGHUP reads the rules again."""
    if context.invoked_subcommand is not None:
        context.obj = (rules, config)
        return
    from rnts.process import stop_event

    stop = stop_event()
    from rnts.alert_process import run_alert
    from rnts.alerts.standing import open_source

    encryption = "off" if insecure else None
    reader = reader_of(rules, config, {"telemetry.transport.encryption": encryption})
    run_alert(reader, stop, lambda *asked: open_source(connect, *asked), dry_run)
    raise typer.Exit(stop.exit_code)


def reader_of(
    rules: Path | None, config: Path | None, flags: dict[str, object] | None = None
) -> "Reader":
    """How the settings are read: those about alerts from the file of rules where there is one."""
    import os

    from rnts.alert_process import Reader
    from rnts.settings import load, load_file, with_alerts_of
    from rnts.settings_sources import file_places

    def read() -> "Settings":
        settings = load(config, flags)
        return with_alerts_of(settings, load_file(rules)) if rules else settings

    usual = [path for path, _ in file_places(os.environ, Path())]
    return Reader(read, [*([config] if config else usual), *([rules] if rules else [])])


@app.command("list")
def list_alerts(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the alerts as they are, those that fire first."""
    from rnts.commands._alerts import alert_lines

    answer = _ask(context, {"type": "alerts"})
    _print(answer, as_json, alert_lines)


@app.command()
def silences(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the silences that are in force, and who gave them."""
    from rnts.commands._alerts import silence_lines

    answer = _ask(context, {"type": "silences"})
    _print(answer, as_json, silence_lines)


@app.command()
def silence(
    context: typer.Context,
    matchers: Annotated[
        list[str], typer.Argument(metavar="LABEL=VALUE...", help="As rule=slow group=cortex.")
    ],
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="It ends by itself.")],
    author: Annotated[str | None, typer.Option(help="Who says so; else who is logged in.")] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: AsJson = False,
) -> None:
    """Have alerts with all these labels not told for a time; they go on with their lives."""
    from rnts.commands._alerts import parse_matchers
    from rnts.durations import parse_duration_ns

    request = {
        "type": "silence",
        "matchers": parse_matchers(matchers),
        "for_ns": parse_duration_ns(duration),
        "author": author or _logged_in(),
        "comment": comment,
    }
    answer = _ask(context, request)
    said = f"{answer.get('silence', {}).get('id')}  silences {answer.get('covers')} alerts now"
    _print(answer, as_json, lambda _: [said])


@app.command()
def unsilence(
    context: typer.Context,
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="As `rnts alert silences` says.")],
) -> None:
    """End a silence; what still fires is told then."""
    _ask(context, {"type": "unsilence", "id": silence_id})
    typer.echo(f"{silence_id}  has ended")


def _logged_in() -> str:
    """Who gives this command; in a container that may be nobody with a name."""
    import getpass

    from rnts.errors import UsageError

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("a silence needs an author: who gives it? --author NAME") from None


def _ask(context: typer.Context, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the process that works by these settings."""
    from rnts.alerts.control import ask_alerts
    from rnts.alerts.plan import memory_folder

    return ask_alerts(memory_folder(reader_of(*context.obj).read()), request)


def _print(answer: dict[str, Any], as_json: bool, lines: Any) -> None:
    typer.echo(json.dumps({"version": 1, **answer}) if as_json else "\n".join(lines(answer)))
