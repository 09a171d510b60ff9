"""What the tests of the screen share: a sample document, changes of it, and its picture."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from rnts.commands._screen import Screen

SNAPSHOT = json.loads((Path(__file__).parent / "data" / "snapshot.json").read_text())


def screen() -> Screen:
    """A screen whose console is never written to."""
    return Screen(Console(file=io.StringIO()), "rnts up")


def draw(document: Any, width: int, height: int, notices: tuple[str, ...] = ()) -> list[str]:
    """The lines of the first picture of a document, without styles."""
    frame = screen().render(document, notices=notices, elapsed_s=83.0)
    return [line.plain.rstrip() for line in frame.lines(width, height)]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The sample document with a change made to it."""
    document = copy.deepcopy(SNAPSHOT)
    change(document)
    return document


def without_faults() -> dict[str, Any]:
    """The sample document with every neuron healthy and nothing lost."""
    document = copy.deepcopy(SNAPSHOT)
    document["neurons"]["health"] = {"healthy": 1024, "degraded": 0, "critical": 0, "unknown": 0}
    accounting = document["accounting"]
    accounting["emitted"] -= sum(accounting["dropped"].values())
    accounting["dropped"] = dict.fromkeys(accounting["dropped"], 0)
    document["sickest"] = []
    return document


def alerts(reaction: dict[str, Any] | None = None, **process: Any) -> dict[str, Any]:
    """What an alert process says: three alerts of five, and how it is."""
    since_ns = SNAPSHOT["time_ns"] - 125_000_000_000

    def alert(rule: str, severity: str, state: str, value: float, bound: str, **labels: str) -> Any:
        flags = dict.fromkeys(("is_silenced", "is_flapping", "is_without_data"), False)
        said = {"rule": rule, "severity": severity, "state": state, "labels": labels}
        return {**said, "since_wall_ns": since_ns, "value": value, "bound": bound, **flags}

    neuron = {"group": "motor", "host": "vm", "neuron": "motor/17"}
    listed = [
        alert("slow", "warning", "firing", 120.5, "> 100", group="cortex") | {"is_silenced": True},
        alert("sick", "critical", "firing", 2, "== critical", **neuron),
        alert("full", "info", "pending", 900, "> 100"),
    ]
    named = ("rule", "severity", "state", "count")
    counts = (
        ("full", "info", "pending", 2),
        ("sick", "critical", "firing", 1),
        ("sick", "critical", "recovering", 1),
        ("slow", "warning", "firing", 1),
    )
    quiet = {"rules": 4, "is_live": True, "memory": None, "actions_left_alone": []}
    return {
        "wall_ns": SNAPSHOT["time_ns"],
        "count": 5,
        "counts": [dict(zip(named, each, strict=True)) for each in counts],
        "alerts": listed,
        "process": quiet | {"reaction": reaction} | process,
    }


def reaction(p99_ns: int, count: int = 60, came_back: int = 99, **lost: int) -> dict[str, Any]:
    """What was measured, in the last minute and at all."""
    percentiles = {"50": 900_000, "99": p99_ns, "99.9": p99_ns} if count else {}
    minute = {"count": count, "lost": lost, "percentiles": percentiles}
    return {"is_waiting": False, "came_back": came_back, "minute": minute}
