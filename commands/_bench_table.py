"""The tables of `rnts bench`: figures with their ratios and losses, and what changed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnts.commands._format import ABSENT, count, duration, exact, is_number, size

if TYPE_CHECKING:
    from rich.table import Table

    from rnts.perf.figures import Change
    from rnts.perf.goals import Goal
    from rnts.perf.suite import Benchmark

_NOT_INSTALLED = "not installed"
_TAILS = ("_p99", "_p999")


def print_figures(
    benchmarks: Mapping[str, Mapping[str, Any]], known: "Mapping[str, Benchmark]"
) -> None:
    """A row for each figure, with its tails; what is lost is in the first row of its benchmark."""
    titles = ("", "p99", "p99.9", "ratio", "lost")
    table = _table(("", "left"), ("", "left"), *((title, "right") for title in titles))
    for name, figures in benchmarks.items():
        references = known[name].references
        lost = exact(figures["lost"]) if "lost" in figures else ""
        for figure, value in figures.items():
            if figure == "lost" or is_tail(figure, figures):
                continue
            row = (text_of(figure, value), *tails_of(figure, figures))
            table.add_row(name, figure, *row, ratio_of(figure, figures, references), lost)
            name, lost = "", ""
        table.add_row()
    _print(table)


def print_goals(
    benchmarks: Mapping[str, Mapping[str, Any]], goals: "Mapping[str, Mapping[str, Goal]]"
) -> None:
    """A row for each figure that has to be something: what it must be, what it aims at."""
    titles = ("", "must", "aim", "")
    table = _table(("", "left"), ("", "left"), *((title, "right") for title in titles))
    for name, figures in benchmarks.items():
        wanted = {each: goal for each, goal in goals.get(name, {}).items() if each in figures}
        for figure, goal in wanted.items():
            limits = (goal.must, goal.aim)
            texts = ("" if limit is None else text_of(figure, limit) for limit in limits)
            table.add_row(
                name,
                figure,
                text_of(figure, figures[figure]),
                *texts,
                verdict(figures[figure], goal),
            )
            name = ""
    if table.row_count:
        _print(table)


def verdict(value: Any, goal: "Goal") -> str:
    """Whether a figure is what it must be, and what it aims at."""
    if not is_number(value) or value > goal.must:
        return "MISSED"
    return "aim" if goal.aim is not None and value <= goal.aim else "must"


def print_changes(changes: "list[Change]", other_results: list[str]) -> None:
    """A row for each figure that both runs have, and which benchmarks did other work."""
    table = _table(("", "left"), ("before", "right"), ("after", "right"), ("", "right"))
    for change in changes:
        label = f"{change.benchmark} {change.figure}"
        before, after = (text_of(change.figure, value) for value in (change.before, change.after))
        table.add_row(label, before, after, change_text(change.worse_percent))
    _print(table)
    for name in other_results:
        _say(f"{name}: the result has another hash, so it is other work that was timed")


def text_of(figure: str, value: Any) -> str:
    """A value in the unit that its name says."""
    if value is None:
        return _NOT_INSTALLED
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if not is_number(value):
        return str(value)
    words = figure.split("_")
    if "ns" in words:
        return duration(value)
    if "ms" in words:
        return duration(value * 1e6)
    if "percent" in words:
        return f"{value:.2f} %"
    if "mib" in words:
        return size(value * (1 << 20))
    if "bytes" in words:
        return f"{value:.1f} B"
    if "seconds" in words:
        return f"{value:.3f} s"
    return f"{count(value)}/s" if figure.endswith("per_second") else count(value)


def is_tail(figure: str, figures: Mapping[str, Any]) -> bool:
    """Whether a figure is the p99 or p99.9 of another one, in whose row it stands."""
    return any(figure.endswith(tail) and figure.removesuffix(tail) in figures for tail in _TAILS)


def tails_of(figure: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    """The p99 and the p99.9 of a figure that has them."""
    values = (figures.get(figure + tail) for tail in _TAILS)
    return tuple("" if value is None else text_of(figure, value) for value in values)


def ratio_of(figure: str, figures: Mapping[str, Any], references: Mapping[str, str]) -> str:
    """How often the reference goes into a figure."""
    value, reference = figures[figure], figures.get(references.get(figure, ""))
    if is_number(value) and is_number(reference) and reference:
        return f"{value / reference:.2f}"
    return ""


def change_text(worse_percent: float) -> str:
    """12.3 % worse, 4.0 % better, or that it is the same."""
    if abs(worse_percent) == float("inf"):
        return "worse" if worse_percent > 0 else "better"
    if abs(worse_percent) < 0.05:
        return ABSENT
    return f"{abs(worse_percent):.1f} % {'worse' if worse_percent > 0 else 'better'}"


def _table(*columns: tuple[str, str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title, side in columns:
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    return table


def _print(table: "Table") -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 100
    console.print(table)


def _say(line: str) -> None:
    import typer

    typer.echo(line)
