"""The snapshot document as the views need it, and what it says is wrong.

A document of another version may lack parts or have others: what is absent reads as nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from rnts.accounting import DROPS
from rnts.commands._format import exact, is_number

Document = Mapping[str, Any]
HEALTH_STATES = ("healthy", "degraded", "critical", "unknown")
_NAMED_MAX = 3  # neurons that a finding names; the table has the rest


class Level(IntEnum):
    """How much a finding matters."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should know, in one sentence."""

    level: Level
    text: str


def part(document: Any, *keys: str) -> Document:
    """The mapping that lies under `keys`; empty where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def rows(document: Any, *keys: str) -> list[Document]:
    """The mappings of the list that lies under `keys`; empty where there is none."""
    found = part(document, *keys[:-1]).get(keys[-1])
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def number(document: Any, *keys: str) -> float | None:
    """The finite number that lies under `keys`, else None."""
    value = part(document, *keys[:-1]).get(keys[-1])
    return value if is_number(value) else None


def text(document: Document, key: str) -> str:
    """The text under `key`; empty where there is none."""
    value = document.get(key)
    return "" if value is None else str(value)


def name_of(row: Document) -> str:
    """A neuron's name; its id where it never said one."""
    return text(row, "name") or text(row, "neuron_id") or "?"


def health_counts(document: Document) -> dict[str, int]:
    """How many neurons are in each state."""
    return {
        state: round(number(document, "neurons", "health", state) or 0) for state in HEALTH_STATES
    }


def losses(document: Document) -> dict[str, int]:
    """The records lost for each reason that has any, the greatest loss first."""
    dropped = part(document, "accounting", "dropped")
    counts = {str(reason): round(n) for reason, n in dropped.items() if is_number(n) and n > 0}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def explain(reason: str) -> str:
    """What a reason of loss means."""
    return DROPS.get(reason, "a reason that this version does not know")


def unaccounted(document: Document) -> int:
    """Records emitted beyond those that any reason accounts for; below 0 if some counted twice."""
    accounting = part(document, "accounting")
    known = [number(accounting, key) or 0 for key in ("sampled_out", "in_flight", "aggregated")]
    dropped = sum(losses(document).values())
    return round((number(accounting, "emitted") or 0) - sum(known) - dropped)


def findings(document: Document, fresh_losses: Mapping[str, int] | None = None) -> list[Finding]:
    """What is wrong, the worst first; empty if all is well.

    `fresh_losses` has the records lost of late, by reason, or is None where that is not known: a
    loss that goes on is worse than one that is over.
    """
    found = _of_accounting(document, fresh_losses) + _of_health(document)
    if not part(document, "accounting"):
        found.append(Finding(Level.UNKNOWN, "nothing is known of losses yet"))
    if not part(document, "window"):
        found.append(Finding(Level.UNKNOWN, "no window of time is complete yet"))
    return sorted(found, key=lambda finding: -finding.level)


def calm(document: Document) -> str:
    """What to say where nothing is wrong."""
    known = number(document, "neurons", "known")
    return f"nothing lost, every record accounted for, none of {exact(known)} neurons unwell"


def _of_accounting(document: Document, fresh_losses: Mapping[str, int] | None) -> list[Finding]:
    """Records that are lost, and records that nobody can account for."""
    found = []
    if part(document, "accounting").get("balanced") is False:
        difference = unaccounted(document)
        what = "emitted and not accounted for" if difference > 0 else "accounted for twice"
        found.append(Finding(Level.CRITICAL, f"not balanced: {exact(abs(difference))} {what}"))
    if lost := losses(document):
        reasons = ", ".join(f"{reason} {exact(count)}" for reason, count in lost.items())
        going_on = sum((fresh_losses or {}).values())
        now = (
            ""
            if fresh_losses is None
            else f", {exact(going_on) if going_on else 'none'} of them now"
        )
        level = Level.CRITICAL if going_on else Level.WARNING
        found.append(Finding(level, f"{exact(sum(lost.values()))} records lost{now}: {reasons}"))
    return found


def _of_health(document: Document) -> list[Finding]:
    """Neurons that say that they are not well."""
    found = []
    states = health_counts(document)
    for state, level in (("critical", Level.CRITICAL), ("degraded", Level.WARNING)):
        if count := states[state]:
            noun = "neuron" if count == 1 else "neurons"
            sick = [row for row in rows(document, "sickest") if row.get("health") == state]
            named = [_named(row) for row in sick[:_NAMED_MAX]]
            more = ["…"] if named and count > len(named) else []
            who = ": " + ", ".join(named + more) if named else ""
            found.append(Finding(level, f"{exact(count)} {noun} {state}{who}"))
    return found


def _named(row: Document) -> str:
    """A sick neuron and, where it said so, why."""
    reason = text(row, "reason")
    return f"{name_of(row)} ({reason})" if reason else name_of(row)
