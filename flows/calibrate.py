"""Flow `calibrate`: from queries to a calibrated head and its report."""

from prefect import flow

from routecal.calib.errors import TooFewExamples
from routecal.calib.examples import REFUSE_BELOW
from routecal.flows.engines import on_engine
from routecal.flows.evaluate import Evaluated, evaluate_heads, with_headline
from routecal.flows.extract import extract_queries
from routecal.flows.label import labels_so_far, oracle_of
from routecal.flows.param_checks import check
from routecal.flows.params import CalibrateParams
from routecal.flows.train import outcome_head_for, train_head
from routecal.tasks import runs
from routecal.tasks.extract import check_router, n_truncated
from routecal.tasks.load_examples import join
from routecal.tasks.make_router import refer_checkpoint, unseen_by
from routecal.tasks.oracle import check_labelled
from routecal.tasks.queries import import_queries
from routecal.tasks.version import code_version


@flow(name="calibrate", flow_run_name="calibrate {params.queries} by {params.oracle}")
def calibrate(params: CalibrateParams) -> Evaluated:
    """Label, extract, train, evaluate. Whatever an earlier run finished on the same inputs is reused."""
    check(params)
    run_id = runs.start("calibrate")
    router = refer_checkpoint(params.router_path)
    queries = unseen_by(router, import_queries(params.queries, limit=params.limit, columns=params.columns))
    if queries.rows < REFUSE_BELOW:  # known before a label is paid for
        raise TooFewExamples(queries.rows, REFUSE_BELOW)
    oracle = oracle_of(params, params.queries)
    check_router(router, params.reading)
    labels, stopped = labels_so_far(run_id, queries, oracle, params)
    check_labelled(labels, queries, oracle, stopped)
    with on_engine(params, router):
        features = extract_queries(queries, router, params.reading, params.shard_size)
    examples = join(queries, labels, features)
    heads = train_head(examples, features, params)
    facts = {
        "Router": f"{params.router_path} (sha256 {router.sha256[:16]}), frozen",
        **oracle.facts,
        "Queries": f"{queries.rows} from {params.queries}; {labels.rows} labelled, {examples.rows} with features, "
        f"{n_truncated(features)} longer than the router's window and cut",
        "Training": f"preset {params.preset}, seed {params.seed}, code {code_version()}",
    }
    inputs = {"queries": queries, "router": router, "labels": labels, "features": features, "examples": examples}
    inputs |= outcome_head_for(examples, features)
    evaluated = evaluate_heads(run_id, inputs, heads, facts, params, seed=params.seed, reading=params.reading)
    return with_headline(evaluated)
