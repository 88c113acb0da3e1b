"""Judging again what was answered before: the answers come from labels, and no model is asked for one."""

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from routecal.calib.policy import OracleMatrix
from routecal.tasks.oracle.api_labels import Graded, Labelled, label_rows
from routecal.tasks.oracle.api_oracle import ApiJudges
from routecal.tasks.oracle.audit.audit_errors import QueryUnknown
from routecal.tasks.oracle.grading.answering import Answer, OnAnswer
from routecal.tasks.oracle.grading.cascade import grade_pair
from routecal.tasks.oracle.grading.judging import Ask
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.label_row import ROLES, Unlabelled
from routecal.tasks.oracle.receipt import CallCost, CallCosts

# Why an answer has no text, as `cascade.rule` says it; any other answer without text was not kept.
_SILENT = {"empty", "truncated"}
_BLOCKED = "blocked:"

_ANSWERED_BY = "answer_system@"


def aligned(labels: pa.Table, queries: pa.Table) -> pa.Table:
    """The query of every label, in the order of the labels.

    Args:
        labels: schema `labels`.
        queries: schema `queries`.

    Raises:
        QueryUnknown: a label is of none of the queries.
    """
    places = pc.index_in(labels["query_id"], value_set=queries["query_id"].combine_chunks())
    if places.null_count:
        raise QueryUnknown(labels["query_id"][pc.index(places.is_null(), True).as_py()].as_py())
    return queries.take(places)


def rejudge_rows(
    labels: pa.Table, queries: pa.Table, judges: ApiJudges, matrix: OracleMatrix, runner: JobRunner
) -> Coroutine[Any, Any, Labelled]:
    """The labels with other grades: what was answered, by whom and for how much stays; what was judged is new.

    Args:
        labels: schema `labels`.
        queries: the query of every label, as `aligned` gives them.
        judges: who grades.
        matrix: grades to policy.
        runner: through which they are asked; the result is for its loop, and raises what `label_rows` does.
    """
    for name in ("query", "ground_truth", "aliases"):
        labels = labels.append_column(name, queries[name])
    return label_rows(labels, partial(_grade_again, judges=judges), matrix, runner, _costs_of_answers)


def _costs_of_answers(row: dict[str, Any]) -> CallCosts:
    columns = ("cost_usd", "tokens_in", "tokens_out")
    return CallCosts({role: CallCost(*(row[f"{role}_{column}"] for column in columns)) for role in ROLES})


async def _grade_again(
    row: dict[str, Any], ask: Ask, _on_answer: OnAnswer | None = None, *, judges: ApiJudges
) -> Graded | Unlabelled:
    """The stored answers and the new verdicts on them."""
    if not row["ground_truth"]:
        return Unlabelled("no ground truth")
    medium, large = (stored_answer(row, role) for role in ROLES)
    if medium is None or large is None:
        missing = [role for role, answer in zip(ROLES, (medium, large), strict=True) if answer is None]
        return Unlabelled(f"no stored answer: {', '.join(missing)}")
    verdicts = await grade_pair(
        ask,
        query=row["query"],
        accepted=[row["ground_truth"], *(row["aliases"] or ())],
        medium=medium,
        large=large,
        judge=judges.judge,
        provider=judges.provider,
    )
    return (medium, large), verdicts


def stored_answer(label: Mapping[str, Any], role: str) -> Answer | None:
    """The answer of one model as its label tells it; None if the label was made without keeping it.

    Whether an answer that says something was cut off is not kept, as no verdict depends on it.

    Args:
        label: a row of `labels`.
        role: `medium` or `large`.
    """
    text, reason = label[f"{role}_answer"], label[f"{role}_reason"] or ""
    if text is None and not (reason in _SILENT or reason.startswith(_BLOCKED)):
        return None
    versions = [v for v in (label["prompt_version"] or "").split("; ") if v.startswith(_ANSWERED_BY)]
    return Answer(
        text=text,
        blocked=reason.removeprefix(_BLOCKED) if reason.startswith(_BLOCKED) else None,
        truncated=reason == "truncated",
        model=label[f"{role}_model"],
        model_version=label[f"{role}_model_version"],
        provider=label["oracle"],
        prompt_version="; ".join(versions) or None,
    )
