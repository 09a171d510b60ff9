"""The tables about the whole: every metric, the links between neurons, the processes of RNTS."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from rnts.commands._document import Document, number, part, rows, text
from rnts.commands._format import ABSENT, age, count, duration, elapsed, percent, quantity, size
from rnts.commands._table import LABEL, Cell, Column, Section, line
from rnts.model import METRICS, Field

STATE_STYLE = {"connected": "green", "silent": "bold red", "ok": "green", "off": ""}


def metrics(document: Document) -> Section:
    """Every metric that was reported in the window."""
    columns = (
        Column("", 20, share=1, is_text=True),
        Column("mean", 8),
        Column("min", 8, rank=4),
        Column("p50", 8, rank=3),
        Column("p99", 8, rank=2),
        Column("max", 8, rank=1),
        Column("bound", 7, rank=5),
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
        found.append(metric_row(metric, levels, values))
    return Section("metrics", columns, found)


def metric_row(metric: Field, levels: Sequence[object], values: Document) -> tuple[Cell, ...]:
    """A metric's name, these values in its unit, and how far off its percentiles may be."""
    cells = [(quantity(level, metric.unit), "") for level in levels]
    return (metric.name, LABEL), *cells, (percent(values.get("relative_error")), LABEL)


def links(document: Document) -> Section:
    """The links between neurons that carried most."""
    known = round(number(document, "links", "count") or 0)
    return links_of("links", rows(document, "links", "top"), known)


def links_of(title: str, found: list[Document], total: int = 0) -> Section:
    """Some of all links under a title of their own."""
    columns = (
        Column("", 10, share=1, is_text=True),
        Column("to", 10, share=1, is_text=True),
        Column("msgs", 7),
        Column("bytes", 8, rank=2),
        Column("latency", 7, rank=1),
    )
    cells = [
        (
            (text(row, "source"), ""),
            (text(row, "target"), ""),
            (count(row.get("messages")), ""),
            (size(row.get("bytes")), ""),
            (duration(row.get("latency_ns")), ""),
        )
        for row in found
    ]
    return Section(title, columns, cells, total)


def processes(document: Document) -> Section:
    """The processes of the road itself: each agent, and the aggregator."""
    columns = (
        Column("", 10, share=1, is_text=True),
        Column("pid", 7, rank=2),
        Column("state", 9, is_text=True),
        Column("behind", 7, rank=1),
        Column("backlog", 7, rank=4),
        Column("memory", 8, rank=3),
    )
    found = [
        (
            (f"{kind} on {host}" if host else kind, ""),
            (text(row, "pid") or ABSENT, LABEL),
            (_state(document, row), STATE_STYLE.get(text(row, "state"), "")),
            (duration(_behind_ns(document, row)), LABEL),
            (count(row.get("backlog_records")), LABEL),
            (size(row.get("memory_bytes")), LABEL),
        )
        for kind, host, row in _processes(document)
    ]
    if state := ledger_state(document):
        style = STATE_STYLE.get(state, "bold red")
        waits = count(number(document, "aggregator", "ledger", "windows_behind"))
        cells = (ABSENT, LABEL), (state, style), (_written(document), LABEL), (waits, LABEL)
        found.append((("ledger", ""), *cells, (ABSENT, LABEL)))
    return Section("processes", columns, found)


def processes_line(document: Document, width: int) -> Text:
    """The same in one line."""
    words = []
    for kind, _, row in _processes(document):
        behind_ns = _behind_ns(document, row)
        behind = f" {duration(behind_ns)} behind" if behind_ns is not None else ""
        kept = _kept(row)
        words.append(f"{kind} {text(row, 'pid')} {_state(document, row)}{behind}{kept}")
    if state := ledger_state(document):
        words.append(f"ledger {state}")
        aged = " · ".join(words) + f" {_written(document)} ago"
        if state == "ok" and cell_len(aged) <= width:
            return line([(aged, LABEL)], width)
    return line([(" · ".join(words), LABEL)], width)


def _kept(row: Document) -> str:
    """Which share of the samples an agent lets programs keep, where that is not all."""
    rates = part(row, "sampling", "rates")
    least = min((number(rates, name) or 1.0 for name in rates), default=1.0)
    return f" keeps {100 * least:.3g} %" if least < 1 else ""


def ledger_state(document: Document) -> str:
    """ok, off, or the name of what is wrong with the ledger; empty where nothing is known of it."""
    aggregator = part(document, "aggregator")
    if "ledger" not in aggregator:
        return ""
    ledger = part(aggregator, "ledger")
    return text(ledger, "condition") or "ok" if ledger else "off"


def _written(document: Document) -> str:
    """How long ago the newest record of the ledger was made."""
    return age(number(document, "aggregator", "ledger", "written_ns"), number(document, "time_ns"))


def _processes(document: Document) -> list[tuple[str, str, Document]]:
    """Each process: what it is, its host, what the document says about it."""
    agents = [("agent", text(row, "host"), row) for row in rows(document, "agents")]
    aggregator = part(document, "aggregator")
    return [*agents, ("aggregator", text(aggregator, "host"), aggregator)] if aggregator else agents


def _state(document: Document, row: Document) -> str:
    """The state that a process is in, else how long it has been up."""
    now_ns, started_ns = number(document, "time_ns"), number(row, "started_ns")
    if text(row, "state") or now_ns is None or started_ns is None:
        return text(row, "state") or ABSENT
    return f"up {elapsed((now_ns - started_ns) / 1e9)}"


def _behind_ns(document: Document, row: Document) -> float | None:
    """How far the watermark of an agent is behind the document; None before its first."""
    now_ns, watermark_ns = number(document, "time_ns"), number(row, "watermark_ns")
    return max(0, now_ns - watermark_ns) if now_ns is not None and watermark_ns else None
