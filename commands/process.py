"""`rnts process`: run stream processors on all that an aggregator folds, or on a recording."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config

if TYPE_CHECKING:
    from rnts.processors.reporting import Reporting


def process(
    processor: Annotated[
        list[str],
        typer.Option(
            metavar="SPEC", help="anomaly, or MODULE:CLASS; options behind it: anomaly,risk=1e-4."
        ),
    ],
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="CPU time that a processor has for a batch.")
    ] = "1s",
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End by itself, such as after 10s.")
    ] = None,
    recording: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Process a recording.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--connect", "--endpoint", metavar="ADDR", help="The aggregator's address."),
    ] = None,
    alert: Annotated[
        bool, typer.Option("--alert", help="Tell the running rnts alert, too; docs/processors.md.")
    ] = False,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The rules that rnts alert has.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what processors learn in this file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as the last line; docs/processors.md.")
    ] = False,
    config: Config = None,
) -> None:
    """Print what stream processors find in all records, one alert as JSON on each line."""
    from rnts.durations import parse_duration_ns
    from rnts.errors import UsageError
    from rnts.process import stop_event
    from rnts.query import where
    from rnts.warmup import load_kernels, prefer_objects

    stop = stop_event()
    budget_ns = parse_duration_ns(budget)
    until_ns = time.monotonic_ns() + parse_duration_ns(duration) if duration else None
    specs = [parse_spec(text) for text in processor]
    address, options = where(endpoint, config)
    if recording is not None and alert:
        raise UsageError("--alert is about what happens now, and --from about what was recorded")
    prefer_objects()
    from rnts.processors.dispatcher import Dispatcher
    from rnts.processors.processing import Processing, load_states, save_states
    from rnts.recordings.reader import Reader
    from rnts.tapping import tapped

    load_kernels()
    reader = None if recording is None else Reader(recording)
    dispatcher = Dispatcher(specs, budget_ns, load_states(state))
    reporting = open_reporting(rules, config) if alert else None
    processing = Processing(dispatcher, lambda found: hand_on(found, reporting))
    try:
        dispatcher.wait_until_ready(stop.is_set)
        if reader is not None:
            processing.play(reader.records(), stop)
        else:
            for found in tapped(address, options, stop, until_ns):
                processing.take(found)
                if reporting is not None:
                    reporting.poll()
                if not dispatcher.is_of_use():
                    break
        processing.finish()
        if reporting is not None:
            reporting.finish(stop.is_set)
        is_of_use = dispatcher.is_of_use()
    finally:
        dispatcher.end()
        try:
            save_states(state, dispatcher)
        finally:
            document = processing.document()
            if reporting is not None:
                document["reports"] = reporting.document()
                reporting.close()
            tell(document, as_json)
    raise typer.Exit(stop.exit_code or int(not is_of_use))


def open_reporting(rules: Path | None, config: Path | None) -> "Reporting":
    """A way to the alert process that works by these settings."""
    from rnts.alerts.plan import memory_folder
    from rnts.commands.alert import reader_of
    from rnts.processors.reporting import Reporting

    return Reporting(memory_folder(reader_of(rules, config).read()))


def hand_on(found: dict[str, Any], reporting: "Reporting | None") -> None:
    """Print an alert, and report it where that is wanted."""
    typer.echo(json.dumps(found))
    if reporting is not None:
        reporting.reporter.offer(found)


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """What to make a processor of, and its options: `module:Class,name=value,…`."""
    from rnts.errors import UsageError
    from rnts.processors.child import SHORT_NAMES

    spec, *given = text.split(",")
    if spec not in SHORT_NAMES and (":" not in spec or not spec.replace(":", ".").strip(".")):
        raise UsageError(f"--processor is {', '.join(SHORT_NAMES)} or MODULE:CLASS, not {spec!r}")
    options = {}
    for each in given:
        name, is_given, value = each.partition("=")
        if not is_given or not name.isidentifier():
            raise UsageError(f"an option of a processor is name=value, and not {each!r}")
        options[name] = _value(value)
    return spec, options


def _value(text: str) -> Any:
    """A number or true or false where it is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def tell(document: dict[str, Any], as_json: bool) -> None:
    """What became of the records, and of each processor."""
    if as_json:
        typer.echo(json.dumps(document))
        return
    typer.echo(f"{document['records']:,} records", err=True)
    for each in document["processors"]:
        counts = ", ".join(
            f"{name.replace('_', ' ')} {value:,}"
            for name, value in each.items()
            if isinstance(value, int) and value
        )
        end = f"; cut off: {each['cut_off']}" if each["cut_off"] else ""
        typer.echo(f"{each['name']}: {counts or 'nothing'}{end}", err=True)
    for title in ("frames_lost", "frames_skipped", "reports"):
        if document.get(title):
            typer.echo(f"{title.replace('_', ' ')}: {document[title]}", err=True)
