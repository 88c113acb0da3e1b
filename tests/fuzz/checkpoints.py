"""Seeded edits of tiny checkpoints: one tensor dropped, renamed, reshaped or retyped, or one config field edited.

    python -m tests.fuzz.checkpoints [cases] [seed]

Every case must end in one of these:

- refused: opening the router raises a CalibError, whose sentence is not empty;
- read: the router opens, and what was loaded is one definite, complete model: two loads by transformers itself give
  tensors equal bit for bit (so that none is drawn at random), and the router's logits are those of transformers' own
  forward pass on the edited checkpoint, one text at a time.

An edited config cannot in general be told from the config of another model; what must not happen is that answers come
from tensors that nobody saved, or that they are others than the library's own. All else fails the case: a silent load
(`silent`), or an exception that is no CalibError (`traceback`).
"""

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from routecal.calib.errors import CalibError
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import config_of, model_of, tokenizer_of

TEXTS = ["Hi", "What is the capital of France?", "Who built the oldest bridge<eos>"]
# Classifiers, and a language model that says the policy with its output layer tied to the embedding or not.
SUBJECTS = ("llama", "gemma3", "gpt2", "bert", "roberta", "modernbert", "deberta-v2", "bart", "says", "says-tied")
KINDS = ("drop", "rename", "reshape", "retype", "config")
PREFIXES = ("_orig_mod.", "module.", "base_model.model.", "model.", "transformer.", "_fsdp_wrapped_module.")
DTYPES = (torch.int8, torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float16, torch.float64)


class Case(NamedTuple):
    """One edit: what was edited how, and how it ended."""

    subject: str
    kind: str
    edit: str
    verdict: str
    said: str


class Subject(NamedTuple):
    """A whole checkpoint to edit."""

    tensors: dict[str, Tensor]
    config: dict[str, Any]
    folder: Path
    is_causal: bool


