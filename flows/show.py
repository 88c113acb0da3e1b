"""What the command line prints: tables for people, on any terminal.

Each function is named by a command as the one that prints its result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Drawn

from calib.policy import Grade
from storage.artifact import Artifact
from storage.plain import plain
from storage.registry import Entry
from tasks.listing import Table
from tasks.oracle.planning.forecast import Plan
from tasks.oracle.planning.text import shown

if TYPE_CHECKING:
    # Torch comes with the first of them, and what prints the plan of a dry run has no use for it.
    from flows.evaluate import Evaluated
    from flows.label import Audited
    from flows.rejudge import Rejudged
    from tasks.benchmark.report import Compared
    from tasks.night.story import Night
    from tasks.oracle.audit.score import AuditResult


def made(console: Console, artifact: Artifact) -> None:
    """Where an artifact is, and of a table how long it is."""
    rows = f"{artifact.kind}  {artifact.rows} rows  " if artifact.kind in ("labels", "features") else ""
    console.print(f"{rows}{artifact.uri}", markup=False, highlight=False, soft_wrap=True)


def labelled(console: Console, result: Artifact | Audited | Plan) -> None:
    """The labels; or a plan; or the labels and how to go on with the sample of them."""
    if isinstance(result, Plan):
        for line in shown(result):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    elif isinstance(result, Artifact):
        made(console, result)
    else:
        made(console, result.labels)
        lines = (
            f"audit   {result.n} answers in {result.sheet}",
            "        write CORRECT, INCORRECT or NOT_ATTEMPTED (or C, I, N) into its column human_grade, then run:",
            f"        routecal audit --file {result.sheet} --labels {result.labels.uri}",
        )
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def rejudged(console: Console, result: Rejudged) -> None:
    """What judging again changed, and the new labels."""
    tables(console, result.changes)
    made(console, result.labels)


def audited(console: Console, result: AuditResult) -> None:
    """How good the judge is, and where it differs from people."""
    title = f"Judge against people: {result.n_graded} answers graded, {result.n_blank} left blank"
    drawn = Drawn(title=title, title_justify="left")
    drawn.add_column("")
    drawn.add_column("value", justify="right")
    drawn.add_row("accuracy", _interval(result.accuracy))
    for role, accuracy in result.by_role.items():
        drawn.add_row(f"  on answers of the {role} model", _interval(accuracy))
    drawn.add_row("Cohen's kappa", _interval(result.kappa))
    console.print(drawn)
    grades = [grade.value for grade in Grade]
    for what, matrix in (
        (f"Estimated for all {result.n_answers} answers", result.confusion),
        ("Graded rows of the sample", result.counted),
    ):
        rows = [
            {"judge ↓ people →": j, **{h: f"{n:.0f}" for h, n in zip(grades, row, strict=True)}}
            for j, row in zip(grades, matrix, strict=True)
        ]
        table(console, Table(what, ["judge ↓ people →", *grades], rows))
    console.print("[dim]95% intervals; blank rows are taken to be blank by chance[/]")


def evaluated(console: Console, result: Evaluated) -> None:
    """The table of methods, where things are, and what escalating saves."""
    from tasks.escalate import sentence
    from tasks.evaluate import FINAL, RIVAL

    methods = result.evaluation.methods
    first = next(iter(methods.values()))
    drawn = Drawn(title=f"Test split: {first.n} queries, router right on {first.accuracy:.1%}")
    drawn.add_column("method", no_wrap=True)
    for column in ("ECE", "noise ≤", "Brier", "log loss", "AUROC", "AURC"):
        drawn.add_column(column, justify="right")
    for name, s in methods.items():
        estimates = [_interval(e) for e in (s.brier, s.log_loss, s.auroc, s.aurc)]
        drawn.add_row(
            name, _interval(s.ece), f"{s.noise_high:.3f}", *estimates, style="bold" if name == FINAL else None
        )
    console.print(drawn)
    console.print(
        f"[dim]{first.level:.0%} intervals; noise ≤: a calibrated model's ECE, {(1 + first.level) / 2:.1%} of times[/]"
    )
    if (d := result.evaluation.brier_difference) is not None:
        console.print(f"Brier of «{FINAL}» minus «{RIVAL}»: {d:+.4f}", markup=False)
    console.print(f"head    {result.head.uri}", markup=False, soft_wrap=True)
    if result.calibrated is not None:
        console.print(f"router  {result.calibrated.uri}", markup=False, soft_wrap=True)
    console.print(f"report  {result.report}", markup=False, soft_wrap=True)
    if (escalation := result.evaluation.escalation) is not None:
        if escalation.note:
            console.print(f"Costs: {escalation.note}", markup=False)
        console.print(sentence(escalation), markup=False, soft_wrap=True)


def compared(console: Console, result: Compared) -> None:
    """The page of a benchmark, and where its numbers are."""
    console.print(result.page, markup=False, highlight=False, soft_wrap=True)
    for name, artifact in result.artifacts.items():
        console.print(f"{name:<12} {artifact.uri}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{'report':<12} {result.report}", markup=False, highlight=False, soft_wrap=True)


def told(console: Console, night: Night) -> None:
    """What a night decided, and why."""
    from tasks.night.story import headline

    console.print(headline(night), markup=False, highlight=False, soft_wrap=True)
    for reason in night.reasons[1:]:
        console.print(f"        {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"serving {night.serving or 'nothing yet'}", markup=False, highlight=False)
    if night.report is not None:
        console.print(f"report  {night.report}", markup=False, highlight=False, soft_wrap=True)


def decided(console: Console, entry: Entry) -> None:
    """What a person decided."""
    serving = "nothing" if entry.champion is None else entry.champion.uri
    console.print(f"entry {entry.number}: {entry.action}", markup=False, highlight=False)
    console.print(f"serving {serving}", markup=False, highlight=False, soft_wrap=True)


def exported(console: Console, n: int) -> None:
    """How many examples were written."""
    console.print(f"{n} examples written", highlight=False)


def tables(console: Console, results: list[Table]) -> None:
    """Several tables."""
    for result in results:
        table(console, result)


def table(console: Console, result: Table) -> None:
    """One table. What users wrote is shown as text, never as markup."""
    drawn = Drawn(title=escape(result.title), title_justify="left")
    for column in result.columns:
        drawn.add_column(column.replace("_", " ") if column.islower() else column, justify="right")
    for row in result.rows:
        drawn.add_row(
            *(escape(_cell(row[column], decimals=4 if "usd" in column.lower() else 3)) for column in result.columns)
        )
    console.print(drawn)


def _interval(estimate: Any) -> str:
    return "–" if estimate is None else escape(f"{estimate:.3f}")


def _cell(value: Any, *, decimals: int) -> str:
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    return "–" if value is None else plain(str(value), at_most=200)
