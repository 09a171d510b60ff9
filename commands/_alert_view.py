"""What a document says of alerts and of reactions: the lines on top, and a table."""

from collections import Counter

from rich.text import Text

from rnts.commands._alert_findings import FIRING_STATES, REACTION_SLOW_NS, lost_by_reason
from rnts.commands._document import HEALTH_STATES, Document, number, part, rows, text
from rnts.commands._format import ABSENT, age, count, duration, exact, is_number
from rnts.commands._table import LABEL, Cell, Column, Part, Section, labelled
from rnts.model import Health

_SEVERITY_STYLE = {"critical": "bold red", "warning": "yellow"}
_STATE_NAMES = {float(state): state.name.lower() for state in Health}
_NOTES = (("is_silenced", "silenced"), ("is_flapping", "flapping"), ("is_without_data", "no data"))


def _reaction(document: Document) -> Document:
    return part(document, "alerts", "process", "reaction")


def alerts_line(document: Document, width: int) -> list[Text]:
    """How many alerts there are, by state, and of how many rules; no line where nobody says."""
    alerts, process = part(document, "alerts"), part(document, "alerts", "process")
    if "rules" not in process:
        return []
    states: Counter[str] = Counter()
    for row in rows(alerts, "counts"):
        states[text(row, "state")] += round(number(row, "count") or 0)
    firing = sum(states[state] for state in FIRING_STATES)
    style = "bold red" if firing else "green"
    parts = [Part(0, ((f"{exact(firing)} firing" if firing else "none fires", style),))]
    if pending := states["pending"]:
        parts.append(Part(1, ((f"{exact(pending)} pending", "yellow"),)))
    parts.append(Part(2, ((f"of {exact(number(process, 'rules'))} rules", LABEL),)))
    return [labelled("alerts", parts, width, short="alrt")]


def reaction_line(document: Document, width: int) -> list[Text]:
    """The time from a record to the beginning of its action; no line where nobody measures it."""
    reaction = _reaction(document)
    if not reaction:
        return []
    minute, lost = part(reaction, "minute"), lost_by_reason(part(reaction, "minute"))
    percentiles = part(minute, "percentiles")
    parts = []
    for rank, key in ((2, "50"), (0, "99"), (3, "99.9")):
        if (value := number(percentiles, key)) is not None:
            slow = value > REACTION_SLOW_NS and key == "99"
            cells = (f"p{key} ", LABEL), (duration(value).rjust(7), "yellow" if slow else "")
            parts.append(Part(rank, cells))
    if not parts:
        words = (
            "waits for an agent and an aggregator" if reaction.get("is_waiting") else "no canary"
        )
        parts.append(Part(0, ((words, LABEL),)))
    canaries = f"{exact(number(minute, 'count'))} canaries in a minute"
    parts.append(Part(5, (("record → action", LABEL),)))
    parts.append(Part(4, ((canaries, LABEL),)))
    if lost:
        parts.insert(1, Part(1, ((f"{exact(sum(lost.values()))} lost", "bold red"),)))
    return [labelled("reaction", parts, width, short="reac")]


def reaction_words(document: Document) -> str:
    """The same for a line of a log; empty where there is nothing to say."""
    minute = part(_reaction(document), "minute")
    values = part(minute, "percentiles")
    if not values:
        return ""
    shown = [f"p{key} {duration(number(values, key))}" for key in ("50", "99", "99.9")]
    return " ".join(["reaction", *shown, f"({exact(number(minute, 'count'))} canaries)"])


def alerts(document: Document) -> Section:
    """The alerts that are not over, those that fire first."""
    columns = (
        Column("", 10, share=2, is_text=True),
        Column("state", 10, is_text=True),
        Column("for", 3, rank=2),
        Column("of", 8, share=2, is_text=True),
        Column("group", 8, share=1, rank=3, is_text=True),
        Column("value", 14, rank=1, is_text=True),
    )
    answer = part(document, "alerts")
    listed = sorted(rows(answer, "alerts"), key=lambda row: row.get("is_silenced") is True)
    found = [
        (
            (text(row, "rule"), _SEVERITY_STYLE.get(text(row, "severity"), "")),
            _state(row),
            (age(number(row, "since_wall_ns"), number(answer, "wall_ns")), LABEL),
            (_entity(part(row, "labels")), ""),
            (_group(part(row, "labels")), LABEL),
            (_seen(row), ""),
        )
        for row in listed
    ]
    return Section("alerts", columns, found, round(number(answer, "count") or 0))


def _state(row: Document) -> Cell:
    """The state of an alert, or what keeps it from being told; that is shown quietly."""
    state = text(row, "state") or ABSENT
    is_loud = state in FIRING_STATES and row.get("is_silenced") is not True
    shown = next((word for key, word in _NOTES if row.get(key) is True), state)
    return shown, _SEVERITY_STYLE.get(text(row, "severity"), "") if is_loud else LABEL


def _entity(labels: Document) -> str:
    """Who it is about, by the label that says most."""
    return next((text(labels, key) for key in ("neuron", "group", "host") if key in labels), "all")


def _group(labels: Document) -> str:
    """The group of a neuron; of others it would say nothing new."""
    return text(labels, "group") if "neuron" in labels else ""


def _seen(row: Document) -> str:
    """The value, beside what it must not be; a state by its name."""
    value, bound = row.get("value"), text(row, "bound")
    if bound.endswith(HEALTH_STATES) and value in _STATE_NAMES:
        return _STATE_NAMES[value]
    return " ".join(filter(None, (count(value) if is_number(value) else "", bound)))
