"""A snapshot in one line: for logs, pipes and terminals on which no screen can be drawn."""

from typing import TYPE_CHECKING

from rnts.commands._alert_findings import of_alert_process, of_alerts
from rnts.commands._alert_view import reaction_words
from rnts.commands._document import (
    Document,
    health_counts,
    losses,
    number,
    part,
    shown_percentiles,
)
from rnts.commands._finding import Finding, Level
from rnts.commands._findings import findings, imbalance, of_errors, of_processes
from rnts.commands._format import clock, count, duration, exact, percent, visible

if TYPE_CHECKING:
    from rich.console import Console


def is_live(console: "Console") -> bool:
    """Whether a screen can be drawn there; elsewhere `plain_line` now and then is the way."""
    able = console.is_terminal and console.file.isatty() and not console.is_dumb_terminal
    return able and not console.no_color


def plain_line(snapshot: Document | None) -> str:
    """Time, verdict, rate, neurons, percentiles, losses and what else the verdict is for, if any.

    Without escapes, whatever the names.
    """
    if snapshot is None:
        return "waiting for the aggregator"
    found = findings(snapshot)
    words = [
        clock(snapshot.get("time_ns")),
        found[0].level.name if found else Level.OK.name,
        f"{count(number(snapshot, 'records_per_second'))} records/s",
        _neurons(snapshot),
        _percentiles("processing", part(snapshot, "metrics", "processing_time_ns")),
        _percentiles("latency", part(snapshot, "latency_ns")),
        reaction_words(snapshot),
        _losses(snapshot),
        *(finding.text for finding in _told(snapshot)),
    ]
    return visible(" | ".join(word for word in words if word))


def _told(snapshot: Document) -> list[Finding]:
    """What the verdict is for, beside what other words of the line say."""
    alerts = (*of_alerts(snapshot), *of_alert_process(snapshot))
    return [*of_errors(snapshot), *alerts, *of_processes(snapshot)]


def _neurons(snapshot: Document) -> str:
    """How many, and how many are not well."""
    sick = [
        f"{exact(n)} {state}"
        for state, n in health_counts(snapshot).items()
        if n and state in ("degraded", "critical")
    ]
    known = f"{exact(number(snapshot, 'neurons', 'known'))} neurons"
    return f"{known} ({', '.join(sick)})" if sick else known


def _percentiles(label: str, metric: Document) -> str:
    """The middle and the tail with their error bound; nothing where nothing was measured."""
    keys = shown_percentiles(metric)
    if not keys:
        return ""
    bound = number(metric, "relative_error")
    shown = [f"p{key} {duration(number(metric, 'percentiles', key))}" for key in keys]
    return " ".join([label, *shown, "±?" if bound is None else f"±{percent(bound)}"])


def _losses(snapshot: Document) -> str:
    """What is lost by reason, and whether all is accounted for."""
    balanced = part(snapshot, "accounting").get("balanced")
    if balanced is None:
        return ""
    lost = losses(snapshot)
    reasons = ", ".join(f"{reason} {exact(n)}" for reason, n in lost.items())
    shown = f"{exact(sum(lost.values()))} lost ({reasons})" if lost else "nothing lost"
    return f"{shown}, {'balanced' if balanced else f'NOT balanced: {imbalance(snapshot)}'}"
