"""`rnts doctor`: check what RNTS needs of this machine, with a fix for each fault."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from rnts.commands._options import Endpoint

if TYPE_CHECKING:
    from rnts.machine import Finding

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    endpoint: Endpoint = None,
) -> None:
    """Check what RNTS needs of this machine; exit code 1 where it cannot work."""
    from rnts.doctor import examine

    findings = list(examine(endpoint))
    if as_json:
        document = {"version": 1, "findings": [finding._asdict() for finding in findings]}
        typer.echo(json.dumps(document))
    else:
        print_table(findings)
    raise typer.Exit(int(any(finding.verdict == "fail" for finding in findings)))


def print_table(findings: "list[Finding]") -> None:
    """One row a finding, and under it what to do."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for verdict, column in (("", {}), ("", {"no_wrap": True}), ("", {"overflow": "fold"})):
        table.add_column(verdict, **column)
    for finding in findings:
        text = Text(finding.finding)
        if finding.fix:
            text.append(f"\n→ {finding.fix}", style="bold")
        table.add_row(Text(finding.verdict, COLORS[finding.verdict]), Text(finding.check), text)
    Console().print(table)
