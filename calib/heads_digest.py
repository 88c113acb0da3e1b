"""Which heads decide, as one number: what a guarantee is bound to."""

import hashlib
import json

import numpy as np

from routecal.calib.head import LoadedHead
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.outcome_folder import arrays_of
from routecal.calib.recalibrate import to_json


def heads_sha256(head: LoadedHead, outcome_head: OutcomeHead | None) -> str:
    """sha256 over all numbers that confidence and gain are made of; where the heads come from does not count.

    The same for heads in memory and for those that were stored and opened again.
    """
    digest = hashlib.sha256(json.dumps(to_json(head.recalibrator), sort_keys=True).encode())
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in head.head.tensors().items()}
    if outcome_head is not None:
        cells = outcome_head.cells
        digest.update(repr((outcome_head.blocks, cells.medium, cells.large, cells.policy)).encode())
        for i, reader in enumerate(outcome_head.readers):
            arrays |= {f"outcome.{i}.{name}": array for name, array in arrays_of(reader).items()}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
