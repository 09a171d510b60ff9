"""`rnts audit`: whether every record that was ever attempted is accounted for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rnts.audit import Audit
    from rnts.links.options import LinkOptions

_SETTLE_S = 2.0


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
    endpoint: Annotated[
        str | None, typer.Option(metavar="ADDR", help="The aggregator's address.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read this file, none of the usual places.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Give what is on its way 2 s to arrive.")
    ] = True,
) -> None:
    """Compare what producers emitted with what was aggregated or lost; exit code 1 on a gap."""
    import time

    from rnts.query import where

    address, options = where(endpoint, config)
    deadline = time.monotonic() + (_SETTLE_S if wait else 0)
    result = run_once(address, options)
    while (result.in_flight or not result.is_balanced) and time.monotonic() < deadline:
        time.sleep(0.1)
        result = run_once(address, options)
    if as_json:
        typer.echo(json.dumps(result.document()))
    else:
        print_account(result)
    raise typer.Exit(0 if result.is_balanced else 1)


def run_once(endpoint: str, options: "LinkOptions") -> "Audit":
    """Read the books, then the lanes, and match them."""
    from rnts.audit import examine, read_lanes
    from rnts.query import ask
    from rnts.runtime import segment_folders

    books = ask(endpoint, {"type": "accounting"}, options=options)
    return examine(read_lanes(segment_folders()), books)


def print_account(result: "Audit") -> None:
    """One line a fate, and the verdict."""
    from rnts.accounting import DROPS

    rows = [("emitted", result.emitted, "records that producers attempted")]
    rows.append(("aggregated", result.aggregated, "folded into windows, each once"))
    rows.append(("sampled out", result.sampled_out, "left out on purpose, by sampling"))
    rows += [(name, count, DROPS.get(name, "")) for name, count in result.dropped.items()]
    rows.append(("in lanes", result.in_lanes, "on their way to an agent"))
    rows.append(("with agent", result.with_agent, "on their way to the aggregator"))
    if result.unattached:
        rows.append(("unattached", result.unattached, "in segments that no agent drains"))
    for name, count, meaning in rows:
        typer.echo(f"{name:>16} {count:>16,}  {meaning}")
    for lane in result.quarantined:
        typer.echo(f"{'quarantined':>16} {lane}")
    for problem in result.problems:
        typer.echo(f"{'problem':>16} {problem}")
    if result.is_balanced:
        typer.echo("balanced: every record is accounted for")
    else:
        typer.echo(f"NOT balanced: {result.difference:,} records are not accounted for")
