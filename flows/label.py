"""Flow `label`: the true policy of every query."""

from prefect import flow

from calib.policy import OracleMatrix
from flows.label_api import label_by_api
from flows.oracle_params import LabelParams, OracleParams
from flows.oracles import oracle_of
from storage.artifact import Artifact
from tasks import runs
from tasks.label import check_labelled, label_shard
from tasks.oracle.spec import ApiOracle, OracleSpec
from tasks.progress import track
from tasks.queries import import_queries
from tasks.tables import joined, shards


@flow(name="label", flow_run_name="label {params.queries} by {params.oracle}")
def label(params: LabelParams) -> Artifact:
    """Label the queries of a file and return the labels."""
    run_id = runs.start("label")
    queries = import_queries(params.queries, limit=params.limit)
    return labels_for(run_id, queries, oracle_of(params, params.queries), params)


def labels_for(run_id: str, queries: Artifact, oracle: OracleSpec, params: OracleParams) -> Artifact:
    """Labels by any oracle, recorded under `run_id` even if they are only some: later commands can use them.

    Raises:
        LabellingStopped: of an API oracle, why not all could be labelled.
    """
    labels, stopped = (
        label_by_api(queries, oracle, params)
        if isinstance(oracle, ApiOracle)
        else (label_queries(queries, oracle, params.shard_size), None)
    )
    if labels.rows or stopped is None:
        runs.record(run_id, queries=queries, labels=labels)
    if stopped is not None:
        raise stopped
    check_labelled(labels, queries, oracle)
    return labels


def label_queries(queries: Artifact, oracle: OracleSpec, shard_size: int) -> Artifact:
    """Labels by an oracle of this machine, shard by shard; finished shards are never done again."""
    return joined([label_shard(s, oracle, OracleMatrix()) for s in track(shards(queries, shard_size), "label")])


if __name__ == "__main__":
    from flows.cli import restart

    restart("label")
