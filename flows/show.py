"""What the command line prints: tables for people, on any terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.evaluate import Evaluated
from tasks.evaluate import FINAL, RIVAL


def evaluated(console: Console, result: Evaluated) -> None:
    """The table of methods and where the report is."""
    methods = result.evaluation.methods
    first = next(iter(methods.values()))
    table = Table(title=f"Test split: {first.n} queries, router right on {first.accuracy:.1%}")
    table.add_column("method", no_wrap=True)
    for column in ("ECE", "noise ≤", "Brier", "log loss", "AUROC"):
        table.add_column(column, justify="right")
    for name, s in methods.items():
        cells = (_interval(s.ece), f"{s.noise_high:.3f}", _interval(s.brier), _interval(s.log_loss), _interval(s.auroc))
        table.add_row(name, *cells, style="bold" if name == FINAL else None)
    console.print(table)
    console.print(f"[dim]{first.level:.0%} bootstrap intervals; noise ≤: upper bound of a calibrated model's ECE[/]")
    if (d := result.evaluation.brier_difference) is not None:
        console.print(f"Brier of «{FINAL}» minus «{RIVAL}»: {d.value:+.4f} [{d.low:+.4f}, {d.high:+.4f}]", markup=False)
    console.print(f"head    {result.head.uri}", markup=False, soft_wrap=True)
    console.print(f"report  {result.report}", markup=False, soft_wrap=True)


def rows(console: Console, title: str, columns: list[str], content: list[dict[str, Any]]) -> None:
    """One result of a query. What users wrote is shown as text, never as markup."""
    table = Table(title=escape(title), title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for row in content:
        table.add_row(*(escape(_cell(row[column])) for column in columns))
    console.print(table)


def _interval(estimate: Any) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f} \\[{estimate.low:.3f}, {estimate.high:.3f}]"


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
