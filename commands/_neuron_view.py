"""One neuron in full, as `rnts status --neuron` prints it."""

from rich.text import Text

from rnts.commands import _population, _system
from rnts.commands._document import Document, name_of, number, part, text
from rnts.commands._format import ABSENT, age, exact
from rnts.commands._table import LABEL, TITLE, Part, labelled, line
from rnts.commands._vitals import HEALTH_STYLE

_ABOUT = ("group", "role", "host")


def neuron_lines(reply: Document, width: int) -> list[Text]:
    """Who it is, how it is, what it reported in the last window, and what happened to it."""
    neuron = part(reply, "neuron")
    state = text(neuron, "health") or ABSENT
    reason = text(neuron, "reason")
    about = [
        Part(rank, ((f"{key} ", LABEL), (text(neuron, key), "")))
        for rank, key in enumerate(_ABOUT)
        if text(neuron, key)
    ]
    health = [Part(0, ((state, HEALTH_STYLE.get(state, "")),))]
    if reason:
        health.append(Part(1, ((reason, ""),)))
    seen = f"{age(neuron.get('last_seen_ns'), reply.get('time_ns'))} ago"
    lines = [
        line([(name_of(neuron), TITLE), (f"  {text(neuron, 'neuron_id')}", LABEL)], width),
        *([labelled("is", about, width)] if about else []),
        labelled("health", health, width),
        labelled("records", [Part(0, ((exact(number(neuron, "records")), ""),))], width),
        labelled("last seen", [Part(0, ((seen, ""),))], width),
    ]
    happened = {"time_ns": reply.get("time_ns"), "events": {"recent": neuron.get("events")}}
    for section in (_system.metrics(neuron), _population.events(happened)):
        if section.rows:
            lines += [Text(end=""), *section.lines(width, 1 + len(section.rows))]
    return lines
