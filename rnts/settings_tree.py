"""Values of settings as plain data, where each is written, and what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PROBLEMS_MAX = 50  # that are reported; the rest is counted
SHOWN_CHARACTERS_MAX = 60  # of a user's own text inside a message

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value comes from: a file with line and column from 1, or a source without lines."""

    source: str
    line: int = 0
    column: int = 0
    text: str | None = None  # a scalar as it is spelled, quotes left out
    plain: bool = False  # whether it is spelled without quotes
    raw: str = field(default="", compare=False, repr=False)  # the scalar with quotes and all

    @classmethod
    def after(cls, source: str, before: str) -> "Place":
        """The place of the first character after the text `before`."""
        return cls(source, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """One thing that is wrong: where, with which setting (empty if none), and what."""

    place: Place
    path: KeyPath
    message: str


@dataclass
class Tree:
    """One source of settings: plain values (lists as tuples), and the places of values and names.

    `places[path]` is where the value at `path` is written, `names[path]` where its key is.
    """

    source: str
    plain: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    names: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """The place of the value at `path`, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.source))

    def refuse(self, place: Place, path: KeyPath, message: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(place, path, message))


def dotted(path: KeyPath) -> str:
    """A path as people write it."""
    return ".".join(map(str, path))


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings are joined, all else is replaced; a section that is left empty changes nothing."""
    joined = dict(below)
    for name, value in above.items():
        under = below.get(name)
        if isinstance(under, dict) and isinstance(value, dict | None):
            joined[name] = merge(under, value or {})
        else:
            joined[name] = value
    return joined


def shorten(text: str, characters_max: int = SHOWN_CHARACTERS_MAX) -> str:
    """A user's text, short enough for a message."""
    return text if len(text) <= characters_max else text[:characters_max] + "…"


def printable(text: str) -> str:
    """The text with escapes for all that would break or disguise a line on a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def report(problems: Sequence[Problem]) -> list[str]:
    """A line for each problem, each once; beyond `PROBLEMS_MAX` only their count."""
    lines = []
    for place, path, message in problems[:PROBLEMS_MAX]:
        name = shorten(dotted(path))
        lines.append(printable(f"{place}: {name}: {message}" if name else f"{place}: {message}"))
    if len(problems) > PROBLEMS_MAX:
        lines.append(f"and {len(problems) - PROBLEMS_MAX} problems more")
    return list(dict.fromkeys(lines))
