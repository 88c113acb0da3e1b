"""Flow `rejudge`: other grades for answers that are stored."""

from typing import NamedTuple

from prefect import flow
from prefect.artifacts import create_table_artifact

from routecal.flows.label import pace_of
from routecal.flows.oracle_params import RejudgeParams
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.oracle import (
    ORACLES,
    ApiJudges,
    changes,
    check_labelled,
    judge_of,
    prompt_versions,
    queries_of,
    rejudge_work,
    run_work,
)
from routecal.tasks.oracle.api_oracle import MEDIUM
from routecal.tasks.result_table import Table


class Rejudged(NamedTuple):
    """The new labels, and tables of what is other than in the old ones."""

    labels: Artifact
    changes: list[Table]


@flow(name="rejudge", flow_run_name="rejudge through {params.oracle}")
def rejudge(params: RejudgeParams) -> Rejudged:
    """Grade the answers of some labels again; answers, their tokens and their costs stay as they are.

    Raises:
        LabellingStopped: why not all could be judged; what is judged is recorded as labels of its own.
    """
    check(params)
    run_id = runs.start("rejudge")
    judges = judges_of(params)
    before = runs.newest_artifact("labels", params.labels)
    queries = runs.beside(before, "queries", params.queries)
    work = rejudge_work(before, queries, judges, params.shard_size)
    labels, stopped = run_work(work, pace_of(params, before, judges), params.on_day_quota)
    if labels.rows:
        runs.record_run(run_id, queries=queries, labels=labels, judged_before=before.uri)
    check_labelled(labels, queries_of(before, queries), judges, stopped)
    tables = changes(before, labels)
    for table, key in zip(tables, ("medium", "large", "policy"), strict=True):
        create_table_artifact(table.rows, key=f"rejudge-{key}", description=table.title)
    message = f"{labels.rows} labels judged again; {tables[-1].title}"
    return completed(Rejudged(labels, tables), message, labels=labels.uri)


def judges_of(params: RejudgeParams) -> ApiJudges:
    """The judges that the parameters describe, wherever the answers came from."""
    judge, api = judge_of(params, MEDIUM), ORACLES[params.oracle].api
    assert api is not None
    versions = tuple(prompt_versions(judge))
    return ApiJudges(kind=params.oracle, provider=api.provider(params), judge=judge, prompt_versions=versions)
