"""Tables in narrow and wide terminals: every character of every cell is printed, numbers to the right."""

import io
import itertools

import pytest
from rich.console import Console

from routecal.calib.metrics.summary import summarise
from routecal.flows import print_results
from routecal.flows.text_console import draw_table, fits
from routecal.storage.artifact import Artifact
from routecal.tasks.escalation_result import Escalation, OperatingPoint
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.result_table import Table

WIDTHS = [80, 120, 180]
ID = "57dfa3fefcd01a2b"
WHY = "inside the noise band of its own confidences " * 6
HEADS = Table(
    "Decisions",
    ["entry", "at", "decision", "serves", "candidate", "why"],
    [{"entry": 12, "at": "2026-11-29 02:00", "decision": "promoted", "serves": ID, "candidate": ID, "why": WHY}],
)
SPENT = Table(
    "Spent",
    ["day", "model", "stage", "n_calls", "cost_usd"],
    [{"day": "2026-11-29", "model": "gemini-3.8-flash", "stage": "answer", "n_calls": 12345, "cost_usd": 1234.5678}],
)


def printed(width: int, what: object) -> str:
    """What a terminal of that width shows."""
    console = Console(file=io.StringIO(), width=width)
    if isinstance(what, Table):
        print_results.print_table(console, what)
    else:
        assert isinstance(what, show_evaluated.__class__)
        show_evaluated(console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def show_evaluated(console: Console) -> None:
    """A run's table of methods."""
    head = Artifact(uri="/home/heads/1", sha256="a" * 64, rows=1, kind="heads")
    methods = {name: summarise([0.9, 0.8, 0.2, 0.3] * 20, [1, 0, 0, 1] * 20, n_replicates=50) for name in NAMES}
    points = [OperatingPoint(asked="at most 1 point lost, with 95 %", is_promised=True, saving=None)]
    escalation = Escalation(unit="USD", margin=0.01, n_chosen_on=1234, note="no grades", points=points)
    evaluation = Evaluation(methods=methods, brier_difference=None, escalation=escalation)
    from routecal.flows.evaluate import Evaluated

    facts = {"run_id": "r", "verdict": "Saves nothing", "report": "/home/reports/r.html"}
    print_results.print_evaluation(console, Evaluated(**facts, head=head, evaluation=evaluation))


NAMES = ("constant", "probe_with_logit", FINAL)
CASES = list(itertools.product(WIDTHS, [HEADS, SPENT, show_evaluated]))


@pytest.mark.parametrize(("width", "what"), CASES, ids=[f"{w}-{getattr(t, 'title', 'methods')}" for w, t in CASES])
def test_nothing_is_cut_and_no_line_is_wider_than_the_terminal(width: int, what: object) -> None:
    said = printed(width, what)
    assert "…" not in said
    table_lines = [line for line in said.splitlines() if line.startswith(("┃", "│", "┏", "└"))]
    assert all(len(line) <= width for line in table_lines)
    for row in what.rows if isinstance(what, Table) else ():
        for cell in row.values():
            shown = f"{cell:.4f}" if isinstance(cell, float) else str(cell)
            assert (shown if cell != WHY else "noise") in said
    if isinstance(what, Table):
        words = said.replace("│", " ").split()
        assert words.count("noise") == sum("noise" in str(c) for row in what.rows for c in row.values()) * 6


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (180, ["ECE", "noise ≤", "Brier", "log loss", "AUROC", "AURC"], []),
        (120, ["ECE", "noise ≤", "Brier", "log loss", "AUROC", "AURC"], []),
        (105, ["ECE", "noise ≤", "Brier", "log loss", "AUROC"], ["AURC"]),
        (80, ["ECE", "Brier", "AUROC"], ["AURC", "log loss", "noise ≤"]),
    ],
)
def test_a_narrow_table_of_methods_says_which_columns_it_leaves_out(
    width: int, shown: list[str], left_out: list[str]
) -> None:
    said = printed(width, show_evaluated)
    header = next(line for line in said.splitlines() if line.startswith("┃ method"))
    assert [cell.strip() for cell in header.strip("┃").split("┃")] == ["method", *shown]
    assert ("the report also show" in " ".join(said.split())) == bool(left_out)
    assert all(name in said for name in left_out)
    assert FINAL in said


@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_is_printed_first_and_operating_points_next(width: int) -> None:
    lines = printed(width, show_evaluated).splitlines()
    assert lines[0] == "Saves nothing"
    assert "Operating points" in lines[1]
    assert any("not from 1234 labels" in line for line in lines)
    assert lines[-1] == "No escalation threshold: no grades."


def test_texts_stand_to_the_left_and_numbers_to_the_right() -> None:
    console = Console(file=io.StringIO(), width=80)
    draw_table(console, "t", ["name", "count"], [["a", "5"], ["longer name", "12,345"], ["none", "–"]])
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]  # type: ignore[attr-defined]
    assert lines == ["│ a           │      5 │", "│ longer name │ 12,345 │", "│ none        │      – │"]


def test_a_table_fits_if_its_edges_do() -> None:
    # 4 + 5 cells, 3 beside each column, 1 for the edge
    columns, rows = ["name", "count"], [["abcd", "12345"]]
    assert fits(16, columns, rows)
    assert not fits(15, columns, rows)


def test_a_table_without_rows_is_a_sentence() -> None:
    assert printed(80, Table("Decisions", ["entry"], [])) == "Decisions: none\n"


def test_what_does_not_fit_stands_row_under_row() -> None:
    said = printed(80, HEADS)
    assert "│" not in said
    assert f"candidate  {ID}" in said
    assert "│" in printed(120, HEADS)
