"""The outcome head: calibrated probabilities of the joint outcome of both models, read off a frozen router."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from routecal.calib.checks import FloatArray
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.multinomial import log_odds
from routecal.calib.outcome.start import OutcomeStart


@dataclass(frozen=True, eq=False)
class OutcomeHead:
    """Multinomial regressions on the same inputs, one for each fold that it left out; their probabilities are averaged.

    Attributes:
        cells: what the columns of its probabilities mean, k of them.
        inputs: what it reads.
        starts: (f) where each fold's regression starts.
        weights: (f) of (d + 1, k), what each adds; intercepts last.
    """

    cells: Cells
    inputs: OutcomeInputs
    starts: tuple[OutcomeStart, ...]
    weights: tuple[FloatArray, ...]

    def probabilities(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """(n, k) probability of every cell; rows sum to 1.

        Args:
            hidden: (n, d) the router's hidden states, of the block that the head was fitted on.
            logits: (n, 3) the router's logits.
        """
        return np.asarray(self._by_fold(hidden, logits).mean(axis=0))

    def out_of_fold(
        self, hidden: NDArray[np.floating], logits: NDArray[np.floating], fold: NDArray[np.int64]
    ) -> FloatArray:
        """(n, k) the same of labelled rows, each by the regression that left its fold out."""
        return np.asarray(self._by_fold(hidden, logits)[fold, np.arange(len(fold))])

    def _by_fold(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """(f, n, k)."""
        x = self.inputs(hidden, logits)
        found = [log_odds(x, w, s(logits, self.cells)) for w, s in zip(self.weights, self.starts, strict=True)]
        return np.asarray(softmax(np.stack(found), axis=-1))
