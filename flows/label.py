"""Flow `label`: the true policy of every query."""

from prefect import flow

from calib.policy import OracleMatrix
from flows.params import LabelParams, OracleParams
from storage.artifact import Artifact
from tasks import runs
from tasks.errors import OptionMissing
from tasks.label import check_labelled, label_shard
from tasks.oracle.prompts import prompts_sha256
from tasks.oracle.spec import LocalOracle, OracleSpec
from tasks.progress import track
from tasks.queries import import_outcomes, import_queries
from tasks.router import refer_checkpoint
from tasks.tables import joined, shards


@flow(name="label", flow_run_name="label {params.queries} by {params.oracle}")
def label(params: LabelParams) -> Artifact:
    """Label the queries of a file and return the labels."""
    run_id = runs.start("label")
    queries = import_queries(params.queries, limit=params.limit)
    labels = label_queries(queries, oracle_of(params, params.queries), params.shard_size)
    runs.record(run_id, queries=queries, labels=labels)
    return labels


def label_queries(queries: Artifact, oracle: OracleSpec, shard_size: int) -> Artifact:
    """Label shard by shard; finished shards are not done again, in this run or another."""
    parts = [label_shard(shard, oracle, OracleMatrix()) for shard in track(shards(queries, shard_size), "label")]
    labels = joined(parts)
    check_labelled(labels, queries, oracle)
    return labels


def oracle_of(params: OracleParams, queries: str) -> OracleSpec:
    """The oracle that the parameters describe, its inputs found and read."""
    if params.oracle == "replay":
        return import_outcomes(params.outcomes or queries)
    if params.local_model is None:
        raise OptionMissing("model for the local oracle", "name a causal-LM checkpoint folder with --local-model")
    checkpoint = refer_checkpoint(params.local_model, kind="models")
    return LocalOracle(name=params.local_model_name, checkpoint=checkpoint, prompts_sha256=prompts_sha256())


if __name__ == "__main__":
    from flows.cli import restart

    restart("label")
