"""Flow `train-router`: a router for people who have none yet."""

from prefect import flow

from routecal.calib.settings import Reading
from routecal.flows.label import labels_so_far, oracle_of
from routecal.flows.param_checks import check
from routecal.flows.params import TrainRouterParams
from routecal.flows.run_messages import completed
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.make_router import check_base, refer_checkpoint, train_router
from routecal.tasks.oracle import check_labelled
from routecal.tasks.progress import underway
from routecal.tasks.queries import import_queries


@flow(name="train-router", flow_run_name="train a router on {params.queries}")
def train_router_flow(params: TrainRouterParams) -> Artifact:
    """Label the queries, fit a routing head on the base model and return the router.

    Its queries and labels are recorded with it, under names that no other step goes by: a head must not learn from
    queries that trained the router.
    """
    check(params)
    run_id = runs.start("train-router")
    base = refer_checkpoint(params.base_model, kind="models")
    queries = import_queries(params.queries, limit=params.limit, columns=params.columns)
    oracle, reading = oracle_of(params, params.queries), Reading(template=params.template)
    check_base(base, reading)
    labels, stopped = labels_so_far(None, queries, oracle, params)
    check_labelled(labels, queries, oracle, stopped)
    with underway("train the router"):
        router = train_router(base, queries, labels, reading, params.seed)
    runs.record_run(run_id, router=router, router_queries=queries, router_labels=labels)
    if params.output_dir is not None:
        runs.copy_to(router, params.output_dir)
    message = f"router {router.sha256[:16]}, trained on {labels.rows} labelled queries"
    return completed(router, message, router=params.output_dir or router.uri)
