"""Logs of other evaluation tools become recorded outcomes."""

import shlex
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from routecal.storage.column_names import mapping_of
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import Merged, merge
from routecal.storage.eval_logs.sample import TABLE_COLUMNS, Choice
from routecal.storage.eval_logs.stage import StagedLog


class ImportedLogs(NamedTuple):
    """Outcomes that were written.

    Attributes:
        path: where they are.
        medium_model: as its log names it.
        large_model: as its log names it.
        task: what both answered.
        n: questions that both answered: the rows.
        medium_right: share of these whose medium answer is right.
        large_right: share of these whose large answer is right.
        n_repeated: of these, how many a model answered several times.
        left_out: what is not in the outcomes and why, in sentences.
    """

    path: str
    medium_model: str | None
    large_model: str | None
    task: str | None
    n: int
    medium_right: float
    large_right: float
    n_repeated: int
    left_out: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """What was written, what was left out, and what to do next."""
        path = shlex.quote(self.path)
        return [
            f"{self.n} questions written to {self.path}" + (f", of {self.task}" if self.task else ""),
            f"medium  {self.medium_model or 'not named'}: {self.medium_right:.1%} right",
            f"large   {self.large_model or 'not named'}: {self.large_right:.1%} right",
            *(
                [f"repeats {self.n_repeated} were answered several times: the first answer is graded"]
                if self.n_repeated
                else []
            ),
            *(f"left out: {sentence}" for sentence in self.left_out),
            # A third for the router: what it was trained on cannot calibrate it.
            f"no router yet:  routecal train-router --queries {path} --base-model minilm --limit {max(self.n // 3, 1)} "
            "--output-dir router",
            f"then:  routecal calibrate --queries {path} --outcomes {path} --router-path router --medium-price USD "
            "--large-price USD",
        ]


def import_logs(
    log_format: str,
    medium: str,
    large: str | None = None,
    output: str = "outcomes.parquet",
    *,
    medium_model: str | None = None,
    large_model: str | None = None,
    right_at: float | None = None,
    scorer: str | None = None,
    query_field: str | None = None,
    task: str | None = None,
    columns: str | None = None,
) -> ImportedLogs:
    """Join two logs of the same questions; see `ImportParams` for the arguments.

    Raises:
        UnknownName: there is no such format.
        StorageError: a log cannot be used; says which, where and what to do. Nothing is written.
    """
    mapping = mapping_of(columns, TABLE_COLUMNS)
    bars = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TextColumn("{task.completed} samples"))
    with Progress(*bars, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        logs = [
            open_log(log_format, path, Choice(model, scorer, query_field, mapping))
            for path, model in ((medium, medium_model), (large or medium, large_model))
        ]
        small, big = logs
        bar_of = {
            name: progress.add_task(f"reading {log.path}", total=None)
            for name, log in (("medium", small), ("large", big))
        }
        merged = merge(
            small,
            big,
            output,
            right_at=right_at,
            task=task,
            note=lambda name, n: progress.update(bar_of[name], completed=n),
        )
    return ImportedLogs(
        output,
        small.model,
        big.model,
        task or small.task or big.task,
        merged.n,
        merged.medium_right,
        merged.large_right,
        merged.n_repeated,
        tuple(_left_out(merged)),
    )


def _left_out(merged: Merged) -> list[str]:
    said = []
    for staged, n_questions in ((merged.medium, merged.n_medium), (merged.large, merged.n_large)):
        said += _samples_left_out(staged)
        if n_only := n_questions - merged.n - merged.n_changed - merged.n_contradictory:
            said.append(f"{n_only} questions of {staged.log.path} that the other log does not have")
    if merged.n_changed:
        said.append(f"{merged.n_changed} questions whose id is that of another question in the other log")
    if merged.n_contradictory:
        said.append(f"{merged.n_contradictory} questions that stand in a log with several right answers")
    return said


def _samples_left_out(staged: StagedLog) -> list[str]:
    counted = ((staged.n_errors, "ended in an error"), (staged.n_unscored, "have no score"))
    return [f"{n} of {staged.n} samples of {staged.log.path}, which {why}" for n, why in counted if n]
