"""Hugging Face checkpoints on disk: which kind, loaded frozen, and one made into a router.

The only file of calib that imports transformers. Custom code in a checkpoint is never run (`trust_remote_code` is off).
"""

import logging as stdlib_logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from calib.errors import CalibError, CheckpointMissing, RouterUnusable
from calib.policy import POLICIES, Policy

Kind = Literal["sequence_classification", "causal"]


def native_dtype(checkpoint: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype to compute in: the checkpoint's, or float32 where a CPU has no native bfloat16."""
    if device.type == "cpu" and checkpoint in (torch.float16, torch.bfloat16):
        cpu = torch.cpu.get_capabilities()
        native = cpu.get("avx512_bf16") or cpu.get("amx_bf16")
        return torch.bfloat16 if native and checkpoint is torch.bfloat16 else torch.float32
    return checkpoint


def kind_of(path: Path) -> Kind:
    """What the checkpoint's architecture makes of it; RouterUnusable when neither kind."""
    from transformers import AutoConfig

    with _readable(path):
        architecture = (AutoConfig.from_pretrained(path, trust_remote_code=False).architectures or ["none"])[0]
    if architecture.endswith("ForSequenceClassification"):
        return "sequence_classification"
    if architecture.endswith("ForCausalLM"):
        return "causal"
    raise RouterUnusable(
        str(path), f"its architecture is {architecture}; give a …ForSequenceClassification or …ForCausalLM checkpoint"
    )


def load(path: Path, kind: Kind, dtype: str, device: torch.device) -> tuple[Any, Any]:
    """Tokenizer and model, in evaluation mode; whoever uses them only infers.

    The parameters are *not* told that they need no gradient: in bfloat16 oneDNN then repacks every weight for each new
    shape. Generating, where shapes change with every token, took ten times as long: 29 s instead of 2.8 for 12 answers.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    cls = AutoModelForSequenceClassification if kind == "sequence_classification" else AutoModelForCausalLM
    with _readable(path):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        stored = getattr(torch, dtype) if dtype != "auto" else config.dtype or torch.float32
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = cls.from_pretrained(path, trust_remote_code=False, dtype=native_dtype(stored, device))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    evaluated: Any = model.eval()
    return tokenizer, evaluated.to(device)


def label_order(path: Path, model: Any) -> list[int]:
    """Column of the checkpoint's logits for each policy, in the order of POLICIES."""
    labels = {str(label): int(i) for i, label in model.config.id2label.items()}
    if set(labels) != {p.value for p in Policy}:
        raise RouterUnusable(
            str(path),
            f"its labels are {', '.join(sorted(labels))}, the policies are {', '.join(p.value for p in POLICIES)}; "
            "rename id2label in its config.json",
        )
    return [labels[p.value] for p in POLICIES]


def attach_routing_head(base: Path, weights: NDArray[np.float32] | None, folder: Path) -> None:
    """Save the causal model at `base` as a sequence-classification checkpoint over the policies.

    Args:
        base: folder of a causal-LM checkpoint whose architecture has a classification variant with a linear `score`.
        weights: (3, d) of the score layer, in the order of `POLICIES`; None makes them zero.
        folder: where the ordinary checkpoint (model and tokenizer) goes.

    Raises:
        CheckpointMissing: nothing to load at `base`.
        RouterUnusable: the architecture has no linear score layer.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not (base / "config.json").is_file():
        raise CheckpointMissing(str(base), "Hugging Face checkpoint (config.json)")
    labels = {i: p.value for i, p in enumerate(POLICIES)}
    # The score layer is new, which transformers would announce as a fault.
    with _quiet(), _readable(base):
        model = AutoModelForSequenceClassification.from_pretrained(
            base, id2label=labels, label2id={v: k for k, v in labels.items()}, dtype="auto", trust_remote_code=False
        )
    score = getattr(model, "score", None)
    if not isinstance(score, torch.nn.Linear):
        raise RouterUnusable(str(base), f"{type(model).__name__} has no linear score layer to train")
    new = torch.zeros(len(POLICIES), score.in_features) if weights is None else torch.from_numpy(weights)
    with torch.no_grad():
        score.weight.copy_(new)
    with _readable(base):
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what reading a damaged or foreign checkpoint raises into CheckpointMissing."""
    try:
        yield
    except (CalibError, MemoryError):
        raise
    # Every format, tokenizer and architecture fails in its own way: OSError, SafetensorError, KeyError, RuntimeError …
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointMissing(str(path), f"complete Hugging Face checkpoint ({reason})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' warnings to itself for the block."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(stdlib_logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
