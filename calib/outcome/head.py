"""The outcome head: calibrated probabilities of the joint outcome of both models, read off a frozen router."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.checks import FloatArray
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.multinomial import log_odds
from routecal.calib.outcome.start import OutcomeStart

# Hidden states (n, d) by the name of their block, as `calib.router.pooling` names them.
Blocks = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Reader:
    """Multinomial regressions on one block of the hidden state: from each kind of start one for each fold left out.

    Attributes:
        block: name of the block.
        inputs: what is read of it, and of the router's outputs.
        starts: (s, f) where each regression starts.
        weights: (s, f) of (d + 1, k), what each adds; intercepts last.
    """

    block: str
    inputs: OutcomeInputs
    starts: tuple[tuple[OutcomeStart, ...], ...]
    weights: tuple[tuple[FloatArray, ...], ...]

    def by_fold(self, blocks: Blocks, logits: NDArray[np.floating], cells: Cells) -> FloatArray:
        """(f, n, k) probabilities of every cell, the mean over the kinds of start."""
        hidden, width = blocks[self.block], len(self.inputs.hidden.standard.mean)
        if hidden.shape[1] != width:
            raise FeatureMismatch(f"width of {self.block}", width, hidden.shape[1])
        x = self.inputs(hidden, logits)
        found = [
            [log_odds(x, w, start(logits, cells)) for w, start in zip(*own, strict=True)]
            for own in zip(self.weights, self.starts, strict=True)
        ]
        return np.asarray(softmax(np.array(found), axis=-1).mean(axis=0))


@dataclass(frozen=True, eq=False)
class OutcomeHead:
    """The mean of what its readers say.

    Attributes:
        cells: what the columns of its probabilities mean, k of them.
        readers: at least one, each of a block of its own.
        lineage: JSON of where it comes from; nothing that it says depends on it.
    """

    cells: Cells
    readers: tuple[Reader, ...]
    lineage: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks that it reads."""
        return tuple(reader.block for reader in self.readers)

    def probabilities(self, blocks: Blocks, logits: NDArray[np.floating]) -> FloatArray:
        """(n, k) probability of every cell; rows sum to 1.

        Args:
            blocks: (n, d) by name, at least those in `self.blocks`.
            logits: (n, 3) of the router, in the order of `calib.policy.POLICIES`.

        Raises:
            FeatureMismatch: a block is missing, or of another width.
        """
        return np.asarray(self._by_fold(blocks, logits).mean(axis=0))

    def out_of_fold(self, blocks: Blocks, logits: NDArray[np.floating], fold: NDArray[np.int64]) -> FloatArray:
        """(n, k) the same of labelled rows, each by the regressions that left its fold out; of all where it is -1.

        Args:
            blocks, logits: as in `probabilities`.
            fold: (n,) -1 … f - 1.
        """
        every = self._by_fold(blocks, logits)
        own = every[np.maximum(fold, 0), np.arange(len(fold))]
        return np.asarray(np.where((fold < 0)[:, None], every.mean(axis=0), own))

    def _by_fold(self, blocks: Blocks, logits: NDArray[np.floating]) -> FloatArray:
        """(f, n, k)."""
        if missing := [name for name in self.blocks if name not in blocks]:
            raise FeatureMismatch("blocks", " ".join(self.blocks), f"{' '.join(blocks)} (no {missing[0]})")
        return np.asarray(np.mean([reader.by_fold(blocks, logits, self.cells) for reader in self.readers], axis=0))
