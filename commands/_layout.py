"""Where tables go: beside each other where the screen is wide, and each as long as room allows."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from rnts.commands import _alert_view, _population, _system
from rnts.commands._document import Document
from rnts.commands._table import Section

WIDE_CELLS = 110  # from here on two tables stand beside each other, processes among them
COLUMN_GAP_CELLS = 3
_LINES_MIN = 2  # the titles and a row: less is not worth a table
_LINES_FIRST = 4  # what each table gets before any gets more
# Tables in the order of their weight, with the lines that each is reckoned to take where tables
# stand beside each other. Real lengths would move a table with every neuron that comes or goes.
_TABLES: tuple[tuple[Callable[[Document], Section], int], ...] = (
    (_alert_view.alerts, 6),
    (_population.sickest, 11),
    (_population.groups, 12),
    (_population.busiest, 11),
    (_population.events, 12),
    (_system.metrics, 15),
    (_system.processes, 4),
    (_system.links, 11),
)
_COLUMNS = ((180, 3), (WIDE_CELLS, 2), (0, 1))  # from a width on, so many beside each other


def body(document: Document, width: int, height: int) -> list[Text]:
    """At most `height` lines of tables, none wider than `width`; empty tables take no room."""
    columns = next(columns for least, columns in _COLUMNS if width >= least)
    cells = (width - COLUMN_GAP_CELLS * (columns - 1)) // columns
    stacks: list[list[Section]] = [[] for _ in range(columns)]
    lengths = [0] * columns
    for make, lines in _TABLES:
        section = make(document)
        if section.rows and not (columns == 1 and make is _system.processes):
            shortest = lengths.index(min(lengths))
            stacks[shortest].append(section)
            lengths[shortest] += lines
    drawn = [stack(sections, cells, height) for sections in stacks]
    return [_beside(row, cells) for row in zip_longest(*drawn)]


def stack(sections: Sequence[Section], width: int, height: int) -> list[Text]:
    """Tables one below the other in at most `height` lines."""
    wanted = [1 + len(section.rows) for section in sections]
    # Air between tables is worth a line each once every table has its first rows.
    air = int(height >= sum(min(lines, _LINES_FIRST) for lines in wanted) + len(sections))
    limits = allot(wanted, height - air * (len(sections) - 1))
    lines: list[Text] = []
    for section, limit in zip(sections, limits, strict=True):
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
