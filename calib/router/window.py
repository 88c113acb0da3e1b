"""How many tokens a checkpoint can read at once, and how far its layers look back."""

from typing import Any

import torch

from routecal.calib.checkpoint_errors import RouterUnusable


def window_of(path: str, model: Any, tokenizer: Any, wanted: int | None) -> int:
    """Tokens that can be read: the least of what is wanted and of what config, tokenizer and position table allow.

    Raises:
        RouterUnusable: that is no window.
    """
    config = model.config.get_text_config()
    said = (wanted, getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    window = min(int(w) for w in (*said, learned_positions(model)) if w is not None)
    if window < 1:
        raise RouterUnusable(
            path,
            f"{config.model_type} names a window of {window} tokens; give a decoder (as Gemma, Llama, Qwen) or an "
            "encoder (as BERT, RoBERTa, DeBERTa, ModernBERT), and a tokenizer with a positive model_max_length",
        )
    return window


def learned_positions(model: Any) -> int | None:
    """Tokens that the model's table of learned positions has room for; None where positions are computed.

    A table with a padding index (RoBERTa's, MPNet's) keeps the rows up to it for padding; some classes skip `offset`
    rows.
    """
    sizes = [
        module.num_embeddings - int(getattr(module, "offset", 0)) - (-1 if (i := module.padding_idx) is None else i) - 1
        for name, module in model.base_model.named_modules()
        if isinstance(module, torch.nn.Embedding) and ("position" in name or name.rpartition(".")[2] == "wpe")
    ]
    return min(sizes, default=None)


def sliding_window(model: Any) -> float:
    """Tokens that a token of the nearest-sighted layer looks back at; infinity where every layer sees all."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    width = getattr(config, "sliding_window", None)
    if width is None or (kinds is not None and all(kind == "full_attention" for kind in kinds)):
        return float("inf")
    return float(width)
