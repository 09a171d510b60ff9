"""Writes docs/metrics.md from the model: `python -m rnts.model_doc > docs/metrics.md`."""

import sys
from collections.abc import Iterable, Sequence

from rnts.accounting import DROPS
from rnts.model import EVENTS, FIELDS, METRICS, NAME_FIELDS, SLOT_BYTES, Field, Health, Kind

_INTRODUCTION = f"""\
# Metrics, events and states

Made from `rnts/model.py` and `rnts/accounting.py` by `python -m rnts.model_doc`.

A record is about one neuron at one time (nanoseconds since the epoch) and is of one kind:
{", ".join(f"*{kind.name.lower()}*" for kind in Kind)}. It takes {SLOT_BYTES} bytes, and more for
text. Its mask says which fields were set: what was not reported is absent, never zero.

A *counter* only grows, and a fall means that it began anew; a *gauge* is a level; a *ratio* is a
gauge between 0 and 1, or 0 and 100; a *state* is one of a list; a *key* names another neuron.
Where there is a step, values travel as multiples of it, so that the error is at most half a step.
"""


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _fields(fields: Iterable[Field]) -> str:
    return table(
        ("bit", "name", "unit", "type", "kind", "step", "meaning"),
        (
            (
                f.bit,
                f"`{f.name}`",
                f.unit,
                f.storage.name.lower(),
                f.role,
                "" if f.step is None else f"{f.step:g}",
                f.meaning,
            )
            for f in fields
        ),
    )


def _events() -> str:
    return table(
        ("code", "event", "fields", "meaning"),
        (
            (
                event.code,
                f"`{event.name}`",
                ", ".join(f"`{name}` {type_.__name__}" for name, type_ in event.fields),
                event.meaning,
            )
            for event in EVENTS
        ),
    )


def metrics_document() -> str:
    """The whole of docs/metrics.md."""
    others = [f for f in FIELDS if f not in METRICS]
    names = ", ".join(f"`{name}`" for name in NAME_FIELDS)
    sections = (
        _INTRODUCTION,
        "## Metrics\n",
        _fields(METRICS),
        "## With a sample\n",
        _fields(f for f in others if f.kind is Kind.SAMPLE),
        "## Health\n",
        table(("code", "state"), ((h.value, f"`{h.name.lower()}`") for h in Health)),
        "## Events\n",
        _events(),
        "Its float is kept in `event_value`, its peer in `event_peer_id`, the rest as text.\n",
        _fields(f for f in others if f.kind is Kind.EVENT),
        "## Links\n",
        _fields(f for f in others if f.kind is Kind.LINK),
        "## Names\n",
        f"A name record holds no fields but text: {names}, in this order.\n",
        "## Why a record is dropped\n",
        table(("reason", "meaning"), ((f"`{reason}`", text) for reason, text in DROPS.items())),
    )
    return "\n".join(sections)


if __name__ == "__main__":
    sys.stdout.write(metrics_document())
