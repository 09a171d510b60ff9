"""`rnts config`: check files of settings, and show the settings that are in force."""

from pathlib import Path
from typing import Annotated

import typer

from rnts.commands._options import Config

app = typer.Typer(
    help="Check files of settings, or show the settings that are in force.",
    no_args_is_help=True,
)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files to check.")],
) -> None:
    """Check files without starting anything; exit code 3 and every problem if one is invalid."""
    from rnts.errors import ConfigError
    from rnts.settings import load_file, printable

    problems = []
    for file in files:
        name = printable(str(file))
        try:
            load_file(file)
        except ConfigError as error:
            problems += error.problems
            continue
        typer.echo(f"{name}: ok")
    if problems:
        raise ConfigError(problems)


@app.command()
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    config: Config = None,
) -> None:
    """Print the settings that a process started here would use, as YAML; credentials are ***."""
    import json

    from rnts.settings import load

    settings = load(config)
    origins = settings.origins() if origin else {}
    if as_json:
        document = {"version": 1, "settings": settings.shown()}
        typer.echo(json.dumps(document | ({"origin": origins} if origin else {})))
    else:
        typer.echo(settings.to_yaml(origins), nl=False)
