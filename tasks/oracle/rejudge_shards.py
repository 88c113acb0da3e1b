"""Grading stored answers again, shard by shard, and what that changed."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from prefect import task

from routecal.calib.policy import POLICIES, OracleMatrix
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import GRADES
from routecal.tasks.cache import STORED
from routecal.tasks.oracle.api_oracle import ApiJudges
from routecal.tasks.oracle.concurrency_quota import quota_slots
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.job_runner import runner_of
from routecal.tasks.oracle.label_row import ROLES
from routecal.tasks.oracle.label_shards import LABEL_CACHE, LABEL_VERSION, store_labelled
from routecal.tasks.oracle.rejudging import aligned, rejudge_rows
from routecal.tasks.result_table import Table

# Column of the tables of changes: labels that the new judges gave no grade.
LOST = "no label"


@task(name="rejudge", task_run_name="rejudge {labels.rows} labels ({judges.kind})", cache_policy=LABEL_CACHE, **STORED)
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
    found = aligned(read_table(labels, columns=["query_id"]), read_table(queries))
    return write_table(found, "queries", home=Home.from_env())


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
        kept, ends = sum(n for (a, b), n in pairs.items() if a == b), (*values, LOST)
        rows = [{"before": a} | {b: pairs[a, b] for b in ends} for a in values]
        return Table(f"{title}: {kept} of {len(old)} as before", ["before", *ends], rows)

    grades = [table(f"Grades of the {role} model", f"{role}_grade", GRADES) for role in ROLES]
    return [*grades, table("True policies", "true_policy", policies)]
