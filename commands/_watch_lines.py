"""What `rnts watch` prints line by line: words for people, objects for programs."""

import json
import time
from typing import Any, Protocol, Self

import typer

from rnts.commands._format import clock, visible
from rnts.commands._watched import Watched, labels_in_words, truth_of
from rnts.reflex.told_certainty import certainty_document
from rnts.standing.view import News


class Show(Protocol):
    """Shows what the loop has learned."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def news(self, watched: Watched, news: News) -> None:
        """Something about an expression has changed."""

    def notice(self, kind: str, words: str, watched: Watched | None = None, count: int = 0) -> None:
        """Something about the watching itself has happened."""

    def draw(self, is_live: bool) -> None:
        """Some time has passed."""


class Lines:
    """Lines need no beginning, no end, and nothing while nothing happens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to put back."""

    def draw(self, is_live: bool) -> None:
        """Nothing to draw."""


class PlainLines(Lines):
    """Time, of whom, what; with several expressions which one it is, too."""

    def __init__(self, are_several: bool) -> None:
        self._are_several = are_several

    def news(self, watched: Watched, news: News) -> None:
        """A line for each entity."""
        for change in news.changes:
            words = watched.value_in_words(change)
            certainty = watched.certainty_in_words(change)
            self._line(watched, change.labels, f"{words}  {certainty}" if certainty else words)
        gone = "no longer true" if watched.is_condition else "gone"
        for labels in news.gone:
            self._line(watched, labels, gone)

    def _line(self, watched: Watched, labels: Any, words: str) -> None:
        at_ns = watched.view.at_ns
        moment = f"{clock(at_ns)}.{at_ns // 1_000_000 % 1000:03}"
        which = [watched.text] if self._are_several else []
        typer.echo(visible("  ".join([moment, labels_in_words(labels), words, *which])))

    def notice(self, kind: str, words: str, watched: Watched | None = None, count: int = 0) -> None:
        """A line on stderr."""
        about = f"{watched.text}: " if watched and self._are_several else ""
        for line in f"{about}{words}".splitlines():
            typer.echo(f"rnts: {visible(line)}", err=True)


class JsonLines(Lines):
    """One object a line."""

    def news(self, watched: Watched, news: News) -> None:
        """An object for each entity."""
        for change in news.changes:
            more: dict[str, Any] = {"truth": truth_of(change)} if watched.is_condition else {}
            more |= {"value": watched.value(change), "unit": watched.unit or None}
            more |= certainty_document(change.certainty)
            if change.worst:
                more["worst"] = [
                    {"neuron": each.neuron, "share": each.share} for each in change.worst
                ]
            self._object(watched, change.labels, more)
        for labels in news.gone:
            self._object(watched, labels, {"gone": True})

    def _object(self, watched: Watched, labels: Any, more: dict[str, Any]) -> None:
        about = {"time_ns": watched.view.at_ns, "expression": watched.text}
        typer.echo(json.dumps({**about, "labels": dict(labels), **more}, separators=(",", ":")))

    def notice(self, kind: str, words: str, watched: Watched | None = None, count: int = 0) -> None:
        """An object that says so, among the others: it changes what they mean."""
        document: dict[str, Any] = {"time_ns": time.time_ns(), "notice": kind, "message": words}
        if watched:
            document["expression"] = watched.text
        if count:
            document["count"] = count
        typer.echo(json.dumps(document, separators=(",", ":")))
