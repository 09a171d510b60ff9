"""`rnts bench`: how fast it is, what that costs, and what became slower since another run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.perf.figures import Change

EXIT_WORSE = 6


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Benchmarks to run; else all.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Small sizes: shows that it works, not how fast.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one document; docs/bench.md.")
    ] = False,
    former: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="A document of a former run.")
    ] = None,
    fail_over: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Exit code 6 if a figure is worse by more: 10%."),
    ] = None,
) -> None:
    """Measure; medians of repeated runs, beside peers in the same run and with all losses."""
    from rnts.commands.warmup import compile_if_cold
    from rnts.errors import RntsError
    from rnts.perf import figures, suite

    limit = None if fail_over is None else parse_percent(fail_over)
    before = None if former is None else read_document(former)
    chosen = suite.choose(names or [])
    compile_if_cold()
    found: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    document: dict[str, Any] = {
        "version": figures.VERSION,
        "smoke": smoke,
        "machine": suite.machine(),
    }
    require_same_size(before, document)
    for course in suite.courses(chosen, smoke):
        names_there = [benchmark.name for benchmark in course]
        typer.echo(f"rnts: {', '.join(names_there)} …", err=True)
        try:
            found |= zip(names_there, suite.run(course, smoke), strict=True)
        except RntsError as error:
            failed |= dict.fromkeys(names_there, str(error))
            typer.echo(f"rnts: {error}", err=True)
    found = {one.name: found[one.name] for one in chosen if one.name in found}
    document["benchmarks"] = found
    changes = [] if before is None else figures.compare(before, document, suite.PEERS)
    if as_json:
        typer.echo(json.dumps(with_changes(document, failed, changes, before is not None)))
    else:
        from rnts.commands._bench_table import print_changes, print_figures, print_goals
        from rnts.perf.goals import GOALS

        print_figures(found, suite.BY_NAME)
        print_goals(found, GOALS)
        if before is not None:
            print_changes(changes, figures.changed_results(before, document))
    if failed:
        raise typer.Exit(1)
    if limit is not None and figures.worst(changes) > limit:
        raise typer.Exit(EXIT_WORSE)


def parse_percent(text: str) -> float:
    """10% or 10 as 10.0."""
    from rnts.errors import UsageError

    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--fail-over is a percentage, such as 10%, and not {text!r}")
    return value


def read_document(path: Path) -> dict[str, Any]:
    """The document in a file; raises UsageError where there is none."""
    from rnts.errors import UsageError
    from rnts.perf.figures import check_document

    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--compare {path}: {error}") from error
    return check_document(document, str(path))


def require_same_size(before: dict[str, Any] | None, document: dict[str, Any]) -> None:
    """Refuse to compare small runs with full ones, and say where the machine is another."""
    from rnts.errors import UsageError

    if before is None:
        return
    if before.get("smoke", False) != document["smoke"]:
        raise UsageError("--compare: one run is of --smoke size and the other one is not")
    known = before.get("machine", {})
    names = ("processor", "cores", "python")
    if any(known.get(name) != document["machine"][name] for name in names):
        typer.echo("rnts: the former run was made on another machine or Python", err=True)


def with_changes(
    document: dict[str, Any], failed: dict[str, str], changes: "list[Change]", is_compared: bool
) -> dict[str, Any]:
    """The document with what failed and what changed, where there is any to tell."""
    if failed:
        document = document | {"failed": failed}
    if is_compared:
        document = document | {"changes": [change.document() for change in changes]}
    return document
