"""`rnts rules`: check files of alert rules, and say how each rule is understood."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.rules.condition import Condition
    from rnts.settings_alerts import Alert

app = typer.Typer(help="Check alert rules before they are needed.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `check` a name of its own, although it is the only one so far."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File with a section alerts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what each rule reads, of whom, over how long; exit code 3 and every fault if wrong."""
    from rnts.rules.condition import parse_condition
    from rnts.settings import load_file, printable

    rules = [(alert, parse_condition(alert.condition)) for alert in load_file(file).alerts]
    name = printable(str(file))
    if as_json:
        documents = [_document(alert, condition) for alert, condition in rules]
        typer.echo(json.dumps({"version": 1, "file": name, "rules": documents}))
        return
    typer.echo(f"{name}: {len(rules)} rule{'' if len(rules) == 1 else 's'}, ok")
    for alert, condition in rules:
        _tell(alert, condition)


def _document(alert: "Alert", condition: "Condition") -> dict[str, Any]:
    from rnts.rules.words import document

    return {
        "name": alert.name,
        "severity": alert.severity,
        "action": list(alert.action),
        "receivers": list(alert.receivers),
        "no_data": alert.no_data,
        "keep_firing_for": alert.keep_firing_for,
        "resolve_when": alert.resolve_when,
        "interval": alert.interval,
        "limit": alert.limit,
        "causes": list(alert.causes),
        **document(condition),
    }


def _tell(alert: "Alert", condition: "Condition") -> None:
    from rnts.durations import parse_duration_ns
    from rnts.rules.words import duration_in_words, reading_in_words, scope_in_words

    keeps = parse_duration_ns(alert.keep_firing_for)
    typer.echo(f"\n{alert.name}")
    lines = [
        ("when", " ".join(condition.text.split())),
        ("of", scope_in_words(condition)),
        *(("reads", reading_in_words(reading)) for reading in condition.readings),
        ("holds", f"for {duration_in_words(condition.for_ns)}" if condition.for_ns else "at once"),
        ("severity", alert.severity),
        *((("recovers", f"when {alert.resolve_when}"),) if alert.resolve_when else ()),
        *((("keeps", f"firing for {alert.keep_firing_for}"),) if keeps else ()),
        *((("no data", alert.no_data),) if alert.no_data != "keep" else ()),
        *((("action", ", ".join(alert.action)),) if alert.action else ()),
        *((("receivers", ", ".join(alert.receivers)),) if alert.receivers else ()),
    ]
    for title, words in lines:
        typer.echo(f"{title:>10}  {words}")
