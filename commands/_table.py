"""Lines of one row: tables and labelled parts, which drop whole cells before they cut one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text

from rnts.commands._format import count, visible

TITLE, LABEL = "bold", "dim"
GAP_CELLS = 2
LABEL_CELLS, LABEL_CELLS_SHORT = 12, 5
NARROW_CELLS = 50  # below this, labels are short

Cell = tuple[str, str]  # text, as it came; style


@dataclass(frozen=True)
class Column:
    """One column: `cells` wide, and its `share` of what is left beyond that.

    Where a line is too narrow for all, the column of the highest `rank` goes first; 0 stays.
    """

    title: str
    cells: int
    share: int = 0
    rank: int = 0
    is_text: bool = False  # words start at the left, numbers end at the right
    style: str = ""


@dataclass(frozen=True)
class Part:
    """Some cells of a labelled line that stay or go together; the highest `rank` goes first."""

    rank: int
    cells: tuple[Cell, ...]


def fit(text: str, cells: int, to_right: bool = False) -> str:
    """`text` made harmless and exactly `cells` wide: padded, or cut with an ellipsis."""
    shown = visible(text)
    missing = cells - cell_len(shown)
    if missing >= 0:
        return " " * missing + shown if to_right else shown + " " * missing
    if cells <= 0:
        return ""
    kept, used = [], 0
    for character in shown:
        used += cell_len(character)
        if used > cells - 1:
            used -= cell_len(character)
            break
        kept.append(character)
    return "".join(kept) + "…" + " " * (cells - 1 - used)


def line(cells: Sequence[Cell], width: int) -> Text:
    """The cells one after the other, cut at `width`; no cell can break the line or style itself."""
    text, left = Text(no_wrap=True, overflow="crop", end=""), width
    for content, style in cells:
        shown = visible(content)
        if cell_len(shown) > left:
            text.append(fit(content, left), style)
            break
        text.append(shown, style)
        left -= cell_len(shown)
    return text


def labelled(label: str, parts: Sequence[Part], width: int, short: str = "") -> Text:
    """A label and those parts that fit behind it, in their order; the lowest rank always stays."""
    narrow = width < NARROW_CELLS
    head = fit(short or label, LABEL_CELLS_SHORT) if narrow else fit(label, LABEL_CELLS)
    kept = list(parts)
    while len(kept) > 1 and _cells_of(kept) > width - cell_len(head):
        kept.remove(max(kept, key=lambda part: part.rank))
    cells: list[Cell] = [(head, LABEL)]
    for index, part in enumerate(kept):
        cells += [(" " * GAP_CELLS, "")] * (index > 0) + list(part.cells)
    return line(cells, width)


def _cells_of(parts: Sequence[Part]) -> int:
    """How wide the parts are with the gaps between them."""
    widths = [sum(cell_len(visible(text)) for text, _ in part.cells) for part in parts]
    return sum(widths) + GAP_CELLS * (len(parts) - 1)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Text]:
    """A line of titles and one a row. Widths depend on `width` alone, so that nothing jumps."""
    chosen = _choose(columns, width)
    widths = _widths([columns[index] for index in chosen], width)
    titles = [(columns[index].title, columns[index].style or LABEL) for index in chosen]
    lines = [_row(columns, chosen, widths, titles, width)]
    for row in rows:
        lines.append(_row(columns, chosen, widths, [row[index] for index in chosen], width))
    return lines


def _row(
    columns: Sequence[Column],
    chosen: Sequence[int],
    widths: Sequence[int],
    cells: Sequence[Cell],
    width: int,
) -> Text:
    """One line of a table: names to the left, numbers to the right."""
    fitted: list[Cell] = []
    for index, cells_wide, (content, style) in zip(chosen, widths, cells, strict=True):
        to_right = not (columns[index].share or columns[index].is_text)
        fitted += [(" " * GAP_CELLS, "")] * bool(fitted)
        fitted.append((fit(content, cells_wide, to_right), style))
    return line(fitted, width)


def _choose(columns: Sequence[Column], width: int) -> list[int]:
    """The columns that leave the names enough room."""
    chosen = list(range(len(columns)))
    while True:
        needed = sum(columns[index].cells for index in chosen)
        droppable = [index for index in chosen if columns[index].rank > 0]
        if needed + GAP_CELLS * (len(chosen) - 1) <= width or not droppable:
            return chosen
        chosen.remove(max(droppable, key=lambda index: columns[index].rank))


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Each column's own cells; what is left is divided by the shares."""
    own = sum(column.cells for column in columns)
    left = max(0, width - own - GAP_CELLS * (len(columns) - 1))
    shares = sum(column.share for column in columns)
    widths, divided, seen = [], 0, 0
    for column in columns:
        seen += column.share
        upto = left * seen // shares if shares else 0
        widths.append(column.cells + upto - divided)
        divided = upto
    return widths


@dataclass(frozen=True)
class Section:
    """A table with its title in the place of the first column's; `total` counts what it is of."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: int = 0

    def lines(self, width: int, limit: int) -> list[Text]:
        """At most `limit` lines of the table, of which the first has the titles."""
        shown = self.rows[: max(0, limit - 1)]
        title = self.title
        total = max(self.total, len(self.rows))
        if len(shown) < total:
            title += f" {len(shown)}/{count(total)}"
        first = replace(self.columns[0], title=title, style=TITLE)
        return table([first, *self.columns[1:]], shown, width)[:limit]
