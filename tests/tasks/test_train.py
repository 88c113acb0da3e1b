"""Heads as tasks make them: reproducible, and refused by features of another kind."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import CheckpointMissing, FeatureMismatch
from routecal.calib.errors import OneClass, TooFewExamples
from routecal.calib.examples import LABELLED
from routecal.calib.learn.cross_fit import CrossFitPlan, Deal
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import block_names, choose_blocks, join, load_examples
from routecal.tasks.pack import pack_router
from routecal.tasks.train import held_out_splits, open_head, read_log, recalibrate_head, refer_head, train_rl, train_sft
from tests.tasks.made import Made, store_labels, store_queries, texts

SHAPE = CrossFitPlan(hidden_units=8)
SFT = SFTConfig(epochs=3, lr=1e-2, early_stopping=False)
RL = RLConfig(epochs=2, lr=1e-2, early_stopping=False)


def sft(made: Made, **changes: object) -> Artifact:
    return train_sft.fn(made.examples, made.features, SHAPE, SFT.model_copy(update=changes))


def test_the_same_seed_gives_the_same_head(made: Made) -> None:
    one, other = sft(made), sft(made)
    assert one == other
    assert sft(made, seed=1).sha256 != one.sha256
    first, second = (train_rl.fn(made.examples, made.features, one, RL) for _ in range(2))
    assert first == second
    assert first.sha256 != one.sha256
    assert train_rl.fn(made.examples, made.features, one, RL.model_copy(update={"seed": 1})) != first


def test_a_head_knows_where_it_comes_from(made: Made) -> None:
    warm = sft(made)
    head = recalibrate_head.fn(made.examples, made.features, train_rl.fn(made.examples, made.features, warm, RL))
    folder = local_folder(head)
    lineage = json.loads((folder / "config.json").read_text())["lineage"]
    assert lineage["examples_sha256"] == made.examples.sha256
    assert lineage["feature_schema"] == read_metadata(made.features)
    assert lineage["start"] == warm.sha256
    assert lineage["training"] == RL.model_dump()
    # read by people who choose: every candidate with its cross-validated loss, the identity among them
    assert "identity" in {row["name"] for row in lineage["recalibration"]}
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "head.safetensors",
        "README.md",
        "training.jsonl",
    }


def test_every_step_of_every_head_is_logged(made: Made) -> None:
    data = load_examples(made.examples, made.features).only(*LABELLED)
    turns = Deal.of(data).turns()
    assert len(turns) == 5
    for head, stage, epochs, split in (
        (sft(made), "sft", 3, "train"),
        (train_rl.fn(made.examples, made.features, sft(made), RL), "rl", 2, "calibration"),
    ):
        log = read_log(head)
        for i, turn in enumerate(turns):
            n_steps = epochs * -(-len(turn.only(split)) // 64)
            assert [step.step for step in log if step.head == i] == list(range(1, n_steps + 1))
        assert {step.stage for step in log} == {stage}


def test_one_head_on_the_splits_as_they_are_where_that_is_asked_for(made: Made) -> None:
    plan = CrossFitPlan(hidden_units=8, folds=0, residual=False, pca=2)
    warm = train_sft.fn(made.examples, made.features, plan, SFT)
    head = recalibrate_head.fn(made.examples, made.features, train_rl.fn(made.examples, made.features, warm, RL))
    opened = open_head(head, made.features)
    assert (opened.head.members, opened.head.folds, opened.head.config.pca) == (1, 0, 2)
    assert held_out_splits(head) == ("calibration", "validation")
    assert held_out_splits(sft(made)) == LABELLED


def test_a_head_reads_the_blocks_that_the_labelled_queries_chose(made: Made) -> None:
    reading = Reading(layers=(1, -1), poolings=("last", "mean"))
    features = extract_shard.fn(made.queries, made.router, reading).features
    examples = join.fn(made.queries, made.labels, features)
    chosen = choose_blocks.fn(examples, features, 0)
    assert set(chosen) <= set(block_names(features))
    blocks = ["hidden_L1_mean", DEFAULT]
    warm = train_sft.fn(examples, features, CrossFitPlan(hidden_units=8), SFT, blocks)
    head = train_rl.fn(examples, features, warm, RL)
    assert open_head(head, features).blocks == tuple(blocks)
    assert open_head(head, features).head.config.width == 2 * load_examples(examples, features).hidden.shape[1]
    packed = pack_router.fn(head, made.router, reading, ServingRule(threshold=0.5, threshold_from="somewhere"))
    router = CalibratedRouter.from_pretrained(local_folder(packed))
    test = load_examples(examples, features, blocks=blocks).only("test")
    table = read_table(examples).filter(pa.compute.field("split") == "test")
    expected = open_head(head, features).confidence(test.hidden, test.logits)
    found = [d.confidence for d in router.route(table["query"].to_pylist())]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_confidence_is_in_order_and_in_range(made: Made) -> None:
    data = load_examples(made.examples, made.features)
    p = open_head(sft(made), made.features).confidence(data.hidden, data.logits)
    assert p.shape == (200,)
    assert ((p > 0) & (p < 1)).all()
    ids = read_table(made.examples)["query_id"].to_pylist()
    vectors = dict(zip(*(read_table(made.features)[c].to_pylist() for c in ("query_id", "hidden")), strict=True))
    np.testing.assert_array_equal(data.hidden, np.array([vectors[i] for i in ids], np.float32))


def test_features_of_another_router_are_refused_by_name(made: Made) -> None:
    head = sft(made)
    other = dict(read_metadata(made.features)) | {"router_sha256": "another"}
    features = write_table(read_table(made.features), "features", home=Home.from_env(), metadata=other)
    with pytest.raises(FeatureMismatch) as caught:
        open_head(head, features)
    assert f"router_sha256 = {made.router.sha256!r}" in str(caught.value)
    assert "'another'" in str(caught.value)


@pytest.mark.parametrize("reading", [Reading(template="Q: {query}"), Reading(dtype="bfloat16")])
def test_features_read_otherwise_are_refused(made: Made, reading: Reading) -> None:
    head, features = sft(made), extract_shard.fn(made.queries, made.router, reading).features
    if read_metadata(features) == read_metadata(made.features):
        pytest.skip("this CPU has no native bfloat16, so the router reads in float32 either way")
    with pytest.raises(FeatureMismatch, match=r"template_sha256|dtype"):
        open_head(head, features)


def with_policies(made: Made, policies: list[str]) -> Artifact:
    asked = texts(len(policies))
    return join.fn(store_queries(asked), store_labels(asked, policies), made.features)


def test_one_class_is_refused(made: Made) -> None:
    routed = dict(zip(*(read_table(made.features)[c].to_pylist() for c in ("query_id", "router_policy")), strict=True))
    ids = read_table(store_queries(texts(200)))["query_id"].to_pylist()
    examples = with_policies(made, [routed[i] for i in ids])
    with pytest.raises(OneClass, match="the router is right on all 200 labelled examples"):
        train_sft.fn(examples, made.features, SHAPE, SFT)


def test_too_few_examples_are_refused(made: Made) -> None:
    with pytest.raises(TooFewExamples, match="29 labelled examples are too few"):
        load_examples(with_policies(made, ["Standard_Query", "Complex_Query"] * 14 + ["Standard_Query"]), made.features)


def test_a_folder_that_is_no_head(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"head\.safetensors"):
        refer_head(str(tmp_path))


def test_a_copied_head_is_the_same_head(made: Made) -> None:
    head = sft(made)
    assert refer_head(str(local_folder(head))).sha256 == head.sha256
