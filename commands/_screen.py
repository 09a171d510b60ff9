"""The live screen of `rnts up`: what is wrong, the vital signs, tables while room lasts."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from rnts.commands import _vitals
from rnts.commands._document import Document
from rnts.commands._finding import Finding, Level
from rnts.commands._findings import calm, findings
from rnts.commands._format import clock, elapsed
from rnts.commands._history import History
from rnts.commands._layout import WIDE_CELLS, body
from rnts.commands._system import processes_line
from rnts.commands._table import LABEL, TITLE, line

STALE_S = 3  # a document that has not changed for so long is said to be old
MARGIN = " "
# Tells trouble from ordinary progress in what the supervisor and its children say.
_ALARM = re.compile(
    r"\b(warning|error|critical|died|killed|cannot|refused|restart\w*)\b", re.IGNORECASE
)
_HEADER_LINES = 8  # a screen lower than this does without a header
_HEADER_GAP_CELLS = 2
_AUTOWRAP_OFF, _AUTOWRAP_ON = "\x1b[?7l", "\x1b[?7h"


@contextmanager
def no_autowrap(console: Console) -> Iterator[None]:
    """Let the terminal cut what it draws wider than we reckoned, instead of shifting the screen."""
    console.file.write(_AUTOWRAP_OFF)
    try:
        yield
    finally:
        console.file.write(_AUTOWRAP_ON)
        console.file.flush()


class Screen:
    """Draws snapshot documents; remembers the last minute of those that it was given."""

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
        self.title = title
        self._history = History()
        self._last: Document | None = None
        self._news_s = 0.0  # when, on the clock of `elapsed_s`, the document last changed

    def render(
        self, snapshot: Document | None, *, notices: Sequence[str], elapsed_s: float
    ) -> "Frame":
        """The picture of this moment; `elapsed_s` counts from the start of the command.

        `notices` are the supervisor's lines, the newest last. As long as there was no snapshot the
        screen waits for the aggregator; later it keeps the last one and says how old it is.
        """
        if snapshot is not None:
            self._history.add(snapshot)
            if self._last is None or snapshot.get("time_ns") != self._last.get("time_ns"):
                self._news_s = elapsed_s
            self._last = snapshot
        silent_s = elapsed_s - self._news_s
        return Frame(self.title, self._last, tuple(notices), elapsed_s, silent_s, self._history)


@dataclass(frozen=True)
class Limits:
    """How many lines of each kind a screen of some height has; `air` is blank lines between."""

    findings: int
    notices: int
    reasons: int
    air: int


# From this height on, these limits.
_LIMITS = ((34, Limits(6, 3, 6, 1)), (20, Limits(3, 1, 2, 1)), (0, Limits(1, 0, 0, 0)))


@dataclass(frozen=True)
class Frame:
    """One picture; it fits itself into whatever size the terminal has when it is drawn."""

    title: str
    document: Document | None
    notices: tuple[str, ...]
    elapsed_s: float
    silent_s: float
    history: History

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or options.size.height
        for index, row in enumerate(self.lines(options.max_width, height)):
            if index:
                yield Segment.line()
            yield from row.render(console)  # the lines fit: rich need not wrap them

    def lines(self, width: int, height: int) -> list[Text]:
        """At most `height` lines of at most `width` cells."""
        margin = MARGIN if width >= 40 else ""
        inner = width - 2 * len(margin)
        if self.document is None:
            rows = self._waiting(inner, height)
        else:
            rows = self._all(self.document, inner, height)
        return [Text(margin, end="").append_text(row) for row in rows[:height]]

    def _waiting(self, width: int, height: int) -> list[Text]:
        """What is shown before the first document."""
        waiting = line(
            [(f"waiting for the aggregator … {elapsed(self.elapsed_s)}", "yellow")], width
        )
        newest = self.notices[-max(1, height - 2) :]
        return [self._header(width), waiting, *(_notice(notice, width) for notice in newest)]

    def _all(self, document: Document, width: int, height: int) -> list[Text]:
        """From the top: what is wrong, the vital signs, tables."""
        limits = next(limits for least, limits in _LIMITS if height >= least)
        air = [Text(end="")] * limits.air
        found = self._stale() + findings(document, self.history)
        top = [self._header(width)] if height >= _HEADER_LINES else []
        top += _vitals.verdict(found, calm(document), width, limits.findings)
        top += self._notices(width, limits.notices)
        top += air + _vitals.vital_signs(document, width, self.history, limits.reasons) + air
        bottom = [processes_line(document, width)] if limits.air and width < WIDE_CELLS else []
        room = max(0, height - len(top) - len(bottom))
        tables = body(document, width, room)
        filler = [Text(end="")] * (room - len(tables)) if bottom else []
        return top + tables + filler + bottom

    def _header(self, width: int) -> Text:
        """The title, and at the right the time of the document and how long this runs."""
        time = clock((self.document or {}).get("time_ns"))
        up = f"up {elapsed(self.elapsed_s)}"
        left = line([(self.title, TITLE)], width)
        for right in (f"{time} · {up} · Ctrl-C ends", f"{time} · {up}", up):
            gap = width - cell_len(left.plain) - cell_len(right)
            if gap >= _HEADER_GAP_CELLS:
                return left.append(" " * gap + right, LABEL)
        return left

    def _notices(self, width: int, limit: int) -> list[Text]:
        """The last notices that somebody should see, else the very last one."""
        alarms = [notice for notice in self.notices if _ALARM.search(notice)]
        newest = (alarms or self.notices[-1:])[-limit:] if limit > 0 else ()
        return [_notice(notice, width) for notice in newest]

    def _stale(self) -> list[Finding]:
        """A finding if the document is old."""
        if self.silent_s < STALE_S:
            return []
        age = elapsed(self.silent_s)
        return [
            Finding(Level.CRITICAL, f"no news from the aggregator for {age}; what follows is old")
        ]


def _notice(notice: str, width: int) -> Text:
    """One line of the supervisor."""
    return line([("• ", LABEL), (notice, "yellow" if _ALARM.search(notice) else LABEL)], width)
