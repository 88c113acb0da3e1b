"""What has to be beaten: confidences that need no head, fitted on the calibration split at most.

A baseline is `fit(calibration) -> predictor`, a predictor is a frozen dataclass `(examples) -> p (n,)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from calib.checks import FloatArray
from calib.errors import TooFewExamples, UnknownName
from calib.examples import Examples

Predictor = Callable[[Examples], FloatArray]


@dataclass(frozen=True)
class Constant:
    """The same confidence for every query: no skill, yet ECE near 0."""

    p: float

    def __call__(self, examples: Examples) -> FloatArray:
        return np.full(len(examples), self.p)


@dataclass(frozen=True)
class MaxProb:
    """The router's largest softmax probability at a temperature. Hendrycks & Gimpel 2017, arXiv:1610.02136."""

    temperature: float = 1.0

    def __call__(self, examples: Examples) -> FloatArray:
        z = examples.logits.astype(np.float64) / self.temperature
        return np.asarray(softmax(z, axis=1).max(axis=1))


@dataclass(frozen=True)
class Entropy:
    """One minus the router's entropy over its largest possible: 1 where it is certain, 0 where it has no idea.

        p = 1 - H(softmax(logits)) / log 3

    In [0, 1], but not a probability of anything: METHOD.md's "easy, not calibrated" row.
    """

    def __call__(self, examples: Examples) -> FloatArray:
        log_q = log_softmax(examples.logits.astype(np.float64), axis=1)
        entropy = -(np.exp(log_q) * log_q).sum(axis=1)
        return np.asarray(np.clip(1 - entropy / np.log(log_q.shape[1]), 0.0, 1.0))


def constant(calibration: Examples) -> Constant:
    """The base rate of the calibration split.

    Raises:
        TooFewExamples: the split is empty.
    """
    _refuse_empty(calibration)
    return Constant(float(calibration.y.mean(dtype=np.float64)))


def max_prob(calibration: Examples) -> MaxProb:
    """The raw largest probability; nothing is fitted."""
    return MaxProb()


def entropy(calibration: Examples) -> Entropy:
    """The raw normalised entropy; nothing is fitted."""
    return Entropy()


def temperature(calibration: Examples) -> MaxProb:
    """The largest probability at the temperature of least multi-class negative log likelihood of the true policy.

        T = argmin -mean log softmax(logits / T)[true policy],   T in [.01, 1000]

    Guo et al. 2017, arXiv:1706.04599, section 4.2. One parameter, and the ranking hardly changes: strong where the
    router's own probabilities are informative.

    Raises:
        TooFewExamples: the split is empty.
    """
    _refuse_empty(calibration)
    z, rows = calibration.logits.astype(np.float64), np.arange(len(calibration))

    def nll(log_t: float) -> float:
        return float(-log_softmax(z / np.exp(log_t), axis=1)[rows, calibration.true_policy].mean())

    return MaxProb(float(np.exp(minimize_scalar(nll, bounds=(np.log(0.01), np.log(1000)), method="bounded").x)))


BASELINES: dict[str, Callable[[Examples], Predictor]] = {
    f.__name__: f for f in (constant, max_prob, entropy, temperature)
}


def get(name: str) -> Callable[[Examples], Predictor]:
    """The fit of that name.

    Raises:
        UnknownName: no such baseline; lists those there are.

    >>> get("entropy") is entropy
    True
    """
    if name not in BASELINES:
        raise UnknownName("baseline", name, BASELINES)
    return BASELINES[name]


def _refuse_empty(calibration: Examples) -> None:
    if not len(calibration):
        raise TooFewExamples(0, 1)
