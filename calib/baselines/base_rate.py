"""The base rate: no skill, yet the best calibrated baseline there is."""

from dataclasses import dataclass

import numpy as np

from routecal.calib.baselines.predictors import refuse_empty
from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples


@dataclass(frozen=True)
class Constant:
    """The same confidence for every query: no skill, yet ECE near 0."""

    p: float

    def __call__(self, examples: Examples) -> FloatArray:
        return np.full(len(examples), self.p)


def constant(labelled: Examples, *, seed: int = 0) -> Constant:
    """The base rate of the labelled rows.

    Raises:
        TooFewExamples: there are none.
    """
    refuse_empty(labelled)
    return Constant(float(labelled.y.mean(dtype=np.float64)))
