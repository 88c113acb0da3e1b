"""Two logs of the same questions become one table of recorded outcomes."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.atomic import publish, staging
from routecal.storage.eval_logs.errors import LogsDiffer
from routecal.storage.eval_logs.sample import EvalLog
from routecal.storage.eval_logs.stage import StagedLog, stage
from routecal.storage.query_files import sql_of

# Below this share of the shorter log, the two are more likely of different questions than cut short.
_SAME_QUESTIONS = 0.5
_ROWS = 65_536


class Merged(NamedTuple):
    """What became of two logs.

    Attributes:
        medium: the medium model's log.
        large: the large model's.
        key: what said which question it is, `id` or `query`.
        n: questions that both answered and graded: the rows written.
        n_medium: questions of the medium log that have a grade.
        n_large: of the large log.
        n_changed: questions with one id and two texts, which were left out.
        n_contradictory: questions that have several right answers in one log, which were left out: nobody can say
            which is meant.
        n_repeated: rows of which a model has several answers.
        medium_right: share of the rows whose medium answer is right.
        large_right: share of the rows whose large answer is right.
    """

    medium: StagedLog
    large: StagedLog
    key: str
    n: int
    n_medium: int
    n_large: int
    n_changed: int
    n_contradictory: int
    n_repeated: int
    medium_right: float
    large_right: float


def merge(
    medium: EvalLog,
    large: EvalLog,
    output: str,
    *,
    right_at: float | None = None,
    task: str | None = None,
    note: Callable[[str, int], None] = lambda name, n: None,
) -> Merged:
    """Write the outcomes of questions that both logs graded; nothing is written where something is wrong.

    A question is the same by the id that both logs give it, if its text is, too; else by its text. The grade of
    several answers is that of the first, which is a fair draw of what the model does, and `…_share_right` says how many
    were right. Samples wait on the disk of temporary files until they are joined.

    Args:
        medium: log of the medium model.
        large: of the large one.
        output: Parquet file or URL, replaced if it is there.
        right_at: as of `grade_of`.
        task: what both are of, where they name it differently; None: they must name it alike.
        note: is told now and then of which log, `medium` or `large`, how many samples were read.

    Raises:
        LogsDiffer: one model twice, other tasks, other scorers, other questions.
        LogUnreadable, LogUnfinished, SampleUnusable, RuleNeeded, NothingGraded: of either log.
        DiskFull, HomeNotWritable: `output` cannot be written.
    """
    _check_facts(medium, large, task)
    with (
        tempfile.TemporaryDirectory(prefix="routecal-import-") as folder,
        staging(output.rpartition("/")[0] or ".") as file,
    ):
        staged = [
            stage(log, Path(folder) / f"{name}.parquet", right_at, partial(note, name))
            for name, log in (("medium", medium), ("large", large))
        ]
        with duckdb.connect(config={"temp_directory": folder, "memory_limit": "512MB", "threads": 2}) as con:
            merged = _join(con, *staged)
            _write(con, file, medium, large, task)
        publish(file, output)
    return merged


def _check_facts(medium: EvalLog, large: EvalLog, task: str | None) -> None:
    def differ(reason: str, remedy: str) -> LogsDiffer:
        return LogsDiffer(medium.path, large.path, reason, remedy)

    if medium.model is not None and medium.model == large.model:
        raise differ(f"both are of the model {medium.model}", "give the logs of two models")
    tasks = [log.task and log.task.rpartition("/")[2] for log in (medium, large)]
    if task is None and None not in tasks and tasks[0] != tasks[1]:
        remedy = "give two logs of one task, or, if it is one, name it with --task"
        raise differ(f"they are of the tasks {medium.task} and {large.task}", remedy)
    if None not in (medium.scorer, large.scorer) and medium.scorer != large.scorer:
        reason = f"they were graded by {medium.scorer} and {large.scorer}, whose grades do not compare"
        raise differ(reason, "grade both with one scorer, and name it with --scorer if a log has several")


def _join(con: duckdb.DuckDBPyConnection, medium: StagedLog, large: StagedLog) -> Merged:
    """Make the tables `medium` and `large` of questions, and count what they have in common."""
    for name, staged in (("medium", medium), ("large", large)):
        con.read_parquet(str(staged.file)).create_view(f"{name}_samples")
    key = "id" if all(_has_ids(con, name) for name in ("medium", "large")) else "query"
    n_same_id = 0
    if key == "id":
        _make_questions(con, "id")
        same = "SELECT count(*), count(*) FILTER (medium.query = large.query) FROM medium JOIN large USING (key)"
        n_same_id, n_same = _counts(con, same)
        # Ids that only count the samples say nothing once these are in another order.
        key = "id" if n_same_id and n_same > n_same_id / 2 else "query"
    if key == "query":
        _make_questions(con, "query")
    con.sql(sql_of("eval_logs", "matches")).create_view("matches")
    n, n_changed, n_contradictory, n_repeated, n_medium_right, n_large_right, n_medium, n_large = _counts(
        con, sql_of("eval_logs", "counts")
    )
    if n <= _SAME_QUESTIONS * min(n_medium, n_large):
        raise _no_match(con, medium, large, n, min(n_medium, n_large), n_same_id)
    shares = n_medium_right / n, n_large_right / n
    return Merged(medium, large, key, n, n_medium, n_large, n_changed, n_contradictory, n_repeated, *shares)


def _has_ids(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether every sample has an id, and an id has one question alone."""
    sql = f"SELECT count(*) - count(id), count(DISTINCT (id, query)) - count(DISTINCT id) FROM {name}_samples"
    return _counts(con, sql) == (0, 0)


def _make_questions(con: duckdb.DuckDBPyConnection, key: str) -> None:
    sql = sql_of("eval_logs", "questions")
    for name in ("medium", "large"):
        con.execute(f"CREATE OR REPLACE TABLE {name} AS {sql.format(key=key, staged=f'{name}_samples')}")


def _counts(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    return tuple(int(value) for value in con.sql(sql).fetchall()[0])


def _no_match(
    con: duckdb.DuckDBPyConnection, medium: StagedLog, large: StagedLog, n: int, n_possible: int, n_same_id: int
) -> LogsDiffer:
    reason = f"{n} of {n_possible} questions are in both"
    if n_same_id:
        sql = (
            "SELECT id, a.query, b.query FROM medium_samples a JOIN large_samples b USING (id) WHERE a.query <> b.query"
        )
        for name, one, other in con.sql(f"{sql} ORDER BY a.position, b.position LIMIT 1").fetchall():
            reason += f", and the id {name} is of {one[:80]!r} in the one and of {other[:80]!r} in the other"
    remedy = "give two logs of the same questions, asked in the same words"
    return LogsDiffer(medium.log.path, large.log.path, reason, remedy)


def _write(con: duckdb.DuckDBPyConnection, file: Path, medium: EvalLog, large: EvalLog, task: str | None) -> None:
    rows = con.sql(sql_of("eval_logs", "outcomes")).to_arrow_reader(_ROWS)
    task = task or medium.task or large.task
    said = {
        "medium_model": medium.model,
        "large_model": large.model,
        "label_source": ", ".join(part for part in (medium.tool, task, medium.scorer) if part),
    }
    schema = pa.schema([*rows.schema, *(pa.field(name, pa.string()) for name in said)])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for some in rows:
            more = [pa.array([value] * some.num_rows, pa.string()) for value in said.values()]
            writer.write_batch(pa.record_batch([*some.columns, *more], schema=schema), row_group_size=_ROWS)
