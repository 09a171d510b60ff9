"""One neuron in full, as `rnts status --neuron` prints it."""

from rich.text import Text

from rnts.commands._document import Document, name_of, number, part, rows, text
from rnts.commands._format import ABSENT, age, exact
from rnts.commands._population import events
from rnts.commands._system import links_of, metric_row
from rnts.commands._table import LABEL, TITLE, Cell, Column, Part, Section, labelled, line
from rnts.commands._vitals import HEALTH_STYLE
from rnts.model import METRICS

_ABOUT = ("group", "role", "host")


def neuron_lines(reply: Document, width: int) -> list[Text]:
    """Who it is, how it is, what it reported in the last window, and what happened to it."""
    neuron = part(reply, "neuron")
    happened = {"time_ns": reply.get("time_ns"), "events": {"recent": rows(neuron, "events")}}
    sections = (
        _metrics(neuron),
        links_of("links in", rows(neuron, "links", "in")),
        links_of("links out", rows(neuron, "links", "out")),
        events(happened),
    )
    lines = _identity(reply, neuron, width)
    for section in sections:
        if section.rows:
            lines += [Text(end=""), *section.lines(width, 1 + len(section.rows))]
    return lines


def _identity(reply: Document, neuron: Document, width: int) -> list[Text]:
    """The lines above the tables."""
    now_ns = reply.get("time_ns")
    about = [
        Part(rank, ((f"{key} ", LABEL), (text(neuron, key), "")))
        for rank, key in enumerate(_ABOUT)
        if text(neuron, key)
    ]
    state = text(neuron, "health") or ABSENT
    health: list[Cell] = [(state, HEALTH_STYLE.get(state, ""))]
    if number(neuron, "since_ns"):
        health.append((f" for {age(neuron.get('since_ns'), now_ns)}", LABEL))
    if text(neuron, "reason"):
        health.append((f"  {text(neuron, 'reason')}", ""))
    records = [Part(0, ((f"{exact(number(neuron, 'records'))} in the last window", ""),))]
    if errors := number(neuron, "errors"):
        records.append(Part(1, ((f"{exact(errors)} errors", "red"),)))
    seen = Part(0, ((f"{age(neuron.get('last_seen_ns'), now_ns)} ago", ""),))
    return [
        line([(name_of(neuron), TITLE), (f"  id {text(neuron, 'neuron_id')}", LABEL)], width),
        *([labelled("is in", about, width)] if about else []),
        labelled("health", [Part(0, tuple(health))], width),
        labelled("records", records, width),
        labelled("last seen", [seen], width),
    ]


def _metrics(neuron: Document) -> Section:
    """Each metric that the neuron ever reported: its last value, and those of the last window.

    `bound` is how far off the percentiles may be.
    """
    columns = (
        Column("", 20, share=1, is_text=True),
        Column("last", 8),
        Column("mean", 8, rank=1),
        Column("p50", 8, rank=4),
        Column("p99", 8, rank=3),
        Column("max", 8, rank=2),
        Column("bound", 7, rank=3),
    )
    found = []
    for metric in METRICS:
        values = part(neuron, "metrics", metric.name)
        percentiles = part(values, "percentiles")
        levels = (
            part(neuron, "last").get(metric.name),
            values.get("mean"),
            percentiles.get("50"),
            percentiles.get("99"),
            values.get("max"),
        )
        if any(level is not None for level in levels):
            found.append(metric_row(metric, levels, values))
    return Section("metrics", columns, found)
