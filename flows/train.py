"""Flows `train`, a calibrated head from labels and features, and `train-router`, for people who have no router yet."""

import logging

from prefect import flow

from routecal.calib.router.pooling import DEFAULT
from routecal.calib.settings import Reading
from routecal.flows.engines import on_engine
from routecal.flows.extract import extract_queries
from routecal.flows.label import labels_so_far, oracle_of
from routecal.flows.param_checks import check
from routecal.flows.params import HeadParams, TrainParams, TrainRouterParams
from routecal.flows.run_messages import completed
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.evaluate import FINAL
from routecal.tasks.load_examples import block_names, choose_blocks, join
from routecal.tasks.make_router import check_base, refer_base, refer_checkpoint, train_router
from routecal.tasks.old_tables import under_one_identity
from routecal.tasks.oracle import check_labelled
from routecal.tasks.outcome import OUTCOME, train_outcome_head, why_no_outcome_head
from routecal.tasks.progress import underway
from routecal.tasks.queries import import_decisions, import_queries
from routecal.tasks.runs import check_together, features_for, name_of
from routecal.tasks.train import recalibrate_head, refer_head, train_rl, train_sft

# The stages' heads by the names that tables and manifests show.
SFT, SFT_RECALIBRATED, RL = "SFT", "SFT + recalibration", "SFT + RL"

logger = logging.getLogger(__name__)


@flow(name="train", flow_run_name="train ({params.mode}, {params.preset})")
def train(params: TrainParams) -> Artifact:
    """Train on the labels and features of one run, or on those named, and return the last head."""
    check(params)
    run_id = runs.start("train")
    data = _data(params)
    source_text = params.data_file or f"{name_of(data['labels'])} and {name_of(data['features'])}"
    data = under_one_identity(**data)
    examples, features = join(**data), data["features"]
    outcome: dict[str, Artifact] = {}
    with on_engine(params):
        match params.mode:
            case "sft":
                heads = {
                    SFT: train_sft(examples, features, params.plan, params.sft, blocks_for(examples, features, params))
                }
            case "rl":
                given = params.init_checkpoint
                start = runs.newest_artifact("heads", name=SFT) if given is None else refer_head(given)
                heads = {RL: train_rl(examples, features, start, params.rl)}
            case "all":
                heads = train_head(examples, features, params)
                outcome |= outcome_head_for(examples, features)
    head = list(heads.values())[-1]
    runs.record_run(run_id, **data, examples=examples, **heads, **outcome, data=source_text)
    if params.output_dir is not None:
        runs.copy_to(head, params.output_dir)
    message = f"head {head.sha256[:16]}: {list(heads)[-1]}, trained on {examples.rows} examples"
    return completed(head, message, head=params.output_dir or head.uri)


def train_head(examples: Artifact, features: Artifact, params: HeadParams) -> dict[str, Artifact]:
    """The head after every stage, the one to use last."""
    sft = train_sft(examples, features, params.plan, params.sft, blocks_for(examples, features, params))
    rl = train_rl(examples, features, sft, params.rl)
    return {
        SFT: sft,
        SFT_RECALIBRATED: recalibrate_head(examples, features, sft),
        RL: rl,
        FINAL: recalibrate_head(examples, features, rl),
    }


def outcome_head_for(examples: Artifact, features: Artifact) -> dict[str, Artifact]:
    """The outcome head by its name in manifests; none, and a warning, where these rows cannot teach one."""
    if (why := why_no_outcome_head(examples, features)) is not None:
        logger.warning("no outcome head: %s", why)
        return {}
    return {OUTCOME: train_outcome_head(examples, features)}


def blocks_for(examples: Artifact, features: Artifact, params: HeadParams) -> list[str]:
    """What the head reads of the hidden states that were extracted."""
    if params.block == "last" or len(block_names(features)) == 1:
        return [DEFAULT]
    return choose_blocks(examples, features, params.seed)


def _data(params: TrainParams) -> dict[str, Artifact]:
    """The queries, labels and features that the parameters name."""
    if params.data_file is not None:
        assert params.router_path is not None
        own, labels = import_decisions(params.data_file)
        features = extract_queries(own, refer_checkpoint(params.router_path), Reading(), params.shard_size)
        return {"queries": own, "labels": labels, "features": features}
    source: str | None
    if params.labels is None:
        source, made = runs.run_with("labels", run_id=params.run)
        labels = made["labels"]
    else:
        labels = runs.newest_artifact("labels", params.labels)
        source = runs.run_of(labels)
    beside = runs.recorded(source)

    def named(kind: str, uri: str | None) -> Artifact | None:
        return beside.get(kind) if uri is None else runs.newest_artifact(kind, uri)

    features = named("features", params.features) or features_for(labels)
    check_together(labels, features)
    queries = named("queries", params.queries) or runs.newest_artifact("queries")
    return {"queries": queries, "labels": labels, "features": features}


@flow(name="train-router", flow_run_name="train a router on {params.queries}")
def train_router_flow(params: TrainRouterParams) -> Artifact:
    """Label the queries, fit a routing head on the base model and return the router.

    Its queries and labels are recorded with it, under names that no other step goes by: a head must not learn from
    queries that trained the router.
    """
    check(params)
    run_id = runs.start("train-router")
    base = refer_base(params.base_model)
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
