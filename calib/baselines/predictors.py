"""What every baseline is, `fit(labelled, seed=...) -> predictor`; the constant; the cross-validation of the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.errors import TooFewExamples
from routecal.calib.examples import Examples
from routecal.calib.recalibrate import Recalibrator, choose_recalibrator

Predictor = Callable[[Examples], FloatArray]

# Below this there is nothing to cross-validate: the learned baselines are the constant then.
LEAST_ROWS = 30
LEAST_OF_A_CLASS = 5

N_FOLDS = 5


class Fit(Protocol):
    """A baseline: labelled rows (train, calibration and validation together, never test) in, a predictor out.

    A baseline may use all labelled rows as suits it best, with whatever cross-validation it needs inside: what has to
    be beaten is its strongest form. Same rows, same seed, same machine: the same predictor.
    """

    def __call__(self, labelled: Examples, *, seed: int = 0) -> Predictor: ...


@dataclass(frozen=True)
class Constant:
    """The same confidence for every query: no skill, yet ECE near 0."""

    p: float

    def __call__(self, examples: Examples) -> FloatArray:
        return np.full(len(examples), self.p)


def constant(labelled: Examples, *, seed: int = 0) -> Constant:
    """The base rate of the labelled rows: no skill, yet the best calibrated baseline there is.

    Raises:
        TooFewExamples: there are none.
    """
    refuse_empty(labelled)
    return Constant(float(labelled.y.mean(dtype=np.float64)))


def refuse_empty(labelled: Examples) -> None:
    """TooFewExamples where there is no row."""
    if not len(labelled):
        raise TooFewExamples(0, 1)


def learnable(labelled: Examples) -> bool:
    """Whether every fold of a cross-validation can hold rows of both classes."""
    right = int(labelled.y.sum())
    return len(labelled) >= LEAST_ROWS and min(right, len(labelled) - right) >= LEAST_OF_A_CLASS


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
    """`predictor` with the recalibrator chosen on its confidences (n,) of rows that it had not seen."""
    return Recalibrated(predictor, choose_recalibrator(np.clip(held_out, 0, 1), y, seed=seed).recalibrator)
