"""Flow `label`: the true policy of every query."""

import logging
from typing import NamedTuple

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact

from routecal.calib.policy import OracleMatrix
from routecal.flows.label_api import label_by_api
from routecal.flows.oracle_choice import oracle_of, pace_of
from routecal.flows.oracle_params import LabelParams, OracleParams
from routecal.flows.param_checks import check
from routecal.storage.artifact import Artifact
from routecal.storage.plain_text import plain
from routecal.tasks import runs
from routecal.tasks.audit import draw_audit
from routecal.tasks.label import check_labelled, label_shard
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from routecal.tasks.oracle.oracle_spec import ApiOracle, OracleSpec, ReplayOracle
from routecal.tasks.oracle.planning.forecast import Plan
from routecal.tasks.oracle.planning.plan_text import shown
from routecal.tasks.oracle.replay_oracle import matched
from routecal.tasks.plan import plan_labels
from routecal.tasks.progress import track
from routecal.tasks.queries import import_queries
from routecal.tasks.sharding import joined, shards

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
def label(params: LabelParams) -> Artifact | Audited | Plan:
    """Label the queries of a file and return the labels; what labelling would take, with `dry_run`."""
    check(params)
    if params.dry_run:
        return planned(params)
    run_id = runs.start("label")
    queries = import_queries(params.queries, limit=params.limit, columns=params.columns)
    labels = labels_for(run_id, queries, oracle_of(params, params.queries), params)
    if params.audit is None:
        return labels
    n = draw_audit(labels, queries, params.audit, params.audit_file)
    logger.info("%d answers for people to grade are in %s", n, params.audit_file)
    return Audited(labels, params.audit_file, n)


def planned(params: LabelParams) -> Plan:
    """What labelling would take; nothing is asked. Inside a flow run, the plan is an artifact of it."""
    oracle = oracle_of(params, params.queries)
    assert isinstance(oracle, ApiOracle)
    queries = import_queries(params.queries, limit=params.limit, columns=params.columns)
    plan = plan_labels(queries, oracle, pace_of(params, queries, oracle))
    if runtime.flow_run.id is not None:
        lines = "\n".join(map(plain, shown(plan)))
        create_markdown_artifact(f"```\n{lines}\n```", key="label-plan", description="nothing was asked yet")
    return plan


def labels_for(run_id: str | None, queries: Artifact, oracle: OracleSpec, params: OracleParams) -> Artifact:
    """Labels by any oracle, recorded under `run_id` even if they are only some: later commands can use them.

    Without a `run_id` they are not recorded.

    Raises:
        LabellingStopped: of an API oracle, why not all could be labelled.
    """
    labels, stopped = labels_so_far(run_id, queries, oracle, params)
    if stopped is not None:
        raise stopped
    check_labelled(labels, queries, oracle)
    return labels


def labels_so_far(
    run_id: str | None, queries: Artifact, oracle: OracleSpec, params: OracleParams
) -> tuple[Artifact, LabellingStopped | None]:
    """(labels, None), or (the labels there are, why no more), recorded under `run_id` if there is one."""
    labels, stopped = (
        label_by_api(queries, oracle, params)
        if isinstance(oracle, ApiOracle)
        else (label_queries(queries, oracle, params.shard_size), None)
    )
    if run_id is not None and (labels.rows or stopped is None):
        runs.record(run_id, queries=queries, labels=labels)
    return labels, stopped


def label_queries(queries: Artifact, oracle: OracleSpec, shard_size: int) -> Artifact:
    """Labels by an oracle of this machine, shard by shard; finished shards are never done again."""
    if isinstance(oracle, ReplayOracle):
        oracle = matched(oracle, queries)
    return joined([label_shard(s, oracle, OracleMatrix()) for s in track(shards(queries, shard_size), "label")])


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("label")
