"""A plain table of one model's graded samples: JSON lines, CSV or Parquet, a row for every sample."""

from pathlib import PurePath

from routecal.storage.column_names import Wanted
from routecal.storage.eval_logs.errors import ChoiceNeeded, LogUnreadable
from routecal.storage.eval_logs.sample import Choice, EvalLog, Sample
from routecal.storage.input_errors import BadRows, WrongMapping
from routecal.storage.row_files import read_rows
from routecal.storage.value_parsing import text

TOOL = "a table"
# A sample's fields, and what a table may say once in every row.
COLUMNS = (*(name for name in Sample._fields if name != "place"), "model", "task")


def read(path: str, choice: Choice) -> EvalLog:
    """One table, which is read whole; errors as `open_log`, and those of `read_rows`.

    `query` and `score` are required. Where a column `model` names several, `choice.model` picks one.

    Raises:
        WrongMapping: `choice.columns` names a column that is none of `COLUMNS`.
        BadRows: rows cannot be read.
    """
    if unknown := [ours for ours, _ in choice.columns if ours not in COLUMNS]:
        given = ",".join("=".join(pair) for pair in choice.columns)
        raise WrongMapping(given, f"{unknown[0]!r} is not one of our columns (they are {', '.join(COLUMNS)})")
    rows = read_rows(Wanted(path, COLUMNS, ("query", "score"), dict(choice.columns)))
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
    if (choice.model is None and len(names) > 1) or (names and choice.model not in (None, *names)):
        raise ChoiceNeeded(path, "models", names, "--medium-model or --large-model", choice.model)
    model = choice.model or (names[0] if names else None)
    of_task = list(dict.fromkeys(task for task in tasks if task is not None))
    others = ("score", "repeat", "target", "topic", "answer", "tokens_in", "tokens_out", "cost_usd")
    columns = {name: rows.column(name) for name in others}
    samples = (
        Sample(
            place=f"{rows.unit} {line}",
            id=ids[i],
            query=queries[i] or "",
            error=errors[i],
            **{name: values[i] for name, values in columns.items() if values[i] is not None}
            | {"score": columns["score"][i]},  # type: ignore[arg-type]
        )
        for i, line in enumerate(rows.lines)
        if not names or models[i] == model
    )
    task = of_task[0] if len(of_task) == 1 else None
    return EvalLog(path, f"{TOOL} ({PurePath(path).name})", model, task, choice.scorer, samples)
