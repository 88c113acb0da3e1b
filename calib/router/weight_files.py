"""The files of a checkpoint folder, looked at before a library reads them: what they hold, and what they are not.

Each of these is a folder from which transformers would make some model without a word, and not the one that was saved:
an adapter that is not merged, shards that overlap, weights stored as integers. And these end in a sentence that
misleads: a Git LFS pointer, half a file, pickled weights.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# A tokenizer is at least one of these; without them transformers makes up an empty one.
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
)
_POINTER = b"version https://git-lfs.github.com/spec/"
FLOATS = {"F64", "F32", "F16", "BF16"}


class StoredTensors(NamedTuple):
    """One tensor of a file: its dtype as safetensors names it, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def check_folder(path: str | Path) -> Path:
    """The folder, if it is one whose model and tokenizer can be read as they lie there.

    Raises:
        CheckpointMissing: no such folder, or config.json or the tokenizer is missing in it.
        CheckpointUnusable: a file is a Git LFS pointer, or an adapter lies there that is not merged.
    """
    folder = Path(path).expanduser()
    files = sorted(f for f in folder.iterdir() if f.is_file()) if folder.is_dir() else []
    if adapters := [name for name in _ADAPTERS if (folder / name).is_file()]:
        raise CheckpointUnusable(
            str(path),
            f"{adapters[0]} is part of an adapter (PEFT, LoRA) that is not merged into a model; merge it with "
            "model.merge_and_unload(), save that with save_pretrained, tokenizer included, and give that folder",
        )
    for file in files:
        if is_pointer(file):
            raise CheckpointUnusable(
                str(path), f"{file.name} is a Git LFS pointer, not the file itself; run git lfs pull in that repository"
            )
    if not (folder / "config.json").is_file():
        raise CheckpointMissing(str(path), "Hugging Face checkpoint (config.json)")
    return folder


def check_tokenizer(folder: Path) -> None:
    """Refuse, with CheckpointMissing, a folder without a tokenizer's vocabulary."""
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise CheckpointMissing(
            str(folder), "tokenizer (tokenizer.json or a vocabulary); save it there with tokenizer.save_pretrained"
        )


def is_pointer(file: Path) -> bool:
    """Whether the file is what Git leaves where Git LFS would put a large file."""
    if file.stat().st_size > 1024:
        return False
    return file.read_bytes().startswith(_POINTER)


def stored_tensors(folder: Path) -> dict[str, StoredTensors]:
    """Every tensor of the folder's safetensors files, read from their headers alone.

    Raises:
        CheckpointMissing: no such file, a shard is missing, or a file is cut short or damaged.
        CheckpointUnusable: only pickled weights are there, or two shards hold one tensor.
    """
    found: dict[str, StoredTensors] = {}
    for file in _files(folder):
        try:
            with safe_open(file, framework="np") as opened:
                names = list(opened.keys())
                parts = {name: opened.get_slice(name) for name in names}
                tensors = {n: StoredTensors(str(p.get_dtype()), tuple(p.get_shape())) for n, p in parts.items()}
        except (SafetensorError, OSError, ValueError) as error:
            reason = f"{file.name} is damaged or cut short: {error}; copy or download it again"
            raise CheckpointMissing(str(folder), f"complete Hugging Face checkpoint ({reason})") from error
        if twice := found.keys() & tensors.keys():
            raise CheckpointUnusable(str(folder), f"{min(twice)} is in two of its files; save the checkpoint again")
        found |= tensors
    return found


def check_numbers(folder: Path, tensors: Mapping[str, StoredTensors]) -> None:
    """Refuse, with CheckpointUnusable, tensors that are not stored as floating-point numbers of 16 bits or more.

    Args:
        folder: of the checkpoint.
        tensors: of its files that are weights.
    """
    odd = {name: t.dtype for name, t in tensors.items() if t.dtype not in FLOATS}
    if odd:
        name, dtype = next(iter(odd.items()))
        raise CheckpointUnusable(
            str(folder),
            f"{name} is stored as {dtype} ({len(odd)} such of {len(tensors)} tensors), and routecal reads weights in "
            "float32, float16 or bfloat16; if it is quantised, dequantise it and save it again with save_pretrained",
        )


def _files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model, one or the shards of an index."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if not (folder / _INDEX).is_file():
        if pickled := next((f.name for kind in _PICKLED for f in sorted(folder.glob(kind))), None):
            raise CheckpointUnusable(
                str(folder),
                f"its weights are pickled ({pickled}), which runs code when opened; load it where you trust it and "
                "save it with save_pretrained, which writes model.safetensors",
            )
        raise CheckpointMissing(str(folder), f"complete Hugging Face checkpoint (there is no {_WEIGHTS})")
    try:
        weight_map = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"]
        shards = sorted({folder / str(name) for name in weight_map.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{_INDEX} is damaged; copy or download it again"
        raise CheckpointMissing(str(folder), f"complete Hugging Face checkpoint ({reason})") from error
    if gone := [f.name for f in shards if not f.is_file()]:
        reason = f"{len(gone)} of {len(shards)} shards are missing, first {gone[0]}; copy or download them"
        raise CheckpointMissing(str(folder), f"complete Hugging Face checkpoint ({reason})")
    return shards
