"""`rnts tune`: fit this machine to RNTS, measure what that brings, and undo it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.tuning.measured import Figures
    from rnts.tuning.plan import Asked
    from rnts.tuning.session import Measure, Session

PinCores = Annotated[
    bool, typer.Option("--pin-cores", help="Agent, aggregator and alerts on cores of their own.")
]
Priority = Annotated[
    bool, typer.Option("--priority", help="Their threads run soon after they wake.")
]
IrqAffinity = Annotated[
    bool, typer.Option("--irq-affinity", help="Interrupts away from those cores.")
]
Governor = Annotated[
    str | None, typer.Option(metavar="NAME", help="Governor of the clocks, such as performance.")
]
Usecs = Annotated[
    int | None,
    typer.Option(
        "--irq-coalescing",
        metavar="USECS",
        min=0,
        max=100_000,
        help="How long network cards collect interrupts.",
    ),
]
Interfaces = Annotated[
    list[str] | None,
    typer.Option("--interface", metavar="NAME", help="Only this card; give it again for others."),
]
HugePages = Annotated[bool, typer.Option("--hugepages", help="Large pages for large arrays.")]
LockMemory = Annotated[
    bool, typer.Option("--lock-memory", help="Their memory touched beforehand, and kept in RAM.")
]
SocketBuffers = Annotated[
    bool, typer.Option("--socket-buffers", help="Room in sockets between agents and aggregators.")
]
Swappiness = Annotated[bool, typer.Option("--swappiness", help="Advice on swapping, no more.")]
TimeSource = Annotated[bool, typer.Option("--time-source", help="Check how the time is read.")]
Everything = Annotated[bool, typer.Option("--all", help="Every part.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
Revert = Annotated[bool, typer.Option("--revert", help="Undo exactly what was done.")]
Check = Annotated[bool, typer.Option("--check", help="Say what has drifted since; exit code 1.")]
KeepIfBetter = Annotated[
    bool, typer.Option("--keep-if-better", help="Measure each part, keep those that help.")
]
Seconds = Annotated[
    float, typer.Option(min=0.1, max=600, help="How long each measurement takes at least.")
]
NoMeasure = Annotated[bool, typer.Option("--no-measure", help="Do not measure.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one document; docs/tuning.md.")]


def tune(
    pin_cores: PinCores = False,
    priority: Priority = False,
    irq_affinity: IrqAffinity = False,
    governor: Governor = None,
    irq_coalescing: Usecs = None,
    interface: Interfaces = None,
    hugepages: HugePages = False,
    lock_memory: LockMemory = False,
    socket_buffers: SocketBuffers = False,
    swappiness: Swappiness = False,
    time_source: TimeSource = False,
    everything: Everything = False,
    dry_run: DryRun = False,
    revert: Revert = False,
    check: Check = False,
    keep_if_better: KeepIfBetter = False,
    seconds: Seconds = 2.0,
    no_measure: NoMeasure = False,
    as_json: AsJson = False,
) -> None:
    """Print how this machine could serve RNTS better; named parts are done, --all does every one.

    Exit code 0 if all that was asked for is in place, 1 if something was refused or has drifted.
    """
    from rnts.errors import UsageError
    from rnts.tuning.plan import COALESCE_USECS, GOVERNOR, Asked
    from rnts.tuning.planning import ALL
    from rnts.tuning.session import Session

    chosen = {
        "pin-cores": pin_cores,
        "priority": priority,
        "irq-affinity": irq_affinity,
        "governor": governor is not None,
        "irq-coalescing": irq_coalescing is not None,
        "hugepages": hugepages,
        "lock-memory": lock_memory,
        "socket-buffers": socket_buffers,
        "swappiness": swappiness,
        "time-source": time_source,
    }
    named = tuple(name for name, is_named in chosen.items() if is_named)
    if revert + check + bool(everything or named) > 1:
        raise UsageError("name parts, or --revert, or --check, and no two of them")
    if no_measure and keep_if_better:
        raise UsageError("--keep-if-better has to measure; leave out --no-measure")
    parts = ALL if everything or not named else named
    asked = Asked(
        parts,
        GOVERNOR if governor is None else governor,
        COALESCE_USECS if irq_coalescing is None else irq_coalescing,
        tuple(interface or ()),
    )
    session = Session()
    if revert:
        raise typer.Exit(_revert(session, as_json))
    if check:
        raise typer.Exit(_check(session, as_json))
    if dry_run or not (everything or named):
        raise typer.Exit(_plan(session, asked, named, as_json))
    measure = None if no_measure else _measure(seconds)
    raise typer.Exit(_do(session, asked, named, measure, keep_if_better, as_json))


def _measure(seconds: float) -> "Measure":
    """Measuring, said aloud: it takes its time."""
    from rnts.commands.warmup import compile_if_cold
    from rnts.perf.tuned import measure

    compile_if_cold()

    def aloud() -> "Figures":
        typer.echo("rnts: measuring …", err=True)
        return measure(seconds)

    return aloud


def _plan(session: "Session", asked: "Asked", named: tuple[str, ...], as_json: bool) -> int:
    """Print what is left to do; 1 where something that was named could not be done."""
    from rnts.commands._tune_text import part_lines

    plan = session.plan(asked)
    if as_json:
        _print({"parts": [part.document() for part in plan]})
    else:
        for part in plan:
            _tell(part_lines(part, part.state))
        if not named:
            typer.echo("Nothing was changed: name a part to do it, or --all.")
    return int(
        any(part.refused or (part.state == "absent" and part.name in named) for part in plan)
    )


def _do(
    session: "Session",
    asked: "Asked",
    named: tuple[str, ...],
    measure: "Measure | None",
    keep_if_better: bool,
    as_json: bool,
) -> int:
    from rnts.commands._tune_text import outcome_document, part_lines, table_lines

    report = session.do(asked, measure, keep_if_better)
    if as_json:
        outcomes = [outcome_document(outcome) for outcome in report.outcomes]
        _print({"parts": outcomes, "measured": [row._asdict() for row in report.rows]})
    else:
        for outcome in report.outcomes:
            _tell(part_lines(outcome.part, outcome.did, outcome))
        _tell(table_lines(report.rows))
    return int(
        any(o.is_refused or (o.did == "absent" and o.part.name in named) for o in report.outcomes)
    )


def _revert(session: "Session", as_json: bool) -> int:
    """Undo; 1 where something could not be undone, and stays noted."""
    from rnts.commands._tune_text import undone_document, undone_lines

    undone = session.revert()
    if as_json:
        _print({"undone": [undone_document(one) for one in undone]})
    else:
        _tell(undone_lines(undone))
    return int(any(one.how == "kept" for one in undone))


def _check(session: "Session", as_json: bool) -> int:
    """Tell of drift; 1 where there is some."""
    from rnts.commands._tune_text import drift_lines

    drift = session.check()
    if as_json:
        steps = [] if drift is None else [{"part": n, **s._asdict()} for n, s in drift.steps]
        is_rebooted = drift is not None and drift.is_rebooted
        _print({"tuned": drift is not None, "drifted": steps, "rebooted": is_rebooted})
    else:
        _tell(drift_lines(drift))
    return int(drift is not None and bool(drift.steps))


def _print(document: dict[str, Any]) -> None:
    typer.echo(json.dumps({"version": 1, **document}))


def _tell(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)
