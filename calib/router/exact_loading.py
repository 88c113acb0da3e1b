"""What transformers reads from a folder, and nothing but what was saved there.

Custom code in a checkpoint is never run (`trust_remote_code` is off). Every model comes from `model_of` or
`read_model`, which refuse one that is not, tensor for tensor, what was saved: the library itself draws at random what
it does not find.
"""

import logging as stdlib_logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable
from routecal.calib.errors import CalibError
from routecal.calib.router.config_checks import check_room, check_values, read_config
from routecal.calib.router.weight_files import check_folder, check_numbers, check_tokenizer, stored_tensors
from routecal.calib.router.weights_match import Loading, check_finite, check_fit, is_buffer, left_out


def config_of(path: Path) -> Any:
    """The checkpoint's config, its values checked."""
    from transformers import AutoConfig

    read_config(check_folder(path))
    with quiet(), readable(path):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        text = config.get_text_config()
    check_values(path, text)
    return config


def tokenizer_of(path: Path) -> Any:
    """The checkpoint's tokenizer."""
    from transformers import AutoTokenizer

    check_tokenizer(path)
    with readable(path, "tokenizer that can be read"):
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def model_of(auto: Any, path: Path, *, made: tuple[str, ...] = (), **options: Any) -> Any:
    """The model of a checkpoint folder, every tensor of which is the one in its files.

    Args:
        auto: class of transformers that finds the architecture.
        path: of the checkpoint.
        made: tensors that the caller sets itself.
        options: of `from_pretrained`.
    """
    tensors = stored_tensors(path)
    widest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    check_room(path, config_of(path).get_text_config(), len(tensors), widest)
    check_numbers(path, {name: tensor for name, tensor in tensors.items() if not is_buffer(name)})
    return read_model(auto, path, made=made, there=tuple(tensors), use_safetensors=True, **options)


def read_model(
    auto: Any, path: Path, *, made: tuple[str, ...] = (), there: tuple[str, ...] = (), **options: Any
) -> Any:
    """What transformers makes of a folder, unless a tensor is missing, left over, of another shape or not finite."""
    with quiet(), readable(path):
        # Other shapes are allowed here, so that they are refused below with their names.
        model, info = auto.from_pretrained(
            path, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    # The library hides what some of its classes call harmless; a tensor that changes answers may be among it.
    cls, names = type(model), model.state_dict(keep_vars=True).keys()
    # A checkpoint of the model's body alone has names without it.
    prefix = f"{model.base_model_prefix}."
    known = {known for name in there for known in (name, prefix + name, name.removeprefix(prefix))}
    missing = left_out(cls._keys_to_ignore_on_load_missing, names, known) if there else set()
    spare = left_out(cls._keys_to_ignore_on_load_unexpected, there, {n.removeprefix(prefix) for n in names} | names)
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


@contextmanager
def readable(path: Path, wanted: str = "complete Hugging Face checkpoint") -> Iterator[None]:
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
def quiet() -> Iterator[None]:
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
