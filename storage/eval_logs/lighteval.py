"""Logs of lighteval: `details_TASK_DATE.parquet`, a row for every question."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.eval_logs.errors import LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.log_file import log_file
from routecal.storage.eval_logs.question import question_in, with_choices
from routecal.storage.eval_logs.sample import Choice, EvalLog, Sample

TOOL = "lighteval"
_NAME = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.parquet")
_COLUMNS = ("doc", "metric", "model_response")
# Of a model's response, what is read: the scores of every token of the vocabulary may lie beside it.
_OF_RESPONSE = ("text", "input_tokens", "output_tokens")
_MAGIC = b"PAR1"
# Rows hold the ids of all their tokens.
_AT_A_TIME = 256


def read(path: str, choice: Choice) -> EvalLog:
    """One task's details, in the layout `doc`, `metric`, `model_response`; errors as `open_log`.

    The question is the one before the task put its prompt around it, where the log has it; else the prompt without its
    instruction. Choices that the model was only asked to rank stand below it unless it names them itself. The model is
    the one in the results file beside, else the one that the folders are named for, else what the user says; the tool
    does not state its version. Where a question was asked several times, its row has one score of all answers.
    """
    file = log_file(path, TOOL, wanted="details_….parquet")
    schema = _schema(path)
    name = _NAME.fullmatch(file.name)
    model = _model(file, name["date"]) if name else None
    # Other types are what a score of the whole task is computed from.
    metrics: list[str] = [metric.name for metric in schema.field("metric").type if _is_score(metric.type)]
    scorer = choice.scorer_of(path, metrics)
    return EvalLog(
        path=path,
        tool=TOOL,
        model=choice.model_of(path, [model] if model else []),
        task=name["task"] if name else None,
        scorer=scorer,
        samples=(_sample(path, place, row, choice.query_field, scorer) for place, row in _rows(path)),
    )


def _schema(path: str) -> pa.Schema:
    with open(path, "rb") as file:
        start = file.read(len(_MAGIC))
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        if start == _MAGIC:
            raise LogUnfinished(path, "it has no end") from error
        raise LogUnreadable(path, TOOL, "it is no Parquet file" if start else "it is empty") from error
    for name in _COLUMNS:
        if name not in schema.names or not pa.types.is_struct(schema.field(name).type):
            there = ", ".join(schema.names) or "none"
            reason = f"it has no column {name!r} of fields; its columns are {there}"
            raise LogUnreadable(
                path, TOOL, reason, f"give details that hold {', '.join(_COLUMNS)}, as version 0.13 writes"
            )
    return schema


def _model(file: Path, date: str) -> str | None:
    """Of OUTPUT/details/MODEL/DATE/, where a model's name may be of two folders."""
    details = next((folder for folder in file.parents if folder.name == "details"), None)
    if details is None or file.parent.name != date:
        return None
    folder = file.parent.parent.relative_to(details)
    try:
        results = json.loads((details.with_name("results") / folder / f"results_{date}.json").read_bytes())
        return str(results["config_general"]["model_name"])
    except (OSError, ValueError, TypeError, LookupError):
        return folder.as_posix()


def _is_score(kind: pa.DataType) -> bool:
    types = pa.types
    return any(is_it(kind) for is_it in (types.is_floating, types.is_integer, types.is_boolean, types.is_null))


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = ["doc", "metric", *(f"model_response.{name}" for name in _OF_RESPONSE)]
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for some in file.iter_batches(_AT_A_TIME, columns=columns):
                for row in some.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (OSError, pa.ArrowException) as error:
        raise LogUnreadable(path, TOOL, f"after row {number}: {error}") from error


class _Asked(NamedTuple):
    query: str
    target: str | None


def _sample(path: str, place: str, row: Mapping[str, Any], field: str | None, scorer: str) -> Sample:
    doc, response = row["doc"], row.get("model_response") or {}
    if not isinstance(doc, dict):
        raise SampleUnusable(path, place, "it has no doc")
    texts = response.get("text") or []
    asked = _asked(path, place, doc, field, is_ranked=not texts)
    tokens_out = response.get("output_tokens") or []
    return Sample(
        place=place,
        id=str(doc["id"]) if doc.get("id") not in (None, "") else None,
        query=asked.query,
        score=(row["metric"] or {}).get(scorer),
        target=asked.target,
        answer=texts[0] or None if texts else None,
        tokens_in=len(response.get("input_tokens") or ()) or None,
        tokens_out=(len(tokens_out[0] or ()) or None) if texts and tokens_out else None,
    )


def _asked(path: str, place: str, doc: Mapping[str, Any], field: str | None, *, is_ranked: bool) -> _Asked:
    fields = {**(doc.get("specific") or {}), **doc}
    name = field or ("original_query" if doc.get("original_query") else "query")
    query = question_in(fields, name, path, place).removeprefix(doc.get("instruction") or "")
    choices = [str(choice).strip() for choice in doc.get("choices") or ()]
    gold = doc.get("gold_index")
    gold = gold[0] if isinstance(gold, list) and gold else gold
    right = gold if isinstance(gold, int) and 0 <= gold < len(choices) else None
    target = None if right is None else choices[right]
    if is_ranked and len(choices) > 1 and not all(choice in query for choice in choices):
        target = None if right is None else chr(ord("A") + right)
        query = with_choices(query, choices)
    return _Asked(query, target or None)