def run(n: int, seed: int, scratch: Path) -> Iterator[Case]:
    """`n` cases, the same for the same seed."""
    draw = random.Random(seed)
    subjects = {name: _subject(name, scratch / name) for name in SUBJECTS}
    for i in range(n):
        name = SUBJECTS[i % len(SUBJECTS)]
        # half of the cases edit the config, which has more to edit
        kind = KINDS[i // len(SUBJECTS) % 4] if draw.random() < 0.5 else "config"
        subject = subjects[name]
        tensors, config = dict(subject.tensors), json.loads(json.dumps(subject.config))
        edit = _edit_config(config, draw) if kind == "config" else _edit_tensor(tensors, kind, draw)
        save_file(tensors, subject.folder / "model.safetensors", metadata={"format": "pt"})
        (subject.folder / "config.json").write_text(json.dumps(config))
        verdict, said = _verdict(subject)
        yield Case(name, kind, edit, verdict, said)


def _subject(name: str, folder: Path) -> Subject:
    family = "llama" if name.startswith("says") else name
    tokenizer = tokenizer_of(family)
    if name.startswith("says"):
        torch.manual_seed(0)
        config = config_of(family, len(tokenizer), tie_word_embeddings=name == "says-tied")
        model = AutoModelForCausalLM.from_config(config)
    else:
        model = model_of(family, len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Subject(
        load_file(folder / "model.safetensors"),
        json.loads((folder / "config.json").read_text()),
        folder,
        name.startswith("says"),
    )


def _edit_tensor(tensors: dict[str, Tensor], kind: str, draw: random.Random) -> str:
    name = draw.choice(sorted(tensors))
    tensor = tensors.pop(name)
    if kind == "drop":
        return name
    if kind == "rename":
        renamed = draw.choice([draw.choice(PREFIXES) + name, name + "_", name.replace(".0.", ".7."), name[1:]])
        renamed = name + "2" if renamed == name else renamed
        tensors[renamed] = tensor
        return f"{name} -> {renamed}"
    if kind == "reshape":
        shapes = [(-1,), (1, *tensor.shape), (*tensor.shape, 1), tuple(reversed(tensor.shape))]
        ways = [tensor.reshape(s) for s in shapes] + [tensor[:-1], torch.cat([tensor, tensor[:1]])]
        changed = draw.choice([way for way in ways if way.shape != tensor.shape])
        tensors[name] = changed.contiguous()
        return f"{name} {tuple(tensor.shape)} -> {tuple(changed.shape)}"
    dtype = draw.choice(DTYPES)
    tensors[name] = tensor.to(dtype)
    return f"{name} as {dtype}"


def _edit_config(config: dict[str, Any], draw: random.Random) -> str:
    """Edit one field, or one inside it."""
    name = draw.choice(sorted(config))
    place, key = config, name
    if isinstance(config[name], dict) and config[name] and draw.random() < 0.7:
        place, key = config[name], draw.choice(sorted(config[name]))
    value = place[key]
    if draw.random() < 0.1:
        del place[key]
        return f"{name}.{key} deleted"
    ways: list[Any] = [None, "gelu", "full_attention", -1, 0, [], {}, 1e30]
    if isinstance(value, bool):
        ways += [not value] * 8
    elif isinstance(value, int | float):
        ways += [value + 1, value * 2, -value, value / 2, value // 2, value - 1, 10**6, float(value), str(value)]
    elif isinstance(value, str):
        ways += [value + "x", value.upper(), "", "relu", "sliding_attention", "Complex_Query"]
    elif isinstance(value, list):
        ways += [value[:-1], value + value, value[::-1], ["sliding_attention"] * len(value)]
    place[key] = draw.choice([way for way in ways if way != value or type(way) is not type(value)])
    return f"{name}.{key} = {value!r} -> {place[key]!r}"


def _verdict(subject: Subject) -> tuple[str, str]:
    try:
        router = FrozenRouter(subject.folder)
    except CalibError as error:
        sentence = str(error)
        return ("refused", sentence) if len(sentence) > 20 and "\n" not in sentence else ("traceback", sentence)
    except Exception as error:
        return "traceback", repr(error)
    try:
        logits = torch.from_numpy(router.read(TEXTS).logits)
        own, same = _by_transformers(subject, router)
    except Exception as error:
        return "traceback", repr(error)
    if not same:
        return "silent", "two loads differ"
    apart = float((logits - own).abs().max())
    return ("read", "") if apart <= 1e-3 * (1 + float(own.abs().max())) else ("silent", f"logits differ by {apart:.3g}")


def _by_transformers(subject: Subject, router: FrozenRouter) -> tuple[Tensor, bool]:
    """Logits by transformers' own forward pass, one text at a time, and whether two loads are equal bit for bit."""
    auto = AutoModelForCausalLM if subject.is_causal else AutoModelForSequenceClassification
    dtype = getattr(torch, router.schema["dtype"])
    loads = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        loads.append(auto.from_pretrained(subject.folder, dtype=dtype, ignore_mismatched_sizes=True).eval())
    one, other = (model.state_dict() for model in loads)
    same = all(torch.equal(one[name], other[name]) for name in one)
    tokenizer, model = AutoTokenizer.from_pretrained(subject.folder), loads[0]
    rows = []
    with torch.inference_mode():
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            if subject.is_causal:
                names = [tokenizer(p.value, add_special_tokens=False)["input_ids"] for p in POLICIES]
                rows.append([_said(model, ids, name) for name in names])
            else:
                logits = model(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))[0][0]
                by_name = {label: float(logits[i]) for i, label in model.config.id2label.items()}
                rows.append([by_name[p.value] for p in POLICIES])
    return torch.tensor(rows), same


def _said(model: Any, ids: list[int], name: list[int]) -> float:
    whole = torch.tensor([ids + name])
    log_p = model(whole, attention_mask=torch.ones_like(whole))[0][0].float().log_softmax(-1)
    return float(sum(log_p[len(ids) - 1 + t, token] for t, token in enumerate(name)))


def main(n: int = 1000, seed: int = 0) -> int:
    """Run the cases, print what failed and a table; 1 if any failed."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    scratch = Path(tempfile.mkdtemp())
    table: Counter[tuple[str, str]] = Counter()
    failed = 0
    try:
        for case in run(n, seed, scratch):
            table[case.kind, case.verdict] += 1
            if table.total() % 100 == 0:
                print(f"{table.total()} of {n}", flush=True)
            if case.verdict not in ("refused", "read") or "-v" in sys.argv:
                print(*case, sep=" | ")
            failed += case.verdict not in ("refused", "read")
    finally:
        shutil.rmtree(scratch)
    for (kind, verdict), count in sorted(table.items()):
        print(f"{kind:8} {verdict:10} {count}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:] if argument.isdigit())))
