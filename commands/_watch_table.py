"""The table of `rnts watch` on a terminal, redrawn in place."""

import math
import time
from functools import partial
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rnts.commands._format import clock
from rnts.commands._table import LABEL, TITLE, Cell, Column, Section, line
from rnts.commands._watched import Watched, truth_of
from rnts.reflex.change import Change
from rnts.rules.vocabulary import rank_of_state
from rnts.standing.view import News

_DRAW_S = 0.1
_NOTICES_MAX = 3
_TRUTH_STYLE = {True: "bold red", False: LABEL, None: "yellow"}
_SPARE_LINES = 2  # the cursor's, and one that keeps the terminal from scrolling


class Table:
    """Each expression with its entities, the largest first, as far as lines reach."""

    def __init__(self, console: Console, watched: list[Watched]) -> None:
        self._console, self._watched = console, watched
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._notices: list[str] = []
        self._is_live = self._is_new = True
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last picture on the terminal."""
        self._live.stop()

    def news(self, watched: Watched, news: News) -> None:
        """Something about an expression has changed."""
        self._is_new = True

    def notice(self, kind: str, words: str, watched: Watched | None = None, count: int = 0) -> None:
        """Keep the last few; how many entities there are stands in the title."""
        if kind not in ("omitted", "empty"):
            about = f"{watched.text}: " if watched else ""
            said = " ".join(f"{about}{words}".split())
            self._notices = [*self._notices, f"{clock(time.time_ns())} {said}"][-_NOTICES_MAX:]
        self._is_new = True

    def draw(self, is_live: bool) -> None:
        """Draw what is new, ten times a second at most."""
        now_s = time.monotonic()
        if is_live != self._is_live:
            self._is_live, self._is_new = is_live, True
        if self._is_new and now_s - self._drawn_s >= _DRAW_S:
            self._is_new, self._drawn_s = False, now_s
            size = self._console.size
            lines = self.lines(size.width, size.height - _SPARE_LINES)
            picture = Text("\n", no_wrap=True, overflow="crop").join(lines)
            self._live.update(picture, refresh=True)

    def lines(self, width: int, height: int) -> list[Text]:
        """At most `height` lines: how it is, each expression, notices."""
        state: Cell = ("live", "green") if self._is_live else ("the aggregator is away", "red")
        at_ns = max((one.view.at_ns for one in self._watched), default=0)
        head: list[Cell] = [("rnts watch", TITLE), (" · ", LABEL), state]
        head += [(f" · {clock(at_ns)} · Ctrl-C ends", LABEL)] if at_ns else []
        found = [line(head, width)]
        notices = [line([(notice, "yellow")], width) for notice in self._notices]
        for number, one in enumerate(self._watched):
            left = height - len(found) - len(notices)
            share = max(2, left // (len(self._watched) - number))
            found += _section(one).lines(width, min(share, max(0, left)))
        return (found + notices)[: max(1, height)]


def _section(one: Watched) -> Section:
    scope = one.condition.scope
    names = {"neuron": ("neuron", "group", "host"), "all": ("",)}.get(scope, (scope,))
    columns = [Column(name, 8, share=2 - bool(i), rank=i, is_text=True) for i, name in
               enumerate(names)]  # fmt: skip
    columns.append(Column("value", 18))
    entities = sorted(one.view.entities.values(), key=partial(_weight, one))
    rows = [[*_names(change, names), _value(one, change)] for change in entities]
    if any(change.certainty for change in entities):
        columns.append(Column("certain", 24, share=1, rank=len(names), is_text=True))
        for row, change in zip(rows, entities, strict=True):
            row.append((one.certainty_in_words(change), LABEL))
    return Section(one.text, columns, rows, len(rows) + one.view.omitted)


def _weight(one: Watched, change: Change) -> tuple[float, float]:
    """Sorts what is true before the rest, then what is large, or the worst of states; what is
    unknown comes last."""
    size = rank_of_state(change.value) if one.are_states else change.value
    return (0.0 if change.truth == 1 else 1.0, math.inf if math.isnan(size) else -size)


def _names(change: Change, names: tuple[str, ...]) -> list[Cell]:
    labels = dict(change.labels)
    if names == ("",):
        return [("all", "")]
    return [(labels.get(name, ""), LABEL if i else "") for i, name in enumerate(names)]


def _value(one: Watched, change: Change) -> Cell:
    style = _TRUTH_STYLE[truth_of(change)] if one.is_condition else ""
    return one.value_in_words(change), style
