"""The lines on top of the screen and of `rnts status`: what is wrong, then the vital signs."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from rnts.commands._alert_findings import REACTION_SLOW_NS
from rnts.commands._alert_view import alerts_line, reaction_line
from rnts.commands._document import (
    Document,
    explain,
    health_counts,
    losses,
    number,
    part,
    shown_percentiles,
)
from rnts.commands._finding import Finding, Level
from rnts.commands._findings import imbalance
from rnts.commands._format import ABSENT, count, duration, exact, percent
from rnts.commands._history import History
from rnts.commands._table import LABEL, LABEL_CELLS, NARROW_CELLS, Cell, Part, labelled, line

HEALTH_STYLE = {"healthy": "green", "degraded": "yellow", "critical": "bold red", "unknown": LABEL}
# Each state has a height of its own, for those who see no colours.
HEALTH_GLYPH = {"healthy": "━", "degraded": "▄", "critical": "█", "unknown": "┄"}
LEVEL_STYLE = {
    Level.OK: "green",
    Level.UNKNOWN: LABEL,
    Level.WARNING: "yellow",
    Level.CRITICAL: "bold red",
}
LEVEL_BADGE = {
    Level.OK: "black on green",
    Level.UNKNOWN: "reverse dim",
    Level.WARNING: "black on yellow",
    Level.CRITICAL: "bold white on red",
}
BAR_CELLS_MAX = 40
_BAR_CELLS_MIN = 8
# What is wrong stays longest where room is scarce.
_HEALTH_RANK = {"critical": 1, "degraded": 2, "healthy": 3, "unknown": 4}
_VALUE_CELLS = 8  # values of the lines stand in a column of this width


def verdict(found: Sequence[Finding], calm: str, width: int, limit: int) -> list[Text]:
    """The badge with the worst finding beside it and the next ones below, `limit` lines at most."""
    if not found:
        return [line([(" OK ", LEVEL_BADGE[Level.OK]), (f" {calm}", LEVEL_STYLE[Level.OK])], width)]
    hidden = len(found) - limit
    lines = []
    for index, finding in enumerate(found[:limit]):
        more = f" (+{hidden} more)" if hidden > 0 and index == limit - 1 else ""
        badge, words = f" {finding.level.name} ", f" {finding.text}"
        style = LEVEL_STYLE[finding.level]
        if width < NARROW_CELLS:  # the colour has to do
            badge, more, words, style = "", "", finding.text, LEVEL_BADGE[finding.level]
        shown = line([(words, style)], width - len(badge + more))
        lines.append(Text(badge, LEVEL_BADGE[finding.level], end="").append_text(shown))
        lines[-1].append(more, LABEL)
    return lines


def vital_signs(document: Document, width: int, history: History, reasons: int) -> list[Text]:
    """Rate, health, losses with a line for each of `reasons`, alerts, times: in order of weight."""
    return [
        rate_line(document, history, width),
        neurons_line(document, width),
        *losses_lines(document, history.fresh_losses(), width, reasons),
        *alerts_line(document, width),
        *reaction_line(document, width),
        processing_line(document, width),
        latency_line(document, width),
    ]


def rate_line(document: Document, history: History, width: int) -> Text:
    """Records a second with the course of the last minute."""
    bars, top = history.bars(_bars_room(width)), history.top()
    rate = number(document, "records_per_second")
    parts = [_value(ABSENT if rate is None else f"{count(rate)}/s")]
    if bars:
        parts.append(Part(1, ((bars, "cyan"),)))
    if bars and top is not None:
        parts.append(Part(2, ((f"max {count(top)}/s in a minute", LABEL),)))
    return labelled("records", parts, width, short="rate")


def _bars_room(width: int) -> int:
    """How many cells the course of the last minute may take in a line of `width`."""
    if width < NARROW_CELLS:
        return max(0, width - LABEL_CELLS - 3)
    return max(0, width - LABEL_CELLS - _VALUE_CELLS - 30)


def neurons_line(document: Document, width: int) -> Text:
    """How many neurons there are, and how they are: as a bar and in words."""
    states = health_counts(document)
    words = [
        Part(_HEALTH_RANK[state], ((f"{exact(n)} {state}", HEALTH_STYLE[state]),))
        for state, n in states.items()
        if n or (state == "healthy" and part(document, "neurons", "health"))
    ]
    value = _value(exact(number(document, "neurons", "known")))
    active = number(document, "neurons", "active")
    idle = [Part(6, ((f"{exact(active)} active", LABEL),))] if active is not None else []
    for after in (words + idle, words):  # the bar is worth more than the number of active ones
        used = LABEL_CELLS + sum(cell_len(text) + 2 for p in [value, *after] for text, _ in p.cells)
        room = min(BAR_CELLS_MAX, width - used - 2)
        if room >= _BAR_CELLS_MIN and any(states.values()):
            bar = Part(5, tuple(health_bar(states, room)))
            return labelled("neurons", [value, bar, *after], width, short="neur")
    return labelled("neurons", [value, *words, *idle], width, short="neur")


def health_bar(states: Mapping[str, int], cells: int) -> list[Cell]:
    """A bar of `cells` cells; a state that anyone is in has at least one of them."""
    total = sum(states.values())
    lengths = {s: max(1, round(n * cells / total)) for s, n in states.items() if n > 0}
    # Rounding and the least cell are settled with the widest state, which notices it least.
    if lengths:
        widest = max(lengths, key=lambda state: lengths[state])
        lengths[widest] = max(1, lengths[widest] + cells - sum(lengths.values()))
    return [(HEALTH_GLYPH[s] * length, HEALTH_STYLE[s]) for s, length in lengths.items()]


def processing_line(document: Document, width: int) -> Text:
    """The time that an activation took, with the error bound of its percentiles."""
    metric = part(document, "metrics", "processing_time_ns")
    parts = _percentiles(metric)
    parts += [
        Part(rank, ((f"{key} ", LABEL), (duration(number(metric, key)), "")))
        for rank, key in ((6, "mean"), (5, "max"))
        if number(metric, key) is not None
    ]
    return labelled("processing", parts, width, short="proc")


def latency_line(document: Document, width: int) -> Text:
    """The time from the making of a record until it was folded."""
    latency = part(document, "latency_ns")
    slow = (number(latency, "percentiles", "99") or 0) > REACTION_SLOW_NS
    style = LEVEL_STYLE[Level.WARNING] if slow else ""
    parts = [*_percentiles(latency, style), Part(5, (("record → folded", LABEL),))]
    return labelled("latency", parts, width, short="lat")


def _percentiles(metric: Document, style: str = "") -> list[Part]:
    """The middle and the tail, of which the 99th stays longest, and their error bound."""
    keys = shown_percentiles(metric)
    if not keys:
        return [Part(0, (("not reported", LABEL),))]
    parts = []
    for index, key in enumerate(keys):
        value = duration(number(metric, "percentiles", key)).rjust(7)
        parts.append(Part(0 if key == "99" else 1 + index, ((f"p{key} ", LABEL), (value, style))))
    bound = number(metric, "relative_error")
    shown = "±?" if bound is None else f"±{percent(bound)}"
    return [*parts, Part(4, ((shown, LABEL),)), *_sampled(metric)]


def _sampled(metric: Document) -> list[Part]:
    """What the samples that were kept are worth, and where the 99th percentile of all lies."""
    effective = number(metric, "sampling", "effective_samples")
    if effective is None:
        return []
    words = f"{count(effective)} effective samples"
    ends = part(metric, "sampling", "intervals").get("99")
    if isinstance(ends, list) and len(ends) == 2:
        words += f", p99 from {duration(ends[0])} to {duration(ends[1])}"
    return [Part(6, ((words, LABEL),))]


def losses_lines(
    document: Document, fresh_losses: Mapping[str, int] | None, width: int, limit: int
) -> list[Text]:
    """Whether anything is lost and all is accounted for; then a line a reason, `limit` at most."""
    accounting = part(document, "accounting")
    if not accounting:
        return [labelled("losses", [Part(0, (("not known yet", LABEL),))], width, short="lost")]
    lost = losses(document)
    total = sum(lost.values())
    fresh = sum((fresh_losses or {}).values())
    style = "bold red" if fresh else "yellow" if lost else "green"
    words = f"{exact(total)} lost" if lost else "nothing lost"
    parts = [Part(0, ((words, style),)), Part(1, (_balance(document),))]
    if fresh:
        parts.insert(1, Part(2, ((f"+{exact(fresh)} now", style),)))
    for rank, key, label in ((3, "emitted", "emitted"), (4, "in_flight", "in flight")):
        parts.append(Part(rank, ((f"{exact(number(accounting, key))} {label}", LABEL),)))
    if number(accounting, "sampled_out"):
        parts.append(Part(5, ((f"{exact(number(accounting, 'sampled_out'))} sampled out", LABEL),)))
    lines = [labelled("losses", parts, width, short="lost")]
    for reason, records in list(lost.items())[:limit]:
        cells = [(f"{reason:<16}", style), (f"{exact(records):>12}  ", style)]
        lines.append(line([(" " * LABEL_CELLS, ""), *cells, (explain(reason), LABEL)], width))
    return lines


def _balance(document: Document) -> Cell:
    """Whether every record is accounted for, in a word."""
    balanced = part(document, "accounting").get("balanced")
    if balanced is True:
        return "balanced", "green"
    if balanced is False:
        return f"NOT balanced: {imbalance(document)}", "bold red"
    return "balance not known", LABEL


def _value(shown: str) -> Part:
    """The first value of a line, in the column of values."""
    return Part(0, ((shown.rjust(_VALUE_CELLS), "bold"),))
