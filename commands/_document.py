"""The snapshot document as the views need it.

A document of another version may lack parts or have others: what is absent reads as nothing.
"""

from collections.abc import Mapping
from typing import Any

from rnts.accounting import DROPS
from rnts.commands._format import is_number

Document = Mapping[str, Any]
HEALTH_STATES = ("healthy", "degraded", "critical", "unknown")


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


def shown_percentiles(metric: Document) -> list[str]:
    """The middle and the tail, as far as they are there; else the last of those that are."""
    values = part(metric, "percentiles")
    return [key for key in ("50", "99", "99.9") if key in values] or list(values)[-3:]


def explain(reason: str) -> str:
    """What a reason of loss means."""
    return DROPS.get(reason, "a reason that this version does not know")


def unaccounted(document: Document) -> int:
    """Records emitted beyond those that any reason accounts for; below 0 if some counted twice."""
    accounting = part(document, "accounting")
    known = [number(accounting, key) or 0 for key in ("sampled_out", "in_flight", "aggregated")]
    dropped = sum(losses(document).values())
    return round((number(accounting, "emitted") or 0) - sum(known) - dropped)
