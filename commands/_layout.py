"""Where tables go: beside each other where the screen is wide, and each as long as room allows."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from rnts.commands import _population, _system
from rnts.commands._document import Document
from rnts.commands._table import Section

WIDE_CELLS = 110  # from here on two tables stand beside each other, processes among them
COLUMN_GAP_CELLS = 3
_LINES_MIN = 2  # the titles and a row: less is not worth a table
_LINES_FIRST = 4  # what each table gets before any gets more
Make = Callable[[Document], Section]
# From this width on, these tables, by columns; within a column the first matters most.
_LAYOUTS: tuple[tuple[int, tuple[tuple[Make, ...], ...]], ...] = (
    (
        180,
        (
            (_population.sickest, _population.events),
            (_population.groups, _population.busiest),
            (_system.metrics, _system.links, _system.processes),
        ),
    ),
    (
        WIDE_CELLS,
        (
            (_population.sickest, _population.events, _system.processes),
            (_population.groups, _population.busiest, _system.metrics),
        ),
    ),
    (0, ((_population.sickest, _population.groups, _population.busiest, _population.events),)),
)


def body(document: Document, width: int, height: int) -> list[Text]:
    """At most `height` lines of tables, none wider than `width`."""
    columns = next(columns for least, columns in _LAYOUTS if width >= least)
    cells = (width - COLUMN_GAP_CELLS * (len(columns) - 1)) // len(columns)
    stacks = [stack([make(document) for make in column], cells, height) for column in columns]
    return [_beside(row, cells) for row in zip_longest(*stacks)]


def stack(sections: Sequence[Section], width: int, height: int) -> list[Text]:
    """Tables one below the other in at most `height` lines; empty ones take no room."""
    filled = [section for section in sections if section.rows]
    wanted = [1 + len(section.rows) for section in filled]
    # Air between tables is worth a line each once every table has its first rows.
    air = int(height >= sum(min(lines, _LINES_FIRST) for lines in wanted) + len(filled))
    limits = allot(wanted, height - air * (len(filled) - 1))
    lines: list[Text] = []
    for section, limit in zip(filled, limits, strict=True):
        if limit:
            lines += [Text(end="")] * (air and bool(lines))
            lines += section.lines(width, limit)
    return lines


def allot(wanted: Sequence[int], height: int) -> list[int]:
    """Divide `height` lines: the first tables get a few rows first, then all grow in turn."""
    given: list[int] = []
    for lines in wanted:
        share = min(lines, _LINES_FIRST, max(0, height - sum(given)))
        given.append(share if share >= _LINES_MIN else 0)
    while sum(given) < height:
        growing = [i for i, lines in enumerate(given) if 0 < lines < wanted[i]]
        if not growing:
            break
        for index in growing[: height - sum(given)]:
            given[index] += 1
    return given


def _beside(row: Sequence[Text | None], cells: int) -> Text:
    """One line of each column next to each other."""
    joined = Text(no_wrap=True, overflow="crop", end="")
    for index, text in enumerate(row):
        start = index * (cells + COLUMN_GAP_CELLS)
        joined.append(" " * (start - cell_len(joined.plain)))
        joined.append_text(text or Text(end=""))
    return joined
