"""Features as they are stored: what is in them, and what is refused."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Gemma3TextForSequenceClassification

from routecal.calib.errors import NonFinite
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.settings import Reading
from routecal.storage.artifact import read_metadata, read_table
from routecal.storage.errors import SchemaMismatch
from routecal.storage.folder_artifact import folder_at
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import block_names, join, load_blocks, load_examples
from tests.tasks.made import Made, store_labels, store_queries, texts


def test_features_are_the_router_s_reading(router_checkpoint: Path) -> None:
    asked = texts(12)
    table = read_table(
        extract_shard.fn(store_queries(asked), folder_at(str(router_checkpoint), "routers"), Reading()).features
    )
    out = FrozenRouter(router_checkpoint).read(asked)
    hidden = np.array(table["hidden"].to_pylist())
    np.testing.assert_array_equal(hidden, out.hidden.astype(np.float16))
    np.testing.assert_allclose(np.array(table["logits"].to_pylist()), out.logits, atol=1e-6)
    assert table["router_policy"].to_pylist() == [POLICIES[i].value for i in out.policy]
    assert table["n_tokens"].to_pylist() == out.n_tokens.tolist()


def test_metadata_say_how_the_features_were_made(router_checkpoint: Path) -> None:
    router = folder_at(str(router_checkpoint), "routers")
    reading = Reading(template="Q: {query}", max_tokens=64)
    assert read_metadata(extract_shard.fn(store_queries(texts(2)), router, reading).features) == {
        "router_sha256": router.sha256,
        "router_kind": "sequence_classification",
        "width": "16",
        "layer": "last",
        "pooling": "last_token",
        "n_layers": "2",
        "blocks": "hidden",
        "outcome_blocks": "hidden_L1_mean",
        "dtype": "float32",
        "template_sha256": hashlib.sha256(b"Q: {query}").hexdigest()[:16],
        "max_tokens": "64",
    }


def test_long_queries_are_cut_and_counted(router_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    router = folder_at(str(router_checkpoint), "routers")
    queries = store_queries(["short?", "word " * 300 + "end?", "also short?", "text " * 300])
    table = read_table(extract_shard.fn(queries, router, Reading()).features)
    assert table["truncated"].to_pylist() == [False, True, False, True]
    assert max(table["n_tokens"].to_pylist()) == 96
    assert "2 of 4 queries are longer than the router's window and were cut" in caplog.text


def test_a_hidden_state_too_large_for_float16_is_refused(router_checkpoint: Path, tmp_path: Path) -> None:
    # the last norm multiplies by (1 + weight): 1e6 is far beyond float16's 65504, and finite in float32
    shutil.copytree(router_checkpoint, tmp_path / "loud")
    model = Gemma3TextForSequenceClassification.from_pretrained(router_checkpoint)
    with torch.no_grad():
        model.model.norm.weight.fill_(1e6)
    model.save_pretrained(tmp_path / "loud")
    assert np.isfinite(FrozenRouter(tmp_path / "loud").read(texts(3)).hidden).all()
    with pytest.raises(NonFinite, match="stored as float16, holds NaN or infinity in 3 of 3 rows"):
        extract_shard.fn(store_queries(texts(3)), folder_at(str(tmp_path / "loud"), "routers"), Reading())


def test_a_changed_router_is_opened_anew(router_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(router_checkpoint, tmp_path / "router"))
    queries = store_queries(texts(3))
    before = extract_shard.fn(queries, folder_at(str(folder), "routers"), Reading()).features
    model = Gemma3TextForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.score.weight.mul_(-1)
    model.save_pretrained(folder)
    after = extract_shard.fn(queries, folder_at(str(folder), "routers"), Reading()).features
    one, other = (np.array(read_table(a)["logits"].to_pylist()) for a in (before, after))
    np.testing.assert_allclose(one, -other, atol=1e-6)


def test_every_block_is_a_column_beside_the_default_one(router_checkpoint: Path) -> None:
    asked, router = texts(12), folder_at(str(router_checkpoint), "routers")
    queries = store_queries(asked)
    reading = Reading(layers=(1, -1), poolings=("last", "mean"))
    features = extract_shard.fn(queries, router, reading).features
    names = ("hidden", "hidden_L1_last", "hidden_L1_mean", "hidden_L2_mean")
    assert block_names(features) == names
    out = FrozenRouter(router_checkpoint, layers=[1, -1], poolings=["last", "mean"]).read(asked)
    table = read_table(features)
    for name in names:
        np.testing.assert_array_equal(np.array(table[name].to_pylist()), out.blocks[name].astype(np.float16))
    plain = read_table(extract_shard.fn(queries, router, Reading()).features)
    assert table.select(plain.column_names).equals(plain)


def test_examples_are_made_of_the_blocks_asked_for(made: Made) -> None:
    reading = Reading(layers=(1, -1), poolings=("last", "mean"))
    features = extract_shard.fn(made.queries, made.router, reading).features
    examples = join.fn(made.queries, made.labels, features)
    blocks = load_blocks(examples, features)
    default, two = (load_examples(examples, features, **k) for k in ({}, {"blocks": ["hidden_L1_mean", "hidden"]}))
    np.testing.assert_array_equal(default.hidden, blocks["hidden"])
    np.testing.assert_array_equal(two.hidden, np.hstack([blocks["hidden_L1_mean"], blocks["hidden"]]))
    np.testing.assert_array_equal(default.hidden, load_examples(made.examples, made.features).hidden)
    assert default.verbal is None
    # the rows are those of the examples: sorted by query_id, not in the order that was extracted
    by_id = dict(zip(*(read_table(features)[c].to_pylist() for c in ("query_id", "hidden_L1_mean")), strict=True))
    ids = read_table(examples)["query_id"].to_pylist()
    np.testing.assert_array_equal(blocks["hidden_L1_mean"], np.array([by_id[i] for i in ids], np.float32))
    with pytest.raises(SchemaMismatch, match="no column hidden_L1_decision"):
        load_examples(examples, features, blocks=["hidden_L1_decision"])


def test_a_causal_router_s_own_word_is_stored(causal_checkpoint: Path) -> None:
    asked, router = texts(40), folder_at(str(causal_checkpoint), "routers")
    queries = store_queries(asked)
    policies = [POLICIES[i % 3].value for i in range(40)]
    features = extract_shard.fn(queries, router, Reading(verbal=True)).features
    examples = join.fn(queries, store_labels(asked, policies), features)
    said = dict(zip(*(read_table(features)[c].to_pylist() for c in ("query_id", "verbal")), strict=True))
    ids = read_table(examples)["query_id"].to_pylist()
    verbal = load_examples(examples, features).verbal
    assert verbal is not None
    assert verbal.tolist() == [said[i] for i in ids]
    assert len(set(verbal.tolist())) > 30
