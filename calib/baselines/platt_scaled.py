"""The router's statistics after Platt scaling: logprob + Platt is what a head has to beat under shift."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from routecal.calib.baselines.predictors import refuse_empty
from routecal.calib.baselines.router_outputs import FORMS, statistic
from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.recalibrate.platt import platt_parameters


@dataclass(frozen=True)
class Scaled:
    """sigmoid(slope * (x - centre) / scale + intercept) of one form x of one statistic."""

    statistic: str
    form: str
    centre: float
    scale: float
    slope: float
    intercept: float

    def __call__(self, examples: Examples) -> FloatArray:
        x = statistic(examples, self.statistic, form=self.form)
        return np.asarray(expit(self.slope * (x - self.centre) / self.scale + self.intercept))


def platt_scaled(labelled: Examples, name: str) -> Scaled:
    """Platt scaling of the statistic in the form, value or log odds, that explains the labelled rows better.

    Which form is stronger depends on the router: on a saturated one the values are all 1 and only the log odds tell
    queries apart. Both have two parameters, so their likelihoods on the fitted rows compare fairly. The value is
    standardised first, so that Platt's prior (slope near 1) means the same for all three statistics.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    refuse_empty(labelled)
    y = labelled.y.astype(np.float64)

    def fitted(form: str) -> tuple[float, Scaled]:
        x = statistic(labelled, name, form=form)
        centre, scale = (float(x.mean()), float(x.std())) if form == "value" else (0.0, 1.0)
        scale = scale if scale > 1e-9 else 1.0
        slope, intercept = platt_parameters((x - centre) / scale, y)
        z = slope * (x - centre) / scale + intercept
        return float(np.logaddexp(0, (1 - 2 * y) * z).sum()), Scaled(name, form, centre, scale, slope, intercept)

    return min(map(fitted, FORMS), key=lambda pair: pair[0])[1]


def max_prob_platt(labelled: Examples, *, seed: int = 0) -> Scaled:
    """Platt on the largest probability; see `platt_scaled`."""
    return platt_scaled(labelled, "max_prob")


def margin_platt(labelled: Examples, *, seed: int = 0) -> Scaled:
    """Platt on the gap between the two largest probabilities; see `platt_scaled`."""
    return platt_scaled(labelled, "margin")


def entropy_platt(labelled: Examples, *, seed: int = 0) -> Scaled:
    """Platt on the entropy; see `platt_scaled`."""
    return platt_scaled(labelled, "entropy")
