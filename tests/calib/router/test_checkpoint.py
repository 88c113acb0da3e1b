"""What is read is what was saved: every other folder is refused, with a sentence that says what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer, Gemma3TextForSequenceClassification

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable, RouterUnusable
from routecal.calib.errors import CalibError, UnknownName
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import model_of, save, tokenizer_of
from tests.fuzz.checkpoints import run

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture
def router(router_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(router_checkpoint, tmp_path / "router"))


def weights(edit: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    """Rewrite the tensors of a folder."""

    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file({k: v.clone() for k, v in edit(load_file(file)).items()}, file, metadata={"format": "pt"})

    return change


def renamed(prefix: str) -> Callable[[Path], None]:
    return weights(lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()})


def without(*parts: str) -> Callable[[Path], None]:
    return weights(lambda t: {name: tensor for name, tensor in t.items() if not any(part in name for part in parts)})


def config(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def gone(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names] and None


def lora(folder: Path) -> None:
    text("adapter_config.json", '{"peft_type": "LORA"}')(folder)
    save_file({"base_model.model.score.lora_A.weight": torch.ones(2, 2)}, folder / "adapter_model.safetensors")


def lora_alone(folder: Path) -> None:
    lora(folder)
    gone("config.json", "model.safetensors")(folder)


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    gone("model.safetensors")(folder)


def sharded(folder: Path) -> None:
    """As two shards with an index, as large checkpoints are."""
    tensors = load_file(folder / "model.safetensors")
    gone("model.safetensors")(folder)
    where = {}
    for i in (0, 1):
        names = sorted(tensors)[i::2]
        save_file({name: tensors[name] for name in names}, folder / f"model-{i}.safetensors", metadata={"format": "pt"})
        where |= dict.fromkeys(names, f"model-{i}.safetensors")
    text("model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": where}))(folder)


def shard_gone(folder: Path) -> None:
    sharded(folder)
    gone("model-1.safetensors")(folder)


def shard_twice(folder: Path) -> None:
    sharded(folder)
    tensors = load_file(folder / "model-0.safetensors") | load_file(folder / "model-1.safetensors")
    save_file(tensors, folder / "model-0.safetensors", metadata={"format": "pt"})


def index_damaged(folder: Path) -> None:
    sharded(folder)
    text("model.safetensors.index.json", "{}")(folder)


def of_bodies(edit: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    return weights(lambda t: t | {"model.norm.weight": edit(t["model.norm.weight"])})


def more_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)


def new_padding(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)


def empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


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


def test_seeded_edits_are_refused_or_read_as_transformers_reads_them(tmp_path: Path) -> None:
    # a part of the thousand that `python -m tests.fuzz.checkpoints` tries; what passes is written down there
    cases = list(run(40, 0, tmp_path))
    assert not [case for case in cases if case.verdict not in ("refused", "read")]
    assert sum(case.verdict == "refused" for case in cases) > 20
    assert sum(case.verdict == "read" for case in cases) > 2
