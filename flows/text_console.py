"""Consoles for texts that others wrote, and tables in a terminal of any width.

Names, topics and queries may hold what commands a terminal, so no control character of theirs is printed. No cell is
ever cut; what does not fit side by side stands row under row.
"""

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.table import Table as Drawn
from rich.text import Text

from routecal.plain_text import CONTROL


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console on which texts are only texts."""
    made = Console(stderr=stderr, width=width)
    made.push_render_hook(Harmless())
    return made


class Harmless(RenderHook):
    """Prints everything without control characters; rich's own commands and styles are apart from the text."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed instead."""
        return [_Cleaned(one) for one in renderables]


class _Cleaned:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(CONTROL.sub(_line_end_or_tab, segment.text), segment.style)


def _line_end_or_tab(control: re.Match[str]) -> str:
    """Line ends and tabs. The others are no cells wide, so what is left stays aligned."""
    return control[0] if control[0] in "\n\t" else ""


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
