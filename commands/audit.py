"""`rnts audit`: whether every record that was ever attempted is accounted for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnts.commands._options import Config, Endpoint

if TYPE_CHECKING:
    from rnts.audit import Audit
    from rnts.ledger_audit import DeepAudit
    from rnts.links.options import LinkOptions

_SETTLE_S = 2.0


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
    endpoint: Endpoint = None,
    config: Config = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Give what is on its way 2 s to arrive.")
    ] = True,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check the ledger instead, record by record, offline.")
    ] = False,
    ledger: Annotated[
        str | None, typer.Option(metavar="FILE", help="The ledger for --deep, else the set one.")
    ] = None,
) -> None:
    """Compare what producers emitted with what was aggregated or lost; exit code 1 on a gap."""
    import time

    from rnts.warmup import prefer_objects

    prefer_objects()
    if deep:
        raise typer.Exit(audit_deep(ledger, as_json))
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


def audit_deep(chosen: str | None, as_json: bool) -> int:
    """Check a ledger and print what was found; the exit code."""

    from rnts.aggregator_process import ledger_path
    from rnts.errors import UsageError
    from rnts.ledger_audit import audit_ledger
    from rnts.settings import load

    path = Path(chosen) if chosen else ledger_path(load())
    if path is None:
        raise UsageError("aggregator.ledger is off; name a file by --ledger FILE")
    audits = audit_ledger(path)
    if as_json:
        logs = [audit.document() for audit in audits]
        typer.echo(json.dumps({"version": 1, "ledger": str(path), "logs": logs}))
    else:
        for audit in audits:
            print_log(audit)
    return 1 if any(audit.problems for audit in audits) else 0


def print_log(audit: "DeepAudit") -> None:
    """What was checked of one log, and the verdict."""
    rows = [
        ("records", audit.records, f"from number {audit.first} on, without a gap"),
        ("epochs", audit.epochs, "owners, one after another"),
        ("windows", audit.windows, f"closed once; {audit.revisions:,} revisions of them"),
        ("senders", audit.senders, f"with {audit.frames:,} frames in ranges that follow on"),
        ("aggregated", audit.folded, "records in closed windows since the log began"),
    ]
    if audit.without_statistics:
        rows.append(("counts only", audit.without_statistics, "windows without statistics"))
    typer.echo(f"log {audit.log}")
    for name, count, meaning in rows:
        typer.echo(f"{name:>16} {count:>16,}  {meaning}")
    for problem in audit.problems:
        typer.echo(f"{'problem':>16} {problem}")
    typer.echo("NOT sound" if audit.problems else "sound: every record follows from those before")


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
