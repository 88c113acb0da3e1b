"""Head folders read for use: the head, and what turns its confidence into the calibrated one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.head.ensemble import Ensemble
from routecal.calib.head.head_folder import read_head
from routecal.calib.recalibrate import Recalibrator
from routecal.calib.router.pooling import DEFAULT


@dataclass(frozen=True)
class LoadedHead:
    """A head read from its folder.

    Attributes:
        head: weights and inputs as saved; of one member where one was saved.
        recalibrator: to be applied to `head.confidence(...)`.
        config: all of config.json: "head", "members", "recalibrator", "metrics", "lineage".
    """

    head: Ensemble
    recalibrator: Recalibrator
    config: dict[str, Any]

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that its hidden state is made of, side by side in this order."""
        return tuple(self.config.get("lineage", {}).get("blocks", [DEFAULT]))

    def confidence(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """Recalibrated P(the router's policy is right), float64 (n,); raises FeatureMismatch as the head does."""
        return self.recalibrator(self.head.confidence(hidden, logits))


def load(folder: Path) -> LoadedHead:
    """The head or ensemble that `save` wrote.

    Raises:
        CheckpointMissing: the folder lacks head.safetensors or config.json.
        HeadUnusable: they are damaged, or are not a head's.
    """
    stored = read_head(folder)
    return LoadedHead(stored.build(Ensemble), stored.recalibrator, stored.config)
