"""Cross-validation that every learned baseline shares: folds, and the recalibrator chosen on held-out confidences."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routecal.calib.baselines.contract import Predictor
from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.recalibrate import Recalibrator, choose

N_FOLDS = 5


def deal(y: FloatArray, *, seed: int) -> NDArray[np.int64]:
    """The fold of each row, (n,) in 0..4, each with its share of both classes.

    >>> deal(np.array([0.0] * 5 + [1.0] * 5), seed=0).reshape(2, 5).sum(axis=1).tolist()  # 0 + 1 + 2 + 3 + 4 in either
    [10, 10]
    """
    fold = np.empty(len(y), np.int64)
    fold[np.lexsort((np.random.default_rng(seed).random(len(y)), y))] = np.arange(len(y)) % N_FOLDS
    return fold


@dataclass(frozen=True, eq=False)
class Recalibrated:
    """A predictor followed by a recalibrator."""

    predictor: Predictor
    recalibrator: Recalibrator

    def __call__(self, examples: Examples) -> FloatArray:
        return self.recalibrator(self.predictor(examples))


def recalibrated(predictor: Predictor, held_out: FloatArray, y: FloatArray, *, seed: int) -> Recalibrated:
    """`predictor` with the recalibrator that `choose` finds on the confidences (n,) of rows it had not seen."""
    return Recalibrated(predictor, choose(np.clip(held_out, 0, 1), y, seed=seed).recalibrator)
