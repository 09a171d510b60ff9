"""The tables about the whole: every metric, the links between neurons, the processes of RNTS."""

from rich.text import Text

from rnts.commands._document import Document, number, part, rows, text
from rnts.commands._format import ABSENT, count, duration, quantity, size
from rnts.commands._table import LABEL, Column, Section, line
from rnts.model import METRICS


def metrics(document: Document) -> Section:
    """Every metric that was reported in the window."""
    columns = (
        Column("", 20, share=1, is_text=True),
        Column("mean", 8),
        Column("min", 8, rank=4),
        Column("p50", 8, rank=3),
        Column("p99", 8, rank=2),
        Column("max", 8, rank=1),
    )
    found = []
    for metric in METRICS:
        values = part(document, "metrics", metric.name)
        if not number(values, "count"):
            continue
        percentiles = part(values, "percentiles")
        levels = (
            values.get("mean"),
            values.get("min"),
            percentiles.get("50"),
            percentiles.get("99"),
            values.get("max"),
        )
        found.append(
            ((metric.name, LABEL), *((quantity(level, metric.unit), "") for level in levels))
        )
    return Section("metrics", columns, found)


def links(document: Document) -> Section:
    """The links between neurons that carried most."""
    columns = (
        Column("", 10, share=1, is_text=True),
        Column("to", 10, share=1, is_text=True),
        Column("msgs", 7),
        Column("bytes", 8, rank=2),
        Column("latency", 7, rank=1),
    )
    found = [
        (
            (text(row, "source"), ""),
            (text(row, "target"), ""),
            (count(row.get("messages")), ""),
            (size(row.get("bytes")), ""),
            (duration(row.get("latency_ns")), ""),
        )
        for row in rows(document, "links", "top")
    ]
    return Section("links", columns, found)


def processes(document: Document) -> Section:
    """The processes of the road itself: each agent, and the aggregator."""
    columns = (
        Column("", 10, share=1, is_text=True),
        Column("pid", 7, rank=1),
        Column("state", 12, is_text=True),
        Column("behind", 7, rank=2),
    )
    found = [
        (
            (f"{kind} on {host}" if host else kind, ""),
            (text(row, "pid") or ABSENT, LABEL),
            (text(row, "state") or ABSENT, ""),
            (duration(_behind_ns(document, row)), LABEL),
        )
        for kind, host, row in _processes(document)
    ]
    return Section("processes", columns, found)


def processes_line(document: Document, width: int) -> Text:
    """The same in one line."""
    words = []
    for kind, _, row in _processes(document):
        behind_ns = _behind_ns(document, row)
        behind = f" {duration(behind_ns)} behind" if behind_ns is not None else ""
        words.append(f"{kind} {text(row, 'pid')} {text(row, 'state')}".rstrip() + behind)
    return line([(" · ".join(words), LABEL)], width)


def _processes(document: Document) -> list[tuple[str, str, Document]]:
    """Each process: what it is, its host, what the document says about it."""
    agents = [("agent", text(row, "host"), row) for row in rows(document, "agents")]
    aggregator = part(document, "aggregator")
    return [*agents, ("aggregator", text(aggregator, "host"), aggregator)] if aggregator else agents


def _behind_ns(document: Document, row: Document) -> float | None:
    """How far the watermark of an agent is behind the document."""
    now_ns, watermark_ns = number(document, "time_ns"), number(row, "watermark_ns")
    if now_ns is None or watermark_ns is None:
        return None
    return max(0, now_ns - watermark_ns)
