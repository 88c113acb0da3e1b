"""What the command line prints for people: tables and sentences, on any terminal.

Each `print_…` is named by a command as the one that prints its result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from routecal.calib.policy import Grade
from routecal.flows.text_console import draw_table, fits
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import RegistryEntry
from routecal.tasks.oracle.planning.forecast import LabellingPlan
from routecal.tasks.oracle.planning.plan_text import plan_lines
from routecal.tasks.result_table import Table

if TYPE_CHECKING:
    # Torch comes with some of them, and what prints the plan of a dry run has no use for it.
    from routecal.calib.metrics.summary import Summary
    from routecal.flows.evaluate import Evaluated
    from routecal.flows.label import Audited
    from routecal.flows.rejudge import Rejudged
    from routecal.flows.threshold import NewThreshold
    from routecal.tasks.benchmark.results import Compared
    from routecal.tasks.export import ExportedExamples, ExportedRouter
    from routecal.tasks.import_logs import ImportedLogs
    from routecal.tasks.night.night_result import Night
    from routecal.tasks.oracle.audit.judge_accuracy import AuditResult


def print_artifact(console: Console, artifact: Artifact) -> None:
    """Where an artifact is, and of a table how long it is."""
    rows = f"{artifact.kind}  {artifact.rows} rows  " if artifact.kind in ("labels", "features") else ""
    _say(console, f"{rows}{artifact.uri}")


def print_head(console: Console, head: Artifact) -> None:
    """Where a head is, and what it was trained on."""
    from routecal.tasks.runs import fact_of

    print_artifact(console, head)
    if (data := fact_of(head, "data")) is not None:
        _say(console, f"data    {data}")


def print_labels(console: Console, result: Artifact | Audited | LabellingPlan) -> None:
    """The labels; or a plan; or the labels and how to go on with the sample of them."""
    if isinstance(result, LabellingPlan):
        for line in plan_lines(result):
            _say(console, line)
    elif isinstance(result, Artifact):
        print_artifact(console, result)
    else:
        print_artifact(console, result.labels)
        lines = (
            f"audit   {result.n} answers in {result.sheet}",
            "        write CORRECT, INCORRECT or NOT_ATTEMPTED (or C, I, N) into its column human_grade, then run:",
            f"        routecal audit --file {result.sheet} --labels {result.labels.uri}",
        )
        for line in lines:
            _say(console, line)


def print_rejudged(console: Console, result: Rejudged) -> None:
    """What judging again changed, and the new labels."""
    print_tables(console, result.changes)
    print_artifact(console, result.labels)


def print_audit(console: Console, result: AuditResult) -> None:
    """How good the judge is, and where it differs from people."""
    title = f"Judge against people: {result.n_graded} answers graded, {result.n_blank} left blank"
    by_role = [[f"  on answers of the {role} model", _interval(found)] for role, found in result.by_role.items()]
    rows = [["accuracy", _interval(result.accuracy)], *by_role, ["Cohen's kappa", _interval(result.kappa)]]
    draw_table(console, title, ["", "value"], rows)
    grades = [grade.value for grade in Grade]
    for what, matrix in (
        (f"Estimated for all {result.n_answers} answers", result.confusion),
        ("Graded rows of the sample", result.counted),
    ):
        counts = [[f"{n:.0f}" for n in row] for row in matrix]
        cells = [[grade, *row] for grade, row in zip(grades, counts, strict=True)]
        draw_table(console, what, ["judge ↓ people →", *grades], cells)
    console.print("[dim]95% intervals; blank rows are taken to be blank by chance[/]")


def print_evaluation(console: Console, result: Evaluated) -> None:
    """The verdict, operating points, the table of methods, where things are, and what speaks against the head."""
    from routecal.tasks.escalation_verdict import rule_line, sentence
    from routecal.tasks.evaluate import FINAL, RIVAL
    from routecal.tasks.evaluation_summary import points_table
    from routecal.tasks.evaluation_verdict import head_warnings

    _say(console, result.verdict)
    methods, escalation = result.evaluation.methods, result.evaluation.escalation
    if escalation is not None and escalation.points:
        draw_table(console, "Operating points, measured on test queries", *points_table(escalation))
    first = next(iter(methods.values()))
    title = f"Test split: {first.n} queries, router right on {first.accuracy:.1%}"
    columns, rows, left_out = _methods(console.width, methods)
    draw_table(console, title, columns, rows, bold=FINAL)
    notes = f"{first.level:.0%} intervals; noise ≤: a calibrated model's ECE, {(1 + first.level) / 2:.1%} of times"
    if left_out:
        notes += f"; a wider terminal and the report also show {', '.join(left_out)}"
    console.print(f"[dim]{notes}[/]")
    if (d := result.evaluation.brier_difference) is not None:
        _say(console, f"Brier of «{FINAL}» minus «{RIVAL}»: {d:+.4f}")
    if result.data:
        _say(console, f"data    {result.data}")
    _say(console, f"head    {result.head.uri}")
    if result.calibrated is not None:
        _say(console, f"calibrated router  {result.calibrated.uri}")
    _say(console, f"report  {result.report}")
    for one in head_warnings(result.evaluation):
        _say(console, one)
    if escalation is not None:
        if escalation.note:
            _say(console, f"Costs: {escalation.note}")
        for one in filter(None, (*escalation.remarks, sentence(escalation), rule_line(escalation))):
            _say(console, one)


def print_threshold(console: Console, result: NewThreshold) -> None:
    """What a new threshold keeps, saves and promises, and where the router that is packed with it lies."""
    for line in (result.verdict, result.details, result.instead):
        if line:
            _say(console, line)
    _say(console, f"data    {result.data}")
    if result.calibrated is not None:
        _say(console, f"threshold  {result.threshold:g}")
        _say(console, f"calibrated router  {result.folder or result.calibrated.uri}")


# Least wanted first: what a narrow terminal leaves out.
_OPTIONAL = ("AURC", "log loss", "noise ≤")


def _methods(width: int, methods: dict[str, Summary]) -> tuple[list[str], list[list[str]], list[str]]:
    """(columns, rows, columns left out): as many as fit, and intervals under their values before one is left out."""
    every = {"ECE": "ece", "noise ≤": "", "Brier": "brier", "log loss": "log_loss", "AUROC": "auroc", "AURC": "aurc"}
    for n_out, between in ((0, " "), *((n, "\n") for n in range(len(_OPTIONAL) + 1))):
        shown = {name: field for name, field in every.items() if name not in _OPTIONAL[:n_out]}
        columns = ["method", *shown]
        rows = [
            [name, *(_interval(getattr(s, f), between) if f else f"{s.noise_high:.3f}" for f in shown.values())]
            for name, s in methods.items()
        ]
        if fits(width, columns, rows):
            return columns, rows, list(_OPTIONAL[:n_out])
    return columns, rows, list(_OPTIONAL)


def print_benchmark(console: Console, result: Compared) -> None:
    """The page of a benchmark, and where its numbers are."""
    _say(console, result.page)
    for name, artifact in result.artifacts.items():
        _say(console, f"{name:<12} {artifact.uri}")
    _say(console, f"{'report':<12} {result.report}")


def print_night(console: Console, night: Night) -> None:
    """What a night decided, why, what it cost, what serves and what to do."""
    from routecal.tasks.night.night_report import headline, lines

    _say(console, headline(night))
    for title, sentences in lines(night).items():
        for i, one in enumerate(sentences):
            _say(console, f"{'' if i else title:<8}{one}")
    if night.report is not None:
        _say(console, f"report  {night.report}")


def print_decision(console: Console, entry: RegistryEntry) -> None:
    """What a person decided."""
    serving = "nothing" if entry.champion is None else entry.champion.uri
    _say(console, f"entry {entry.number}: {entry.action}")
    for reason in entry.reasons:
        _say(console, f"why     {reason}")
    _say(console, f"serving {serving}")


def print_written(console: Console, result: ExportedExamples | ExportedRouter | ImportedLogs) -> None:
    """What was written."""
    for line in result.lines:
        _say(console, line)


def print_tables(console: Console, results: list[Table]) -> None:
    """Several tables."""
    for result in results:
        print_table(console, result)


def print_table(console: Console, result: Table) -> None:
    """One table. What users wrote is shown as text, never as markup."""
    rows = [
        [_cell(row[column], decimals=4 if "usd" in column.lower() else 3) for column in result.columns]
        for row in result.rows
    ]
    if not rows:
        _say(console, f"{result.title}: {result.empty or 'none'}")
        return
    headings = [column.replace("_", " ") if column.islower() else column for column in result.columns]
    draw_table(console, result.title, headings, rows)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _interval(estimate: Any, between: str = " ") -> str:
    """The value and its interval, on one line or under each other."""
    return "–" if estimate is None else f"{estimate:.3f}".replace(" ", between, 1)


def _cell(value: Any, *, decimals: int) -> str:
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    return "–" if value is None else plain(str(value), at_most=2000)
