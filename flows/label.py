"""Flow `label`: the true policy of every query; and labels by any oracle, for the flows that need them."""

import hashlib
import logging
from typing import NamedTuple

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact

from routecal.flows.engines import on_engine
from routecal.flows.oracle_params import LabelParams, OracleParams, ProviderParams
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.audit import draw_audit
from routecal.tasks.old_tables import digest_for_job
from routecal.tasks.oracle import (
    ORACLES,
    ApiJudges,
    ApiOracle,
    LabellingPlan,
    LabellingStopped,
    OracleSpec,
    Pace,
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
    with on_engine(params, *(value for value in vars(oracle).values() if isinstance(value, Artifact))):
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


def oracle_of(params: OracleParams, queries: str) -> OracleSpec:
    """The oracle that the parameters describe, its inputs found and read.

    Args:
        params: as `flows.param_checks` lets them pass.
        queries: where replay finds outcomes unless a file of them is named.
    """
    return ORACLES[params.oracle].resolve(params, queries)


def pace_of(
    params: ProviderParams, rows: Artifact, oracle: ApiOracle | ApiJudges, *, finished_only: bool = False
) -> Pace:
    """How to ask. The job is named by what is labelled by whom, so that every attempt at it has the same budget."""
    job = hashlib.sha256(f"{digest_for_job(rows)}\0{oracle.model_dump_json()}".encode()).hexdigest()[:16]
    same = set(ProviderParams.model_fields) & set(Pace.model_fields)
    given = {name: getattr(params, name) for name in same}
    given["allow_versions"] = tuple(params.allow_versions)
    return Pace(
        **given,
        job=job,
        run=str(runtime.flow_run.id or ""),
        secret=params.secret_block,
        finished_only=finished_only,
    )
