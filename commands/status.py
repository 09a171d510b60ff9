"""`rnts status`: ask a running aggregator once how the population is, or how one neuron is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config, Endpoint

if TYPE_CHECKING:
    from rich.text import Text

TIMEOUT_MS = 2000
PIPE_CELLS, PIPE_LINES = 100, 40  # the size of the text where there is no terminal
FINDINGS_MAX, REASONS_MAX = 6, 6
Document = dict[str, Any]


def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the document on one line; docs/snapshot.md.")
    ] = False,
    neuron: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only this neuron, in full.")
    ] = None,
    endpoint: Endpoint = None,
    config: Config = None,
) -> None:
    """Ask a running aggregator once: is anything wrong, how many, how fast, what is lost."""
    from rnts.query import ask, where

    address, options = where(endpoint, config)
    if neuron is None:
        reply = ask(address, {"type": "snapshot"}, TIMEOUT_MS, options)
        reply.update(_alerts(config))
    else:
        reply = ask(address, {"type": "neuron", "neuron": neuron}, TIMEOUT_MS, options)
        require_known(neuron, reply)
    if as_json:
        typer.echo(json.dumps(reply, separators=(",", ":")))
    else:
        print_text(reply, of_neuron=neuron is not None)


def _alerts(config: Path | None) -> Document:
    """What the alert process says, where one works; a broken one must not hide the population."""
    from rnts.alerts.control import ask_alerts
    from rnts.alerts.plan import memory_folder
    from rnts.errors import RntsError
    from rnts.settings import load

    try:
        return {"alerts": ask_alerts(memory_folder(load(config)), {"type": "alerts"}, TIMEOUT_MS)}
    except RntsError:
        return {}


def require_known(asked: str, reply: Document) -> None:
    """Refuse where the aggregator has no such neuron, and name those that it may be."""
    from rnts.commands._format import visible
    from rnts.errors import RntsError

    if isinstance(reply.get("neuron"), dict):
        return
    message = f"no neuron has the id or name '{visible(asked)}'"
    if near := [visible(name) for name in reply.get("near") or []]:
        message += "; did you mean " + ", ".join(near) + "?"
    raise RntsError(message)


def print_text(reply: Document, of_neuron: bool) -> None:
    """The reply for people: as wide as the terminal, and no longer than it unless one asked."""
    from rich.console import Console

    from rnts.commands._neuron_view import neuron_lines

    console = Console()
    if console.no_color or console.is_dumb_terminal:
        console = Console(color_system=None)
    tty = console.is_terminal
    width = console.width if tty else PIPE_CELLS
    height = console.height - 1 if tty else PIPE_LINES
    lines = neuron_lines(reply, width) if of_neuron else snapshot_lines(reply, width, height)
    for text in lines:
        text.rstrip()
        console.print(text, soft_wrap=True)


def snapshot_lines(document: Document, width: int, height: int) -> "list[Text]":
    """What is wrong, the vital signs, then tables as far as `height` lines reach."""
    from rich.text import Text

    from rnts.commands._findings import calm, findings
    from rnts.commands._history import History
    from rnts.commands._layout import WIDE_CELLS, body
    from rnts.commands._system import processes_line
    from rnts.commands._vitals import verdict, vital_signs

    lines = verdict(findings(document), calm(document), width, FINDINGS_MAX)
    lines += [Text(end=""), *vital_signs(document, width, History(), REASONS_MAX)]
    bottom = [processes_line(document, width)] if width < WIDE_CELLS else []
    tables = body(document, width, max(0, height - len(lines) - len(bottom) - 1))
    return lines + [Text(end="")] * bool(tables) + tables + bottom
