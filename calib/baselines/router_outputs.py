"""What the router's own probabilities say about its decision; nothing is learned from hidden states.

Three statistics of q = softmax(logits), each 1 where the router is certain and small where it has no idea:

    max_prob  q_1                    largest probability
    margin    q_1 - q_2              gap between the two largest
    entropy   1 - H(q) / log c       entropy over its largest possible

Each has two forms: the value itself, in [0, 1], and its log odds. The log odds are computed from log q, not from the
value: a saturated router says 1 - 1e-12 on one query and 1 - 1e-9 on the next, and the value loses that difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from routecal.calib.baselines.predictors import refuse_empty
from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.head.residual_start import HIGHEST, LOWEST


class Statistic(NamedTuple):
    """Both forms, from log q (n, c) sorted so that the largest is first."""

    value: Callable[[FloatArray], FloatArray]
    log_odds: Callable[[FloatArray], FloatArray]


def _max_prob(log_q: FloatArray) -> FloatArray:
    return np.asarray(np.exp(log_q[:, 0]))


def _max_prob_odds(log_q: FloatArray) -> FloatArray:
    return np.asarray(log_q[:, 0] - logsumexp(log_q[:, 1:], axis=1))


def _margin(log_q: FloatArray) -> FloatArray:
    return np.asarray(np.exp(log_q[:, 0]) - np.exp(log_q[:, 1]))


def _margin_odds(log_q: FloatArray) -> FloatArray:
    # log(q1 - q2) - log(1 - q1 + q2), and 1 - q1 + q2 = 2 q2 + q3 + ...
    with np.errstate(divide="ignore"):
        gap = log_q[:, 0] + np.log(-np.expm1(log_q[:, 1] - log_q[:, 0]))
    return np.asarray(gap - np.logaddexp(log_q[:, 1], logsumexp(log_q[:, 1:], axis=1)))


def _entropy_share(log_q: FloatArray) -> FloatArray:
    return np.asarray(np.clip(-(np.exp(log_q) * log_q).sum(axis=1) / np.log(log_q.shape[1]), 0.0, 1.0))


def _entropy(log_q: FloatArray) -> FloatArray:
    return 1 - _entropy_share(log_q)


def _entropy_odds(log_q: FloatArray) -> FloatArray:
    share = _entropy_share(log_q)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(-share) - np.log(share))


STATISTICS: dict[str, Statistic] = {
    "max_prob": Statistic(_max_prob, _max_prob_odds),
    "margin": Statistic(_margin, _margin_odds),
    "entropy": Statistic(_entropy, _entropy_odds),
}
FORMS = Statistic._fields


def statistic(examples: Examples, name: str, *, form: str = "value") -> FloatArray:
    """One statistic of the router's probabilities, (n,).

    Args:
        examples: rows; only the logits are read.
        name: key of STATISTICS.
        form: "value", in [0, 1], or "log_odds", in [LOWEST, HIGHEST].

    >>> two = Examples(*(np.zeros((1, 1), np.float32), np.array([[3.0, 1.0, -99.0]], np.float32), *[np.zeros(1)] * 3))
    >>> statistic(two, "max_prob", form="log_odds").round(6).tolist()  # log(e³ / (e¹ + e^-99))
    [2.0]
    """
    log_q = -np.sort(-log_softmax(examples.logits.astype(np.float64), axis=1), axis=1)
    found: FloatArray = getattr(STATISTICS[name], form)(log_q)
    return found if form == "value" else np.clip(found, LOWEST, HIGHEST)


@dataclass(frozen=True)
class Raw:
    """The value of a statistic, taken for a confidence as it is. Of the three only max_prob is a probability at all.

    Hendrycks & Gimpel 2017, arXiv:1610.02136, for max_prob; entropy is METHOD.md's "easy, not calibrated" row.
    """

    statistic: str

    def __call__(self, examples: Examples) -> FloatArray:
        return statistic(examples, self.statistic)


@dataclass(frozen=True)
class MaxProb:
    """The router's largest softmax probability at a temperature."""

    temperature: float = 1.0

    def __call__(self, examples: Examples) -> FloatArray:
        z = examples.logits.astype(np.float64) / self.temperature
        return np.asarray(softmax(z, axis=1).max(axis=1))


def max_prob(labelled: Examples, *, seed: int = 0) -> Raw:
    """The raw largest probability; nothing is fitted."""
    return Raw("max_prob")


def margin(labelled: Examples, *, seed: int = 0) -> Raw:
    """The raw gap between the two largest probabilities; nothing is fitted."""
    return Raw("margin")


def entropy(labelled: Examples, *, seed: int = 0) -> Raw:
    """One minus the raw normalised entropy; nothing is fitted."""
    return Raw("entropy")


def temperature(labelled: Examples, *, seed: int = 0) -> MaxProb:
    """The largest probability at the temperature of least multi-class negative log likelihood of the true policy.

        T = argmin -mean log softmax(logits / T)[true policy],   T in [.01, 1000]

    Guo et al. 2017, arXiv:1706.04599, section 4.2. One parameter, and the ranking hardly changes: strong where the
    router's own probabilities are informative.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    refuse_empty(labelled)
    z, rows = labelled.logits.astype(np.float64), np.arange(len(labelled))

    def nll(log_t: float) -> float:
        return float(-log_softmax(z / np.exp(log_t), axis=1)[rows, labelled.true_policy].mean())

    return MaxProb(float(np.exp(minimize_scalar(nll, bounds=(np.log(0.01), np.log(1000)), method="bounded").x)))
