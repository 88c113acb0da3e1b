"""Cells of the benchmark: one group of methods fitted to one set's labels under one router and one seed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from routecal.calib.baselines import Predictor
from routecal.calib.errors import known
from routecal.calib.examples import Examples
from routecal.calib.learn import block_choice as blocks_of
from routecal.calib.learn.routing_head import ROUTING_HEADS
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.trial import ablation, methods
from routecal.calib.trial.protocol import draw_labelled
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.storage.query_identity import share_of
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark.features import load_features
from routecal.tasks.cache import step
from routecal.tasks.load_examples import policy_index

# Test rows of another set that methods are tried on under shift: enough to see a shift, which is large.
SHIFTED_ROWS = 1000


@step(
    "fit router",
    "fit the {kind} router of {name}, division {division}",
    on=("tasks.benchmark.features", "tasks.load_examples", "calib.learn.routing_head"),
)
def fit_router(name: str, kind: str, division: int, rows: Artifact, features: Artifact) -> Artifact:
    """A routing head on the last hidden state, fitted to the true policies of the set's router part."""
    table = read_table(rows, columns=["query_id", "true_policy", "part"])
    table = table.filter(pa.compute.field("part") == "router")
    hidden = load_features(features).of(table["query_id"].to_pylist())
    weights = known("routing head", kind, ROUTING_HEADS)(hidden, policy_index(table["true_policy"]))

    def build(folder: Path) -> None:
        np.save(folder / "weights.npy", weights)

    return write_folder("routing_heads", build, home=Home.from_env())


@step(
    "choose block",
    "choose a block for {name}, {kind} router, division {division}, seed {seed}",
    on=("tasks.benchmark.features", "tasks.load_examples", "calib.learn.block_choice", "calib.trial.protocol"),
)
def choose_block(
    name: str, kind: str, division: int, seed: int, labels: int, rows: Artifact, features: Artifact, router: Artifact
) -> str:
    """The block that all methods of this cell read: the best one for a probe on the labelled rows."""
    drawn = labelled_table(read_table(rows), division=division, seed=seed, labels=labels)
    labelled, ids = labelled_examples(drawn, features, weights_of(router), DEFAULT), drawn["query_id"].to_pylist()
    known = load_features(features)
    blocks = {block: known.of(ids, block) for block in known.blocks}
    (chosen,) = blocks_of.choose_blocks(blocks, labelled, candidates=[[block] for block in blocks], seed=seed).names
    return chosen


@step(
    "fit methods",
    "fit {group} on {name}, {kind} router, division {division}, seed {seed}",
    on=(
        "tasks.benchmark.features",
        "tasks.load_examples",
        "calib.trial.ablation",
        "calib.trial.methods",
        "calib.trial.protocol",
    ),
)
def fit_cell(
    name: str,
    kind: str,
    division: int,
    seed: int,
    group: str,
    labels: int,
    rows: Artifact,
    targets: dict[str, Artifact],
    features: Artifact,
    router: Artifact,
    block: str = DEFAULT,
) -> Artifact:
    """Predictions of one group of methods on the test rows of the set, and of the others in `targets`.

    The methods see the rows of the labelled part that the seed draws, and of test rows what the router sees.
    """
    torch.set_num_threads(1)  # a head is too small for two
    weights = weights_of(router)
    drawn = labelled_table(read_table(rows), division=division, seed=seed, labels=labels)
    labelled = labelled_examples(drawn, features, weights, block)
    predictors = _fit_of(group)(labelled, seed=seed)
    tables = []
    for target, own in targets.items():
        test = tested_rows(read_table(own), limit=None if target == name else SHIFTED_ROWS)
        ids = test["query_id"].to_pylist()
        unlabelled = examples_of(ids, features, weights, block)
        correct = unlabelled.policy == policy_index(test["true_policy"])
        tables += [_predicted(target, ids, method, fit(unlabelled), correct) for method, fit in predictors.items()]
    facts = {
        "set": name,
        "router": kind,
        "division": str(division),
        "seed": str(seed),
        "group": group,
        "labels": str(len(labelled)),
        "block": block,
    }
    return write_table(pa.concat_tables(tables), "benchmark_cell", home=Home.from_env(), metadata=facts)


def _fit_of(group: str) -> Callable[..., Mapping[str, Predictor]]:
    return ablation.fit if group == ablation.GROUP else known("group of methods", group, methods.METHODS)


def weights_of(router: Artifact) -> NDArray[np.float32]:
    """(3, d) of a routing head."""
    weights: NDArray[np.float32] = np.load(local_folder(router) / "weights.npy")
    return weights


def labelled_table(table: pa.Table, *, division: int, seed: int, labels: int) -> pa.Table:
    """The labelled rows that this seed draws in this division, with the columns `split` and `share`."""
    table = table.filter(pa.compute.field("part") == "labelled")  # hashes cost more than fits where sets are large
    texts = table["query"].to_pylist()
    # Another division draws its own rows: those that two labelled parts share are not drawn in both the sooner.
    name = str(seed) if division == 0 else f"{seed} of division {division}"
    order, deal, fold = ([share_of(text, f"{what} {name}") for text in texts] for what in ("draw", "deal", "fold"))
    draw = draw_labelled(np.array(table["part"].to_pylist()), order, deal, labels=labels)
    chosen = table.take(pa.array(draw.rows)).append_column("split", pa.array(draw.split.tolist()))
    return chosen.append_column("share", pa.array(np.array(fold)[draw.rows]))


def labelled_examples(drawn: pa.Table, features: Artifact, weights: NDArray[np.float32], block: str) -> Examples:
    """What the router makes of rows from `labelled_table`, with their true policies."""
    return examples_of(
        drawn["query_id"].to_pylist(),
        features,
        weights,
        block,
        true_policy=policy_index(drawn["true_policy"]),
        split=np.array(drawn["split"].to_pylist()),
        share=drawn["share"].to_numpy(),
    )


def tested_rows(table: pa.Table, *, limit: int | None) -> pa.Table:
    """The test part, at most `limit` rows of it."""
    test = table.filter(pa.compute.field("part") == "test")
    if limit is None or test.num_rows <= limit:
        return test
    drawn = np.array([share_of(text, "shifted") for text in test["query"].to_pylist()])
    return test.take(pa.array(np.sort(np.argsort(drawn, kind="stable")[:limit])))


def examples_of(
    ids: Sequence[str],
    features: Artifact,
    weights: NDArray[np.float32],
    block: str,
    *,
    true_policy: NDArray[np.int64] | None = None,
    split: NDArray[np.str_] | None = None,
    share: NDArray[np.float64] | None = None,
) -> Examples:
    """What the router makes of these queries; where the true policy is not handed over, none is there to be seen."""
    known = load_features(features)
    logits = known.of(ids) @ weights.T
    return Examples(
        hidden=known.of(ids, block),
        logits=logits,
        policy=logits.argmax(axis=1),
        true_policy=np.zeros(len(ids), np.int64) if true_policy is None else true_policy,
        split=np.full(len(ids), "test") if split is None else split,
        share=share,
    )


def _predicted(
    target: str, ids: Sequence[str], method: str, p: NDArray[np.float64], correct: NDArray[np.bool_]
) -> pa.Table:
    n = len(ids)
    columns = {
        "query_id": pa.array(ids),
        "target": pa.array([target] * n),
        "method": pa.array([method] * n),
        "p": pa.array(p),
        "is_correct": pa.array(correct),
    }
    return pa.table(columns, schema=SCHEMAS["benchmark_cell"])
