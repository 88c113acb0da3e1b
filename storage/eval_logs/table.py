"""A plain table of one model's graded samples: JSON lines, CSV or Parquet, a row for every sample."""

from pathlib import PurePath

from routecal.storage.column_names import Wanted
from routecal.storage.eval_logs.errors import LogUnreadable
from routecal.storage.eval_logs.sample import TABLE_COLUMNS, Choice, EvalLog, Sample
from routecal.storage.input_errors import BadRows
from routecal.storage.row_files import read_rows
from routecal.storage.value_parsing import text

TOOL = "a table"
_AS_THEY_ARE = ("target", "topic", "answer", "tokens_in", "tokens_out", "cost_usd")


def read(path: str, choice: Choice) -> EvalLog:
    """One table, which is read whole; errors as `open_log`, and those of `read_rows`.

    `query` and `score` are required. Where a column `model` names several, `choice.model` picks one.

    Raises:
        BadRows: rows cannot be read.
    """
    rows = read_rows(Wanted(path, TABLE_COLUMNS, ("query", "score"), choice.columns))
    if rows.faults:
        raise BadRows(path, rows.n_read, rows.faults, rows.unit)
    try:
        # Texts that a sentence names, and that an id is compared as.
        models, tasks, ids, queries, errors = (
            [text(value) for value in rows.column(name)] for name in ("model", "task", "id", "query", "error")
        )
    except ValueError as error:
        raise LogUnreadable(path, TOOL, f"a model, a task, an id, a query or an error is no text ({error})") from error
    names = list(dict.fromkeys(name for name in models if name is not None))
    model = choice.model_of(path, names)
    of_task = list(dict.fromkeys(task for task in tasks if task is not None))
    scores, repeats = rows.column("score"), rows.column("repeat")
    as_they_are = {name: rows.column(name) for name in _AS_THEY_ARE}
    samples = (
        Sample(
            place=f"{rows.unit} {line}",
            id=ids[i],
            query=queries[i] or "",
            score=scores[i],
            error=errors[i],
            repeat=0 if repeats[i] is None else repeats[i],  # type: ignore[arg-type]
            **{name: values[i] for name, values in as_they_are.items()},  # type: ignore[arg-type]
        )
        for i, line in enumerate(rows.lines)
        if not names or models[i] == model
    )
    task = of_task[0] if len(of_task) == 1 else None
    return EvalLog(path, f"{TOOL} ({PurePath(path).name})", model, task, None, samples)
