"""What every baseline is: `fit(labelled, seed=...) -> predictor`, and what a predictor is."""

from collections.abc import Callable
from typing import Protocol

from routecal.calib.checks import FloatArray
from routecal.calib.errors import TooFewExamples
from routecal.calib.examples import Examples

Predictor = Callable[[Examples], FloatArray]

# Below this there is nothing to cross-validate: the learned baselines are the constant then.
LEAST_ROWS = 30
LEAST_OF_A_CLASS = 5


class Fit(Protocol):
    """A baseline: labelled rows (train, calibration and validation together, never test) in, a predictor out.

    A baseline may use all labelled rows as suits it best, with whatever cross-validation it needs inside: what has to
    be beaten is its strongest form. Same rows, same seed, same machine: the same predictor.
    """

    def __call__(self, labelled: Examples, *, seed: int = 0) -> Predictor: ...


def refuse_empty(labelled: Examples) -> None:
    """TooFewExamples where there is no row."""
    if not len(labelled):
        raise TooFewExamples(0, 1)


def learnable(labelled: Examples) -> bool:
    """Whether every fold of a cross-validation can hold rows of both classes."""
    right = int(labelled.y.sum())
    return len(labelled) >= LEAST_ROWS and min(right, len(labelled) - right) >= LEAST_OF_A_CLASS
