"""A sentence encoder as a router: a linear routing head on the mean over its tokens, in transformers' own classes.

Heads of BERT's kind read the first token, through a dense layer and a tanh; sentence encoders are trained to be read by
the mean of all tokens. No class of transformers puts a linear layer on that mean, but its parts do, with weights that
are set here and not trained:

- one more layer. Its queries and keys are zero, so it attends to all real tokens alike; its values and output pass on
  what they get, `LOUD` times; so every token, the first too, becomes the mean, and what it was itself is left as one
  part in `LOUD`. The layer's norm makes its mean 0 and its variance 1: as normalised as the embedding of a sentence.
- the head's dense layer makes states `QUIET` times as large, where a tanh is the identity to one part in 10,000, and
  its last layer undoes that.

The result is an ordinary checkpoint with one layer more, whose logits are `weights @ hidden`.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable

# Those whose layers, and whose tanh before the last layer of the head, are BERT's.
FAMILIES = ("bert", "camembert", "roberta", "xlm-roberta")
# Powers of two, which change no digit. States of 16 in float16 bear both.
LOUD, QUIET = 2.0**12, 2.0**-8

SentencePooling = Literal["mean", "cls"]
_POOLING = Path("1_Pooling", "config.json")


def is_encoder(path: Path, config: Any) -> bool:
    """Whether a base model is an encoder that can get a routing head; else it may be a causal language model.

    Args:
        path: of the checkpoint, for messages.
        config: of the checkpoint.

    Raises:
        RouterUnusable: it has no head, or that of an encoder, and is of another type.
    """
    architecture = str((config.architectures or ["none"])[0])
    if not architecture.endswith(("Model", "ForMaskedLM")) or architecture.endswith("LMHeadModel"):
        return False
    if config.model_type not in FAMILIES or config.is_decoder:
        raise RouterUnusable(
            str(path),
            f"its architecture is {architecture}, and a routing head is trained on a causal language model "
            f"(…ForCausalLM) or on an encoder of the types {', '.join(FAMILIES)}",
        )
    return True


def sentence_pooling(folder: Path) -> SentencePooling:
    """What makes an encoder's states one vector, as sentence-transformers wrote it beside them; else the mean.

    Raises:
        CheckpointUnusable: that file is damaged.
        RouterUnusable: it is neither the mean nor the first token.
    """
    file = folder / _POOLING
    if not file.is_file():
        return "mean"
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        # Its versions before 6 wrote a switch for each.
        old = [name.removeprefix("pooling_mode_").removesuffix("_tokens") for name, on in said.items() if on is True]
        modes = said.get("pooling_mode", [name.removesuffix("_token") for name in old if name != "include_prompt"])
    except (ValueError, AttributeError) as error:
        raise CheckpointUnusable(str(folder), f"{_POOLING} is damaged; copy or download it again") from error
    for pooling in ("mean", "cls"):
        if modes in (pooling, [pooling]):
            return pooling
    raise RouterUnusable(
        str(folder),
        f"{_POOLING} makes a sentence of its tokens by {modes}, and a routing head reads their mean or the first "
        "(cls); give another encoder",
    )


def made_tensors(plan: Any, pooling: SentencePooling) -> tuple[str, ...]:
    """Names of the tensors that `set_head` sets: the head's, and those of the layer that it adds.

    Args:
        plan: the sequence classifier, with that layer.
        pooling: of the encoder.
    """
    layer = f".layer.{plan.config.num_hidden_layers - 1}." if pooling == "mean" else None
    return tuple(
        name
        for name, _ in plan.named_parameters()
        if not name.startswith(f"{plan.base_model_prefix}.")
        or ".pooler." in name
        or (layer is not None and layer in name)
    )


def set_head(model: Any, weights: torch.Tensor | None, pooling: SentencePooling) -> None:
    """Set the tensors of `made_tensors`, all zero so far.

    Args:
        model: the sequence classifier.
        weights: (3, d) in the order of `POLICIES`; with None the policies' logits are equal, and not zero: it is by its
            logits that a router finds out which token a head reads.
        pooling: of the encoder.
    """
    # RoBERTa's kind keeps its dense layer in the head, BERT's in the encoder.
    head = model.classifier
    dense, last = (model.base_model.pooler.dense, head) if hasattr(head, "weight") else (head.dense, head.out_proj)
    if weights is None:
        weights = torch.full_like(last.weight, 1 / last.in_features)
    with torch.no_grad():
        dense.weight.fill_diagonal_(QUIET)
        last.weight.copy_(weights / QUIET)
        if pooling == "mean":
            layer = model.base_model.encoder.layer[-1]
            layer.attention.self.value.weight.fill_diagonal_(1.0)
            layer.attention.output.dense.weight.fill_diagonal_(LOUD)
            for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
                norm.weight.fill_(1.0)
