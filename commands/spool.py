"""`rnts spool`: what agents keep on disk for aggregators that were away."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Look at what agents keep on disk while no aggregator takes it.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Folder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the spools, if not this user's.")
]


def chosen(folder: Path | None) -> Path:
    """The folder that is given, else the one that an agent started here would use."""
    from rnts.settings import load
    from rnts.spool_folder import default_folder

    return folder or default_folder(load().agent.spool.folder)


@app.command()
def inspect(folder: Folder = None, as_json: AsJson = False) -> None:
    """Tell what is there, from the indexes alone."""
    from rnts.spool_check import inspect as look

    tell(list(look(chosen(folder), reads_payloads=False)), as_json)


@app.command()
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Read all of it and compare checksums; exit code 1 where something is damaged."""
    from rnts.spool_check import inspect as look

    lives = list(look(chosen(folder), reads_payloads=True))
    tell(lives, as_json)
    raise typer.Exit(int(any(life["problem"] for life in lives)))


@app.command()
def repair(folder: Folder = None, as_json: AsJson = False) -> None:
    """Put aside what no agent can read; what can be delivered is not touched."""
    from rnts.spool_check import repair as mend

    done = mend(chosen(folder))
    if as_json:
        typer.echo(json.dumps({"version": 1, "repaired": done}))
        return
    for each in done:
        typer.echo(f"{each['folder']}: {each['done']}")
    if not done:
        typer.echo("nothing to repair")


def tell(lives: list[dict[str, Any]], as_json: bool) -> None:
    """One document, or a few lines a life."""
    if as_json:
        typer.echo(json.dumps({"version": 1, "lives": lives}))
        return
    for life in lives:
        typer.echo(life["folder"])
        for name, value in life.items():
            if name not in ("folder", "problem"):
                typer.echo(f"{name.replace('_', ' '):>18} {value:>24}")
        if life["problem"]:
            typer.echo(f"{'problem':>18} {life['problem']}")
    if not lives:
        typer.echo("nothing is spooled")
