"""An outcome head as two files of a folder: numbers in safetensors, the rest in JSON. No pickle."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from routecal.calib.checkpoint_errors import CheckpointMissing, HeadUnusable
from routecal.calib.checks import FloatArray
from routecal.calib.components import Reduced, Standard
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.head import OutcomeHead, Reader
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.start import OutcomeStart

WEIGHTS, CONFIG = "outcome.safetensors", "outcome.json"


def save_outcome_head(head: OutcomeHead, folder: Path) -> None:
    """Write outcome.safetensors and outcome.json into `folder`, which may hold a confidence head as well.

    Args:
        head: to be kept, with its lineage.
        folder: made if need be; the caller makes it atomic.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, FloatArray] = {}
    for i, reader in enumerate(head.readers):
        arrays |= {f"{i}.{name}": array for name, array in arrays_of(reader).items()}
    cells = {"medium": head.cells.medium, "large": head.cells.large, "policy": head.cells.policy}
    config = {"cells": cells, "blocks": head.blocks, "lineage": head.lineage}
    (folder / WEIGHTS).write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def holds_outcome_head(folder: Path) -> bool:
    """Whether there is one in the folder; heads of before version 0.3 have none."""
    return (folder / CONFIG).is_file()


def load_outcome_head(folder: Path) -> OutcomeHead:
    """The head, the same to the last bit.

    Raises:
        CheckpointMissing: the folder holds none.
        HeadUnusable: what is there is damaged.
    """
    if missing := [name for name in (WEIGHTS, CONFIG) if not (folder / name).is_file()]:
        raise CheckpointMissing(str(folder), f"outcome head ({', '.join(missing)})")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS)
        cells = Cells(**{name: tuple(values) for name, values in config["cells"].items()})
        readers = tuple(_reader(name, i, arrays) for i, name in enumerate(config["blocks"]))
        if not readers:
            raise ValueError("it reads no block")
        return OutcomeHead(cells, readers, config["lineage"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HeadUnusable(str(folder), str(error).splitlines()[0]) from error


def arrays_of(reader: Reader) -> dict[str, FloatArray]:
    """All numbers of a reader, by the names that they are stored under."""
    inputs = reader.inputs
    return {
        "hidden_mean": inputs.hidden.standard.mean,
        "hidden_std": inputs.hidden.standard.std,
        "components": inputs.hidden.components,
        "router_mean": inputs.router.mean,
        "router_std": inputs.router.std,
        "temperature": np.array([[start.temperature for start in own] for own in reader.starts]),
        "bias": np.array([[start.bias for start in own] for own in reader.starts]),
        "weights": np.array(reader.weights),
    }


def _reader(name: str, i: int, arrays: dict[str, FloatArray]) -> Reader:
    own = {what: arrays[f"{i}.{what}"] for what in _ARRAYS}
    hidden = Reduced(Standard(own["hidden_mean"], own["hidden_std"]), own["components"])
    inputs = OutcomeInputs(hidden, Standard(own["router_mean"], own["router_std"]))
    starts = tuple(
        tuple(OutcomeStart(float(t), bias) for t, bias in zip(*kind, strict=True))
        for kind in zip(own["temperature"], own["bias"], strict=True)
    )
    return Reader(name, inputs, starts, tuple(map(tuple, own["weights"])))


_ARRAYS = (
    *("hidden_mean", "hidden_std", "components", "router_mean", "router_std"),
    *("temperature", "bias", "weights"),
)
