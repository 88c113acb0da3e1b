"""Ways to change a checkpoint's folder after it was saved."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


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
