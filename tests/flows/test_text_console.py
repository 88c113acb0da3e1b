"""What is printed is text, whatever it would like to be."""

import io

import pytest
from rich.table import Table as Drawn
from rich.text import Text

from routecal.flows.print_results import print_table
from routecal.flows.text_console import console
from routecal.tasks.result_table import Table

HOSTILE = "\x1b[31mred\x1b]52;c;aGFja2Vk\x07 \x9b2J\rover\x08\x7f [bold]x[/]"


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("kind", ["string", "text", "table", "cell"])
def test_no_text_commands_the_terminal(kind: str, is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    paper = console(width=80)
    paper.file = io.StringIO()
    if kind == "table":
        drawn = Drawn(title=HOSTILE)
        drawn.add_column(HOSTILE)
        drawn.add_row(Text(HOSTILE, style="bold"))
        paper.print(drawn)
    elif kind == "cell":
        print_table(paper, Table(HOSTILE, [HOSTILE], [{HOSTILE: HOSTILE}]))
    else:
        paper.print(HOSTILE if kind == "string" else Text(HOSTILE), style="bold", markup=False)
    said = paper.file.getvalue()
    # What rich says of its own begins and ends whole pieces.
    assert "red" in said
    assert ("\x1b[1m" in said or "\x1b[3m" in said) == is_terminal
    assert "\x1b[31m" not in said
    assert not {"\x07", "\x08", "\x9b", "\x7f", "\r"} & set(said)
    assert "\x1b]" not in said


def test_an_endless_cell_is_cut() -> None:
    paper = console(width=300)
    paper.file = io.StringIO()
    print_table(paper, Table("t", ["topic"], [{"topic": "x" * 1_000_000}]))
    assert len(paper.file.getvalue()) < 5000
