"""Options that several commands have, so that they are called and explained the same."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Read this file, none of the usual places.")
]
Rules = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File with the sections of alerts; else the settings."),
]
Endpoint = Annotated[str | None, typer.Option(metavar="ADDR", help="The aggregator's address.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let other machines in without encryption.")
]
