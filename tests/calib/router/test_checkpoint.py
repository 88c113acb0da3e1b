"""What is read is what was saved."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import Gemma3TextForSequenceClassification

from routecal.calib.checkpoint_errors import CheckpointUnusable
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.router.spoiled import (
    lora,
    renamed,
    sharded,
    weights,
    without,
)
from tests.calib.tiny_families import model_of, save, tokenizer_of
from tests.fuzz.checkpoints import run


@pytest.fixture
def router(router_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(router_checkpoint, tmp_path / "router"))


def test_shards_are_one_checkpoint(router: Path, router_checkpoint: Path) -> None:
    sharded(router)
    asked = ["What is the capital of France?", "Hi"]
    assert (FrozenRouter(router).read(asked).logits == FrozenRouter(router_checkpoint).read(asked).logits).all()


def test_tensors_that_belong_to_nothing_that_is_asked_are_let_lie(router: Path, router_checkpoint: Path) -> None:
    weights(
        lambda t: t | {"model.rotary_emb.inv_freq": torch.ones(4), "lm_head.weight": t["model.embed_tokens.weight"]}
    )(router)
    assert (FrozenRouter(router).read("Hi").logits == FrozenRouter(router_checkpoint).read("Hi").logits).all()


def test_a_file_in_another_precision_than_the_config_says(router: Path, router_checkpoint: Path) -> None:
    weights(lambda t: {name: tensor.bfloat16() for name, tensor in t.items()})(router)
    read = FrozenRouter(router)
    assert read.schema["dtype"] == "float32"
    assert abs(read.read("Hi").logits - FrozenRouter(router_checkpoint).read("Hi").logits).max() < 0.02


def test_a_table_of_positions_smaller_than_the_window(tmp_path: Path) -> None:
    # RoBERTa's begins behind its padding index: 65 rows hold 64 tokens, whatever tokenizer and config say
    save("roberta", tmp_path)
    tokenizer_config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config | {"model_max_length": 10**30}))
    router = FrozenRouter(tmp_path)
    assert router.max_tokens == 64
    assert router.read("word " * 500).n_tokens[0] == 64


@pytest.mark.parametrize("named", [{"pad_token": None}, {"pad_token": None, "eos_token": None}])
def test_neither_padding_nor_end_token(named: dict[str, None], tmp_path: Path) -> None:
    model = model_of("llama", len(tokenizer_of("llama")))
    model.config.pad_token_id = None
    model.save_pretrained(tmp_path)
    tokenizer_of("llama", **named).save_pretrained(tmp_path)
    # nothing is needed to pad with: what it reads in a batch is what it reads alone
    router, asked = FrozenRouter(tmp_path), ["Hi", "What is the capital of France?"]
    alone = torch.cat([torch.from_numpy(router.read(text).logits) for text in asked])
    assert abs(router.read(asked).logits - alone.numpy()).max() < 1e-5


def test_a_base_model_lacks_its_score_layer_and_nothing_else(causal_checkpoint: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(causal_checkpoint, tmp_path / "base"))
    attach_routing_head(base, None, tmp_path / "router")
    assert not Gemma3TextForSequenceClassification.from_pretrained(tmp_path / "router").score.weight.any()
    for spoil, sentence in (
        (without("layers.1.mlp.up_proj"), r"lack 1 .*up_proj"),
        (renamed("_orig_mod."), r"torch\.compile"),
        (lora, "adapter"),
    ):
        spoil(base)
        with pytest.raises(CheckpointUnusable, match=sentence):
            attach_routing_head(base, None, tmp_path / "other")
        assert not (tmp_path / "other").exists()


def test_seeded_edits_are_refused_or_read_as_transformers_reads_them(tmp_path: Path) -> None:
    # a part of the thousand that `python -m tests.fuzz.checkpoints` tries; what passes is written down there
    cases = list(run(40, 0, tmp_path))
    assert not [case for case in cases if case.verdict not in ("refused", "read")]
    assert sum(case.verdict == "refused" for case in cases) > 20
    assert sum(case.verdict == "read" for case in cases) > 2
