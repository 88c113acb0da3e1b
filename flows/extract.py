"""Flow `extract`: what the frozen router makes of every query."""

from prefect import flow

from routecal.calib.settings import Reading
from routecal.flows.engines import on_engine
from routecal.flows.param_checks import check
from routecal.flows.params import ExtractParams
from routecal.flows.run_messages import completed
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.extract import extract_shards, n_truncated
from routecal.tasks.make_router import refer_checkpoint, unseen_by
from routecal.tasks.queries import import_queries
from routecal.tasks.sharding import shards


@flow(name="extract", flow_run_name="extract {params.queries}")
def extract(params: ExtractParams) -> Artifact:
    """Read the queries of a file and return the features."""
    check(params)
    run_id = runs.start("extract")
    router = refer_checkpoint(params.router_path)
    queries = unseen_by(router, import_queries(params.queries, limit=params.limit, columns=params.columns))
    with on_engine(params, router):
        features, took = extract_shards(shards(queries, params.shard_size), router, params.reading)
    runs.record_run(run_id, queries=queries, features=features, router=router)
    message = f"{features.rows} queries read, {n_truncated(features)} of them cut to the router's window"
    message += f"; {took}" if took else ""
    return completed(features, message, features=features.uri)


def extract_queries(queries: Artifact, router: Artifact, reading: Reading, shard_size: int) -> Artifact:
    """Read shard by shard; finished shards are not done again."""
    return extract_shards(shards(queries, shard_size), router, reading)[0]
