"""The tables about the neurons: their groups, the sick ones, the busy ones, what happened."""

from rnts.commands._document import Document, health_counts, name_of, number, part, rows, text
from rnts.commands._format import ABSENT, age, count, duration, percent, quantity
from rnts.commands._table import LABEL, Cell, Column, Section
from rnts.commands._vitals import HEALTH_STYLE
from rnts.model import FIELD

ZERO_STYLE = LABEL  # a zero among counts of sick neurons is good news and stays quiet
EVENT_STYLE = {"ErrorOccurred": "red", "ConnectionLost": "yellow", "ThresholdExceeded": "yellow"}
_EVENT_COMMON = {"time_ns", "neuron_id", "name", "group", "type"}


def groups(document: Document) -> Section:
    """The groups: how many neurons, how they are, how fast."""
    columns = (
        Column("", 12, share=1, is_text=True),
        Column("neurons", 7, rank=1),
        Column("active", 7, rank=6),
        Column("degr", 5, rank=2),
        Column("crit", 5, rank=1),
        Column("records", 7, rank=3),
        Column("p50", 7, rank=5),
        Column("p99", 7, rank=4),
    )
    found = []
    for name, group in sorted(part(document, "groups").items(), key=_weight):
        times = part(group, "metrics", "processing_time_ns")
        found.append(
            (
                (str(name), ""),
                (count(number(group, "neurons")), ""),
                (count(number(group, "active")), ""),
                _sick(group, "degraded"),
                _sick(group, "critical"),
                (count(number(group, "records")), ""),
                (duration(number(times, "percentiles", "50")), ""),
                (duration(number(times, "percentiles", "99")), ""),
            )
        )
    return Section("groups", columns, found)


def _weight(item: tuple[str, Document]) -> tuple[float, ...]:
    """Sorts groups with sick neurons to the front, then large ones; rates would never rest."""
    sick = [-(number(item[1], "health", state) or 0) for state in ("critical", "degraded")]
    return *sick, -(number(item[1], "neurons") or 0)


def _sick(group: Document, state: str) -> Cell:
    """How many neurons of a group are in a bad state; a zero stays quiet."""
    value = number(group, "health", state)
    return count(value), HEALTH_STYLE[state] if value else ZERO_STYLE


def sickest(document: Document) -> Section:
    """The neurons that say that they are not well, and why."""
    columns = (
        Column("", 12, share=3, is_text=True),
        Column("group", 8, share=2, rank=3, is_text=True),
        Column("health", 8, is_text=True),
        Column("for", 3, rank=2),
        Column("reason", 20, share=4, rank=1, is_text=True),
        Column("errors", 6, rank=4),
    )
    now_ns = number(document, "time_ns")
    found = [
        (
            (name_of(row), ""),
            (text(row, "group"), LABEL),
            _health(row),
            (age(row.get("since_ns"), now_ns), LABEL),
            (text(row, "reason"), ""),
            (count(row.get("errors")), "red" if row.get("errors") else ZERO_STYLE),
        )
        for row in rows(document, "sickest")
    ]
    states = health_counts(document)
    return Section("sickest", columns, found, states["degraded"] + states["critical"])


def _health(row: Document) -> Cell:
    """A neuron's state in its colour."""
    state = text(row, "health") or ABSENT
    return state, HEALTH_STYLE.get(state, "")


def busiest(document: Document) -> Section:
    """The neurons that worked longest."""
    columns = (
        Column("", 12, share=3, is_text=True),
        Column("group", 8, share=2, rank=2, is_text=True),
        Column("health", 8, rank=5, is_text=True),
        Column("records", 7, rank=3),
        Column("mean", 7, rank=4),
        Column("busy", 6, rank=1),
    )
    found = [
        (
            (name_of(row), ""),
            (text(row, "group"), LABEL),
            _health(row),
            (count(row.get("records")), ""),
            (duration(row.get("processing_time_ns")), ""),
            (percent(row.get("busy_ratio")), ""),
        )
        for row in rows(document, "busiest")
    ]
    return Section("busiest", columns, found)


def events(document: Document) -> Section:
    """What neurons reported of late, the newest first."""
    columns = (
        Column("", 21, is_text=True),
        Column("ago", 3, rank=1),
        Column("neuron", 13, share=1, is_text=True),
        Column("detail", 9, share=2, rank=2, is_text=True),
    )
    now_ns = number(document, "time_ns")
    recent = rows(document, "events", "recent")
    recent.sort(key=lambda row: -(number(row, "time_ns") or 0))
    found = [
        (
            (text(row, "type") or ABSENT, EVENT_STYLE.get(text(row, "type"), "")),
            (age(row.get("time_ns"), now_ns), LABEL),
            (name_of(row), ""),
            (_detail(row), LABEL),
        )
        for row in recent
    ]
    return Section("events", columns, found)


def _detail(row: Document) -> str:
    """The fields of an event that are its own, whichever it has."""
    metric = FIELD.get(text(row, "metric"))
    unit = metric.unit if metric else "1"
    own = {key: value for key, value in row.items() if key not in _EVENT_COMMON}
    if peer := own.pop("peer", None):
        own["peer_id"] = peer  # a name says more than an id
    shown = [quantity(v, unit) if isinstance(v, float) else str(v) for v in own.values()]
    return " · ".join(value for value in shown if value)
