"""Hugging Face checkpoints on disk: which kind, loaded frozen, and one made into a router.

With `exact_loading` the only file of calib that imports transformers.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable
from routecal.calib.errors import UnknownName
from routecal.calib.policy import POLICIES, Policy
from routecal.calib.router.config_checks import DTYPES
from routecal.calib.router.exact_loading import config_of, model_of, quiet, read_model, readable, tokenizer_of
from routecal.calib.router.sentence_encoder import is_encoder, made_tensors, sentence_pooling, set_head

Kind = Literal["sequence_classification", "causal"]
# Encoder-decoders whose reading was compared with transformers' own.
ENCODER_DECODERS = ("bart",)
_SCORE = "score.weight"


def native_dtype(checkpoint: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype to compute in: the checkpoint's, or float32 where a CPU has no native bfloat16."""
    if device.type == "cpu" and checkpoint in (torch.float16, torch.bfloat16):
        cpu = torch.cpu.get_capabilities()
        native = cpu.get("avx512_bf16") or cpu.get("amx_bf16")
        return torch.bfloat16 if native and checkpoint is torch.bfloat16 else torch.float32
    return checkpoint


def kind_of(path: Path) -> Kind:
    """What the checkpoint's architecture makes of it.

    Raises:
        CheckpointMissing, CheckpointUnusable: the folder holds no checkpoint that can be read as it was saved.
        RouterUnusable: it is of neither kind.
    """
    config = config_of(path)
    architecture = str((config.architectures or ["none"])[0])
    if config.is_encoder_decoder and config.model_type not in ENCODER_DECODERS:
        raise RouterUnusable(
            str(path),
            f"{config.model_type} is an encoder-decoder, of which routecal reads only {', '.join(ENCODER_DECODERS)}; "
            "give a decoder (as Gemma, Llama, Qwen) or an encoder (as BERT, RoBERTa, DeBERTa, ModernBERT)",
        )
    if architecture.endswith("ForSequenceClassification"):
        if config.model_type in ENCODER_DECODERS and not config.is_encoder_decoder:
            raise CheckpointUnusable(
                str(path), f"config.json says that this {config.model_type} has no encoder; correct it"
            )
        return "sequence_classification"
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):  # the second is GPT-2's
        return "causal"
    raise RouterUnusable(
        str(path), f"its architecture is {architecture}; give a …ForSequenceClassification or …ForCausalLM checkpoint"
    )


def load(path: Path, kind: Kind, dtype: str, device: torch.device) -> tuple[Any, Any]:
    """Tokenizer and model, in evaluation mode; whoever uses them only infers.

    The parameters are *not* told that they need no gradient: in bfloat16 oneDNN then repacks every weight for each new
    shape. Generating, where shapes change with every token, took ten times as long: 29 s instead of 2.8 for 12 answers.

    Raises:
        CheckpointMissing, CheckpointUnusable: files are missing or damaged, or hold other tensors than the model has.
        UnknownName: there is no such dtype.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    if dtype != "auto" and dtype not in DTYPES:
        raise UnknownName("dtype", dtype, ("auto", *DTYPES))
    auto = AutoModelForSequenceClassification if kind == "sequence_classification" else AutoModelForCausalLM
    stored = getattr(torch, dtype) if dtype != "auto" else config_of(path).dtype or torch.float32
    model = model_of(auto, path, dtype=native_dtype(stored, device))
    tokenizer = tokenizer_of(path)
    # What a config may ask for beside the logits is not wanted, and changes what a call returns.
    model.config.return_dict = True
    model.config.output_hidden_states = False
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    evaluated: Any = model.eval()
    return tokenizer, evaluated.to(device)


def label_order(path: Path, model: Any) -> list[int]:
    """Column of the checkpoint's logits for each policy, in the order of POLICIES."""
    labels = {str(label): int(i) for i, label in model.config.id2label.items()}
    missing = [p.value for p in POLICIES if p.value not in labels]
    if missing and set(labels) < {p.value for p in Policy}:
        raise RouterUnusable(
            str(path),
            f"it has no label {' and no label '.join(missing)}, and a router has one for each of the three policies; "
            "train it with a score layer of three rows",
        )
    if set(labels) != {p.value for p in Policy} or len(model.config.id2label) != len(labels):
        raise RouterUnusable(
            str(path),
            f"its labels are {', '.join(sorted(labels))}, the policies are {', '.join(p.value for p in POLICIES)}; "
            "rename id2label in its config.json",
        )
    return [labels[p.value] for p in POLICIES]


def attach_routing_head(base: Path, weights: NDArray[np.float32] | None, folder: Path) -> None:
    """Save the base model as a sequence-classification checkpoint over the policies.

    Args:
        base: folder of a causal language model whose architecture has a classification variant with a linear `score`,
            or of a (sentence) encoder of BERT's kind, which gets a head on the mean of its tokens (`sentence_encoder`).
        weights: (3, d) of the linear head, in the order of `POLICIES`; with None it prefers no policy.
        folder: where the ordinary checkpoint (model and tokenizer) goes.

    Raises:
        CheckpointMissing, CheckpointUnusable: nothing at `base` that can be read as it was saved.
        RouterUnusable: it is neither of these, or its architecture has no linear score layer.
    """
    from transformers import AutoModelForSequenceClassification

    config, labels = config_of(base), {i: p.value for i, p in enumerate(POLICIES)}
    options = {"id2label": labels, "label2id": {v: k for k, v in labels.items()}, "dtype": "auto"}
    if encoder := is_encoder(base, config):
        pooling = sentence_pooling(base)
        config.num_hidden_layers += pooling == "mean"
        options["num_hidden_layers"] = config.num_hidden_layers
    elif kind_of(base) != "causal":
        raise RouterUnusable(str(base), "it is a classifier already; give a causal language model to train a head on")
    auto: Any = AutoModelForSequenceClassification
    with torch.device("meta"), quiet(), readable(base):  # what there would be, without its weights
        plan = auto.from_config(config, trust_remote_code=False)
    layer = getattr(plan, "score", None)
    if not encoder and (not isinstance(layer, torch.nn.Linear) or getattr(layer, "bias", None) is not None):
        raise RouterUnusable(str(base), f"{type(plan).__name__} has no linear score layer to train")
    tokenizer = tokenizer_of(base)
    # The head is new: what may be missing, and is set below.
    model = model_of(auto, base, made=made_tensors(plan, pooling) if encoder else (_SCORE,), **options)
    new = None if weights is None else torch.from_numpy(weights)
    if encoder:
        set_head(model, new, pooling)
    elif new is not None:  # all zero so far
        with torch.no_grad():
            model.score.weight.copy_(new)
    model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_gguf_as_checkpoint(source: Path, file: str, folder: Path) -> None:
    """Save the causal model in a GGUF file as an ordinary checkpoint in bfloat16.

    Args:
        source: folder of the file.
        file: its name.
        folder: where model and tokenizer go.

    Raises:
        CheckpointMissing, CheckpointUnusable: the file cannot be read, or lacks tensors of the model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with readable(source):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file, trust_remote_code=False)
    loaded = read_model(AutoModelForCausalLM, source, gguf_file=file, dtype=torch.bfloat16)
    # With the quantisation entry in its config the model refuses to be saved, though its weights are plain by now.
    plain = loaded.config.to_dict()
    plain.pop("quantization_config", None)
    with torch.device("meta"):  # no random weights first
        model = type(loaded)(type(loaded.config).from_dict(plain)).to(torch.bfloat16)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
