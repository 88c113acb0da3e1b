"""Tables in a terminal of any width: no cell is ever cut, and what does not fit side by side stands row under row."""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

# Texts longer than this are wrapped where space is short; ids, names and dates are shorter, and stay whole.
WRAPPED = 32
# What separates columns, and the two edges.
BETWEEN, EDGES = 3, 1
_NUMBER = re.compile(r"[-+]?[\d.,]+ ?%?(?:\s*\[[-+\d., ]+\])?")


def draw_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, bold: str | None = None
) -> None:
    """Print a table, numbers to the right and texts to the left; row under row where the console is too narrow.

    Args:
        console: where to; its width decides.
        title: above the table.
        columns: headings.
        rows: as many cells each, plain text; a cell may have several lines.
        bold: first cell of the row that stands out.
    """
    if fits(console.width, columns, rows):
        _side_by_side(console, title, columns, rows, bold)
    else:
        _stacked(console, title, columns, rows)


def fits(width: int, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the columns stand side by side in `width` cells; long texts may be wrapped for it."""
    least = [min(needed, WRAPPED) for needed in _widths(columns, rows)]
    return sum(least) + BETWEEN * len(least) + EDGES <= width


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    cells = zip(columns, *rows, strict=True)
    return [max(cell_len(line) for cell in column for line in (cell.splitlines() or [""])) for column in cells]


def _side_by_side(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], bold: str | None
) -> None:
    drawn = Drawn(title=Text(title), title_justify="left")
    for i, (column, needed) in enumerate(zip(columns, _widths(columns, rows), strict=True)):
        is_long = needed > WRAPPED
        drawn.add_column(
            Text(column),
            justify="right" if _is_numeric([row[i] for row in rows]) else "left",
            no_wrap=not is_long,
            overflow="fold",
            min_width=min(needed, WRAPPED),
        )
    for row in rows:
        drawn.add_row(*map(Text, row), style="bold" if bold is not None and row[0] == bold else None)
    console.print(drawn)


def _stacked(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Every row as lines of heading and cell."""
    console.print(Text(title, style="italic"))
    for row in rows:
        block = Drawn.grid(padding=(0, 2))
        block.add_column(no_wrap=True, style="dim")
        block.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            block.add_row(Text(column), Text(" ".join(cell.split("\n"))))
        console.print(block)
        console.print()


def _is_numeric(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells if cell != "–"]
    return bool(known) and all(_NUMBER.fullmatch(cell) for cell in known)
