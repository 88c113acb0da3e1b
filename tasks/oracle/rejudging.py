"""Judging again what was answered before, shard by shard, and what that changed.

The answers come from labels, and no model is asked for one.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from routecal.calib.policy import POLICIES, OracleMatrix
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import GRADES
from routecal.tasks.cache import step
from routecal.tasks.oracle.api_labels import Graded, Labelled, label_rows
from routecal.tasks.oracle.api_oracle import ApiJudges
from routecal.tasks.oracle.audit.audit_errors import QueryUnknown
from routecal.tasks.oracle.concurrency_quota import quota_slots
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.answering import Answer, OnAnswer
from routecal.tasks.oracle.grading.cascade import grade_pair
from routecal.tasks.oracle.grading.judging import Ask
from routecal.tasks.oracle.job_runner import JobRunner, runner_of
from routecal.tasks.oracle.label_row import ROLES, CallCost, CallCosts, Unlabelled
from routecal.tasks.oracle.label_shards import LABEL_CACHE, LABEL_VERSION, store_labelled
from routecal.tasks.result_table import Table

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
    row: dict[str, Any], ask: Ask, _on_answer: OnAnswer | None, *, judges: ApiJudges
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


# Column of the tables of changes: labels that the new judges gave no grade.
LOST = "no label"


@step("rejudge", "rejudge {labels.rows} labels ({judges.kind})", on=LABEL_CACHE)
def rejudge_shard(
    labels: Artifact,
    queries: Artifact,
    judges: ApiJudges,
    matrix: OracleMatrix,
    version: str = LABEL_VERSION,
    *,
    pace: Pace,
    slots: int = 1,
) -> Artifact:
    """One shard of labels with new grades, through the runner that the flow has opened.

    Args:
        labels: the shard.
        queries: the query of every label, in the same order.
        judges: who grades.
        matrix: grades to policy.
        version: of what a label says.
        pace: how to ask.
        slots: of the shared quota to take.
    """
    runner = runner_of(pace.job)
    with quota_slots(pace.quota, slots, runner):
        work = rejudge_rows(read_table(labels), read_table(queries), judges, matrix, runner)
        return store_labelled(asyncio.run_coroutine_threadsafe(work, runner.loop).result())


def queries_of(labels: Artifact, queries: Artifact) -> Artifact:
    """The query of every label, in the order of the labels.

    Raises:
        QueryUnknown: a label is of none of the queries.
    """
    of_labels = aligned(read_table(labels, columns=["query_id"]), read_table(queries))
    return write_table(of_labels, "queries", home=Home.from_env())


def changes(before: Artifact, after: Artifact) -> list[Table]:
    """What judging again changed: a table for the grades of each model, and one for the true policies.

    Rows are what was, columns what is now; labels that got no grade this time are in the column `no label`.
    """
    columns = ["query_id", *(f"{role}_grade" for role in ROLES), "true_policy"]
    old, new = (read_table(labels, columns=columns).to_pylist() for labels in (before, after))
    now = {row["query_id"]: row for row in new}
    policies = tuple(policy.value for policy in POLICIES)

    def table(title: str, column: str, values: Sequence[str]) -> Table:
        pairs = Counter((row[column], now.get(row["query_id"], {}).get(column, LOST)) for row in old)
        unchanged, ends = sum(n for (a, b), n in pairs.items() if a == b), (*values, LOST)
        rows = [{"before": a} | {b: pairs[a, b] for b in ends} for a in values]
        return Table(f"{title}: {unchanged} of {len(old)} as before", ["before", *ends], rows)

    grades = [table(f"Grades of the {role} model", f"{role}_grade", GRADES) for role in ROLES]
    return [*grades, table("True policies", "true_policy", policies)]
