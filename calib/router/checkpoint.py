"""Hugging Face checkpoints on disk: which kind, loaded frozen, and one made into a router.

The only file of calib that imports transformers. Custom code in a checkpoint is never run (`trust_remote_code` is off).
Every model comes from `_model`, which refuses one that is not, tensor for tensor, what was saved: the library itself
draws at random what it does not find.
"""

import logging as stdlib_logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from routecal.calib.errors import CalibError, CheckpointMissing, CheckpointUnusable, RouterUnusable, UnknownName
from routecal.calib.policy import POLICIES, Policy
from routecal.calib.router.config_checks import DTYPES, check_room, check_values, read_config
from routecal.calib.router.weight_files import (
    check_folder,
    check_numbers,
    check_tokenizer,
    stored_tensors,
)
from routecal.calib.router.weights_match import Loading, check_finite, check_fit, is_buffer, left_out

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
    config = _config(path)
    architecture = str((config.architectures or ["none"])[0])
    if config.is_encoder_decoder and config.model_type not in ENCODER_DECODERS:
        raise RouterUnusable(
            str(path),
            f"{config.model_type} is an encoder-decoder, of which routecal reads {', '.join(ENCODER_DECODERS)} alone; "
            "give a decoder (as Gemma, Llama, Qwen) or an encoder (as BERT, RoBERTa, DeBERTa, ModernBERT)",
        )
    if architecture.endswith("ForSequenceClassification"):
        if config.model_type in ENCODER_DECODERS and not config.is_encoder_decoder:
            raise CheckpointUnusable(
                str(path), f"config.json says that this {config.model_type} has no encoder; mend it"
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
    stored = getattr(torch, dtype) if dtype != "auto" else _config(path).dtype or torch.float32
    model = _model(auto, path, dtype=native_dtype(stored, device))
    tokenizer = _tokenizer(path)
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
    """Save the causal model at `base` as a sequence-classification checkpoint over the policies.

    Args:
        base: folder of a causal-LM checkpoint whose architecture has a classification variant with a linear `score`.
        weights: (3, d) of the score layer, in the order of `POLICIES`; None makes them zero.
        folder: where the ordinary checkpoint (model and tokenizer) goes.

    Raises:
        CheckpointMissing, CheckpointUnusable: nothing at `base` that can be read as it was saved.
        RouterUnusable: it is no causal model, or its architecture has no linear score layer.
    """
    from transformers import AutoModelForSequenceClassification

    if kind_of(base) != "causal":
        raise RouterUnusable(str(base), "it classifies already; give a causal language model to train a head on")
    with torch.device("meta"), _quiet(), _readable(base):  # what there would be, without its weights
        auto: Any = AutoModelForSequenceClassification
        plan = auto.from_config(_config(base), trust_remote_code=False)
    layer = getattr(plan, "score", None)
    if not isinstance(layer, torch.nn.Linear) or getattr(layer, "bias", None) is not None:
        raise RouterUnusable(str(base), f"{type(plan).__name__} has no linear score layer to train")
    labels = {i: p.value for i, p in enumerate(POLICIES)}
    tokenizer = _tokenizer(base)
    # The score layer is new: the one tensor that may be missing, and it is set below.
    model = _model(
        AutoModelForSequenceClassification,
        base,
        made=(_SCORE,),
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        dtype="auto",
    )
    new = torch.zeros(len(POLICIES), layer.in_features) if weights is None else torch.from_numpy(weights)
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

    with _readable(source):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file, trust_remote_code=False)
    loaded = _read(AutoModelForCausalLM, source, gguf_file=file, dtype=torch.bfloat16)
    # With the quantisation entry in its config the model refuses to be saved, though its weights are plain by now.
    plain = loaded.config.to_dict()
    plain.pop("quantization_config", None)
    with torch.device("meta"):  # no random weights first
        model = type(loaded)(type(loaded.config).from_dict(plain)).to(torch.bfloat16)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(path: Path) -> Any:
    """The checkpoint's config, its values checked."""
    from transformers import AutoConfig

    read_config(check_folder(path))
    with _quiet(), _readable(path):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        text = config.get_text_config()
    check_values(path, text)
    return config


def _tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    check_tokenizer(path)
    with _readable(path, "tokenizer that can be read"):
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def _model(auto: Any, path: Path, *, made: tuple[str, ...] = (), **options: Any) -> Any:
    """The model of a checkpoint folder, every tensor of which is the one in its files.

    Args:
        auto: class of transformers that finds the architecture.
        path: of the checkpoint.
        made: tensors that the caller sets itself.
        options: of `from_pretrained`.
    """
    tensors = stored_tensors(path)
    widest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    check_room(path, _config(path).get_text_config(), len(tensors), widest)
    check_numbers(path, {name: tensor for name, tensor in tensors.items() if not is_buffer(name)})
    return _read(auto, path, made=made, there=tuple(tensors), use_safetensors=True, **options)


def _read(auto: Any, path: Path, *, made: tuple[str, ...] = (), there: tuple[str, ...] = (), **options: Any) -> Any:
    """What transformers makes of a folder, unless a tensor is missing, left over, of another shape or not finite."""
    with _quiet(), _readable(path):
        # Other shapes are allowed here, so that they are refused below with their names.
        model, info = auto.from_pretrained(
            path, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    # The library hides what some of its classes call harmless; a tensor that changes answers may be among it.
    cls, names = type(model), model.state_dict(keep_vars=True).keys()
    known = {f"{prefix}{name}" for name in there for prefix in ("", f"{model.base_model_prefix}.")}
    known |= {name.removeprefix(f"{model.base_model_prefix}.") for name in there}
    missing = left_out(cls._keys_to_ignore_on_load_missing, names, known) if there else set()
    spare = left_out(cls._keys_to_ignore_on_load_unexpected, there, {*names, *_without_prefix(model, names)})
    loading = Loading(
        missing=set(info["missing_keys"]) | (missing - set(model.all_tied_weights_keys)),
        unexpected=set(info["unexpected_keys"]) | spare,
        mismatched=info["mismatched_keys"],
    )
    check_fit(str(path), loading, made=made, classifies="ForSequenceClassification" in cls.__name__)
    if info["error_msgs"]:
        raise CheckpointUnusable(str(path), str(info["error_msgs"][0]).splitlines()[0])
    for name in made:
        # Random, or whatever was there before: the caller sets it, and no check may stumble over it.
        model.get_parameter(name).data.zero_()
    check_finite(str(path), model)
    return model


def _without_prefix(model: Any, names: Any) -> set[str]:
    """Names as a checkpoint of the model's body alone has them."""
    return {name.removeprefix(f"{model.base_model_prefix}.") for name in names}


@contextmanager
def _readable(path: Path, wanted: str = "complete Hugging Face checkpoint") -> Iterator[None]:
    """Turn what reading a damaged or foreign checkpoint raises into CheckpointMissing."""
    try:
        yield
    except (CalibError, MemoryError):
        raise
    # Every format, tokenizer and architecture fails in its own way: OSError, SafetensorError, KeyError, RuntimeError …
    except Exception as error:
        reason = " ".join(str(error).split()[:40]) or type(error).__name__
        raise CheckpointMissing(str(path), f"{wanted} ({reason})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' warnings to itself for the block: what they say is refused."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(stdlib_logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
