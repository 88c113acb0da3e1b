"""Values of a checkpoint's config.json that no model can have, or that contradict one another.

A library takes several of them without a word: labels that two tables number differently, a token id that no embedding
holds, a dtype that cuts weights to integers.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable

DTYPES = ("float32", "float16", "bfloat16", "float64")
_COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "head_dim",
    "max_position_embeddings",
    "sliding_window",
)
# Counts that no tensor shows.
_NO_TENSOR = ("max_position_embeddings", "sliding_window", "n_positions")
# What some families call them; a library divides by these before anybody can look.
_OTHER_NAMES = (
    "n_embd",
    "n_layer",
    "n_head",
    "n_positions",
    "d_model",
    *(f"{side}_{size}" for side in ("encoder", "decoder") for size in ("layers", "attention_heads", "ffn_dim")),
)
# Far more than any model has; a library makes a list of that length before anybody can look.
_MOST_LAYERS = 10_000
_NOT_NEGATIVE = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps")
_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "decoder_start_token_id")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json as it is written, with the values checked that need no architecture.

    Raises:
        CheckpointMissing: it is not a JSON object.
        CheckpointUnusable: a value that no checkpoint can have, or one that is quantised.
    """
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointMissing(str(folder), f"complete Hugging Face checkpoint (config.json: {error})") from error
    if not isinstance(raw, dict):
        raise CheckpointMissing(str(folder), "complete Hugging Face checkpoint (config.json is not a JSON object)")
    if raw.get("quantization_config") is not None or raw.get("compression_config") is not None:
        raise CheckpointUnusable(
            str(folder),
            "it is quantised (quantization_config in its config.json), and routecal reads weights in float32, float16 "
            "or bfloat16; load it, call model.dequantize() and save that with save_pretrained",
        )
    for name in ("dtype", "torch_dtype"):
        value = raw.get(name)
        if value is not None and str(value).removeprefix("torch.") not in DTYPES:
            raise CheckpointUnusable(
                str(folder), f"config.json has {name} = {value!r}; give the dtype of its weights: {', '.join(DTYPES)}"
            )
    architectures = raw.get("architectures")
    if architectures is not None and not (
        isinstance(architectures, list) and all(isinstance(name, str) for name in architectures)
    ):
        raise CheckpointUnusable(
            str(folder), "architectures of its config.json is not a list of names; use the config saved with the model"
        )
    for name in (*_COUNTS, *_OTHER_NAMES):
        value = raw.get(name)
        if not isinstance(value, int) or not _is_whole(value) or _is_no_window(name, value):
            continue
        if value < 1 or (_counts_layers(name) and value > _MOST_LAYERS):
            most = f" and at most {_MOST_LAYERS}" * _counts_layers(name)
            raise CheckpointUnusable(
                str(folder),
                f"config.json has {name} = {value}; it must be at least 1{most}. Use the config saved with it",
            )
    _check_labels(folder, raw)
    return raw


def check_values(folder: Path, config: Any) -> None:
    """Refuse, with CheckpointUnusable, sizes and ids that no model can have.

    Args:
        folder: of the checkpoint.
        config: of the text model, as a library read it.
    """
    for name, wrong in _wrong(config):
        raise CheckpointUnusable(
            str(folder), f"config.json has {name} = {getattr(config, name)!r}; {wrong}. Use the config saved with it"
        )


def check_room(folder: Path, config: Any, n_tensors: int, widest: int) -> None:
    """Refuse, with CheckpointUnusable, sizes far beyond what is stored: a library would fill the memory with them.

    Args:
        folder: of the checkpoint.
        config: of the text model.
        n_tensors: in its files.
        widest: largest dimension of any of them.
    """
    for name in (*_COUNTS, *_OTHER_NAMES):
        value = getattr(config, name, None)
        if not isinstance(value, int):
            continue
        if value > (n_tensors if _counts_layers(name) else 16 * widest) and name not in _NO_TENSOR:
            raise CheckpointUnusable(
                str(folder),
                f"config.json has {name} = {value}, and its files hold {n_tensors} tensors of at most {widest} rows or "
                "columns. Use the config saved with it",
            )


def _wrong(config: Any) -> Iterator[tuple[str, str]]:
    for name in _COUNTS:
        value = getattr(config, name, None)
        # some families give one number per layer
        if (
            value is not None
            and not isinstance(value, list | tuple)
            and not _is_no_window(name, value)
            and not (_is_whole(value) and value >= 1)
        ):
            yield name, "it must be a whole number, at least 1"
    for name in _NOT_NEGATIVE:
        value = getattr(config, name, None)
        if value is not None and not (_is_number(value) and value >= 0):
            yield name, "it must be a number, at least 0"
    rope = getattr(config, "rope_parameters", None)
    if isinstance(rope, Mapping):
        thetas = [part.get("rope_theta") for part in (rope, *rope.values()) if isinstance(part, Mapping)]
        if not all(_is_number(theta) and theta > 0 for theta in thetas if theta is not None):
            yield "rope_parameters", "rope_theta must be a positive number"
    rows = getattr(config, "vocab_size", None)
    for name in _IDS:
        value = getattr(config, name, None)
        ids = value if isinstance(value, list | tuple) else [value]
        if rows is not None and not all(i is None or (_is_whole(i) and 0 <= i < rows) for i in ids):
            yield name, f"ids of its vocabulary are 0 to {rows - 1}"


def _counts_layers(name: str) -> bool:
    return name.endswith(("layers", "n_layer"))


def _is_no_window(name: str, value: object) -> bool:
    """As XLNet says that it has none; who reads the window looks at it."""
    return name == "max_position_embeddings" and value == -1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_labels(folder: Path, raw: Mapping[str, Any]) -> None:
    """Refuse labels whose two tables, or whose number, contradict one another."""
    names, ids = raw.get("id2label"), raw.get("label2id")
    if names is None:
        return
    try:
        labels = {int(i): str(label) for i, label in names.items()}
        back = None if ids is None else {int(i): str(label) for label, i in ids.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointUnusable(
            str(folder), "id2label or label2id of its config.json is not a table of labels"
        ) from error
    n = raw.get("num_labels")
    if sorted(labels) != list(range(len(labels))) or (n is not None and n != len(labels)):
        raise CheckpointUnusable(
            str(folder), f"id2label of its config.json must number its labels from 0 to {len(labels) - 1}, each once"
        )
    if back is not None and back != labels:
        raise CheckpointUnusable(
            str(folder),
            f"its config.json numbers labels as {labels} in id2label and as {back} in label2id; correct one",
        )
