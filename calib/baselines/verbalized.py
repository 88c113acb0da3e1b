"""What the router says when it is asked whether it is right: P(True), for causal routers."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from routecal.calib.baselines.predictors import refuse_empty
from routecal.calib.checks import FloatArray, checked_p, logit
from routecal.calib.errors import ColumnMissing
from routecal.calib.examples import Examples
from routecal.calib.recalibrate.platt import platt_parameters


@dataclass(frozen=True)
class Verbal:
    """sigmoid(slope * logit(P(True)) + intercept); slope 1 and intercept 0 are P(True) as it is.

    Kadavath et al. 2022, arXiv:2207.05221, section 3: the probability that the model gives "True" when shown its own
    answer and asked whether it is right.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, examples: Examples) -> FloatArray:
        p = verbalized_confidence(examples)
        return p if (self.slope, self.intercept) == (1, 0) else expit(self.slope * logit(p) + self.intercept)


def verbalized_confidence(examples: Examples) -> FloatArray:
    """P(True) of each row, (n,) in [0, 1].

    Raises:
        ColumnMissing: the router was not asked.
        InvalidProbability: an entry is outside [0, 1].
    """
    if examples.verbal is None:
        raise ColumnMissing("verbal", "extract them again with a causal router that is asked for it")
    return checked_p(examples.verbal, name="verbal")


def verbal(labelled: Examples, *, seed: int = 0) -> Verbal:
    """P(True) as it is; nothing is fitted.

    Raises:
        ColumnMissing: the router was not asked.
    """
    verbalized_confidence(labelled)
    return Verbal()


def verbal_platt(labelled: Examples, *, seed: int = 0) -> Verbal:
    """Platt on the log odds of P(True).

    Raises:
        ColumnMissing: the router was not asked.
        TooFewExamples: there is no labelled row.
    """
    refuse_empty(labelled)
    return Verbal(*platt_parameters(logit(verbalized_confidence(labelled)), labelled.y.astype(np.float64)))
