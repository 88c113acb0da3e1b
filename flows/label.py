"""Flow `label`: the true policy of every query."""

import logging
from typing import NamedTuple

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact

from routecal.flows.oracle_choice import oracle_of, pace_of
from routecal.flows.oracle_params import LabelParams, OracleParams
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.audit import draw_audit
from routecal.tasks.oracle import (
    ApiOracle,
    LabellingPlan,
    LabellingStopped,
    OracleSpec,
    check_labelled,
    label_work,
    plan_labels,
    plan_lines,
    result_line,
    run_work,
)
from routecal.tasks.queries import import_queries

logger = logging.getLogger(__name__)


class Audited(NamedTuple):
    """Labels, and the sample of them that waits for people.

    Attributes:
        labels: all of them.
        sheet: CSV file.
        n: answers in it.
    """

    labels: Artifact
    sheet: str
    n: int


@flow(name="label", flow_run_name="label {params.queries} by {params.oracle}")
def label(params: LabelParams) -> Artifact | Audited | LabellingPlan:
    """Label the queries of a file and return the labels; what labelling would take, with `dry_run`."""
    check(params)
    if params.dry_run:
        plan = planned(params)
        return completed(plan, f"{plan.queries:,} queries would take {plan.usd.likely:.2f} USD; nothing was asked")
    run_id = runs.start("label")
    queries = import_queries(params.queries, limit=params.limit, columns=params.columns)
    oracle = oracle_of(params, params.queries)
    labels, stopped = labels_so_far(run_id, queries, oracle, params)
    check_labelled(labels, queries, oracle, stopped)
    message = result_line(labels, queries.rows)
    if params.audit is None:
        return completed(labels, message, labels=labels.uri)
    n = draw_audit(labels, queries, params.audit, params.audit_file)
    logger.info("%d answers for people to grade are in %s", n, params.audit_file)
    return completed(Audited(labels, params.audit_file, n), message, labels=labels.uri)


def planned(params: LabelParams) -> LabellingPlan:
    """What labelling would take; nothing is asked. Inside a flow run, the plan is an artifact of it."""
    oracle = oracle_of(params, params.queries)
    assert isinstance(oracle, ApiOracle)
    queries = import_queries(params.queries, limit=params.limit, columns=params.columns)
    plan = plan_labels(queries, oracle, pace_of(params, queries, oracle))
    if runtime.flow_run.id is not None:
        lines = "\n".join(map(plain, plan_lines(plan)))
        create_markdown_artifact(f"```\n{lines}\n```", key="label-plan", description="nothing was asked yet")
    return plan


def labels_so_far(
    run_id: str | None, queries: Artifact, oracle: OracleSpec, params: OracleParams
) -> tuple[Artifact, LabellingStopped | None]:
    """(labels, None), or (the labels there are, why no more), by any oracle.

    They are recorded under `run_id`, if there is one, even if they are only some: other commands can use them.
    """
    pace = (
        pace_of(params, queries, oracle, finished_only=params.finished_only) if isinstance(oracle, ApiOracle) else None
    )
    labels, stopped = run_work(label_work(queries, oracle, params.shard_size), pace, params.on_day_quota)
    if run_id is not None and (labels.rows or stopped is None):
        runs.record_run(run_id, queries=queries, labels=labels)
    return labels, stopped
