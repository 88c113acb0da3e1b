"""Tiny random checkpoints of every family that the tests compare with transformers, made here with their tokenizers."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from routecal.calib.policy import POLICIES

LABELS = {i: p.value for i, p in enumerate(POLICIES)}
CORPUS = ["What is the capital of France?", "Who built the oldest bridge, and why?", *LABELS.values()] * 3
WINDOW = 64

# Special tokens come first, so that their ids are the same in every tokenizer: pad 0, eos 1, bos 2, unk 3.
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}

# family -> (class stem, sizes of its own, whether its tokenizer puts <bos> before and <eos> after every text)
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("Gemma3Text", {"head_dim": 8, "num_key_value_heads": 1, "sliding_window": 8, "layer_types": None}),
    "llama": ("Llama", {"num_key_value_heads": 1}),
    "qwen2": ("Qwen2", {"num_key_value_heads": 1}),
    "qwen3": ("Qwen3", {"num_key_value_heads": 1, "head_dim": 8}),
    "mistral": ("Mistral", {"num_key_value_heads": 1, "sliding_window": 8}),
    "gpt2": ("GPT2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": WINDOW}),
}
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {}),
    "roberta": ("Roberta", {"max_position_embeddings": WINDOW + 1}),
    "mpnet": ("MPNet", {"max_position_embeddings": WINDOW + 1}),
    "deberta": ("Deberta", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta-v2": ("DebertaV2", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "modernbert": ("ModernBert", {"classifier_pooling": "cls", "local_attention": 8}),
    "modernbert-mean": ("ModernBert", {"classifier_pooling": "mean", "local_attention": 8}),
    "bart": ("Bart", {}),
}
FAMILIES = DECODERS | ENCODERS


def config_of(family: str, rows: int, **changes: Any) -> Any:
    """A config of that family with two layers of width 16."""
    stem, own = FAMILIES[family]
    own = {name: value for name, value in own.items() if value is not None}
    sizes: dict[str, Any] = dict(SIZES)
    if family == "gpt2":
        sizes = {}
    if family == "bart":
        sizes = {
            "d_model": 16,
            **{f"{side}_layers": 1 for side in ("encoder", "decoder")},
            **{f"{side}_attention_heads": 2 for side in ("encoder", "decoder")},
            **{f"{side}_ffn_dim": 24 for side in ("encoder", "decoder")},
            "decoder_start_token_id": 1,
            "forced_eos_token_id": None,
        }
    if family.startswith("modernbert"):
        sizes |= {"cls_token_id": 2, "sep_token_id": 1}
    known = {"vocab_size": rows, "max_position_embeddings": WINDOW, **IDS, **sizes, **own}
    if family == "gpt2":
        known.pop("max_position_embeddings")
    config = getattr(transformers, f"{stem}Config")
    labels = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}
    return config(**(known | labels | changes), dtype="float32")


def model_of(family: str, rows: int, *, seed: int = 0, **changes: Any) -> Any:
    """A classifier with weights so large that its decisions differ from text to text."""
    torch.manual_seed(seed)
    stem, _ = FAMILIES[family]
    model = getattr(transformers, f"{stem}ForSequenceClassification")(config_of(family, rows, **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
            elif name.endswith("bias") and "classif" not in name:
                parameter.normal_(std=0.2)
    return model


def tokenizer_of(family: str, **options: Any) -> PreTrainedTokenizerFast:
    """Byte-level BPE; decoders' put <bos> before every text (not GPT-2's and Qwen's), encoders' <eos> after it too."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace("\u200b", "")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    around = "<bos> $A <eos>" if family in ENCODERS else "$A" if family in ("gpt2", "qwen2", "qwen3") else "<bos> $A"
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=[("<bos>", 2), ("<eos>", 1)])
    named: dict[str, Any] = {
        "model_max_length": WINDOW,
        "pad_token": "<pad>",
        "eos_token": "<eos>",
        "bos_token": "<bos>",
        "unk_token": "<unk>",
    }
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **(named | options))


def save(family: str, folder: Path, **changes: Any) -> Path:
    """The checkpoint of a family, model and tokenizer."""
    tokenizer = tokenizer_of(family)
    model_of(family, len(tokenizer), **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_wide(family: str, folder: Path, *, causal: bool) -> Path:
    """A decoder that reads 512 tokens, as a classifier or as a language model."""
    tokenizer = tokenizer_of(family, model_max_length=512)
    changes = {"n_positions" if family == "gpt2" else "max_position_embeddings": 512}
    model = model_of(family, len(tokenizer), **changes)
    if causal:
        stem = FAMILIES[family][0].removesuffix("Text")
        speaker = getattr(transformers, f"{stem}{'LMHeadModel' if family == 'gpt2' else 'ForCausalLM'}")(model.config)
        speaker.base_model.load_state_dict(model.base_model.state_dict())
        model = speaker.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_encoder(family: str, folder: Path, *, head: str = "Model", **changes: Any) -> Path:
    """An encoder that no head classifies with; its family may be one that is RoBERTa under another name."""
    tokenizer, like = tokenizer_of("bert"), family if family in FAMILIES else "roberta"
    model = model_of(like, len(tokenizer), **changes)
    stem = {"camembert": "Camembert", "xlm-roberta": "XLMRoberta"}.get(family, FAMILIES[like][0])
    config = getattr(transformers, f"{stem}Config").from_dict(model.config.to_dict() | {"model_type": family})
    torch.manual_seed(0)
    encoder = getattr(transformers, f"{stem}{head}")(config).eval()
    encoder.base_model.load_state_dict(model.base_model.state_dict(), strict=False)  # the pooler is not always there
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
