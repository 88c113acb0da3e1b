"""What is not what was saved is refused, with a sentence that says what is wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable, RouterUnusable
from routecal.calib.errors import CalibError, UnknownName
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.router.spoiled import (
    POINTER,
    config,
    cut_short,
    empty_folder,
    gone,
    index_damaged,
    lora,
    lora_alone,
    more_tokens,
    new_padding,
    of_bodies,
    pickled,
    renamed,
    shard_gone,
    shard_twice,
    text,
    weights,
    without,
)
from tests.calib.tiny_families import model_of, tokenizer_of


@pytest.fixture
def router(router_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(router_checkpoint, tmp_path / "router"))


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "compiled": (renamed("_orig_mod."), r"torch\.compile had wrapped; save model\._orig_mod"),
    "distributed": (renamed("module."), r"DistributedDataParallel had wrapped; save model\.module"),
    "peft": (renamed("base_model.model."), r"saved from a PEFT model; merge it with model\.merge_and_unload\(\)"),
    "fsdp": (renamed("_fsdp_wrapped_module."), "FSDP had wrapped"),
    "lora tensors": (
        weights(lambda t: t | {"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(2, 16)}),
        r"hold 1 that the model does not have \(model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight\); .*merge",
    ),
    "no score": (without("score"), r"lack 1 .* \(score\.weight\); the classification head was not saved"),
    "no layer norm": (without("layers.1.input_layernorm"), r"lack 1 .* \(model\.layers\.1\.input_layernorm\.weight\)"),
    "no embedding": (without("embed_tokens"), r"lack 1 .* \(model\.embed_tokens\.weight\)"),
    "fewer layers asked for": (
        config(num_hidden_layers=1, layer_types=["sliding_attention"]),
        r"hold \d+ that the model does not have .*config\.json asks for less than was saved",
    ),
    "more layers asked for": (config(num_hidden_layers=3, layer_types=["full_attention"] * 3), r"lack \d+ of the mod"),
    "wider": (config(hidden_size=32), r"has the shape \(\d+, 16\) in its files and \(\d+, 32\) by its config"),
    "other vocabulary": (config(vocab_size=999), r"embed_tokens\.weight has the shape \(\d+, 16\) in its files and"),
    "says, by config": (
        config(architectures=["Gemma3ForCausalLM"]),
        r"hold 1 .* \(score\.weight\); config\.json names another architecture",
    ),
    "adapter beside": (lora, r"adapter_config\.json is part of an adapter .*merge_and_unload"),
    "adapter alone": (lora_alone, r"adapter_config\.json is part of an adapter .*merge_and_unload"),
    "int8": (of_bodies(lambda t: t.to(torch.int8)), r"model\.norm\.weight is stored as I8 \(1 such of"),
    "int64": (of_bodies(lambda t: t.to(torch.int64)), "is stored as I64"),
    "bool": (of_bodies(lambda t: t.to(torch.bool)), "is stored as BOOL"),
    "float8": (of_bodies(lambda t: t.to(torch.float8_e4m3fn)), "is stored as F8_E4M3"),
    "nan": (of_bodies(lambda t: t * float("nan")), r"NaN or infinity is in 1 of its tensors \(model\.norm\.weight\)"),
    "inf": (of_bodies(lambda t: t + float("inf")), r"NaN or infinity is in 1 of its tensors"),
    "quantised": (config(quantization_config={"quant_method": "gptq"}), "it is quantised"),
    "dtype": (config(dtype="int8"), "config.json has dtype = 'int8'; give the dtype of its weights: float32"),
    "pad outside": (config(pad_token_id=9999), r"has pad_token_id = 9999; ids of its vocabulary are 0 to \d+"),
    "eos outside": (config(eos_token_id=[1, -7]), r"has eos_token_id = \[1, -7\]"),
    "labels disagree": (config(label2id={p.value: i for i, p in enumerate(POLICIES)}), "in label2id; correct one"),
    "labels unnumbered": (
        config(id2label={"0": "a", "5": "b", "1": "c"}, label2id=None),
        "must number its labels from 0",
    ),
    "two labels": (
        config(id2label={"0": "a", "1": "b"}, label2id={"a": 0, "b": 1}),
        r"score\.weight has the shape \(3",
    ),
    "no activation": (config(hidden_activation="swoosh"), "swoosh"),
    "no heads": (config(num_attention_heads=0), "num_attention_heads"),
    "negative": (config(rms_norm_eps=-1.0), r"rms_norm_eps = -1\.0"),
    "a million layers": (
        config(num_hidden_layers=10**6, layer_types=None),
        "num_hidden_layers = 1000000; it must be at least 1 and at most 10000",
    ),
    "a thousand layers": (
        config(num_hidden_layers=1000, layer_types=None),
        "num_hidden_layers = 1000, and its files",
    ),
    "a million wide": (config(hidden_size=10**6), r"hidden_size = 1000000, and its files hold \d+ tensors of at most"),
    "architectures": (config(architectures=1e30), "architectures of its config.json is not a list of names"),
    "wrong type": (config(hidden_size="16"), "hidden_size"),
    "not an object": (text("config.json", "[]"), "is not a JSON object"),
    "lfs weights": (text("model.safetensors", POINTER), r"model\.safetensors is a Git LFS pointer.*; run git lfs pull"),
    "lfs tokenizer": (text("tokenizer.json", POINTER), r"tokenizer\.json is a Git LFS pointer.*; run git lfs pull"),
    "lfs config": (text("config.json", POINTER), r"config\.json is a Git LFS pointer"),
    "cut short": (cut_short, r"model\.safetensors is damaged or cut short"),
    "empty": (text("model.safetensors", ""), r"model\.safetensors is damaged or cut short"),
    "pickled": (pickled, r"its weights are pickled \(pytorch_model\.bin\)"),
    "shard gone": (shard_gone, r"1 of 2 shards are missing, first model-1\.safetensors"),
    "shard twice": (shard_twice, "is in two of its files"),
    "index damaged": (
        index_damaged,
        "index.*is damaged",
    ),
    "no weights": (gone("model.safetensors"), r"holds no complete Hugging Face checkpoint \(there is no model\.safe"),
    "no tokenizer": (gone("tokenizer.json", "tokenizer_config.json"), "holds no tokenizer"),
    "tokenizer damaged": (text("tokenizer.json", "{}"), "holds no tokenizer that can be read"),
    "more tokens": (more_tokens, r"has \d+ tokens, of which 1 have ids that its embedding of \d+ rows does not hold"),
    "new padding": (new_padding, r"of which 1 have ids that its embedding of \d+ rows does not hold"),
    "nothing": (empty_folder, r"holds no Hugging Face checkpoint \(config\.json\)"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_checkpoint_that_is_not_what_was_saved(what: str, router: Path) -> None:
    spoil, sentence = BROKEN[what]
    spoil(router)
    with pytest.raises(CalibError, match=sentence) as raised:
        FrozenRouter(router)
    assert "\n" not in str(raised.value)
    assert str(router) in str(raised.value)


def test_no_such_dtype(router_checkpoint: Path) -> None:
    with pytest.raises(UnknownName, match="'int8' is not a known dtype; choose one of auto, bfloat16"):
        FrozenRouter(router_checkpoint, dtype="int8")


def test_position_embeddings_that_a_config_turns_off(tmp_path: Path) -> None:
    # the library's own rules for DeBERTa let them lie
    model_of("deberta", len(tokenizer_of("deberta"))).save_pretrained(tmp_path)
    tokenizer_of("deberta").save_pretrained(tmp_path)
    config(position_biased_input=False)(tmp_path)
    with pytest.raises(CheckpointUnusable, match=r"hold 1 .*position_embeddings\.weight"):
        FrozenRouter(tmp_path)


def test_a_classifier_is_no_base_model(router_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(RouterUnusable, match="it is a classifier already"):
        attach_routing_head(router_checkpoint, None, tmp_path)


def test_an_output_layer_that_was_lost(causal_checkpoint: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(causal_checkpoint, tmp_path / "base"))
    config(tie_word_embeddings=False)(base)
    with pytest.raises(CheckpointUnusable, match=r"lack 1 .*lm_head\.weight\); the output layer was not saved"):
        FrozenRouter(base)


def test_refusals_survive_pickling() -> None:
    import pickle

    for error in (CheckpointUnusable("here", "so"), CheckpointMissing("here", "this")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
