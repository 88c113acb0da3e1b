"""Whether the tensors of a checkpoint's files are those of the model that its config describes; none is made up."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import CheckpointUnusable

# Buffers that older versions saved and every model computes by itself. Nothing else may be left over but the next two:
# a tensor that nobody reads shows that the config is not the one that the weights were saved with.
_BUFFER = re.compile(
    r"(^|\.)(rotary_emb\.inv_freq|position_ids|token_type_ids|(encoder|decoder)\.version"
    r"|attn\.masked_bias|attn\.bias|attention\.masked_bias|attention\.bias)$"  # the last: causal masks of GPT-2 kinds
)
# Of BERT kinds whose head does not use it.
_POOLER = re.compile(r"(^|\.)pooler\.dense\.(weight|bias)$")
# What a causal model has and a classifier made of it does not.
_LANGUAGE_HEAD = re.compile(r"^(lm_head|embed_out|cls)\.")
_CLASSIFICATION_HEAD = re.compile(r"(^|\.)(score|classifier|classification_head|head|pooler|qa_outputs)\.")
_LAYER = re.compile(r"\.(layers?|h|block)\.\d+\.")

# Part of a tensor's name -> who saved it so, and what to do.
_WRAPPED = {
    "_orig_mod.": "they were saved from a model that torch.compile had wrapped; save model._orig_mod",
    "base_model.model.": "they were saved from a PEFT model; merge it with model.merge_and_unload() and save that",
    "lora_": "they hold a LoRA adapter that is not merged; merge it with model.merge_and_unload() and save that",
    "modules_to_save.": "they were saved from a PEFT model; merge it with model.merge_and_unload() and save that",
    "_fsdp_wrapped_module.": "they were saved from a model that FSDP had wrapped; gather the full state and save that",
    "_forward_module.": "they were saved from a model that a trainer had wrapped; save the model inside it",
    "module.": "they were saved from a model that DistributedDataParallel had wrapped; save model.module",
}
_SHOWN = 3


class Loading(NamedTuple):
    """What a library says of loading: names that were missing, not expected, and of another shape than the model's."""

    missing: Collection[str]
    unexpected: Collection[str]
    mismatched: Collection[tuple[str, Any, Any]]


def check_fit(path: str, loading: Loading, *, made: Collection[str] = (), classifies: bool) -> None:
    """Refuse, with CheckpointUnusable, a model any of whose tensors was not read, or files with tensors for another.

    Args:
        path: of the checkpoint, for messages.
        loading: what was found.
        made: names that may be missing, as the caller sets them.
        classifies: a language model's head may be left over.
    """
    missing = sorted(set(loading.missing) - set(made))
    odd = (name for name in loading.unexpected if not is_buffer(name) and not _POOLER.search(name))
    unexpected = sorted(name for name in odd if not (classifies and _LANGUAGE_HEAD.search(name)))
    if missing or unexpected:
        found = [
            f"lack {len(missing)} of the model's tensors ({_some(missing)})" * bool(missing),
            f"hold {len(unexpected)} that the model does not have ({_some(unexpected)})" * bool(unexpected),
        ]
        raise CheckpointUnusable(path, f"its files {' and '.join(filter(None, found))}; {_cause(missing, unexpected)}")
    if loading.mismatched:
        name, stored, wanted = min(loading.mismatched)
        raise CheckpointUnusable(
            path,
            f"{name} has the shape {tuple(stored)} in its files and {tuple(wanted)} by its config.json "
            f"({len(loading.mismatched)} such); config and weights must be those of one model: save it again",
        )


def is_buffer(name: str) -> bool:
    """Whether a tensor of that name is one that models compute by themselves."""
    return _BUFFER.search(name) is not None


def check_finite(path: str, model: torch.nn.Module) -> None:
    """Refuse, with CheckpointUnusable, a model that holds NaN or infinity."""
    if bad := [name for name, tensor in _tensors(model) if not _is_finite(tensor)]:
        raise CheckpointUnusable(
            path, f"NaN or infinity is in {len(bad)} of its tensors ({_some(bad)}); train or save the model again"
        )


def left_out(patterns: Iterable[str] | None, wanted: Iterable[str], there: Collection[str]) -> set[str]:
    """Names of `wanted` that a library's patterns hide from its report, though they are not among `there`."""
    rules = [re.compile(pattern) for pattern in patterns or ()]
    return {name for name in wanted if name not in there and any(rule.search(name) for rule in rules)}


def _tensors(model: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((name, tensor.detach()) for name, tensor in model.named_parameters())
    # Masks are minus infinity by design where they are floats at all; only what is saved is weights.
    saved = set(model.state_dict(keep_vars=True))
    yield from ((name, tensor) for name, tensor in model.named_buffers() if name in saved)


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # NaN passes through; neither allocates a copy of the tensor
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _some(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    return ", ".join(shown) + ", …" * (len(names) > _SHOWN)


def _cause(missing: list[str], unexpected: list[str]) -> str:
    """The likeliest reason, and what to do."""
    for part, advice in _WRAPPED.items():
        if any(name.startswith(part) or f".{part}" in f".{name}" for name in unexpected):
            return f"{advice} with save_pretrained"
    if missing and not unexpected:
        if all(_CLASSIFICATION_HEAD.search(name) for name in missing):
            return (
                "the classification head was not saved, or config.json names another architecture than was saved; "
                "save the trained classifier, or make one of a base model with routecal train-router"
            )
        if all(_LANGUAGE_HEAD.search(name) for name in missing):
            return "the output layer was not saved, and config.json does not tie it to the embedding; save it again"
    if unexpected and not missing and all(_CLASSIFICATION_HEAD.search(name) for name in unexpected):
        return "config.json names another architecture than was saved; give it the one of the saved classifier"
    if any(_LAYER.search(name) for name in unexpected) and not missing:
        return "config.json asks for less than was saved (num_hidden_layers, say); use the config saved with it"
    return "config.json and weights must be those of one model, saved together: save it again with save_pretrained"
