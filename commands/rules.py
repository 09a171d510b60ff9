"""`rnts rules`: check files of alert rules, and say how each rule is understood."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.rules.condition import Condition
    from rnts.settings_models import Alert

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
        "action": alert.action,
        **document(condition),
    }


def _tell(alert: "Alert", condition: "Condition") -> None:
    from rnts.rules.words import duration_in_words, reading_in_words, scope_in_words

    typer.echo(f"\n{alert.name}")
    lines = [
        ("when", " ".join(condition.text.split())),
        ("of", scope_in_words(condition)),
        *(("reads", reading_in_words(reading)) for reading in condition.readings),
        ("holds", f"for {duration_in_words(condition.for_ns)}" if condition.for_ns else "at once"),
        ("severity", alert.severity),
        *((("action", alert.action),) if alert.action else ()),
    ]
    for title, words in lines:
        typer.echo(f"{title:>10}  {words}")
