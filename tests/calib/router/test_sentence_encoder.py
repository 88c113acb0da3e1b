"""A routing head on a sentence encoder reads the mean of its tokens, in an ordinary checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.sentence_encoder import FAMILIES, sentence_pooling
from tests.calib.router.spoiled import without
from tests.calib.tiny_families import save, save_encoder

WEIGHTS = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
QUERIES = ["What is the capital of France?", "Hi", "Who built the oldest bridge, and why?"]


def states(folder: Path) -> list[NDArray[np.float32]]:
    """(tokens, d) of every query by transformers' own class, one at a time."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return [model(**tokenizer(query, return_tensors="pt"))[0][0].numpy() for query in QUERIES]


def pooled_by(folder: Path, said: object) -> Path:
    """The folder with what sentence-transformers writes of its pooling."""
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(said if isinstance(said, str) else json.dumps(said))
    return folder


@pytest.mark.parametrize("head", ["Model", "ForMaskedLM"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_reads_the_mean_of_all_tokens_as_normalised(family: str, head: str, tmp_path: Path) -> None:
    base = save_encoder(family, tmp_path / "base", head=head)
    attach_routing_head(base, WEIGHTS, tmp_path / "router")
    router = FrozenRouter(tmp_path / "router", layers=(-1, -2), poolings=("mean", "last"))
    out = router.read(QUERIES)
    mean = np.array([one.mean(0) for one in states(base)])
    normalised = (mean - mean.mean(1, keepdims=True)) / mean.std(1, keepdims=True)
    np.testing.assert_allclose(out.hidden, normalised, atol=5e-3)
    np.testing.assert_allclose(out.logits, out.hidden @ WEIGHTS.T, rtol=1e-3, atol=1e-3)
    # all of the encoder's own layers are there, and one more
    assert router.n_layers == 3
    first = np.array([one[0] for one in states(base)])
    np.testing.assert_allclose(out.blocks["hidden_L2_last"], first / _root_mean_square(first), atol=1e-4)


def test_transformers_alone_says_the_same(tmp_path: Path) -> None:
    attach_routing_head(save_encoder("bert", tmp_path / "base"), WEIGHTS, tmp_path / "router")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "router").eval()
    batch = AutoTokenizer.from_pretrained(tmp_path / "router")(QUERIES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        said = model(**batch).logits.numpy()
    np.testing.assert_allclose(FrozenRouter(tmp_path / "router").read(QUERIES).logits, said, atol=1e-3)
    assert model.config.id2label == dict(enumerate(p.value for p in POLICIES))


def test_an_encoder_that_was_trained_by_its_first_token_is_read_there(tmp_path: Path) -> None:
    base = pooled_by(save_encoder("bert", tmp_path / "base"), {"pooling_mode": "cls"})
    attach_routing_head(base, WEIGHTS, tmp_path / "router")
    router = FrozenRouter(tmp_path / "router")
    out = router.read(QUERIES)
    assert router.n_layers == 2
    np.testing.assert_allclose(out.hidden, [one[0] for one in states(base)], atol=1e-5)
    np.testing.assert_allclose(out.logits, out.hidden @ WEIGHTS.T, rtol=1e-3, atol=1e-3)


OLD = {"word_embedding_dimension": 16, "pooling_mode_max_tokens": False, "include_prompt": True}


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        (OLD | {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        (OLD | {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
    ],
)
def test_what_sentence_transformers_wrote_says_how_sentences_are_pooled(
    said: object, pooling: str, tmp_path: Path
) -> None:
    assert sentence_pooling(pooled_by(tmp_path, said)) == pooling


@pytest.mark.parametrize(
    "said",
    [
        {"pooling_mode": "max"},
        {"pooling_mode": ["mean", "cls"]},
        OLD | {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
        {},
    ],
)
def test_a_pooling_that_no_head_can_read_is_refused(said: object, tmp_path: Path) -> None:
    with pytest.raises(RouterUnusable, match="and a routing head reads their mean or the first"):
        sentence_pooling(pooled_by(tmp_path, said))


@pytest.mark.parametrize("said", ["{", "[]", "3"])
def test_a_damaged_pooling_file_is_refused(said: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnusable, match=r"1_Pooling/config\.json is damaged"):
        sentence_pooling(pooled_by(tmp_path, said))


def test_an_encoder_of_another_kind_is_refused(tmp_path: Path) -> None:
    base = save_encoder("mpnet", tmp_path / "base")
    with pytest.raises(RouterUnusable, match=r"its architecture is MPNetModel, .* of the types bert, camembert, rob"):
        attach_routing_head(base, None, tmp_path / "router")


def test_a_classifier_on_an_encoder_is_a_router_already(tmp_path: Path) -> None:
    with pytest.raises(RouterUnusable, match="it is a classifier already"):
        attach_routing_head(save("bert", tmp_path / "base"), None, tmp_path / "router")


def test_an_encoder_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    base = save_encoder("bert", tmp_path / "base")
    without("layer.1.output.dense.weight")(base)
    with pytest.raises(CheckpointUnusable, match=r"lack 1 .*layer\.1\.output\.dense\.weight"):
        attach_routing_head(base, None, tmp_path / "router")


def _root_mean_square(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt((values**2).mean(1, keepdims=True)))
