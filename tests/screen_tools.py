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
